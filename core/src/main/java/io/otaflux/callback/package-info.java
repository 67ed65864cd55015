/**
 * The callback-style {@code ota} module of AliOS Things HaaS for programs that were written against it: the same names, the
 * same numbers, the same dictionaries. {@link io.otaflux.callback.Ota} is where to start; everything that happens behind
 * it is {@link io.otaflux.OtaClient}.
 */
@NullMarked
package io.otaflux.callback;

import org.jspecify.annotations.NullMarked;
