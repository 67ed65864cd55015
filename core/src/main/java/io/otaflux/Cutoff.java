package io.otaflux;

import java.util.concurrent.atomic.AtomicReference;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Ends work from outside. */
final class Cutoff {

    private static final Throwable DONE = new Throwable("done", null, false, false) {};

    private Cutoff() {}

    /**
     * {@code work}, until {@code cause} emits an error: then it is cancelled, and ends with that error. A cause that comes
     * when the work has completed changes nothing.
     *
     * <p>The error is a value because {@link Flux#takeUntilOther} cancels its source when the other publisher emits or
     * completes, but not when it errors.
     */
    static <T> Flux<T> of(Flux<T> work, Mono<? extends Throwable> cause) {
        return Flux.defer(() -> {
            AtomicReference<Throwable> end = new AtomicReference<>();
            return work.doOnComplete(() -> end.compareAndSet(null, DONE))
                    .takeUntilOther(cause.filter(error -> end.compareAndSet(null, error)).switchIfEmpty(Mono.never()))
                    .concatWith(Mono.defer(() -> {
                        Throwable error = end.get();
                        return error == null || error == DONE ? Mono.empty() : Mono.error(error);
                    }));
        });
    }
}
