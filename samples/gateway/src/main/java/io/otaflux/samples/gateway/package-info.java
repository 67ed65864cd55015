/** How a gateway uses OtaFlux: the smallest program that does it, and one with what an operator asks for. */
@NullMarked
package io.otaflux.samples.gateway;

import org.jspecify.annotations.NullMarked;
