package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * A device as the gateway of others, which have no connection of their own: it says which they are, logs them in over its
 * connection, and speaks for them. {@link AliyunDevice#upgrades()} then brings their triggers and takes their reports.
 *
 * <pre>{@code
 * AliyunGateway gateway = device.gateway();
 * gateway.add(subDevices)
 *     .thenMany(gateway.login(subDevices))
 *     .subscribe(event -> log.info("{}", event));
 * }</pre>
 *
 * <p>A device that was logged in is <em>wanted</em> until it is logged out: the gateway logs it in again after each
 * reconnect, and then reports its versions again. Logins go out in batches of up to 50 and never more than 200 in a
 * second. A device that the platform refuses keeps nobody else out.
 *
 * <p>Requests wait for a connection, as long as it takes, and are repeated when it is lost before the answer, or when the
 * platform is busy or silent, up to five times with growing waits. Then they error: with {@link GatewayException} where
 * the platform said no, with {@link ChannelException} where it said nothing ({@link Reason#TIMEOUT}), refused the gateway
 * itself, or the device is closed. They begin at subscription. Cancelling stops the waiting; what was sent was sent.
 * Signals come on a thread that must not be blocked.
 */
public final class AliyunGateway {

    /** What a platform tells a gateway on the topics of a sub-device, to be answered. */
    static final List<String> ORDERS = List.of("/thing/disable", "/thing/enable", "/thing/delete");

    static final String ERROR = "/ext/error/";

    private static final Logger log = Loggers.getLogger(AliyunGateway.class);

    /** How many devices one request about the topology, or a registration, may have. */
    private static final int BATCH = 30;

    private static final List<String> REQUESTS = List.of(
            "thing/topo/add",
            "thing/topo/delete",
            "thing/topo/get",
            "thing/list/found",
            "thing/sub/register",
            "thing/proxy/provisioning/product_register",
            "thing/sub/unregister");

    private static final SecureRandom RANDOM = new SecureRandom();

    private final Line line;
    private final Scheduler lane;
    private final Backoff backoff;
    private final String sys;
    private final String session;
    private final Requests requests;
    private final Sessions sessions;
    private final Sinks.Many<GatewayEvent> events = Sinks.many().multicast().directBestEffort();
    private final List<MonoSink<Void>> awaitingReady = new ArrayList<>();
    private final AtomicBoolean used = new AtomicBoolean();
    private boolean ready;

    AliyunGateway(Line line, Scheduler lane, LongSupplier nanoClock, Duration timeout, Backoff backoff) {
        this.line = line;
        this.lane = lane;
        this.backoff = backoff;
        String path = line.device().product() + "/" + line.device().name() + "/";
        this.sys = "/sys/" + path;
        this.session = "/ext/session/" + path + "combine/";
        this.requests = new Requests(line, lane, timeout);
        this.sessions = new Sessions(line, requests, lane, nanoClock, backoff, events::tryEmitNext);
    }

    /** The gateway itself. */
    public DeviceId id() {
        return line.device();
    }

    // ---- Topology ----

    /**
     * Puts devices into the gateway's topology, each with a signature of its secret. Those that are there already may be
     * among them.
     *
     * @return a {@code Mono} that completes when all are in it. Where the platform refuses a request, its devices are tried
     *     one by one; in the end it errors with the first refusal, the others added to it as suppressed
     */
    public Mono<Void> add(Collection<SubDevice> devices) {
        return each(devices, batch -> call("thing/topo/add", GatewayMessages.add(batch)));
    }

    /**
     * Takes devices out of the gateway's topology. They are no longer wanted.
     *
     * @return a {@code Mono} that completes when none is in it, and errors like {@link #add}
     */
    public Mono<Void> delete(Collection<DeviceId> devices) {
        return each(
                devices,
                batch -> call("thing/topo/delete", GatewayMessages.names(batch))
                        .doOnNext(done -> batch.forEach(device -> sessions.deleted(
                                List.of(device),
                                new GatewayException(
                                        Refusal.LOGGED_OUT, device + ": was taken out of the topology")))));
    }

    /**
     * Asks which devices are in the gateway's topology.
     *
     * @return a {@code Mono} that emits them; the list may be empty
     */
    public Mono<List<DeviceId>> get() {
        return call("thing/topo/get", JsonNodeFactory.instance.objectNode()).map(GatewayMessages::readDevices);
    }

    /**
     * Tells the platform of devices that the gateway has discovered, for a person there to decide on.
     *
     * @return a {@code Mono} that completes when the platform has heard of all, and errors like {@link #add}
     */
    public Mono<Void> found(Collection<DeviceId> devices) {
        return each(devices, batch -> call("thing/list/found", GatewayMessages.names(batch)));
    }

    // ---- Registration ----

    /**
     * Registers devices that the platform has, or whose product lets in any, to have their secrets; whoever asks again may
     * get other ones. At most 30 go into a request.
     *
     * @return a {@code Flux} that emits each device with its secret, for the program to keep; one that the platform does
     *     not register is missing. It errors at the first request that is refused
     */
    public Flux<SubDevice> register(Collection<DeviceId> devices) {
        return batches(devices)
                .concatMap(batch -> call("thing/sub/register", GatewayMessages.names(batch)))
                .concatMapIterable(GatewayMessages::readRegistered);
    }

    /**
     * The same, proved by the secret of the devices' product, which may be of another owner.
     *
     * @return a {@code Flux} like that of {@link #register(Collection)}
     */
    public Flux<SubDevice> register(String productSecret, Collection<DeviceId> devices) {
        Secret secret = new Secret(productSecret);
        return batches(devices)
                .concatMap(batch -> call(
                        "thing/proxy/provisioning/product_register", GatewayMessages.proxied(secret, batch, random())))
                .concatMapIterable(GatewayMessages::readRegistered);
    }

    /**
     * Removes devices from the platform. They are no longer wanted.
     *
     * @return a {@code Mono} that completes when all are removed, and errors like {@link #add}
     */
    public Mono<Void> unregister(Collection<DeviceId> devices) {
        return each(
                devices,
                batch -> call("thing/sub/unregister", GatewayMessages.names(batch))
                        .doOnNext(done -> batch.forEach(device -> sessions.deleted(
                                List.of(device),
                                new GatewayException(Refusal.DELETED, device + ": was unregistered")))));
    }

    // ---- Sessions ----

    /**
     * Logs one device in; see {@link #login(Collection)}.
     *
     * @return a {@code Mono} that completes when it has a session, and errors with {@link GatewayException} when the
     *     platform refuses it
     */
    public Mono<Void> login(SubDevice device) {
        return login(List.of(device))
                .concatMap(event -> event instanceof GatewayEvent.LoginRefused refused
                        ? Mono.<Void>error(refused.cause())
                        : Mono.<Void>empty())
                .then();
    }

    /**
     * Makes devices wanted: the gateway logs them in, now and after each reconnect, until they are logged out. From the
     * subscription on, {@link AliyunDevice#upgrades()} takes reports of them, which wait for the session; before, they error
     * with {@link GatewayException}. A program does this before it subscribes to what takes upgrades on, which may go on
     * with upgrades of an earlier process.
     *
     * @return a {@code Flux} that emits {@link GatewayEvent.LoggedIn} or {@link GatewayEvent.LoginRefused} once for each
     *     device, as the platform answers, and then completes. It waits for a connection as long as it takes, and errors
     *     with {@link ChannelException} when the platform refuses the gateway or the device is closed. Cancelling stops
     *     the waiting, not the wanting
     */
    public Flux<GatewayEvent> login(Collection<SubDevice> devices) {
        List<SubDevice> wanted = List.copyOf(devices);
        return Flux.defer(() -> sessions.login(wanted))
                // Which also makes the device connect, and errors when it will not.
                .mergeWith(line.connected().then(Mono.empty()));
    }

    /**
     * Ends the sessions of devices, which are no longer wanted. Reports of theirs that still wait error with
     * {@link GatewayException}.
     *
     * @return a {@code Mono} that completes when the platform has ended them; at once without a connection, since the
     *     sessions ended with it. It errors like {@link #add}, and the devices are no longer wanted all the same
     */
    public Mono<Void> logout(Collection<DeviceId> devices) {
        return sessions.logout(devices);
    }

    /**
     * What the platform says about the devices behind this gateway, from the moment of subscription.
     *
     * @return a {@code Flux} for any number of subscribers that never errors and completes when the device is closed. It
     *     waits for nobody: a subscriber without demand misses events
     */
    public Flux<GatewayEvent> events() {
        return events.asFlux();
    }

    @Override
    public String toString() {
        return "AliyunGateway[" + line.device() + "]";
    }

    /** Lets tests of thousands of devices end soon. */
    void limit(LoginRate rate) {
        lane.schedule(() -> sessions.limit(rate));
    }

    // ---- What the conversation tells, on the lane ----

    /** Somebody asked for this gateway; a device that is none subscribes to nothing of this. */
    void use() {
        if (used.compareAndSet(false, true)) {
            lane.schedule(this::listen);
        }
    }

    /** Tells, on any thread, whether somebody asked for it. */
    boolean isUsed() {
        return used.get();
    }

    void connected() {
        listen();
    }

    private void listen() {
        if (!used.get() || !line.isConnected()) {
            return;
        }
        List<String> filters = Stream.of(
                        REQUESTS.stream().map(request -> sys + request + "_reply"),
                        Stream.of("login", "logout", "batch_login", "batch_logout")
                                .map(request -> session + request + "_reply"),
                        Stream.of(sys + "thing/topo/change", sys + "thing/topo/add/notify"),
                        Stream.of(ERROR + line.device().product() + "/"
                                + line.device().name()))
                .flatMap(Function.identity())
                .toList();
        line.subscribe(filters)
                .publishOn(lane)
                .subscribe(
                        never -> {},
                        e -> log.debug("{}: could not listen as a gateway", line.device(), e),
                        this::listening);
    }

    private void listening() {
        if (!line.isConnected() || ready) {
            return;
        }
        ready = true;
        List.copyOf(awaitingReady).forEach(MonoSink::success);
        awaitingReady.clear();
        sessions.connected();
    }

    void disconnected() {
        ready = false;
        // In this order: what the sessions asked for on it is no failure of theirs.
        sessions.disconnected();
        requests.disconnected();
    }

    /** There will be no connection until somebody wants one. */
    void fail(Throwable cause) {
        List.copyOf(awaitingReady).forEach(sink -> sink.error(cause));
        awaitingReady.clear();
        sessions.fail(cause);
    }

    void closed() {
        events.tryEmitComplete();
    }

    /** The device as it was wanted; null where it is not. */
    @Nullable
    DeviceId wanted(DeviceId device) {
        return sessions.wanted(device);
    }

    boolean isOnline(DeviceId device) {
        return sessions.isOnline(device);
    }

    /** Why the device cannot be heard, where that will not change by itself soon; otherwise null. */
    @Nullable
    GatewayException refusal(DeviceId device) {
        return sessions.refusal(device);
    }

    /**
     * Takes a message in.
     *
     * @return false when it is none for a gateway
     * @throws MalformedMessage when it makes no sense
     */
    boolean received(String topic, byte[] payload) throws MalformedMessage {
        if (topic.endsWith("_reply") && (topic.startsWith(sys) || topic.startsWith(session))) {
            requests.answered(topic, payload);
            return true;
        }
        if (topic.equals(sys + "thing/topo/change")) {
            JsonNode params = acknowledged(topic, payload);
            JsonNode list = params.path("subList");
            events.tryEmitNext(
                    new GatewayEvent.TopologyChanged(GatewayMessages.readDevices(list.isArray() ? list : params)));
            return true;
        }
        if (topic.equals(sys + "thing/topo/add/notify")) {
            events.tryEmitNext(
                    new GatewayEvent.AddRequested(GatewayMessages.readDevices(acknowledged(topic, payload))));
            return true;
        }
        if (topic.startsWith(ERROR)) {
            error(topic, payload);
            return true;
        }
        for (String order : ORDERS) {
            DeviceId device = Topics.device(topic, "/sys/", order);
            if (device != null && wanted(device) != null) {
                acknowledged(topic, payload);
                ordered(device, order);
                return true;
            }
        }
        return false;
    }

    private void ordered(DeviceId device, String order) {
        switch (order) {
            case "/thing/disable" ->
                sessions.refused(device, new GatewayException(Refusal.DISABLED, device + ": the platform disabled it"));
            case "/thing/delete" ->
                sessions.refused(device, new GatewayException(Refusal.DELETED, device + ": the platform deleted it"));
            default -> sessions.enabled(device);
        }
    }

    /** The sources do not say how the device is named in it: in the message, or only by the topic. */
    private void error(String topic, byte[] payload) throws MalformedMessage {
        JsonNode root = Messages.read(payload);
        DeviceId device = Stream.of(root.path("data"), root.path("params"), root)
                .flatMap(named -> GatewayMessages.readDevices(named).stream())
                .findFirst()
                .orElseGet(() -> Topics.device(topic, ERROR, ""));
        String code = root.path("code").asText("?");
        if (device == null || device.equals(line.device()) || !code.matches("[0-9]{1,6}")) {
            log.warn(
                    "{}: the platform tells of an error, code {}",
                    line.device(),
                    code.matches("[0-9]{1,6}") ? code : "?");
            return;
        }
        sessions.refused(device, GatewayException.answered("the session of " + device, code));
    }

    /** Tells the platform that its message came, and returns the message's {@code params}. */
    private JsonNode acknowledged(String topic, byte[] payload) throws MalformedMessage {
        JsonNode root = Messages.read(payload);
        line.publish(topic + "_reply", Messages.reply(root.path("id").asText("0")))
                .subscribe(never -> {}, e -> log.debug("{}: could not answer {}", line.device(), topic, e));
        return root.path("params");
    }

    // ---- Asking ----

    private Mono<JsonNode> call(String request, String method, JsonNode params) {
        return ready().then(requests.ask(sys + request, method, params))
                .retryWhen(Requests.patiently(
                        backoff, lane, lost -> line.connected().thenReturn(0L)));
    }

    private Mono<JsonNode> call(String request, JsonNode params) {
        return call(request, request.replace('/', '.'), params);
    }

    private Mono<Void> ready() {
        return line.connected()
                .then(Mono.create(sink -> lane.schedule(() -> {
                    if (ready) {
                        sink.success();
                    } else {
                        awaitingReady.add(sink);
                        sink.onDispose(() -> lane.schedule(() -> awaitingReady.remove(sink)));
                    }
                })));
    }

    private static <T> Mono<Void> each(Collection<T> devices, Function<List<T>, Mono<?>> request) {
        return Requests.each(devices, BATCH, request);
    }

    private static <T> Flux<List<T>> batches(Collection<T> devices) {
        return Flux.fromIterable(List.copyOf(devices)).buffer(BATCH);
    }

    private static String random() {
        byte[] bytes = new byte[12];
        RANDOM.nextBytes(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
