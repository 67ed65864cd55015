/** What the engine costs, measured with JMH. How to run it and what came out is in this module's README. */
@NullMarked
package io.otaflux.benchmarks;

import org.jspecify.annotations.NullMarked;
