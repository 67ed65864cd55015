package io.otaflux;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Ends work from outside. */
final class Cutoff {

    private Cutoff() {}

    /**
     * {@code work}, until {@code cause} emits an error: then it is cancelled, and ends with that error. A cause that
     * comes when the work has completed changes nothing.
     *
     * @param cause never completes without an error
     */
    static <T> Flux<T> of(Flux<T> work, Mono<? extends Throwable> cause) {
        return of(work, cause, () -> null);
    }

    /**
     * The same with a last look at work that has completed.
     *
     * @param flaw what is wrong with it; null where nothing is
     */
    static <T> Flux<T> of(Flux<T> work, Mono<? extends Throwable> cause, Supplier<? extends @Nullable Throwable> flaw) {
        // The error is a value because takeUntilOther cancels its source when the other publisher emits or completes,
        // but not when it errors.
        return Flux.defer(() -> {
            AtomicBoolean decided = new AtomicBoolean();
            AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
            return Ending.of(
                    work.doOnComplete(() -> {
                                if (decided.compareAndSet(false, true)) {
                                    failure.set(flaw.get());
                                }
                            })
                            .takeUntilOther(cause.filter(error -> {
                                boolean first = decided.compareAndSet(false, true);
                                if (first) {
                                    failure.set(error);
                                }
                                return first;
                            })),
                    failure::get);
        });
    }
}
