package io.otaflux.transport.aliyun;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.MonoSink;

/**
 * What the platform has to be told, in order. Everything happens on the lane.
 *
 * <p>Each module has four places: its version, the first step of its upgrade, its progress and its failure. What comes
 * later replaces what is still waiting in the same place, so that a day without a connection costs no memory; those who
 * waited for the older report then wait for the newer one. A failure makes waiting progress pointless. Progress waits for
 * a connection, but nobody waits for progress while there is none.
 */
final class Outbox {

    private final Topics topics;
    private final Map<Place, Message> queue = new LinkedHashMap<>();
    private final Map<String, Message> versions = new LinkedHashMap<>();
    private final Map<String, Integer> lastSteps = new HashMap<>();

    Outbox(Topics topics) {
        this.topics = topics;
    }

    /** Puts the version of {@code module} in. It is kept, to be told again on each new connection. */
    void version(String module, String version, MonoSink<Void> reporter) {
        Message message = new Message(
                new Place(module, Kind.VERSION), topics.inform(), id -> Messages.inform(id, module, version));
        message.reporters.add(reporter);
        versions.put(module, message);
        put(message);
    }

    /** An upgrade of {@code module} begins: its first step goes out, whatever went out before. */
    void begin(String module) {
        lastSteps.remove(module);
    }

    /**
     * Puts a step in, or not: steps of an upgrade are at least 5 percent apart, but for the first and the last.
     *
     * @param reporter who waits for it; null for nobody
     * @return false when the step is too close to the one before
     */
    boolean step(String module, Step step, @Nullable MonoSink<Void> reporter) {
        Integer last = lastSteps.get(module);
        boolean due =
                last == null || step.isFailure() || (step.value() == 100 && last != 100) || step.value() - last >= 5;
        if (!due) {
            return false;
        }
        if (step.isFailure()) {
            lastSteps.remove(module);
            for (Kind pointless : List.of(Kind.BEGINNING, Kind.PROGRESS)) {
                Message progress = queue.remove(new Place(module, pointless));
                if (progress != null) {
                    progress.done();
                }
            }
        } else {
            lastSteps.put(module, step.value());
        }
        Message message = new Message(
                new Place(module, Kind.of(step)), topics.progress(), id -> Messages.progress(id, module, step));
        if (reporter != null) {
            message.reporters.add(reporter);
        }
        put(message);
        return true;
    }

    /** The next message to send, or null. It stays until it is {@link #sent}. */
    @Nullable
    Message next() {
        return queue.isEmpty() ? null : queue.values().iterator().next();
    }

    /** The platform has {@code message}. */
    void sent(Message message) {
        queue.remove(message.place, message);
        message.done();
    }

    /**
     * A connection begins: the platform is told every version again. What waits keeps its order behind that, so that the
     * steps of an upgrade come before the version that ends it.
     */
    void connected() {
        Map<Place, Message> waiting = new LinkedHashMap<>(queue);
        queue.clear();
        versions.values().stream()
                .filter(version -> !waiting.containsKey(version.place))
                .forEach(version -> queue.put(version.place, version));
        queue.putAll(waiting);
    }

    /** There is no connection: nobody should wait for progress to be told. */
    void disconnected() {
        queue.values().stream()
                .filter(message -> message.place.kind == Kind.BEGINNING || message.place.kind == Kind.PROGRESS)
                .forEach(Message::done);
    }

    /** Gives up: all that wait are told why. Versions are kept. */
    void fail(Throwable cause) {
        queue.values().forEach(message -> message.failed(cause));
        queue.clear();
    }

    private void put(Message message) {
        Message older = queue.remove(message.place);
        if (older != null) {
            message.reporters.addAll(older.reporters);
        }
        queue.put(message.place, message);
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

    /** One message; the same text is sent with a new id each time. */
    static final class Message {

        private final Place place;
        private final String topic;
        private final Function<String, byte[]> payload;
        private final List<MonoSink<Void>> reporters = new ArrayList<>();

        private Message(Place place, String topic, Function<String, byte[]> payload) {
            this.place = place;
            this.topic = topic;
            this.payload = payload;
        }

        String topic() {
            return topic;
        }

        byte[] payload(String id) {
            return payload.apply(id);
        }

        String module() {
            return place.module;
        }

        boolean isVersion() {
            return place.kind == Kind.VERSION;
        }

        private void done() {
            reporters.forEach(MonoSink::success);
            reporters.clear();
        }

        private void failed(Throwable cause) {
            reporters.forEach(reporter -> reporter.error(cause));
            reporters.clear();
        }
    }
}
