@NullMarked
package io.otaflux;

import org.jspecify.annotations.NullMarked;
