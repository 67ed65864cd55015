/** The {@code otaflux} command. */
@NullMarked
package io.otaflux.samples.cli;

import org.jspecify.annotations.NullMarked;
