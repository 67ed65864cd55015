package io.otaflux;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * A fair limit on how many pieces of work run at once. Unlike the concurrency of {@code flatMap} it can be held for a part
 * of an upgrade only, so that one that waits to try again holds up nobody.
 */
final class Permits {

    private final Deque<Waiter> waiting = new ArrayDeque<>();

    /** How many permits this thread has yet to hand on. Work that ends at once would otherwise go one stack deeper each. */
    private final ThreadLocal<@Nullable Integer> handing = new ThreadLocal<>();

    private int free;

    Permits(int permits) {
        this.free = permits;
    }

    /** Subscribes to {@code work} when there is a permit, and gives it back at every end. */
    <T> Flux<T> around(Flux<T> work) {
        return Flux.usingWhen(acquire(), permit -> work, Permit::release);
    }

    private Mono<Permit> acquire() {
        return Mono.create(sink -> {
            Waiter waiter = new Waiter(sink);
            sink.onCancel(() -> cancel(waiter));
            if (take(waiter)) {
                sink.success(waiter.permit);
            }
        });
    }

    private synchronized boolean take(Waiter waiter) {
        if (waiter.cancelled) {
            return false;
        }
        if (free > 0) {
            free--;
            waiter.granted = true;
            return true;
        }
        waiting.addLast(waiter);
        return false;
    }

    /** A permit that is granted at the moment of cancellation may never arrive; releasing twice does no harm. */
    private void cancel(Waiter waiter) {
        boolean granted;
        synchronized (this) {
            waiter.cancelled = true;
            granted = waiter.granted;
            if (!granted) {
                waiting.remove(waiter);
            }
        }
        if (granted) {
            waiter.permit.giveBack();
        }
    }

    private void released() {
        Integer more = handing.get();
        if (more != null) {
            // This thread is in the loop below: the work that it began has ended already.
            handing.set(more + 1);
            return;
        }
        try {
            for (int left = 1; left > 0; left = Objects.requireNonNull(handing.get())) {
                handing.set(left - 1);
                Waiter next = next();
                if (next != null) {
                    next.sink.success(next.permit);
                }
            }
        } finally {
            handing.remove();
        }
    }

    private synchronized @Nullable Waiter next() {
        Waiter next = waiting.pollFirst();
        if (next == null) {
            free++;
        } else {
            next.granted = true;
        }
        return next;
    }

    private final class Waiter {

        private final MonoSink<Permit> sink;
        private final Permit permit = new Permit();
        private boolean granted;
        private boolean cancelled;

        Waiter(MonoSink<Permit> sink) {
            this.sink = sink;
        }
    }

    private final class Permit {

        private final AtomicBoolean returned = new AtomicBoolean();

        Mono<Void> release() {
            return Mono.fromRunnable(this::giveBack);
        }

        void giveBack() {
            if (returned.compareAndSet(false, true)) {
                released();
            }
        }
    }
}
