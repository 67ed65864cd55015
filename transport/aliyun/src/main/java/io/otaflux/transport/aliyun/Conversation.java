package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.TransferException;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeTrigger;
import io.otaflux.transport.aliyun.MqttConnection.Inbound;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.retry.Retry;

/**
 * The conversation of one device with its platform, over one connection after the other.
 *
 * <p>All of its state belongs to the lane: one of the shared parallel threads, always the same, on which everything
 * happens in turn. Nothing here blocks, and so nothing here is locked. What comes in from outside (a call, a message, the
 * end of a connection) is scheduled on the lane first.
 *
 * <p>A connection that ends for whatever reason is followed by another, after a random wait whose bound doubles. Only a
 * platform that refuses the device ends the conversation: at once, if it never let the device in, since then the
 * credentials are wrong; after ten refusals in a row, if it once did, since then its own accounts may be out of order for
 * a while. The next use begins a new conversation.
 */
final class Conversation implements Line {

    private static final Logger log = Loggers.getLogger(Conversation.class);

    private static final int REFUSALS = 10;

    /** There is no configuration, or the product has no such feature: no news. */
    private static final Set<String> NOT_CONFIGURED = Set.of("6710", "6713");

    /** How many reports may wait for their acknowledgement; of one device it is one. */
    private static final int WINDOW = 64;

    /** After a reconnect of a gateway thousands of questions are due; so they are spread. */
    private static final Duration BETWEEN_QUESTIONS = Duration.ofMillis(100);

    private final Settings settings;
    private final Topics topics;
    private final Scheduler lane = Schedulers.single(Schedulers.parallel());
    private final Inbox inbox;
    private final Outbox outbox;
    private final Downloads downloads;
    private final Subscriptions subscriptions = new Subscriptions();
    private final Pacing pacing;
    private final Map<String, Query> queries = new HashMap<>();
    private final Set<DeviceModule> asked = new HashSet<>();

    /** What is to be asked for sub-devices, or was asked too often, when it is its turn. */
    private final Set<DeviceModule> toAsk = new LinkedHashSet<>();

    private volatile @Nullable AliyunGateway gateway;
    private final List<MonoSink<Void>> awaitingConnection = new ArrayList<>();
    private final Sinks.Many<DeviceEvent> events = Sinks.many().multicast().directBestEffort();
    private final Sinks.Empty<Void> stop = Sinks.empty();
    private final Sinks.Empty<Void> stopped = Sinks.empty();
    private final AtomicLong skipped = new AtomicLong();

    private @Nullable MqttConnection connection;
    private @Nullable MqttConnection hearingDownloads;
    private boolean begun;
    private boolean running;
    private boolean hasStopped;
    private volatile boolean closed;
    private int sending;
    private boolean askingLater;
    private boolean wasAccepted;
    private int refusals;
    private long askAgainAt = System.nanoTime();
    private long lastId = ThreadLocalRandom.current().nextLong(1L << 32);

    Conversation(Settings settings) {
        this.settings = settings;
        this.topics = Topics.of(settings.device());
        this.inbox = new Inbox(settings.device(), lane, this::start, settings.stuckAfter(), this::stuck);
        this.outbox = new Outbox();
        this.pacing = new Pacing(settings.backoff(), System::nanoTime);
        this.downloads =
                new Downloads(lane, new DownloadExchange(), settings.timeout().toMillis());
    }

    // ---- What others ask for, from any thread ----

    Flux<Delivery> deliveries() {
        return Flux.defer(() -> closed ? Flux.empty() : inbox.deliveries());
    }

    Flux<DeviceEvent> events() {
        return events.asFlux();
    }

    long skipped() {
        return skipped.get();
    }

    AliyunGateway gateway() {
        AliyunGateway wanted;
        synchronized (this) {
            AliyunGateway present = gateway;
            wanted = present == null
                    ? new AliyunGateway(this, lane, System::nanoTime, settings.timeout(), settings.backoff())
                    : present;
            gateway = wanted;
        }
        wanted.use();
        lane.schedule(() -> {
            if (hasStopped) {
                wanted.closed();
            }
        });
        return wanted;
    }

    /** Most devices are none, and thousands may be in one process. */
    private void withGateway(Consumer<AliyunGateway> work) {
        AliyunGateway present = gateway;
        if (present != null) {
            work.accept(present);
        }
    }

    @Override
    public Mono<Void> connected() {
        return onLane(sink -> {
            if (connection != null) {
                sink.success();
            } else {
                awaitingConnection.add(sink);
                sink.onDispose(() -> lane.schedule(() -> awaitingConnection.remove(sink)));
            }
        });
    }

    /**
     * Of a gateway any device may be spoken of: its program may have gone on with an upgrade of an earlier process before it
     * logged the device in, or have no such device any more. A bug is that of nobody but of what is no gateway.
     *
     * @throws IllegalArgumentException when it is not this device, and this is no gateway
     */
    void checkKnown(DeviceId device) {
        if (!device.equals(settings.device()) && gateway == null) {
            throw new IllegalArgumentException(
                    "device: " + device + " (expected: " + settings.device() + ", which is no gateway)");
        }
    }

    Mono<Void> report(DeviceId device, String module, String version) {
        return onLane(sink -> {
            if (isHeard(device, sink)) {
                outbox.version(device, module, version, sink);
                send();
            }
        });
    }

    /** @param first whether an upgrade begins with this step */
    Mono<Void> report(DeviceId device, String module, Step step, boolean first) {
        return onLane(sink -> {
            if (!isHeard(device, sink)) {
                return;
            }
            if (first) {
                outbox.begin(device, module);
            }
            if (!outbox.step(device, module, step, sink)) {
                sink.success();
            }
            send();
        });
    }

    /** Tells whether the device is heard, now or when it has its session; otherwise the reporter is told why not. */
    private boolean isHeard(DeviceId device, MonoSink<Void> reporter) {
        GatewayException refusal = refusal(device);
        if (refusal != null) {
            reporter.error(refusal);
        }
        return refusal == null;
    }

    /**
     * The pending upgrade, or empty where nothing is pending. It waits for a connection as long as it takes, and asks again
     * on the next one when it is lost. It errors with {@link TransferException} when the platform does not answer, or wants
     * to be asked later, or the device has no session: for want of an answer an upgrade would fail that is only waiting for
     * its location.
     */
    Mono<UpgradeTrigger> pending(DeviceId device, String module) {
        return connected()
                .then(ask(device, module))
                .retryWhen(Retry.indefinitely().filter(Unasked.class::isInstance))
                .flatMap(
                        answer -> answer instanceof Push.Upgrade upgrade ? Mono.just(upgrade.trigger()) : Mono.empty());
    }

    /** Asks, and hands what is pending to whoever takes the triggers, as if it had been pushed. */
    Mono<Boolean> askFor(DeviceId device, String module) {
        return pending(device, module)
                .publishOn(lane)
                .map(trigger -> {
                    inbox.offer(trigger, () -> {}, false);
                    return true;
                })
                .defaultIfEmpty(false);
    }

    // ---- What a program says and hears itself ----

    /** What comes on topics that {@link #subscribe(MqttQos, String)} was called for. */
    Flux<Subscriptions.Message> messages() {
        return subscriptions.messages();
    }

    /** Subscribes now, if there is a connection, and again on each new one. Completes when it is granted, or remembered. */
    Mono<Void> subscribe(MqttQos qos, String filter) {
        return onLane(MonoSink::success)
                .then(Mono.defer(() -> subscriptions.add(filter, qos, connection, settings.timeout())));
    }

    Mono<Void> unsubscribe(String filter) {
        return onLane(MonoSink::success).then(Mono.defer(() -> {
            subscriptions.remove(filter);
            return connection == null ? Mono.empty() : unsubscribe(List.of(filter));
        }));
    }

    /** Errors where there is no connection. */
    Mono<Void> publish(MqttQos qos, String topic, byte[] payload) {
        return onLane(MonoSink::success).then(overConnection(present -> present.publish(qos, topic, payload)));
    }

    /** What time it is at the platform. */
    Mono<Instant> time() {
        String topics = "/ext/ntp/" + settings.device().product() + "/"
                + settings.device().name();
        return Mono.defer(() -> {
            long sent = System.currentTimeMillis();
            Flux<Instant> answers = messages()
                    .filter(message -> message.topic().equals(topics + "/response"))
                    .handle((message, sink) -> {
                        try {
                            Messages.readTime(message.text(), sent, System.currentTimeMillis())
                                    .ifPresent(time -> sink.next(Instant.ofEpochMilli(time)));
                        } catch (MalformedMessage e) {
                            log.debug("{}: a time that makes no sense: {}", settings.device(), e.why());
                        }
                    });
            Mono<Instant> question = subscribe(MqttQos.AT_MOST_ONCE, topics + "/response")
                    .then(publish(MqttQos.AT_MOST_ONCE, topics + "/request", Messages.time(sent)))
                    .then(Mono.empty());
            return answers.mergeWith(question)
                    .next()
                    .timeout(settings.timeout())
                    .onErrorMap(MqttConnection::translate);
        });
    }

    Downloads downloads() {
        return downloads;
    }

    Mono<Void> close() {
        return Mono.defer(() -> {
            closed = true;
            stop.tryEmitEmpty();
            lane.schedule(() -> {
                if (!running) {
                    stopped();
                }
            });
            return stopped.asMono();
        });
    }

    private Mono<Void> onLane(Consumer<MonoSink<Void>> work) {
        return Mono.create(sink -> lane.schedule(() -> {
            if (closed) {
                sink.error(new ChannelException(Reason.CONNECTION_LOST, "The device is closed", null));
            } else {
                start();
                work.accept(sink);
            }
        }));
    }

    // ---- One connection after the other ----

    private void start() {
        if (running || closed) {
            return;
        }
        running = true;
        splay().then(Mono.defer(this::oneConnection)
                        .retryWhen(Retry.from(ends ->
                                ends.concatMap(end -> pause(end.failure()).subscribeOn(lane)))))
                .publishOn(lane)
                .subscribe(never -> {}, this::refused, this::stopped);
    }

    /** The random wait before the first attempt of all. */
    private Mono<Long> splay() {
        Duration splay = begun ? Duration.ZERO : settings.splay();
        begun = true;
        return splay.isZero() ? Mono.empty() : rest(new Backoff(splay, splay, 0).delay(1));
    }

    private Mono<Long> rest(Duration time) {
        return Mono.firstWithSignal(Mono.delay(time), stop.asMono().thenReturn(0L));
    }

    /** Errors when the connection ends, completes when the device is closed; both after the connection was cleaned up. */
    private Mono<Void> oneConnection() {
        if (closed) {
            return Mono.empty();
        }
        return Mono.usingWhen(
                Mono.fromCallable(() -> settings.endpoint().resolve(pacing.failures()))
                        .subscribeOn(settings.endpoint().isAddress() ? lane : Schedulers.boundedElastic())
                        .timeout(settings.timeout())
                        .onErrorMap(MqttConnection::translate)
                        .doOnError(unknownHost -> lane.schedule(() -> offline(unknownHost)))
                        .map(address -> MqttConnection.open(settings, address, this::received, lane)),
                present -> Mono.firstWithSignal(converse(present), stop.asMono()),
                MqttConnection::close);
    }

    private Mono<Void> converse(MqttConnection present) {
        return Mono.firstWithSignal(
                        present.lost(),
                        present.opened()
                                .then(present.subscribe(listenedTo().toArray(String[]::new))
                                        .timeout(settings.timeout()))
                                .publishOn(lane)
                                .doOnSuccess(done -> online(present))
                                .then(Mono.<Void>never()))
                .onErrorMap(MqttConnection::translate)
                .publishOn(lane)
                .doOnError(this::offline);
    }

    /** The topics on which this device is spoken to. */
    private List<String> listenedTo() {
        List<String> listenedTo = new ArrayList<>(List.of(topics.upgrade()));
        listenedTo.add(settings.legacyQueries() ? Topics.legacyQuery(settings.device()) : topics.queryReply());
        if (settings.remoteConfiguration()) {
            listenedTo.add(Topics.sys(settings.device(), Topics.CONFIGURATION_PUSH));
            listenedTo.add(Topics.sys(settings.device(), Topics.CONFIGURATION_REPLY));
        }
        return listenedTo;
    }

    /** Waits as long as it takes until the next attempt makes sense, or errors when none does. */
    private Mono<Long> pause(Throwable end) {
        return Mono.defer(() -> {
            if (!(end instanceof ChannelException cause)) {
                return Mono.error(end);
            }
            if (cause.reason() == Reason.CONNECTION_REFUSED && (!wasAccepted || ++refusals >= REFUSALS)) {
                return Mono.error(cause);
            }
            Duration wait = pacing.pause();
            log.info("{}: next attempt to connect in {} ms", settings.device(), wait.toMillis());
            return rest(wait);
        });
    }

    private void online(MqttConnection present) {
        log.info("{}: connected to {}", settings.device(), settings.endpoint());
        connection = present;
        pacing.connected();
        wasAccepted = true;
        refusals = 0;
        sending = 0;
        asked.clear();
        outbox.opened(settings.device());
        emit(new DeviceEvent.Connected());
        List.copyOf(awaitingConnection).forEach(MonoSink::success);
        awaitingConnection.clear();
        subscriptions.connected(present, settings.timeout());
        withGateway(AliyunGateway::connected);
        if (settings.remoteConfiguration()) {
            askForWhatWasMissed(new DeviceModule(settings.device(), AliyunDevice.CONFIG_MODULE));
        }
        send();
    }

    private void offline(Throwable end) {
        OtaException cause = MqttConnection.translate(end);
        boolean wasConnected = connection != null;
        int hangUps = pacing.ended(connection != null && connection.wasHungUp());
        connection = null;
        sending = 0;
        toAsk.clear();
        outbox.disconnected();
        inbox.disconnected();
        withGateway(AliyunGateway::disconnected);
        downloads.disconnected(cause);
        List.copyOf(queries.values()).forEach(query -> query.sink.error(new Unasked()));
        log.warn("{}: {}: {}", settings.device(), wasConnected ? "disconnected" : "cannot connect", cause.getMessage());
        emit(wasConnected ? new DeviceEvent.Disconnected(cause) : new DeviceEvent.ConnectFailed(cause));
        if (hangUps > 0) {
            log.warn(
                    "{}: the platform hung up {} times in a row: does another process log in as this device?",
                    settings.device(),
                    hangUps);
            emit(new DeviceEvent.DuplicateLoginSuspected(hangUps));
        }
    }

    /** Only the broker can give up the place that the unacknowledged one has, and does so for a new connection. */
    private void stuck(UpgradeTrigger trigger) {
        MqttConnection present = connection;
        if (present != null) {
            present.fail(new ChannelException(
                    Reason.TIMEOUT,
                    "The upgrade of " + trigger.device() + " " + trigger.module() + " was not acknowledged within "
                            + settings.stuckAfter() + " and holds back what comes after it",
                    null));
        }
    }

    private void refused(Throwable cause) {
        if (closed) {
            // Closed between the answer and this: whoever waits for that waits for no refusal.
            stopped();
            return;
        }
        log.error("{}: gives up: {}", settings.device(), cause.getMessage());
        running = false;
        wasAccepted = false;
        refusals = 0;
        giveUp(cause);
        inbox.fail(cause);
    }

    private void stopped() {
        running = false;
        hasStopped = true;
        connection = null;
        ChannelException closing = new ChannelException(Reason.CONNECTION_LOST, "The device is closed", null);
        giveUp(closing);
        downloads.disconnected(closing);
        List.copyOf(queries.values())
                .forEach(query -> query.sink.error(unanswered(Reason.CONNECTION_LOST, query.about, "is closed", null)));
        inbox.complete();
        withGateway(AliyunGateway::disconnected);
        withGateway(AliyunGateway::closed);
        emit(new DeviceEvent.Closed());
        events.tryEmitComplete();
        stopped.tryEmitEmpty();
    }

    private void giveUp(Throwable cause) {
        List.copyOf(awaitingConnection).forEach(sink -> sink.error(cause));
        awaitingConnection.clear();
        withGateway(present -> present.fail(cause));
        outbox.fail(cause);
    }

    private void emit(DeviceEvent event) {
        // Best effort: who does not keep up, or is not there, misses it.
        events.tryEmitNext(event);
    }

    // ---- Out ----

    private void send() {
        MqttConnection present = connection;
        while (present != null && present == connection && sending < WINDOW) {
            Outbox.Message message = outbox.next();
            if (message == null) {
                return;
            }
            sending++;
            present.publish(message.topic(), message.payload(nextId()))
                    .timeout(settings.timeout())
                    .publishOn(lane)
                    .subscribe(never -> {}, failure -> unsent(present, failure), () -> sent(present, message));
        }
    }

    private void sent(MqttConnection present, Outbox.Message message) {
        outbox.sent(message);
        if (present != connection) {
            return;
        }
        sending--;
        DeviceModule told = new DeviceModule(message.device(), message.module());
        if (message.isVersion() && asked.add(told)) {
            if (told.device().equals(settings.device())) {
                askForWhatWasMissed(told);
            } else {
                toAsk.add(told);
                askLater(BETWEEN_QUESTIONS);
            }
        }
        send();
    }

    private void unsent(MqttConnection present, Throwable failure) {
        if (present == connection) {
            present.fail(MqttConnection.translate(failure));
        }
    }

    /** A push may have gone out while the device was away, or the platform may wait to be asked: once per connection. */
    private void askForWhatWasMissed(DeviceModule missed) {
        MqttConnection present = connection;
        ask(missed.device(), missed.module())
                .publishOn(lane)
                .subscribe(push -> take(missed.device(), push), failure -> {
                    log.debug("{} {}: could not ask", missed.device(), missed.module(), failure);
                    if (present == connection) {
                        askAgain(missed, failure);
                    }
                });
    }

    /** Asks later what the platform was asked too often for now; any other failure is final. */
    private void askAgain(DeviceModule missed, Throwable failure) {
        if (failure instanceof TransferException busy && busy.retryAfter().isPresent()) {
            toAsk.add(missed);
            askLater(BETWEEN_QUESTIONS);
        }
    }

    /**
     * For the devices behind a gateway nobody is in a hurry: a platform pushes what is pending when they log in, and what was
     * pushed meanwhile is asked for no more. But a push can be missed, and some upgrades are for those who ask.
     */
    private void askLater(Duration wait) {
        if (!askingLater && !toAsk.isEmpty()) {
            askingLater = true;
            lane.schedule(this::askNext, wait.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    private void askNext() {
        askingLater = false;
        if (connection == null || toAsk.isEmpty()) {
            return;
        }
        long pause = askAgainAt - System.nanoTime();
        if (pause > 0) {
            askLater(Duration.ofNanos(pause).plus(BETWEEN_QUESTIONS));
            return;
        }
        DeviceModule next = toAsk.iterator().next();
        toAsk.remove(next);
        if (isOnline(next.device())) {
            askForWhatWasMissed(next);
        }
        askLater(BETWEEN_QUESTIONS);
    }

    private Mono<Push> ask(DeviceId device, String module) {
        DeviceModule about = new DeviceModule(device, module);
        return Mono.<Push>create(sink -> lane.schedule(() -> {
                    MqttConnection present = connection;
                    if (present == null) {
                        sink.error(new Unasked());
                        return;
                    }
                    if (!isOnline(device)) {
                        sink.error(unanswered(Reason.SERVER_BUSY, about, "has no session of it", null));
                        return;
                    }
                    long wait = askAgainAt - System.nanoTime();
                    if (wait > 0) {
                        sink.error(
                                unanswered(Reason.SERVER_BUSY, about, "was asked too often", Duration.ofNanos(wait)));
                        return;
                    }
                    if (isLegacy(about) && !module.equals(UpgradeTrigger.DEFAULT_MODULE)) {
                        // An old platform knows no modules.
                        sink.success();
                        return;
                    }
                    String id = nextId();
                    queries.put(id, new Query(about, sink));
                    sink.onDispose(() -> lane.schedule(() -> queries.remove(id)));
                    // One that cannot be sent ends with the connection, or when the time for an answer is over.
                    present.publish(topicOfQuestion(about), question(id, about))
                            .subscribe(
                                    never -> {}, unsent -> log.debug("{} {}: could not ask", device, module, unsent));
                }))
                .timeout(
                        settings.timeout(),
                        Mono.<Push>error(() -> unanswered(
                                Reason.TIMEOUT, about, "gives no answer within " + settings.timeout(), null)));
    }

    private String topicOfQuestion(DeviceModule about) {
        if (about.module().equals(AliyunDevice.CONFIG_MODULE)) {
            return Topics.sys(about.device(), Topics.CONFIGURATION_QUERY);
        }
        return isLegacy(about)
                ? Topics.legacyQuery(about.device())
                : Topics.of(about.device()).query();
    }

    private byte[] question(String id, DeviceModule about) {
        if (about.module().equals(AliyunDevice.CONFIG_MODULE)) {
            return Messages.configurationQuery(id);
        }
        return isLegacy(about)
                ? Messages.legacyQuery(id, outbox.version(about.device(), about.module()))
                : Messages.query(id, about.module());
    }

    private boolean isLegacy(DeviceModule about) {
        return settings.legacyQueries()
                && about.device().equals(settings.device())
                && !about.module().equals(AliyunDevice.CONFIG_MODULE);
    }

    private static TransferException unanswered(
            Reason reason, DeviceModule about, String why, @Nullable Duration retryAfter) {
        return new TransferException(
                reason, about.device() + " " + about.module() + ": the platform " + why, null, retryAfter);
    }

    /** The connection was lost before there was an answer. */
    private static final class Unasked extends RuntimeException {

        Unasked() {
            super("connection lost", null, false, false);
        }
    }

    /** Ids are decimal numbers of 32 bits, unique for the device as far as anybody remembers. */
    @Override
    public String nextId() {
        lastId = (lastId + 1) & 0xFFFF_FFFFL;
        return Long.toString(lastId);
    }

    // ---- In ----

    private void received(Inbound message) {
        try {
            String topic = message.topic();
            DeviceId pushed = spokenFor(Topics.device(topic, Topics.UPGRADE, ""));
            DeviceId answered = pushed == null ? spokenFor(answered(topic)) : null;
            if (pushed != null) {
                Push push = PushReader.read(pushed, message.bytes());
                if (push instanceof Push.Upgrade upgrade) {
                    if (!toAsk.isEmpty()) {
                        toAsk.remove(new DeviceModule(pushed, upgrade.trigger().module()));
                    }
                    inbox.offer(upgrade.trigger(), message, message.isOwed());
                    return;
                }
                take(pushed, push);
            } else if (answered != null) {
                answered(answered, message);
            } else if (topic.equals(topics.downloadReply())) {
                downloads.received(message.payload());
            } else if (settings.remoteConfiguration()
                    && topic.equals(Topics.sys(settings.device(), Topics.CONFIGURATION_PUSH))) {
                configured(message);
                return;
            } else if (!isForGateway(topic, message.payload()) && !subscriptions.received(topic, message.payload())) {
                log.debug("{}: not understood: {}", settings.device(), topic);
            }
        } catch (MalformedMessage e) {
            senseless("Message", e);
        } catch (RuntimeException bug) {
            // An error here would end the flow of messages while the connection stands, and nobody would notice.
            log.error("{}: a message on {} was lost by an error", settings.device(), message.topic(), bug);
            skipped.incrementAndGet();
        }
        // An answer too, before anybody has done anything about it: with the version it is asked for again.
        message.acknowledge();
    }

    /** Whose question is answered on {@code topic}; null where it is about something else. */
    private @Nullable DeviceId answered(String topic) {
        DeviceId device = Topics.device(topic, "/sys/", Topics.QUERY_REPLY);
        if (device == null) {
            device = Topics.device(topic, "/sys/", Topics.CONFIGURATION_REPLY);
        }
        return device == null ? Topics.device(topic, Topics.LEGACY_QUERY, "") : device;
    }

    /** The platform has a configuration for this device, and wants to know that the device heard it. */
    private void configured(Inbound message) throws MalformedMessage {
        Push push;
        try {
            JsonNode root = Messages.read(message.payload());
            push = PushReader.readConfiguration(settings.device(), root.path("params"));
            publish(message.topic() + "_reply", Messages.reply(root.path("id").asText("0")))
                    .subscribe(never -> {}, unsent -> log.debug("{}: could not reply", settings.device(), unsent));
        } catch (MalformedMessage e) {
            message.acknowledge();
            throw e;
        }
        if (push instanceof Push.Upgrade upgrade) {
            inbox.offer(upgrade.trigger(), message, message.isOwed());
        } else {
            message.acknowledge();
            take(settings.device(), push);
        }
    }

    /** The device, if it is this one or one behind it; otherwise null. */
    private @Nullable DeviceId spokenFor(@Nullable DeviceId device) {
        if (device == null || device.equals(settings.device())) {
            return device;
        }
        AliyunGateway present = gateway;
        return present == null ? null : present.wanted(device);
    }

    private boolean isOnline(DeviceId device) {
        AliyunGateway present = gateway;
        return device.equals(settings.device()) || (present != null && present.isOnline(device));
    }

    private @Nullable GatewayException refusal(DeviceId device) {
        AliyunGateway present = gateway;
        return device.equals(settings.device()) || present == null ? null : present.refusal(device);
    }

    private boolean isForGateway(String topic, byte[] payload) throws MalformedMessage {
        AliyunGateway present = gateway;
        return present != null && present.received(topic, payload);
    }

    private void take(DeviceId device, Push push) {
        if (push instanceof Push.Upgrade upgrade) {
            inbox.offer(upgrade.trigger(), () -> {}, false);
        } else if (push instanceof Push.Skipped skip) {
            skipped.incrementAndGet();
            log.warn("{}: skipped a message: {}", device, skip.cause().getMessage());
            emit(new DeviceEvent.MessageSkipped(device, skip.cause()));
            if (skip.module() != null) {
                outbox.step(device, skip.module(), Step.failed(skip.cause()), null);
                send();
            }
        }
    }

    private void senseless(String what, MalformedMessage why) {
        ChannelException cause = new ChannelException(
                Reason.MALFORMED_TRIGGER, what + " to " + settings.device() + ": " + why.why(), null);
        take(settings.device(), new Push.Skipped(null, cause));
    }

    private void answered(DeviceId device, Inbound message) {
        JsonNode root;
        try {
            root = Messages.read(message.payload());
        } catch (MalformedMessage e) {
            senseless("Answer", e);
            return;
        }
        boolean legacy = message.topic().startsWith(Topics.LEGACY_QUERY);
        if (legacy && root.has("params") && !root.has("data") && !root.has("code")) {
            // The question itself, from a broker that lets a device hear what it says.
            return;
        }
        String id = root.path("id").asText();
        Query query = queries.get(id);
        if (query == null && legacy) {
            // They do not all repeat the id; and there is one thing only that they are asked for.
            query = queries.values().stream()
                    .filter(any -> any.about.device().equals(device) && isLegacy(any.about))
                    .findFirst()
                    .orElse(null);
        }
        if (query == null || !query.about.device().equals(device)) {
            log.debug("{}: an answer to nobody's question", device);
            return;
        }
        queries.values().remove(query);
        // Absent, or as in a push, it is none of an error.
        String code = root.path("code").asText("200");
        if (!code.equals("200") && !code.equals("1000")) {
            String shown = code.matches("[0-9]{1,6}") ? code : "?";
            if (NOT_CONFIGURED.contains(code)) {
                query.sink.success();
                return;
            }
            log.warn("{} {}: the platform does not say what is pending: code {}", device, query.about.module(), shown);
            if (code.equals("429")) {
                Duration pause = settings.questionPause();
                askAgainAt = System.nanoTime() + pause.toNanos();
                query.sink.error(unanswered(Reason.SERVER_BUSY, query.about, "was asked too often", pause));
            } else if (code.equals("500")) {
                query.sink.error(unanswered(Reason.SERVER_BUSY, query.about, "cannot answer now", null));
            } else {
                query.sink.success();
            }
            return;
        }
        JsonNode data = root.path("data");
        query.sink.success(
                query.about.module().equals(AliyunDevice.CONFIG_MODULE)
                        ? PushReader.readConfiguration(device, data)
                        : PushReader.readAnswer(device, data, query.about.module()));
    }

    private record Query(DeviceModule about, MonoSink<Push> sink) {}

    // ---- The line of the devices behind this one ----

    @Override
    public DeviceId device() {
        return settings.device();
    }

    @Override
    public boolean isConnected() {
        return connection != null;
    }

    @Override
    public Mono<Void> publish(String topic, byte[] payload) {
        return overConnection(present -> present.publish(topic, payload));
    }

    @Override
    public Mono<Void> subscribe(List<String> filters) {
        return overConnection(present -> present.subscribe(filters));
    }

    @Override
    public Mono<Void> unsubscribe(List<String> filters) {
        return overConnection(present -> present.unsubscribe(filters));
    }

    /** What takes too long means that the connection is dead. */
    private Mono<Void> overConnection(Function<MqttConnection, Mono<Void>> work) {
        return Mono.defer(() -> {
            MqttConnection present = connection;
            return present == null
                    ? Mono.error(new ChannelException(
                            Reason.CONNECTION_LOST, settings.device() + ": is not connected", null))
                    : work.apply(present)
                            .timeout(settings.timeout())
                            .onErrorMap(MqttConnection::translate)
                            .doOnError(e -> lane.schedule(() -> unsent(present, e)));
        });
    }

    @Override
    public void opened(DeviceId device) {
        outbox.opened(device);
        send();
    }

    @Override
    public void closed(DeviceId device) {
        outbox.closed(device);
    }

    @Override
    public void refused(DeviceId device, GatewayException cause) {
        outbox.fail(device, cause);
    }

    @Override
    public void forgotten(DeviceId device, GatewayException cause) {
        outbox.forget(device, cause);
        inbox.forget(device);
    }

    /** Replies are subscribed to when they are first needed, with QoS 0: a later connection has no use for them. */
    private final class DownloadExchange implements Downloads.Exchange {

        @Override
        public Mono<Void> open() {
            return connected().then(Mono.defer(() -> {
                MqttConnection present = connection;
                if (present == null) {
                    return Mono.error(new ChannelException(Reason.CONNECTION_LOST, "No connection", null));
                }
                return present == hearingDownloads
                        ? Mono.empty()
                        : present.subscribe(MqttQos.AT_MOST_ONCE, topics.downloadReply())
                                .timeout(settings.timeout())
                                .onErrorMap(MqttConnection::translate)
                                .publishOn(lane)
                                .doOnSuccess(done -> hearingDownloads = present);
            }));
        }

        @Override
        public void send(byte[] request) {
            MqttConnection present = connection;
            if (present != null) {
                present.publish(MqttQos.AT_MOST_ONCE, topics.download(), request)
                        .subscribe(never -> {}, unsent -> log.debug("{}: could not ask", settings.device(), unsent));
            }
        }

        @Override
        public String nextId() {
            return Conversation.this.nextId();
        }
    }
}
