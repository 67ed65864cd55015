package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeTrigger;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The deliveries on their way to the one subscriber. Everything happens on the lane.
 *
 * <p>Invariants: a delivery is {@code waiting}, {@code emitted} or acknowledged. Of one module of a device at most one is
 * waiting, the latest; the one it superseded was acknowledged, because the newer one, not acknowledged yet, stands for
 * both. Those emitted and owed an acknowledgement are as many as the broker leaves in flight; of those that are owed none,
 * the latest of each module is kept. So memory is bounded, whatever comes in.
 *
 * <p>Brokers take acknowledgements in the order of the deliveries: one that never comes holds back all behind it, and when
 * as many are in flight as the broker allows, nothing comes any more. So the one that was emitted first and is still not
 * acknowledged has a time limit.
 */
final class Inbox {

    private static final Logger log = Loggers.getLogger(Inbox.class);

    /** A platform allows 10 modules; what goes far beyond is an attack on the memory. */
    private static final int MAX_MODULES = 256;

    /** The same for a device behind a gateway, of which there may be thousands. */
    private static final int MAX_MODULES_OF_SUB_DEVICE = 16;

    private static final int FEW = 256;

    private final Scheduler lane;
    private final Runnable onSubscribe;
    private final Duration patience;
    private final Consumer<UpgradeTrigger> onStuck;
    private final DeviceId gateway;

    /** By device, and in a device by module. The devices take turns. */
    private final Map<DeviceId, Map<String, Held>> waiting = new LinkedHashMap<>();

    /**
     * Those that the broker waits for, in the order in which they were emitted. That one was acknowledged is noticed when it
     * is the first of them: acknowledgements come in nearly the same order.
     */
    private final Deque<Held> emitted = new ArrayDeque<>();

    /** Of those that were emitted and are owed no acknowledgement, the latest of each module. */
    private final Map<DeviceModule, Held> kept = new HashMap<>();

    /** Those of {@link #kept} that need not be kept any more. */
    private final Queue<Held> acknowledged = new ConcurrentLinkedQueue<>();

    private final AtomicBoolean scheduled = new AtomicBoolean();

    /** Whether demand would be of use. */
    private volatile boolean wanting;

    private @Nullable FluxSink<Delivery> subscriber;
    private long dropped;
    private long emissions;
    private int mostEmitted = FEW;
    private boolean watching;

    /**
     * @param gateway the device that holds the conversation
     * @param onSubscribe run on the lane when somebody subscribes
     * @param patience how long one that was emitted may stay unacknowledged
     * @param onStuck told on the lane what was not acknowledged in that time, or in twice that time where another one was
     *     before it
     */
    Inbox(DeviceId gateway, Scheduler lane, Runnable onSubscribe, Duration patience, Consumer<UpgradeTrigger> onStuck) {
        this.gateway = gateway;
        this.lane = lane;
        this.onSubscribe = onSubscribe;
        this.patience = patience;
        this.onStuck = onStuck;
    }

    Flux<Delivery> deliveries() {
        return Flux.create(
                sink -> {
                    sink.onRequest(n -> {
                        if (wanting) {
                            tendSoon();
                        }
                    });
                    sink.onDispose(() -> lane.schedule(() -> unsubscribe(sink)));
                    lane.schedule(() -> subscribe(sink));
                },
                // Nothing is emitted beyond the demand, so there is nothing to queue.
                FluxSink.OverflowStrategy.IGNORE);
    }

    /**
     * Takes a delivery in.
     *
     * @param acknowledge tells the broker; run once
     * @param owed whether the broker waits for that
     */
    void offer(UpgradeTrigger trigger, Runnable acknowledge, boolean owed) {
        Held held = new Held(trigger, acknowledge, owed);
        FluxSink<Delivery> sink = subscriber;
        if (sink != null && waiting.isEmpty() && sink.requestedFromDownstream() > 0) {
            emit(held, sink);
        } else {
            put(held);
            tend();
        }
    }

    /**
     * At most one such task waits. In a flood the lane is busy with taking deliveries in, and a task for each acknowledgement
     * and each request would pile up behind that.
     */
    private void tendSoon() {
        if (scheduled.compareAndSet(false, true)) {
            lane.schedule(() -> {
                scheduled.set(false);
                tend();
            });
        }
    }

    private void tend() {
        for (Held held = acknowledged.poll(); held != null; held = acknowledged.poll()) {
            kept.remove(held.module(), held);
        }
        emit();
    }

    /**
     * The connection is gone, and nobody waits for acknowledgements of what came over it: the broker delivers it again.
     * Until then the latest of each module is kept.
     */
    void disconnected() {
        waiting.values().forEach(modules -> modules.values().forEach(held -> held.owed = false));
        // Before anybody asks: who acknowledges one now sees that it is to be taken out of those that are kept.
        emitted.forEach(held -> held.owed = false);
        emitted.stream()
                .filter(held -> !held.isAcknowledged())
                .forEach(held -> kept.merge(held.module(), held, Held::later));
        emitted.clear();
    }

    /** Acknowledges and forgets what waits for a device that is no longer spoken for here. */
    void forget(DeviceId device) {
        Map<String, Held> modules = waiting.remove(device);
        if (modules != null) {
            modules.values().forEach(Held::acknowledge);
        }
    }

    /** Ends the present subscription with an error; what was not acknowledged stays for the next one. */
    void fail(Throwable cause) {
        FluxSink<Delivery> sink = subscriber;
        if (sink != null) {
            unsubscribe(sink);
            sink.error(cause);
        }
    }

    /** Ends the present subscription: nothing will come any more. */
    void complete() {
        FluxSink<Delivery> sink = subscriber;
        if (sink != null) {
            unsubscribe(sink);
            sink.complete();
        }
    }

    private void subscribe(FluxSink<Delivery> sink) {
        if (subscriber != null) {
            sink.error(new IllegalStateException("triggers: subscribed already (expected: one subscriber at a time)"));
            return;
        }
        if (sink.isCancelled()) {
            return;
        }
        subscriber = sink;
        onSubscribe.run();
        emit();
    }

    private void unsubscribe(FluxSink<Delivery> sink) {
        if (subscriber != sink) {
            return;
        }
        subscriber = null;
        List<Held> again = new ArrayList<>(emitted);
        again.addAll(kept.values());
        again.sort(Comparator.comparingLong(held -> held.number));
        emitted.clear();
        kept.clear();
        waiting.values().forEach(modules -> again.addAll(modules.values()));
        waiting.clear();
        again.forEach(this::put);
    }

    private void put(Held held) {
        if (held.isAcknowledged()) {
            return;
        }
        DeviceId device = held.trigger.device();
        Map<String, Held> modules = waiting.computeIfAbsent(device, any -> new LinkedHashMap<>(4));
        wanting = true;
        Held older = modules.remove(held.trigger.module());
        if (older != null) {
            older.acknowledge();
        }
        modules.put(held.trigger.module(), held);
        int most = device.equals(gateway) ? MAX_MODULES : MAX_MODULES_OF_SUB_DEVICE;
        if (modules.size() > most) {
            Held oldest = modules.values().iterator().next();
            if (++dropped == 1) {
                // Once: what comes in such numbers would flood the log too.
                log.warn("More than {} modules of {} have upgrades waiting: dropping the oldest", most, gateway);
            }
            modules.remove(oldest.trigger.module());
            oldest.acknowledge();
        }
    }

    private void emit() {
        FluxSink<Delivery> sink = subscriber;
        while (sink != null && sink == subscriber && sink.requestedFromDownstream() > 0 && !waiting.isEmpty()) {
            emit(take(), sink);
        }
        wanting = !waiting.isEmpty();
    }

    private void emit(Held next, FluxSink<Delivery> sink) {
        next.number = ++emissions;
        if (!next.owed) {
            kept.put(next.module(), next);
        } else {
            if (!kept.isEmpty()) {
                // What was emitted of its module before and is owed nothing, this one stands for.
                kept.remove(next.module());
            }
            forgetAcknowledged();
            emitted.add(next);
            watch();
        }
        sink.next(next);
    }

    private void forgetAcknowledged() {
        for (Held first = emitted.peek(); first != null && first.isAcknowledged(); first = emitted.peek()) {
            emitted.remove();
        }
        if (emitted.size() >= mostEmitted) {
            // The first one is not acknowledged, and the broker sends on all the same.
            emitted.removeIf(Held::isAcknowledged);
            mostEmitted = Math.max(FEW, 2 * emitted.size());
        }
    }

    /** Takes out the oldest of the device whose turn it is; the next turn is another one's. */
    private Held take() {
        Map.Entry<DeviceId, Map<String, Held>> first =
                waiting.entrySet().iterator().next();
        DeviceId device = first.getKey();
        Map<String, Held> modules = first.getValue();
        Held next = modules.values().iterator().next();
        modules.remove(next.trigger.module());
        waiting.remove(device);
        if (!modules.isEmpty()) {
            waiting.put(device, modules);
        }
        return next;
    }

    /** Gives the one that was emitted first its time. No clock is asked, since clocks are set. */
    private void watch() {
        if (watching) {
            return;
        }
        emitted.stream().filter(Held::isMissing).findFirst().ifPresent(oldest -> {
            watching = true;
            lane.schedule(() -> check(oldest), patience.toMillis(), TimeUnit.MILLISECONDS);
        });
    }

    private void check(Held oldest) {
        watching = false;
        if (emitted.contains(oldest) && oldest.isMissing()) {
            onStuck.accept(oldest.trigger);
        }
        watch();
    }

    /** Is a reference to what tells the broker; null when it was told, so that who keeps the delivery keeps no message. */
    private final class Held extends AtomicReference<@Nullable Runnable> implements Delivery {

        private final UpgradeTrigger trigger;

        private volatile boolean owed;
        private long number;

        private Held(UpgradeTrigger trigger, Runnable tellBroker, boolean owed) {
            super(tellBroker);
            this.trigger = trigger;
            this.owed = owed;
        }

        @Override
        public UpgradeTrigger trigger() {
            return trigger;
        }

        @Override
        public void acknowledge() {
            Runnable untold = getAndSet(null);
            if (untold != null) {
                untold.run();
                if (!owed) {
                    acknowledged.add(this);
                    tendSoon();
                }
            }
        }

        private DeviceModule module() {
            return new DeviceModule(trigger.device(), trigger.module());
        }

        private Held later(Held other) {
            return number > other.number ? this : other;
        }

        /** Tells whether the broker waits for its acknowledgement. */
        private boolean isMissing() {
            return owed && !isAcknowledged();
        }

        private boolean isAcknowledged() {
            return get() == null;
        }

        @Override
        public String toString() {
            return "Delivery[" + trigger + "]";
        }
    }
}
