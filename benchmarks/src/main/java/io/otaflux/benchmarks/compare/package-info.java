/**
 * Whole processes against each other: OtaFlux and what one would otherwise use, each in a process of its own, in turns. The
 * script {@code benchmarks/compare} runs {@link io.otaflux.benchmarks.compare.Compare}.
 */
@NullMarked
package io.otaflux.benchmarks.compare;

import org.jspecify.annotations.NullMarked;
