package io.otaflux.storage;

import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * Blocking work as a {@code Mono}. Cancellation never interrupts: work that has begun is finished, since an interrupt would
 * close the channel that it uses, and work that has not is left out.
 */
final class Work {

    private Work() {}

    /** Work that may come to its end later than its method, on another thread. */
    interface Beginning<T> {
        void begin(Result<T> result) throws Exception;
    }

    /**
     * Emits what {@code work} returns; completes empty where that is null.
     *
     * @param unclaimed takes the value when the subscriber had gone by the time it was there
     */
    static <T> Mono<T> on(Executor executor, Callable<@Nullable T> work, Consumer<T> unclaimed) {
        return begin(executor, result -> result.succeed(work.call()), unclaimed);
    }

    /** The same with what {@code work} tells its result. What it throws is its result, too. */
    static <T> Mono<T> begin(Executor executor, Beginning<T> work, Consumer<T> unclaimed) {
        return Mono.create(sink -> {
            Result<T> result = new Result<>(sink, unclaimed);
            // Called if and only if the value is not delivered, also when the two race.
            sink.onCancel(result::giveUp);
            executor.execute(() -> {
                if (result.gone) {
                    return;
                }
                try {
                    work.begin(result);
                } catch (Throwable e) {
                    result.fail(e);
                }
            });
        });
    }

    /** Who waits for the end of some work. */
    static final class Result<T> {

        private final MonoSink<T> sink;
        private final Consumer<T> unclaimed;
        private final AtomicReference<@Nullable T> made = new AtomicReference<>();
        private volatile boolean gone;

        private Result(MonoSink<T> sink, Consumer<T> unclaimed) {
            this.sink = sink;
            this.unclaimed = unclaimed;
        }

        void succeed(@Nullable T value) {
            made.set(value);
            if (gone) {
                giveBack();
            } else if (value == null) {
                sink.success();
            } else {
                sink.success(value);
            }
        }

        void fail(Throwable failure) {
            sink.error(failure);
        }

        /** Ends as {@code work} does, unless nobody waits for it any more. */
        void as(Callable<@Nullable T> work) {
            if (gone) {
                return;
            }
            try {
                succeed(work.call());
            } catch (Throwable e) {
                fail(e);
            }
        }

        private void giveUp() {
            gone = true;
            giveBack();
        }

        private void giveBack() {
            T value = made.getAndSet(null);
            if (value != null) {
                unclaimed.accept(value);
            }
        }
    }
}
