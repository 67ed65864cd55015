/** The example program of AliOS Things' {@code ota} module, in Java. */
@NullMarked
package io.otaflux.samples.legacy;

import org.jspecify.annotations.NullMarked;
