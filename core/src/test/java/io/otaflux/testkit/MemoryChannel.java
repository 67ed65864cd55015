package io.otaflux.testkit;

import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** A channel and the platform at its other end, in memory. It remembers everything that it was told. */
public final class MemoryChannel implements UpgradeChannel {

    private final DeviceId device;
    private final Map<List<Object>, MemoryDelivery> undelivered = new LinkedHashMap<>();
    private final Map<List<Object>, UpgradeTrigger> pending = new LinkedHashMap<>();
    private final Queue<Throwable> unanswered = new ArrayDeque<>();
    private final List<MemoryDelivery> deliveries = new CopyOnWriteArrayList<>();
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final List<String> versions = new CopyOnWriteArrayList<>();
    private final List<UpgradeTrigger> cut = new ArrayList<>();
    private final List<Sinks.Empty<Void>> waiting = new ArrayList<>();

    private @Nullable FluxSink<Delivery> subscriber;
    private @Nullable FluxSink<Delivery> listener;
    private boolean connected = true;
    private boolean refused;
    private boolean weakDigests;

    public MemoryChannel() {
        this(new DeviceId("product", "gateway"));
    }

    public MemoryChannel(DeviceId device) {
        this.device = device;
    }

    /** Makes this a platform that knows no digest better than MD5. */
    public MemoryChannel sendingWeakDigests() {
        weakDigests = true;
        return this;
    }

    /** Sends a trigger; the one that nobody took yet of the same device and module is replaced. */
    public MemoryDelivery push(UpgradeTrigger trigger) {
        MemoryDelivery delivery = new MemoryDelivery(trigger);
        FluxSink<Delivery> to;
        synchronized (this) {
            if (!connected) {
                cut.add(trigger);
                return delivery;
            }
            deliveries.add(delivery);
            MemoryDelivery replaced = undelivered.put(place(trigger), delivery);
            to = listener;
            if (subscriber == null && replaced != null) {
                replaced.supersede();
            }
            undelivered.put(place(trigger), delivery);
        }
        if (to != null) {
            to.next(delivery);
        }
        return delivery;
    }

    /** Makes {@code trigger} the answer to {@link #refresh}. */
    public synchronized void pending(UpgradeTrigger trigger) {
        pending.put(place(trigger), trigger);
    }

    /** Lets the next {@code times} questions of {@link #refresh} fail with {@code error}. */
    public synchronized void unanswered(int times, Throwable error) {
        unanswered.addAll(Collections.nCopies(times, error));
    }

    /** Cuts the connection. */
    public synchronized void cut() {
        connected = false;
    }

    /** Restores the connection: what waited goes out, what was pushed comes in. */
    public void restore() {
        List<Sinks.Empty<Void>> resumed;
        List<UpgradeTrigger> pushed;
        synchronized (this) {
            connected = true;
            resumed = List.copyOf(waiting);
            waiting.clear();
            pushed = List.copyOf(cut);
            cut.clear();
        }
        resumed.forEach(Sinks.Empty::tryEmitEmpty);
        pushed.forEach(this::push);
    }

    /** Refuses the device from now on. */
    public synchronized void refuse() {
        refused = true;
        if (subscriber != null) {
            subscriber.error(refusal());
        }
    }

    /** Takes the refusal back. */
    public synchronized void accept() {
        refused = false;
    }

    /** Every delivery so far. */
    public List<MemoryDelivery> deliveries() {
        return deliveries;
    }

    /** Every event that reached the platform. */
    public List<UpgradeEvent> events() {
        return events;
    }

    /** The events of {@code type} that reached the platform. */
    public <E extends UpgradeEvent> List<E> events(Class<E> type) {
        return events.stream().filter(type::isInstance).map(type::cast).toList();
    }

    /** Every version that reached the platform, as {@code module=version}. */
    public List<String> versions() {
        return versions;
    }

    @Override
    public DeviceId device() {
        return device;
    }

    @Override
    public boolean sendsWeakDigests() {
        return weakDigests;
    }

    @Override
    public Flux<Delivery> triggers() {
        return Flux.create(sink -> {
            synchronized (this) {
                if (refused || subscriber != null) {
                    sink.error(refused ? refusal() : new IllegalStateException("triggers() is already subscribed to"));
                    return;
                }
                subscriber = sink;
            }
            sink.onDispose(() -> stop(sink));
            Set<MemoryDelivery> emitted = new HashSet<>();
            for (List<MemoryDelivery> kept = kept(sink, emitted); !kept.isEmpty(); kept = kept(sink, emitted)) {
                kept.forEach(sink::next);
                emitted.addAll(kept);
            }
        });
    }

    /** What was kept and is not emitted yet; when there is nothing left, pushes go to {@code sink}. */
    private synchronized List<MemoryDelivery> kept(FluxSink<Delivery> sink, Set<MemoryDelivery> emitted) {
        List<MemoryDelivery> kept = undelivered.values().stream()
                .filter(delivery -> !emitted.contains(delivery))
                .toList();
        if (kept.isEmpty() && subscriber == sink) {
            listener = sink;
        }
        return kept;
    }

    /** What was emitted and not acknowledged is emitted again, but of each device and module the latest only. */
    private void stop(FluxSink<Delivery> sink) {
        List<MemoryDelivery> older;
        synchronized (this) {
            if (subscriber != sink) {
                return;
            }
            subscriber = null;
            listener = null;
            older = deliveries.stream()
                    .filter(delivery -> !delivery.isAcknowledged() && !undelivered.containsValue(delivery))
                    .toList();
        }
        older.forEach(MemoryDelivery::supersede);
    }

    @Override
    public Mono<Void> report(DeviceId reporting, String module, String version) {
        return whenConnected(
                () -> versions.add((reporting.equals(device) ? "" : reporting + " ") + module + "=" + version));
    }

    @Override
    public Mono<Void> report(UpgradeEvent event) {
        if (event instanceof UpgradeEvent.Ended) {
            return whenConnected(() -> events.add(event));
        }
        return Mono.fromRunnable(() -> {
            if (isConnected()) {
                events.add(event);
            }
        });
    }

    @Override
    public Mono<UpgradeTrigger> refresh(UpgradeTrigger trigger) {
        return Mono.defer(() -> {
            synchronized (this) {
                Throwable error = unanswered.poll();
                return error == null ? Mono.justOrEmpty(pending.get(place(trigger))) : Mono.error(error);
            }
        });
    }

    private synchronized boolean isConnected() {
        return connected;
    }

    private Mono<Void> whenConnected(Runnable told) {
        return Mono.defer(() -> {
            synchronized (this) {
                if (!connected) {
                    Sinks.Empty<Void> until = Sinks.empty();
                    waiting.add(until);
                    return until.asMono().then(Mono.fromRunnable(told));
                }
            }
            told.run();
            return Mono.empty();
        });
    }

    private static List<Object> place(UpgradeTrigger trigger) {
        return List.of(trigger.device(), trigger.module());
    }

    private static ChannelException refusal() {
        return new ChannelException(OtaException.Reason.CONNECTION_REFUSED, "refused by the test", null);
    }

    private synchronized void settle(MemoryDelivery delivery) {
        undelivered.remove(place(delivery.trigger()), delivery);
    }

    /** A delivery that knows whether, and how often, it was acknowledged. */
    public final class MemoryDelivery implements Delivery {

        private final UpgradeTrigger trigger;
        private final AtomicBoolean acknowledged = new AtomicBoolean();
        private final AtomicBoolean twice = new AtomicBoolean();
        private final AtomicBoolean superseded = new AtomicBoolean();

        private MemoryDelivery(UpgradeTrigger trigger) {
            this.trigger = trigger;
        }

        @Override
        public UpgradeTrigger trigger() {
            return trigger;
        }

        @Override
        public void acknowledge() {
            if (!acknowledged.compareAndSet(false, true)) {
                twice.set(true);
            }
            settle(this);
        }

        /** The channel itself needs it no more. */
        private void supersede() {
            superseded.set(true);
            settle(this);
        }

        /** Tells whether it was acknowledged, by its receiver or because nobody received it before a newer one. */
        public boolean isAcknowledged() {
            return acknowledged.get() || superseded.get();
        }

        /** Tells whether somebody acknowledged it a second time, which is a bug. */
        public boolean isAcknowledgedTwice() {
            return twice.get();
        }
    }
}
