package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.MonoSink;

/**
 * What the platform has to be told, for each device in order. Everything happens on the lane.
 *
 * <p>Each module of a device has four places: its version, the first step of its upgrade, its progress and its failure.
 * What comes later replaces what is still waiting in the same place, so that a day without a connection costs no memory;
 * those who waited for the older report then wait for the newer one. A failure makes waiting progress pointless. Progress
 * waits until its device can be heard, but nobody waits for progress while it cannot.
 *
 * <p>A device is heard while it is {@linkplain #opened open}: the gateway while it is connected, a device behind it while
 * it is logged in. Of one device one message is under way at a time, and the devices take turns, so that one which has much
 * to say holds up nobody.
 */
final class Outbox {

    private final Map<DeviceId, Sender> senders = new HashMap<>();

    /** Those that are open, have something to say, and wait for their turn. */
    private final Set<Sender> ready = new LinkedHashSet<>();

    /** Puts the version of {@code module} in. It is kept, to be told again whenever the device is opened. */
    void version(DeviceId device, String module, String version, MonoSink<Void> reporter) {
        Sender sender = sender(device);
        Message message = new Message(sender, new Place(module, Kind.VERSION), version, null);
        message.await(reporter);
        sender.versions.put(module, message);
        put(message);
    }

    /** The version of {@code module} that was put in last; null where none was. */
    @Nullable
    String version(DeviceId device, String module) {
        Sender sender = senders.get(device);
        Message message = sender == null ? null : sender.versions.get(module);
        return message == null ? null : message.version;
    }

    /** An upgrade of {@code module} begins: its first step goes out, whatever went out before. */
    void begin(DeviceId device, String module) {
        sender(device).lastSteps.remove(module);
    }

    /**
     * Puts a step in, or not: steps of an upgrade are at least 5 percent apart, but for the first and the last.
     *
     * @param reporter who waits for it; null for nobody
     * @return false when the step is too close to the one before
     */
    boolean step(DeviceId device, String module, Step step, @Nullable MonoSink<Void> reporter) {
        Sender sender = sender(device);
        Integer last = sender.lastSteps.get(module);
        boolean due =
                last == null || step.isFailure() || (step.value() == 100 && last != 100) || step.value() - last >= 5;
        if (!due) {
            return false;
        }
        if (step.isFailure()) {
            sender.lastSteps.remove(module);
            for (Kind pointless : List.of(Kind.BEGINNING, Kind.PROGRESS)) {
                Message progress = sender.queue.remove(new Place(module, pointless));
                if (progress != null) {
                    progress.done();
                }
            }
        } else {
            sender.lastSteps.put(module, step.value());
        }
        Message message = new Message(sender, new Place(module, Kind.of(step)), null, step);
        if (reporter != null) {
            message.await(reporter);
        }
        put(message);
        if (!sender.open && message.isProgress()) {
            message.done();
        }
        return true;
    }

    /**
     * The next message to send, or null. It stays until it is {@link #sent}; until then no other one of its device is
     * given out.
     */
    @Nullable
    Message next() {
        if (ready.isEmpty()) {
            return null;
        }
        Sender sender = ready.iterator().next();
        ready.remove(sender);
        Message message = sender.queue.values().iterator().next();
        sender.underWay = message;
        return message;
    }

    /** The platform has {@code message}. */
    void sent(Message message) {
        Sender sender = message.sender;
        sender.queue.remove(message.place, message);
        if (sender.underWay == message) {
            sender.underWay = null;
        }
        message.done();
        queueUp(sender);
    }

    /**
     * A device can be heard: the platform is told all of its versions again. What waits keeps its order behind that, so
     * that the steps of an upgrade come before the version that ends it.
     */
    void opened(DeviceId device) {
        Sender sender = sender(device);
        Map<Place, Message> waiting = new LinkedHashMap<>(sender.queue);
        sender.queue.clear();
        sender.versions.values().stream()
                .filter(version -> !waiting.containsKey(version.place))
                .forEach(version -> sender.queue.put(version.place, version));
        sender.queue.putAll(waiting);
        sender.open = true;
        queueUp(sender);
    }

    /** A device cannot be heard for now: nobody should wait for its progress to be told. */
    void closed(DeviceId device) {
        Sender sender = senders.get(device);
        if (sender != null) {
            close(sender);
        }
    }

    /** There is no connection: nobody can be heard. */
    void disconnected() {
        senders.values().forEach(this::close);
    }

    /** Gives up: all that wait are told why. Versions are kept. */
    void fail(Throwable cause) {
        senders.values().forEach(sender -> fail(sender, cause));
    }

    /** Gives up on one device: those who wait for it are told why. Versions are kept. */
    void fail(DeviceId device, Throwable cause) {
        Sender sender = senders.get(device);
        if (sender != null) {
            close(sender);
            fail(sender, cause);
        }
    }

    /** Forgets a device, its versions too. */
    void forget(DeviceId device, Throwable cause) {
        fail(device, cause);
        senders.remove(device);
    }

    private void close(Sender sender) {
        sender.open = false;
        sender.underWay = null;
        ready.remove(sender);
        sender.queue.values().stream().filter(Message::isProgress).forEach(Message::done);
    }

    private void fail(Sender sender, Throwable cause) {
        List<Message> failed = List.copyOf(sender.queue.values());
        sender.queue.clear();
        ready.remove(sender);
        failed.forEach(message -> message.failed(cause));
    }

    private void put(Message message) {
        Sender sender = message.sender;
        Message older = sender.queue.remove(message.place);
        if (older != null) {
            older.reporters.forEach(message::await);
        }
        sender.queue.put(message.place, message);
        queueUp(sender);
    }

    private void queueUp(Sender sender) {
        if (sender.open && sender.underWay == null && !sender.queue.isEmpty()) {
            ready.add(sender);
        }
    }

    private Sender sender(DeviceId device) {
        return senders.computeIfAbsent(device, Sender::new);
    }

    private enum Kind {
        VERSION,
        BEGINNING,
        PROGRESS,
        FAILURE;

        static Kind of(Step step) {
            return step.isFailure() ? FAILURE : step.equals(Step.FIRST) ? BEGINNING : PROGRESS;
        }
    }

    private record Place(String module, Kind kind) {}

    /** What one device has to say. There may be thousands. */
    private static final class Sender {

        private final DeviceId device;
        private final Map<Place, Message> queue = new LinkedHashMap<>(4);
        private final Map<String, Message> versions = new LinkedHashMap<>(4);
        private final Map<String, Integer> lastSteps = new HashMap<>(4);
        private boolean open;
        private @Nullable Message underWay;

        Sender(DeviceId device) {
            this.device = device;
        }
    }

    /** One message; the same text is sent with a new id each time. */
    static final class Message {

        private final Sender sender;
        private final Place place;
        private final @Nullable String version;
        private final @Nullable Step step;
        private List<MonoSink<Void>> reporters = List.of();

        private Message(Sender sender, Place place, @Nullable String version, @Nullable Step step) {
            this.sender = sender;
            this.place = place;
            this.version = version;
            this.step = step;
        }

        DeviceId device() {
            return sender.device;
        }

        String topic() {
            Topics topics = Topics.of(sender.device);
            return isVersion() ? topics.inform() : topics.progress();
        }

        byte[] payload(String id) {
            if (version != null) {
                return Messages.inform(id, place.module, version);
            }
            return Messages.progress(id, place.module, Objects.requireNonNull(step));
        }

        String module() {
            return place.module;
        }

        boolean isVersion() {
            return place.kind == Kind.VERSION;
        }

        private boolean isProgress() {
            return place.kind == Kind.BEGINNING || place.kind == Kind.PROGRESS;
        }

        private void await(MonoSink<Void> reporter) {
            if (reporters.isEmpty()) {
                reporters = new ArrayList<>(1);
            }
            reporters.add(reporter);
        }

        private void done() {
            List<MonoSink<Void>> told = reporters;
            reporters = List.of();
            told.forEach(MonoSink::success);
        }

        private void failed(Throwable cause) {
            List<MonoSink<Void>> told = reporters;
            reporters = List.of();
            told.forEach(reporter -> reporter.error(cause));
        }
    }
}
