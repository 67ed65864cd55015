package io.otaflux;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Ends work from outside. */
final class Cutoff {

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
            // What came first: null for nothing yet, empty for the end of the work itself.
            AtomicReference<@Nullable Optional<Throwable>> end = new AtomicReference<>();
            return InOrder.of(
                    work.doOnComplete(() -> end.compareAndSet(null, Optional.empty()))
                            .takeUntilOther(InOrder.orElse(
                                    cause.filter(error -> end.compareAndSet(null, Optional.of(error))), Mono.never())),
                    Mono.defer(() -> {
                        Optional<Throwable> first = end.get();
                        return first == null || first.isEmpty() ? Mono.empty() : Mono.error(first.get());
                    }));
        });
    }
}
