package io.otaflux.transport.aliyun;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.datatypes.MqttTopic;
import com.hivemq.client.mqtt.datatypes.MqttTopicFilter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.BufferOverflowStrategy;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The device as the original {@code aliyunIoT} module has it, for programs that come from there: numbers for events,
 * dictionaries for data, integers for results. It adds nothing to {@link AliyunDevice}.
 *
 * <pre>{@code
 * Device device = new Device();
 * device.on(Device.ON_CONNECT, data -> connected = true);
 * device.connect(Map.of("region", "cn-shanghai", "productKey", pk, "deviceName", dn, "deviceSecret", ds, "keepaliveSec", 60));
 * }</pre>
 *
 * <p>Callbacks run one at a time on one thread of this device's own, where they may take their time; one that throws is
 * logged and disturbs nobody.
 */
public final class Device {

    /** Connected; {@code {code: 0}}. Comes again after every reconnect. */
    public static final int ON_CONNECT = 1;

    /** Closed by {@link #end()}; {@code {code: 0}}. */
    public static final int ON_CLOSE = 2;

    /** The connection was lost and is being restored; {@code {code, message}}. */
    public static final int ON_DISCONNECT = 3;

    /** An event of the thing model. Never called: this device does upgrades only. */
    public static final int ON_EVENT = 4;

    /** A service of the thing model. Never called. */
    public static final int ON_SERVICE = 5;

    /** A message on a {@linkplain #subscribe subscribed} topic (spelt as in the original); {@code {topic, payload}}. */
    public static final int ON_SUBCRIBE = 6;

    /** Properties of the thing model. Never called. */
    public static final int ON_PROPS = 7;

    /**
     * An attempt to connect or to register failed, a message was skipped, a topic was not granted, the platform did not tell
     * the time, or somebody else seems to use the same credentials; {@code {code, message}}.
     */
    public static final int ON_ERROR = 8;

    /** An answer of the thing model. Never called. */
    public static final int ON_REPLY = 9;

    /** Raw data. Never called. */
    public static final int ON_RAWDATA = 10;

    /** Registered; {@code {code: 0, deviceSecret}}, as the callback of {@link #register} gets it. */
    public static final int ON_REGISTER = 11;

    private static final Logger log = Loggers.getLogger(Device.class);

    /** No event of the original's: for the log. */
    private static final int NTP = 0;

    private static final int OK = 0;
    private static final int FAILED = -1;

    /** How much may wait while a callback takes its time; beyond that the oldest is lost. */
    private static final int WAITING = 256;

    private static final int MAX_PAYLOAD = 256 * 1024;

    /** The original tells the time of its home, wherever it is. */
    private static final ZoneOffset TIME_ZONE = ZoneOffset.ofHours(8);

    private final Map<Integer, Consumer<Map<String, Object>>> callbacks = new ConcurrentHashMap<>();
    private final Scheduler thread = Schedulers.newSingle("otaflux-device", true);
    private volatile boolean online;
    private @Nullable AliyunDevice device;

    /**
     * Registers what is called on an event, in place of what was registered for it before.
     *
     * @param event one of the constants of this class
     * @return 0, or a negative number when there is no such event
     */
    public int on(int event, Consumer<Map<String, Object>> callback) {
        if (event < ON_CONNECT || event > ON_REGISTER) {
            return FAILED;
        }
        callbacks.put(event, callback);
        return OK;
    }

    /**
     * Begins to connect and returns at once; {@link #ON_CONNECT} tells when it is done.
     *
     * @param options {@code productKey}, {@code deviceName}, {@code deviceSecret}; {@code region} (defaults to
     *     {@code cn-shanghai}), {@code keepaliveSec} (30 to 1200, defaults to 300). Beyond the original: {@code host},
     *     {@code port}, {@code tls} (defaults to true) and {@code ca_file} for a platform elsewhere. Others are ignored
     * @return 0, or a negative number when an option is missing or out of range, which is logged, or when the device has
     *     been connected before
     */
    public synchronized int connect(Map<String, ?> options) {
        if (device != null) {
            log.warn("connect: called before");
            return FAILED;
        }
        try {
            AliyunDevice connecting = device(options);
            connecting
                    .events()
                    .doOnNext(this::follow)
                    .onBackpressureBuffer(WAITING, BufferOverflowStrategy.DROP_OLDEST)
                    .publishOn(thread)
                    .doFinally(end -> thread.dispose())
                    .subscribe(this::call);
            connecting
                    .conversation()
                    .messages()
                    .onBackpressureBuffer(WAITING, BufferOverflowStrategy.DROP_OLDEST)
                    .publishOn(thread)
                    .subscribe(
                            message -> call(ON_SUBCRIBE, Map.of("topic", message.topic(), "payload", message.text())));
            device = connecting;
            // How it goes is told by events.
            connecting.connect().subscribe(connected -> {}, refused -> log.debug("connect failed", refused));
            return OK;
        } catch (IllegalArgumentException e) {
            log.warn("connect: {}", e.getMessage());
            return FAILED;
        }
    }

    /**
     * The number by which {@code Ota.init} knows this device.
     *
     * @return a positive number, or a negative one before {@link #connect}
     */
    public int getDeviceHandle() {
        AliyunDevice connected = current();
        return connected == null ? FAILED : connected.getDeviceHandle();
    }

    /**
     * Asks the platform for this device's secret, for products that are allowed to, and returns at once.
     *
     * @param options {@code productKey}, {@code productSecret}, {@code deviceName}; {@code region} (defaults to {@code
     *     cn-shanghai}). Beyond the original: {@code host}, {@code port} and {@code ca_file} for a platform elsewhere, and
     *     {@code credentials_file}, where the secret is kept and found again, since a platform gives it until the device has
     *     connected for the first time
     * @param callback receives {@code {code: 0, deviceSecret}}, and is not called when it fails; {@link #ON_ERROR} is
     * @return 0, or a negative number when an option is missing or out of range, which is logged
     */
    public int register(Map<String, ?> options, Consumer<Map<String, Object>> callback) {
        Mono<Credentials> registration;
        try {
            registration = registration(options).register();
        } catch (IllegalArgumentException e) {
            log.warn("register: {}", e.getMessage());
            return FAILED;
        }
        registration
                .ofType(Credentials.DeviceSecret.class)
                .publishOn(thread)
                .subscribe(
                        registered -> {
                            Map<String, Object> data = Map.of("code", OK, "deviceSecret", registered.deviceSecret());
                            call(ON_REGISTER, callback, data);
                            call(ON_REGISTER, data);
                        },
                        failure -> failed("register", failure));
        return OK;
    }

    /**
     * Subscribes to a topic, now and after each reconnect; what comes there is told by {@link #ON_SUBCRIBE}.
     *
     * @param options {@code topic}, which may have wildcards, and {@code qos} (0 or 1, defaults to 0)
     * @return 0, or a negative number when an option is missing or out of range, the topic is one over which this device's
     *     upgrades come, or {@link #connect} was not called. What the platform does not grant is told by {@link #ON_ERROR}
     */
    public int subscribe(Map<String, ?> options) {
        return onTopic(options, (conversation, topic) -> conversation.subscribe(qos(options), topic));
    }

    /**
     * Takes a {@link #subscribe} back.
     *
     * @param options {@code topic}, as it was subscribed to
     * @return as {@link #subscribe} does
     */
    public int unsubscribe(Map<String, ?> options) {
        return onTopic(options, (conversation, topic) -> conversation.unsubscribe(topic));
    }

    private int onTopic(Map<String, ?> options, BiFunction<Conversation, String, Mono<Void>> work) {
        AliyunDevice connected = current();
        if (connected == null) {
            return FAILED;
        }
        try {
            String topic = MqttTopicFilter.of(text(options, "topic")).toString();
            if (Topics.of(connected.id()).isListenedTo(topic)) {
                throw new IllegalArgumentException("topic: " + topic + " (expected: none of the upgrades')");
            }
            work.apply(connected.conversation(), topic)
                    .publishOn(thread)
                    .subscribe(done -> {}, failure -> failed(topic, failure));
            return OK;
        } catch (IllegalArgumentException e) {
            log.warn("topic: {}", e.getMessage());
            return FAILED;
        }
    }

    /**
     * Publishes a message. Nothing is kept for later: without a connection it is refused.
     *
     * @param options {@code topic}, {@code payload} (text), and {@code qos} (0 or 1, defaults to 0)
     * @return 0 when it is on its way, or a negative number when an option is missing or out of range, or there is no
     *     connection
     */
    public int publish(Map<String, ?> options) {
        AliyunDevice connected = current();
        if (connected == null || !online) {
            return FAILED;
        }
        try {
            String topic = MqttTopic.of(text(options, "topic")).toString();
            byte[] payload = text(options, "payload").getBytes(StandardCharsets.UTF_8);
            if (payload.length > MAX_PAYLOAD) {
                throw new IllegalArgumentException(
                        "payload: " + payload.length + " bytes (expected: at most " + MAX_PAYLOAD + ")");
            }
            connected
                    .conversation()
                    .publish(qos(options), topic, payload)
                    .publishOn(thread)
                    .subscribe(done -> {}, failure -> failed(topic, failure));
            return OK;
        } catch (IllegalArgumentException e) {
            log.warn("publish: {}", e.getMessage());
            return FAILED;
        }
    }

    /**
     * Asks the platform what time it is, and returns at once.
     *
     * @param callback receives {@code year}, {@code month}, {@code day}, {@code hour}, {@code minute}, {@code second},
     *     {@code msecond}, as it is in UTC+8 like in the original, and {@code timestamp}: long, milliseconds since 1970. It is
     *     not called when the platform does not answer; {@link #ON_ERROR} is
     * @return 0, or a negative number when there is no connection
     */
    public int getNtpTime(Consumer<Map<String, Object>> callback) {
        AliyunDevice connected = current();
        if (connected == null || !online) {
            return FAILED;
        }
        connected
                .conversation()
                .time()
                .publishOn(thread)
                .subscribe(time -> call(NTP, callback, dictionary(time)), failure -> failed("getNtpTime", failure));
        return OK;
    }

    private static Map<String, Object> dictionary(Instant time) {
        OffsetDateTime there = time.atOffset(TIME_ZONE);
        return Map.of(
                "year", there.getYear(),
                "month", there.getMonthValue(),
                "day", there.getDayOfMonth(),
                "hour", there.getHour(),
                "minute", there.getMinute(),
                "second", there.getSecond(),
                "msecond", there.getNano() / 1_000_000,
                "timestamp", time.toEpochMilli());
    }

    private static MqttQos qos(Map<String, ?> options) {
        int qos = options.containsKey("qos") ? number(options, "qos") : 0;
        if (qos < 0 || qos > 1) {
            throw new IllegalArgumentException("qos: " + qos + " (expected: 0 or 1)");
        }
        return qos == 0 ? MqttQos.AT_MOST_ONCE : MqttQos.AT_LEAST_ONCE;
    }

    private void failed(String what, Throwable failure) {
        log.warn("{}: {}", what, failure.toString());
        call(ON_ERROR, Map.of("code", FAILED, "message", what + ": " + failure.getMessage()));
    }

    /**
     * Begins to close the connection, for good, and returns at once; {@link #ON_CLOSE} tells when it is done.
     *
     * @return 0, or a negative number when it was never connected
     */
    public int end() {
        AliyunDevice closing = current();
        if (closing == null) {
            return FAILED;
        }
        closing.close().subscribe();
        return OK;
    }

    /** Closes the connection like {@link #end()}, for programs that want to wait for it. */
    public Mono<Void> close() {
        return Mono.defer(() -> {
            AliyunDevice closing = current();
            return closing == null ? Mono.empty() : closing.close();
        });
    }

    private synchronized @Nullable AliyunDevice current() {
        return device;
    }

    private static DynamicRegistration registration(Map<String, ?> options) {
        DynamicRegistration.Builder builder = DynamicRegistration.builder()
                .product(text(options, "productKey"), text(options, "productSecret"))
                .deviceName(text(options, "deviceName"));
        if (options.containsKey("host")) {
            builder.host(text(options, "host"));
        } else {
            builder.region(options.containsKey("region") ? text(options, "region") : "cn-shanghai");
        }
        if (options.containsKey("port")) {
            builder.port(number(options, "port"));
        }
        if (options.containsKey("ca_file")) {
            builder.trust(Path.of(text(options, "ca_file")));
        }
        if (options.containsKey("credentials_file")) {
            builder.store(FileCredentialStore.at(Path.of(text(options, "credentials_file"))));
        }
        return builder.build();
    }

    private static AliyunDevice device(Map<String, ?> options) {
        AliyunDevice.Builder builder = AliyunDevice.builder()
                .credentials(text(options, "productKey"), text(options, "deviceName"), text(options, "deviceSecret"));
        if (options.containsKey("host")) {
            builder.host(text(options, "host"));
        } else {
            builder.region(options.containsKey("region") ? text(options, "region") : "cn-shanghai");
        }
        if (options.containsKey("port")) {
            builder.port(number(options, "port"));
        }
        if (options.containsKey("keepaliveSec")) {
            builder.keepAlive(Duration.ofSeconds(number(options, "keepaliveSec")));
        }
        if (Boolean.FALSE.equals(options.get("tls"))) {
            builder.plainTcp();
        }
        if (options.containsKey("ca_file")) {
            builder.trust(Path.of(text(options, "ca_file")));
        }
        return builder.build();
    }

    private static String text(Map<String, ?> options, String key) {
        if (options.get(key) instanceof String text) {
            return text;
        }
        throw new IllegalArgumentException(key + ": no text (expected: a string)");
    }

    private static int number(Map<String, ?> options, String key) {
        if (options.get(key) instanceof Number number) {
            return number.intValue();
        }
        throw new IllegalArgumentException(key + ": no number (expected: an integer)");
    }

    /** On the connection's thread, so that what a program does in a callback finds it as it is. */
    private void follow(DeviceEvent event) {
        if (event instanceof DeviceEvent.Connected) {
            online = true;
        } else if (event instanceof DeviceEvent.Disconnected || event instanceof DeviceEvent.Closed) {
            online = false;
        }
    }

    private void call(DeviceEvent event) {
        if (event instanceof DeviceEvent.Connected) {
            call(ON_CONNECT, Map.of("code", OK));
        } else if (event instanceof DeviceEvent.Closed) {
            call(ON_CLOSE, Map.of("code", OK));
        } else if (event instanceof DeviceEvent.Disconnected lost) {
            call(ON_DISCONNECT, failure(lost.cause()));
        } else if (event instanceof DeviceEvent.ConnectFailed failed) {
            call(ON_ERROR, failure(failed.cause()));
        } else if (event instanceof DeviceEvent.MessageSkipped skipped) {
            call(ON_ERROR, failure(skipped.cause()));
        } else if (event instanceof DeviceEvent.DuplicateLoginSuspected suspected) {
            call(
                    ON_ERROR,
                    Map.of(
                            "code",
                            FAILED,
                            "message",
                            "Somebody else may use this device's credentials: disconnected " + suspected.times()
                                    + " times shortly after connecting"));
        }
    }

    private static Map<String, Object> failure(Exception cause) {
        return Map.of("code", FAILED, "message", String.valueOf(cause.getMessage()));
    }

    private void call(int event, Map<String, Object> data) {
        Consumer<Map<String, Object>> callback = callbacks.get(event);
        if (callback != null) {
            call(event, callback, data);
        }
    }

    private static void call(int event, Consumer<Map<String, Object>> callback, Map<String, Object> data) {
        try {
            callback.accept(data);
        } catch (RuntimeException | Error e) {
            // Even an Error of somebody else's code must not end the thread that calls the others.
            log.error("The callback of event {} failed", event, e);
        }
    }
}
