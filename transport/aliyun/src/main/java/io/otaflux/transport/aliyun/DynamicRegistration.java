package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.MqttConnection.Inbound;
import io.otaflux.transport.aliyun.RegistrationException.Problem;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Objects;
import javax.net.ssl.KeyManagerFactory;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * How a device comes by its credentials, once in its life: devices of one product leave the factory alike, with the
 * product's secret or a certificate, and ask the platform who they are or for a secret of their own.
 *
 * <pre>{@code
 * Mono<AliyunDevice> device = DynamicRegistration.builder()
 *     .region("cn-shanghai")
 *     .product(productKey, productSecret)
 *     .deviceName(serialNumber)
 *     .store(FileCredentialStore.at(directory.resolve("credentials.json")))
 *     .build()
 *     .register()
 *     .map(credentials -> AliyunDevice.builder().region("cn-shanghai").credentials(credentials).build());
 * }</pre>
 */
public final class DynamicRegistration {

    /** How the platform is asked. */
    public enum Way {
        /** With the product's secret over HTTP, for a device that the platform knows by name. */
        HTTP,
        /** With the product's secret over MQTT, for a device that the platform knows by name. */
        MQTT,
        /** With the product's secret over MQTT, for any device; it gets a token and no secret. */
        MQTT_UNKNOWN_DEVICE,
        /** With the device's certificate over MQTT: the platform tells whose it is. */
        CERTIFICATE
    }

    private static final Duration KEEP_ALIVE = Duration.ofMinutes(1);

    private final Way way;
    private final Endpoint endpoint;
    private final @Nullable DeviceId device;
    private final Secret productSecret;
    private final SignMethod signMethod;
    private final @Nullable String instanceId;
    private final @Nullable CredentialStore store;
    private final Duration timeout;

    private DynamicRegistration(Builder builder, Endpoint endpoint, @Nullable DeviceId device, Secret productSecret) {
        this.way = builder.way;
        this.endpoint = endpoint;
        this.device = device;
        this.productSecret = productSecret;
        this.signMethod = builder.signMethod;
        this.instanceId = builder.platform.instanceId();
        this.store = builder.store;
        this.timeout = builder.timeout;
    }

    public static Builder builder() {
        return new Builder();
    }

    /**
     * Takes the credentials from the store, or else asks the platform for them and saves them. Asks nobody when the store
     * has some, since a platform may refuse a device that registers a second time.
     *
     * @return a {@code Mono} that emits them after they were saved. It errors with {@link RegistrationException} when the
     *     platform refuses, with {@link ChannelException} when it cannot be reached or does not answer in time, with
     *     {@link IllegalStateException} when the store has those of another device, and with the store's own errors.
     *     Nothing is tried a second time. Each subscription asks anew; cancelling ends the connection
     */
    public Mono<Credentials> register() {
        Mono<Credentials> asked = Mono.defer(this::ask);
        CredentialStore keeping = store;
        return keeping == null
                ? asked
                : keeping.load()
                        .doOnNext(this::checkDevice)
                        .switchIfEmpty(asked.flatMap(
                                credentials -> keeping.save(credentials).thenReturn(credentials)));
    }

    private void checkDevice(Credentials found) {
        if (device != null && !found.device().equals(device)) {
            throw new IllegalStateException(
                    "credential store: has those of " + found.device() + " (expected: " + device + ")");
        }
    }

    private Mono<Credentials> ask() {
        DeviceId registering = device;
        if (registering == null) {
            return overMqtt(Login.anonymous(), "/ext/auth/identity/response")
                    .map(answer -> new Credentials.Certified(
                            new DeviceId(required(answer, "productKey"), required(answer, "deviceName"))));
        }
        String random = random();
        if (way == Way.HTTP) {
            return new HttpRegistration(endpoint, timeout).ask(registering, productSecret, random, signMethod);
        }
        boolean known = way == Way.MQTT;
        Login login = Login.registering(
                registering, productSecret, known ? "register" : "regnwl", random, signMethod, instanceId);
        return overMqtt(login, known ? "/ext/register" : "/ext/regnwl")
                .map(answer -> known
                        ? new Credentials.DeviceSecret(registering, required(answer, "deviceSecret"))
                        : new Credentials.DeviceToken(
                                registering, required(answer, "clientId"), required(answer, "deviceToken")));
    }

    /** Logs in, waits for the one message that the platform sends unasked, and goes. */
    private Mono<JsonNode> overMqtt(Login login, String topic) {
        return Mono.defer(() -> {
                    Sinks.One<JsonNode> answer = Sinks.one();
                    Scheduler lane = Schedulers.single(Schedulers.parallel());
                    return Mono.usingWhen(
                            Mono.fromCallable(() -> endpoint.resolve(0))
                                    .subscribeOn(Schedulers.boundedElastic())
                                    .map(address -> MqttConnection.open(
                                            endpoint,
                                            login,
                                            KEEP_ALIVE,
                                            timeout,
                                            address,
                                            message -> received(message, topic, answer),
                                            lane)),
                            present -> Mono.firstWithSignal(
                                    present.lost().then(Mono.<JsonNode>empty()),
                                    present.opened().then(answer.asMono().timeout(timeout))),
                            MqttConnection::close);
                })
                .onErrorMap(e -> !(e instanceof RegistrationException), this::translate);
    }

    private static void received(Inbound message, String topic, Sinks.One<JsonNode> answer) {
        if (message.topic().equals(topic)) {
            try {
                answer.tryEmitValue(Messages.read(message.payload()));
            } catch (MalformedMessage e) {
                answer.tryEmitError(malformed(e.why()));
            }
        }
        message.acknowledge();
    }

    private Throwable translate(Throwable failure) {
        OtaException cause = MqttConnection.translate(failure);
        return cause.reason() == Reason.CONNECTION_REFUSED
                ? new RegistrationException(
                        Problem.BAD_SIGNATURE, 0, endpoint + " refused " + name() + ": " + cause.getMessage())
                : cause;
    }

    private String name() {
        return device == null ? "the certificate" : device.toString();
    }

    private static String required(JsonNode answer, String field) {
        JsonNode value = answer.path(field);
        if (!value.isTextual() || value.textValue().isEmpty()) {
            throw malformed(field + ": missing");
        }
        return value.textValue();
    }

    private static ChannelException malformed(String why) {
        return new ChannelException(Reason.MALFORMED_TRIGGER, "Answer to a registration: " + why, null);
    }

    private static String random() {
        byte[] bytes = new byte[16];
        new SecureRandom().nextBytes(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    @Override
    public String toString() {
        return "DynamicRegistration[" + name() + " at " + endpoint + ", " + way + "]";
    }

    /**
     * Says where the platform is and who asks. Required are exactly one of {@link #region}, {@link #instanceId} and
     * {@link #host}, and {@link #product} with {@link #deviceName}, or {@link #certificate}.
     */
    public static final class Builder {

        private final Platform platform = new Platform();
        private @Nullable String productKey;
        private @Nullable Secret productSecret;
        private @Nullable String deviceName;
        private @Nullable KeyManagerFactory certificate;
        private @Nullable CredentialStore store;
        private SignMethod signMethod = SignMethod.HMAC_SHA256;
        private Duration timeout = Duration.ofSeconds(10);
        private Way way = Way.HTTP;

        private Builder() {}

        /** The region of a public instance, such as {@code cn-shanghai}. */
        public Builder region(String region) {
            platform.region(region);
            return this;
        }

        /** The instance; for the ways over MQTT only. */
        public Builder instanceId(String instanceId) {
            platform.instanceId(instanceId, false);
            return this;
        }

        /** The host of a platform anywhere: a name or an address. */
        public Builder host(String host) {
            platform.host(host);
            return this;
        }

        /** The port. Defaults to 443 for HTTP with TLS and 80 without, and for MQTT to what {@link AliyunDevice.Builder#port} does. */
        public Builder port(int port) {
            platform.port(port);
            return this;
        }

        /** Talks without TLS: everybody on the way can read the secret that is handed out. Defaults to TLS. */
        public Builder plainTcp() {
            platform.plainTcp();
            return this;
        }

        /** The certificate authorities to trust, instead of the Java platform's: a file of PEM certificates. */
        public Builder trust(Path authorities) {
            platform.trust(authorities);
            return this;
        }

        /** The product and its secret, which all its devices have. */
        public Builder product(String productKey, String productSecret) {
            this.productKey = productKey;
            this.productSecret = new Secret(productSecret);
            return this;
        }

        /** The name of the device, often its serial number. */
        public Builder deviceName(String deviceName) {
            this.deviceName = deviceName;
            return this;
        }

        /** How the platform is asked. Defaults to {@link Way#HTTP}, and to {@link Way#CERTIFICATE} with a certificate. */
        public Builder way(Way way) {
            this.way = way;
            return this;
        }

        /** The device's certificate and its key, as in {@link AliyunDevice.Builder#certificate}. */
        public Builder certificate(Path chain, Path key) {
            this.certificate = Pem.identity(chain, key);
            return way(Way.CERTIFICATE);
        }

        /** Where the credentials are looked for first and kept. Defaults to nowhere: then the caller keeps them. */
        public Builder store(CredentialStore store) {
            this.store = store;
            return this;
        }

        /** How the request is signed. Defaults to {@link SignMethod#HMAC_SHA256}. */
        public Builder signMethod(SignMethod signMethod) {
            this.signMethod = signMethod;
            return this;
        }

        /** How long the platform may take: to connect, and to answer. Defaults to 10 seconds each. */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /**
         * Checks everything. Nothing is asked yet.
         *
         * @throws IllegalArgumentException when a value is missing or out of range, or the authorities cannot be read
         */
        public DynamicRegistration build() {
            if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException("timeout: " + timeout + " (expected: more than 0, at most 1 day)");
            }
            if ((way == Way.CERTIFICATE) != (certificate != null)) {
                throw new IllegalArgumentException("certificate: " + (certificate == null ? "none" : "given")
                        + " (expected: one with Way.CERTIFICATE, and only then)");
            }
            if (way == Way.CERTIFICATE) {
                return new DynamicRegistration(this, platform.mqtt("", certificate), null, new Secret(""));
            }
            if (productKey == null || productSecret == null || deviceName == null) {
                throw new IllegalArgumentException("product: none (expected: product key, its secret, device name)");
            }
            if (productSecret.value().isEmpty()) {
                throw new IllegalArgumentException("product secret: empty");
            }
            Endpoint endpoint = way == Way.HTTP ? platform.http() : platform.mqtt(productKey, null);
            return new DynamicRegistration(
                    this, endpoint, new DeviceId(productKey, deviceName), Objects.requireNonNull(productSecret));
        }
    }
}
