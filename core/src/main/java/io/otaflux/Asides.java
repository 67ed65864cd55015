package io.otaflux;

import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;

/**
 * Events that happen beside the road of a running upgrade: one that was superseded while it waited, one that was
 * confirmed after a restart. They are kept until somebody subscribes; the oldest go when there are too many.
 */
final class Asides {

    private static final int KEPT = 1024;

    private final Queue<UpgradeEvent> missed = new ArrayDeque<>();
    private @Nullable FluxSink<UpgradeEvent> listener;

    void emit(UpgradeEvent event) {
        FluxSink<UpgradeEvent> to;
        synchronized (this) {
            to = listener;
            if (to == null) {
                if (missed.size() == KEPT) {
                    missed.remove();
                }
                missed.add(event);
                return;
            }
        }
        // Not under the lock: what a listener does on this thread must not hold up the others.
        to.next(event);
    }

    /** Emits what was missed and what comes, to one subscriber at a time; never completes. */
    Flux<UpgradeEvent> flux() {
        return Flux.create(sink -> {
            sink.onDispose(() -> stop(sink));
            listen(sink);
        });
    }

    private void listen(FluxSink<UpgradeEvent> sink) {
        List<UpgradeEvent> before;
        synchronized (this) {
            before = List.copyOf(missed);
            missed.clear();
            listener = sink;
        }
        before.forEach(sink::next);
    }

    private synchronized void stop(FluxSink<UpgradeEvent> sink) {
        if (listener == sink) {
            listener = null;
        }
    }
}
