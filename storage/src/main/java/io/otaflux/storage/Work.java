package io.otaflux.storage;

import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Blocking work as a {@code Mono}. Cancellation never interrupts: work that has begun is finished, since an interrupt would
 * close the channel that it uses, and work that has not is left out.
 */
final class Work {

    private Work() {}

    /**
     * Emits what {@code work} returns; completes empty where that is null.
     *
     * @param unclaimed takes the value when the subscriber had gone by the time it was there
     */
    static <T> Mono<T> on(Executor executor, Callable<@Nullable T> work, Consumer<T> unclaimed) {
        return Mono.create(sink -> {
            AtomicBoolean gone = new AtomicBoolean();
            AtomicReference<@Nullable T> made = new AtomicReference<>();
            // Called if and only if the value is not delivered, also when the two race.
            sink.onCancel(() -> {
                gone.set(true);
                giveBack(made, unclaimed);
            });
            executor.execute(() -> {
                if (gone.get()) {
                    return;
                }
                T value;
                try {
                    value = work.call();
                } catch (Throwable e) {
                    sink.error(e);
                    return;
                }
                made.set(value);
                if (gone.get()) {
                    giveBack(made, unclaimed);
                } else if (value == null) {
                    sink.success();
                } else {
                    sink.success(value);
                }
            });
        });
    }

    private static <T> void giveBack(AtomicReference<@Nullable T> made, Consumer<T> unclaimed) {
        T value = made.getAndSet(null);
        if (value != null) {
            unclaimed.accept(value);
        }
    }
}
