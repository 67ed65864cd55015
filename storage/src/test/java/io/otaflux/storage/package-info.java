@NullMarked
package io.otaflux.storage;

import org.jspecify.annotations.NullMarked;
