package io.otaflux;

import java.util.ArrayDeque;
import java.util.Queue;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

/**
 * Events that happen beside the road of a running upgrade: one that was superseded while it waited, one that was
 * confirmed after a restart. They are kept until somebody subscribes; the oldest go when there are too many.
 */
final class Asides {

    private static final int KEPT = 1024;

    private final Queue<UpgradeEvent> missed = new ArrayDeque<>();
    private Sinks.@Nullable Many<UpgradeEvent> listener;

    synchronized void emit(UpgradeEvent event) {
        if (listener == null) {
            if (missed.size() == KEPT) {
                missed.remove();
            }
            missed.add(event);
        } else {
            listener.tryEmitNext(event);
        }
    }

    /** Emits what was missed and what comes, to one subscriber at a time; never completes. */
    Flux<UpgradeEvent> flux() {
        return Flux.defer(() -> {
            Sinks.Many<UpgradeEvent> sink = Sinks.many().unicast().onBackpressureBuffer();
            listen(sink);
            return sink.asFlux().doFinally(end -> stop(sink));
        });
    }

    private synchronized void listen(Sinks.Many<UpgradeEvent> sink) {
        missed.forEach(sink::tryEmitNext);
        missed.clear();
        listener = sink;
    }

    private synchronized void stop(Sinks.Many<UpgradeEvent> sink) {
        if (listener == sink) {
            listener = null;
        }
    }
}
