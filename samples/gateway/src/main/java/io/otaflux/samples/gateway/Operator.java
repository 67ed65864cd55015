package io.otaflux.samples.gateway;

import io.otaflux.Verified;
import reactor.core.publisher.Mono;

/** Has the last word before an upgrade is installed. */
@FunctionalInterface
interface Operator {

    /** Completes when {@code verified} may be installed, which may be in days. It must not block. */
    Mono<Void> approves(Verified verified);
}
