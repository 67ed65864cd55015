package io.otaflux.transport.aliyun;

import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeChannel;
import io.otaflux.callback.DeviceHandles;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Collection;
import java.util.Objects;
import java.util.stream.Stream;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A device's connection to an Alibaba Cloud IoT platform, or to one that speaks its protocol: MQTT 3.1.1 with one secret
 * per device.
 *
 * <p>It connects at the first use, which is {@link #connect()} or a subscription to one of its {@link #upgrades()}, and
 * from then on whenever the connection is gone, until it is {@linkplain #close() closed}. Between attempts it waits a
 * random time, so that a thousand devices do not come back together. It never gives up on a network that fails. It gives
 * up on a platform that refuses the device: at the first refusal, or at the tenth in a row if it had been let in before;
 * the next use begins anew.
 *
 * <p>After each reconnect it subscribes again, reports again the versions it knows, and asks whether an upgrade is
 * pending.
 */
public final class AliyunDevice {

    private final Settings settings;
    private final Conversation conversation;
    private final UpgradeChannel upgrades;
    private int handle;

    private AliyunDevice(Settings settings) {
        this.settings = settings;
        this.conversation = new Conversation(settings);
        this.upgrades = new AliyunChannel(settings.device(), conversation);
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Who this device is: product key and device name. */
    public DeviceId id() {
        return settings.device();
    }

    /**
     * The channel over which upgrades come and are reported, always the same one. Its triggers and its reports are those
     * of this device and of those that it {@linkplain AliyunGateway#login logged in}; another device is an
     * {@link IllegalArgumentException}. Reports of one that has no session at the moment wait; of one that the platform
     * refuses, or that was logged out, they error with {@link GatewayException}. Its signals come on a thread that must not
     * be blocked.
     */
    public UpgradeChannel upgrades() {
        return upgrades;
    }

    /**
     * This device as the gateway of others, always the same one. From the first call on it listens to what platforms tell
     * gateways.
     */
    public AliyunGateway gateway() {
        return conversation.gateway();
    }

    /**
     * Connects, if that has not happened yet, and waits for the network as long as it takes.
     *
     * @return a {@code Mono} that completes when the device is connected, at once if it is. It errors with
     *     {@link ChannelException}: {@link Reason#CONNECTION_REFUSED} when the platform refuses the device,
     *     {@link Reason#TIMEOUT} when {@link Builder#networkTimeout} has passed (the device goes on trying), and
     *     {@link Reason#CONNECTION_LOST} when it is closed. Cancelling it stops the waiting, not the connecting
     */
    public Mono<Void> connect() {
        Mono<Void> connected = conversation.connected();
        Duration limit = settings.networkTimeout();
        return limit == null
                ? connected
                : connected.timeout(
                        limit,
                        Mono.error(() -> new ChannelException(
                                Reason.TIMEOUT, "Not connected to " + settings.endpoint() + " within " + limit, null)));
    }

    /**
     * What happens to the connection, from the moment of subscription.
     *
     * @return a {@code Flux} for any number of subscribers that never errors and completes when the device is closed. It
     *     waits for nobody: a subscriber without demand misses events
     */
    public Flux<DeviceEvent> events() {
        return conversation.events();
    }

    /** How many messages of the platform were skipped because they could not be understood or followed. */
    public long skippedMessages() {
        return conversation.skipped();
    }

    /**
     * The number by which callback-style programs name this device to {@code Ota.init}; always the same one. It is
     * forgotten when the device is closed.
     */
    public synchronized int getDeviceHandle() {
        if (handle == 0) {
            handle = DeviceHandles.register(upgrades);
        }
        return handle;
    }

    /**
     * Says goodbye to the platform and ends everything for good. Reports that still wait error, and triggers complete;
     * deliveries that were not acknowledged are delivered again to the device's next life.
     *
     * @return a {@code Mono} that completes when the connection is closed. Closing begins at subscription, is not stopped
     *     by cancelling, and may be asked for again
     */
    public Mono<Void> close() {
        return conversation.close().doFirst(this::forgetHandle);
    }

    private synchronized void forgetHandle() {
        DeviceHandles.unregister(handle);
    }

    @Override
    public String toString() {
        return "AliyunDevice[" + settings.device() + " at " + settings.endpoint() + "]";
    }

    /**
     * Says where the platform is and who the device is. Required are {@link #credentials} and exactly one of
     * {@link #region}, {@link #instanceId} and {@link #host}.
     */
    public static final class Builder {

        private static final Duration MIN_KEEP_ALIVE = Duration.ofSeconds(30);
        private static final Duration MAX_KEEP_ALIVE = Duration.ofMinutes(20);

        private @Nullable String region;
        private @Nullable String instanceId;
        private @Nullable String host;
        private int port;
        private boolean tls = true;
        private @Nullable Path authorities;
        private @Nullable String productKey;
        private @Nullable String deviceName;
        private @Nullable Secret deviceSecret;
        private @Nullable String clientId;
        private SignMethod signMethod = SignMethod.HMAC_SHA256;
        private Duration keepAlive = Duration.ofMinutes(5);
        private Duration timeout = Duration.ofSeconds(10);
        private @Nullable Duration networkTimeout;
        private Duration firstWait = Backoff.DEFAULT.first();
        private Duration longestWait = Backoff.DEFAULT.max();
        private Duration splay = Duration.ZERO;
        private Duration stuckAfter = Duration.ofMinutes(5);
        private Duration shortestKeepAlive = MIN_KEEP_ALIVE;

        private Builder() {}

        /** The region of a public instance, such as {@code cn-shanghai}. */
        public Builder region(String region) {
            this.region = region;
            return this;
        }

        /** The instance, for enterprise instances and for public ones that were opened after July 2021. */
        public Builder instanceId(String instanceId) {
            this.instanceId = instanceId;
            return this;
        }

        /** The host of a platform anywhere: a name or an address. */
        public Builder host(String host) {
            this.host = host;
            return this;
        }

        /**
         * The port. Without TLS it defaults to 1883. With TLS it defaults to 8883, except for {@link #region} and
         * {@link #instanceId} without {@link #trust}: these hosts show a public certificate at 1883, and at 8883 one of
         * the platform's own authority, which no Java platform knows.
         */
        public Builder port(int port) {
            this.port = port;
            return this;
        }

        /** Talks without TLS: everybody on the way can read and change what is said. Defaults to TLS. */
        public Builder plainTcp() {
            this.tls = false;
            return this;
        }

        /**
         * The certificate authorities to trust, instead of the Java platform's: a file of one or more PEM certificates.
         * The host name is checked all the same. Read by {@link #build()}.
         */
        public Builder trust(Path authorities) {
            this.authorities = authorities;
            return this;
        }

        /** The device's identity and its secret, as the platform gave them. */
        public Builder credentials(String productKey, String deviceName, String deviceSecret) {
            this.productKey = productKey;
            this.deviceName = deviceName;
            this.deviceSecret = new Secret(deviceSecret);
            return this;
        }

        /** A free text of up to 64 characters that the platform shows. Defaults to {@code productKey.deviceName}. */
        public Builder clientId(String clientId) {
            this.clientId = clientId;
            return this;
        }

        /** How the login is signed. Defaults to {@link SignMethod#HMAC_SHA256}. */
        public Builder signMethod(SignMethod signMethod) {
            this.signMethod = signMethod;
            return this;
        }

        /**
         * How long nothing may be said on the connection, 30 to 1200 seconds; what lasts twice as long is a connection
         * that is dead. Defaults to 300 seconds, as the platform's documents advise.
         */
        public Builder keepAlive(Duration keepAlive) {
            this.keepAlive = keepAlive;
            return this;
        }

        /**
         * How long the platform may take to answer: each of TCP, TLS and MQTT to connect, the broker to acknowledge a
         * report (then the connection counts as dead), the platform to say what is pending (then nothing is). Defaults to
         * 10 seconds.
         */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /** How long {@link AliyunDevice#connect()} waits for a connection. Defaults to waiting for ever. */
        public Builder networkTimeout(Duration networkTimeout) {
            this.networkTimeout = networkTimeout;
            return this;
        }

        /**
         * The bounds of the waits between attempts: each wait is a random time from zero to a bound that doubles from
         * {@code first} to {@code longest}. Defaults to 1 second and 2 minutes.
         */
        public Builder reconnect(Duration first, Duration longest) {
            this.firstWait = first;
            this.longestWait = longest;
            return this;
        }

        /**
         * Waits a random time from zero to {@code longest} before the first attempt of all, so that a thousand devices
         * whose power comes back together do not come together. Defaults to no such wait. Whoever reports or waits for a
         * connection waits longer by that.
         */
        public Builder splay(Duration longest) {
            this.splay = longest;
            return this;
        }

        /**
         * How long a delivery may stay unacknowledged after it was emitted. Brokers take acknowledgements in order, so that
         * one which never comes holds back all behind it, and in the end new triggers. After this time, at the latest after
         * twice as long, the device connects anew: what was not acknowledged is delivered again, and acknowledging the new delivery is enough. Defaults to 5
         * minutes; {@link io.otaflux.OtaClient} needs as long as a write to its journal takes.
         */
        public Builder stuckAfter(Duration limit) {
            this.stuckAfter = limit;
            return this;
        }

        /** Lets tests of dead connections end within a minute. The platform refuses anything below its limit. */
        Builder shortestKeepAlive(Duration shortest) {
            this.shortestKeepAlive = shortest;
            return this;
        }

        /**
         * Checks everything and makes the device. It does not connect yet.
         *
         * @throws IllegalArgumentException when a value is missing or out of range, or the authorities cannot be read
         */
        public AliyunDevice build() {
            if (productKey == null || deviceName == null || deviceSecret == null) {
                throw new IllegalArgumentException("credentials: none (expected: product key, device name, secret)");
            }
            if (deviceSecret.value().isEmpty()) {
                throw new IllegalArgumentException("device secret: empty");
            }
            DeviceId device = new DeviceId(productKey, deviceName);
            String id = Objects.requireNonNullElse(clientId, productKey + "." + deviceName);
            if (!id.matches("[\\x21-\\x7e&&[^|]]{1,64}")) {
                throw new IllegalArgumentException(
                        "client id: " + id.length() + " characters (expected: 1 to 64, printable ASCII without |)");
            }
            if (keepAlive.compareTo(shortestKeepAlive) < 0 || keepAlive.compareTo(MAX_KEEP_ALIVE) > 0) {
                throw new IllegalArgumentException("keep alive: " + keepAlive + " (expected: " + shortestKeepAlive
                        + " to " + MAX_KEEP_ALIVE + ")");
            }
            checkPositive("timeout", timeout);
            checkPositive("stuck after", stuckAfter);
            if (splay.isNegative() || splay.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException("splay: " + splay + " (expected: 0 to 1 day)");
            }
            if (networkTimeout != null) {
                checkPositive("network timeout", networkTimeout);
            }
            return new AliyunDevice(new Settings(
                    device,
                    endpoint(productKey),
                    Login.of(device, deviceSecret, id, signMethod, tls),
                    keepAlive,
                    timeout,
                    networkTimeout,
                    splay,
                    new Backoff(firstWait, longestWait, 0),
                    stuckAfter));
        }

        private Endpoint endpoint(String product) {
            if (Stream.of(region, instanceId, host).filter(Objects::nonNull).count() != 1) {
                throw new IllegalArgumentException("platform: region " + region + ", instance " + instanceId + ", host "
                        + host + " (expected: exactly one of them)");
            }
            if (port < 0 || port > 65535) {
                throw new IllegalArgumentException("port: " + port + " (expected: 1 to 65535)");
            }
            if (!tls && authorities != null) {
                throw new IllegalArgumentException("trust: " + authorities + " (expected: none with plain TCP)");
            }
            boolean publicCertificate = host == null && authorities == null;
            int defaultPort = tls && !publicCertificate ? 8883 : 1883;
            return new Endpoint(
                    hostName(product),
                    port == 0 ? defaultPort : port,
                    tls,
                    authorities == null ? null : authorities(authorities));
        }

        private String hostName(String product) {
            if (host != null) {
                return checked("host", host, "[A-Za-z0-9.:_-]{1,253}");
            }
            String label = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}";
            return region != null
                    ? checked("product key", product, label) + ".iot-as-mqtt." + checked("region", region, label)
                            + ".aliyuncs.com"
                    : checked("instance id", String.valueOf(instanceId), label) + ".mqtt.iothub.aliyuncs.com";
        }

        private static String checked(String what, String value, String pattern) {
            if (!value.matches(pattern)) {
                throw new IllegalArgumentException(
                        what + ": \"" + value.replaceAll("[^\\x20-\\x7e]", "?") + "\" (expected: " + pattern + ")");
            }
            return value;
        }

        private static void checkPositive(String what, Duration duration) {
            if (duration.isNegative() || duration.isZero() || duration.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException(what + ": " + duration + " (expected: more than 0, at most 1 day)");
            }
        }

        private static TrustManagerFactory authorities(Path file) {
            try (InputStream pem = Files.newInputStream(file)) {
                Collection<? extends Certificate> certificates =
                        CertificateFactory.getInstance("X.509").generateCertificates(pem);
                if (certificates.isEmpty()) {
                    throw new IllegalArgumentException("trust: " + file + " has no certificate");
                }
                KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
                keys.load(null, null);
                int number = 0;
                for (Certificate certificate : certificates) {
                    keys.setCertificateEntry("authority-" + number++, certificate);
                }
                TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                trust.init(keys);
                return trust;
            } catch (IOException | GeneralSecurityException e) {
                throw new IllegalArgumentException("trust: " + file + " cannot be read: " + e.getMessage(), e);
            }
        }
    }
}
