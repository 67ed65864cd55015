/** Artifacts, journal and installed versions on the file system, so that a power cut at any instant leaves them whole. */
@NullMarked
package io.otaflux.storage;

import org.jspecify.annotations.NullMarked;
