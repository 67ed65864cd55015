@NullMarked
package io.otaflux.testkit;

import org.jspecify.annotations.NullMarked;
