package io.otaflux.transport.aliyun;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
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

    /** A message on a subscribed topic (spelt as in the original). Never called. */
    public static final int ON_SUBCRIBE = 6;

    /** Properties of the thing model. Never called. */
    public static final int ON_PROPS = 7;

    /** An attempt to connect failed, or a message was skipped; {@code {code, message}}. */
    public static final int ON_ERROR = 8;

    /** An answer of the thing model. Never called. */
    public static final int ON_REPLY = 9;

    /** Raw data. Never called. */
    public static final int ON_RAWDATA = 10;

    /** Dynamic registration. Never called. */
    public static final int ON_REGISTER = 11;

    private static final Logger log = Loggers.getLogger(Device.class);

    private static final int OK = 0;
    private static final int FAILED = -1;

    private final Map<Integer, Consumer<Map<String, Object>>> callbacks = new ConcurrentHashMap<>();
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
            Scheduler thread = Schedulers.newSingle("otaflux-device", true);
            connecting
                    .events()
                    .onBackpressureBuffer(256, BufferOverflowStrategy.DROP_OLDEST)
                    .publishOn(thread)
                    .doFinally(end -> thread.dispose())
                    .subscribe(this::call);
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
        }
    }

    private static Map<String, Object> failure(Exception cause) {
        return Map.of("code", FAILED, "message", String.valueOf(cause.getMessage()));
    }

    private void call(int event, Map<String, Object> data) {
        Consumer<Map<String, Object>> callback = callbacks.get(event);
        if (callback == null) {
            return;
        }
        try {
            callback.accept(data);
        } catch (RuntimeException | Error e) {
            // Even an Error of somebody else's code must not end the thread that calls the others.
            log.error("The callback of event {} failed", event, e);
        }
    }
}
