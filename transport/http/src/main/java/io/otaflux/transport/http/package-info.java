/** Artifacts over HTTP, on Reactor Netty. */
@NullMarked
package io.otaflux.transport.http;

import org.jspecify.annotations.NullMarked;
