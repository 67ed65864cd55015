package io.otaflux.transport.aliyun;

import io.netty.buffer.ByteBuf;
import io.otaflux.ArtifactSource;
import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeChannel;
import io.otaflux.callback.DeviceHandles;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.function.UnaryOperator;
import javax.net.ssl.KeyManagerFactory;
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

    /** The scheme of locations that {@link #streams()} reads: {@code aliyun-stream:{streamId}/{streamFileId}}. */
    public static final String STREAM_SCHEME = "aliyun-stream";

    /**
     * The tag of {@link io.otaflux.UpgradeTrigger#tags()} that carries what the package itself says to the application, as
     * a text which often is JSON; the other tags are those of the job.
     */
    public static final String PACKAGE_INFO = "_package_udi";

    /**
     * The module whose upgrades are remote configurations, where {@link Builder#remoteConfiguration} asks for them: the
     * version is the configuration's id, the artifact its file. No platform's module has this name.
     */
    public static final String CONFIG_MODULE = "_remote-configuration";

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
     * of this device and of those that it {@linkplain AliyunGateway#login logged in}; where it is no gateway, another device is
     * an {@link IllegalArgumentException}. Reports of one that has no session at the moment wait; of one that the platform
     * refuses, or that is not logged in, they error with {@link GatewayException}. Its signals come on a thread that must not
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

    /**
     * The source of what the platform sends over this connection instead of naming a URL, in blocks of 64 KiB of which four
     * are under way at a time. Configure it with {@code source(AliyunDevice.STREAM_SCHEME, device.streams())} of
     * {@link io.otaflux.OtaClient.Builder}; without it such upgrades fail.
     */
    public ArtifactSource streams() {
        return streams(64 * 1024, 4);
    }

    /**
     * The same with blocks of another size. It reads locations {@code aliyun-stream:{streamId}/{streamFileId}}, which may
     * be those of a device behind this one, too. It waits for a connection, goes on at any byte, and recognises a file by its length and
     * its beginning. A block whose reply is damaged or takes longer than {@link Builder#timeout} is asked for again; after the
     * fourth time, and when the connection is lost, it errors with {@link io.otaflux.TransferException}.
     *
     * @param blockSize how many bytes are asked for at a time, 256 to 131072
     * @param inFlight how many blocks of a file may be on their way or wait to be taken, 1 to 64: memory is their product
     * @throws IllegalArgumentException when one of them is out of its range
     */
    public ArtifactSource streams(int blockSize, int inFlight) {
        return streams(blockSize, inFlight, UnaryOperator.identity());
    }

    /** @param ledger sees every buffer that goes out */
    ArtifactSource streams(int blockSize, int inFlight, UnaryOperator<ByteBuf> ledger) {
        return conversation.downloads().source(blockSize, inFlight, ledger);
    }

    /**
     * Asks the platform whether an upgrade of {@code module} is pending, and hands it to whoever takes the triggers of
     * {@link #upgrades()}, as if it had been pushed. The device asks by itself once per module and connection, when the
     * module's version was reported; an upgrade that is never pushed, but waits to be asked for, is found by this at any
     * other time.
     *
     * @return a {@code Mono} that emits whether one is pending. It waits for a connection, and errors with
     *     {@link io.otaflux.TransferException} when the platform does not answer or wants to be asked later, with
     *     {@link ChannelException} when it refuses the device
     */
    public Mono<Boolean> askForUpgrade(String module) {
        return askForUpgrade(id(), module);
    }

    /** The same for a device behind this one. */
    public Mono<Boolean> askForUpgrade(DeviceId device, String module) {
        return Mono.defer(() -> {
            conversation.checkKnown(device);
            return conversation.askFor(device, module);
        });
    }

    /** For callback programs, which say and hear what else they like over this connection. */
    Conversation conversation() {
        return conversation;
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

        private final Platform platform = new Platform();
        private @Nullable Credentials credentials;
        private @Nullable KeyManagerFactory certificate;
        private @Nullable String clientId;
        private SignMethod signMethod = SignMethod.HMAC_SHA256;
        private Duration keepAlive = Duration.ofMinutes(5);
        private Duration timeout = Duration.ofSeconds(10);
        private @Nullable Duration networkTimeout;
        private Duration firstWait = Backoff.DEFAULT.first();
        private Duration longestWait = Backoff.DEFAULT.max();
        private Duration splay = Duration.ZERO;
        private boolean remoteConfiguration;
        private boolean legacyQueries;
        private Duration stuckAfter = Duration.ofMinutes(5);
        private Duration questionPause = Duration.ofMinutes(1);
        private Duration shortestKeepAlive = MIN_KEEP_ALIVE;

        private Builder() {}

        /** The region of a public instance, such as {@code cn-shanghai}. */
        public Builder region(String region) {
            platform.region(region);
            return this;
        }

        /** The instance, for enterprise instances and for public ones that were opened after July 2021. */
        public Builder instanceId(String instanceId) {
            platform.instanceId(instanceId, false);
            return this;
        }

        /** The instance, for those enterprise instances whose host is {@code {instanceId}.iot-as-mqtt.unify.aliyuncs.com}. */
        public Builder unifiedInstanceId(String instanceId) {
            platform.instanceId(instanceId, true);
            return this;
        }

        /** The host of a platform anywhere: a name or an address. */
        public Builder host(String host) {
            platform.host(host);
            return this;
        }

        /**
         * The port. Without TLS it defaults to 1883. With TLS it defaults to 8883, except for {@link #region} and
         * {@link #instanceId} without {@link #trust}: these hosts show a public certificate at 1883, and at 8883 one of
         * the platform's own authority, which no Java platform knows.
         */
        public Builder port(int port) {
            platform.port(port);
            return this;
        }

        /** Talks without TLS: everybody on the way can read and change what is said. Defaults to TLS. */
        public Builder plainTcp() {
            platform.plainTcp();
            return this;
        }

        /**
         * The certificate authorities to trust, instead of the Java platform's: a file of one or more PEM certificates.
         * The host name is checked all the same. Read by {@link #build()}.
         */
        public Builder trust(Path authorities) {
            platform.trust(authorities);
            return this;
        }

        /** The device's identity and its secret, as the platform gave them. */
        public Builder credentials(String productKey, String deviceName, String deviceSecret) {
            return credentials(new Credentials.DeviceSecret(new DeviceId(productKey, deviceName), deviceSecret));
        }

        /** The device's identity and what proves it, such as {@link DynamicRegistration} emits and stores keep. */
        public Builder credentials(Credentials credentials) {
            this.credentials = credentials;
            return this;
        }

        /**
         * The certificate by which the device proves who it is, in place of a secret; {@link Credentials.Certified} says who
         * that is, and {@link DynamicRegistration.Way#CERTIFICATE} asks the platform. Both are PEM files, read at once.
         *
         * @param chain the device's certificate, then those that lead to its authority
         * @param key its key, not encrypted
         * @throws IllegalArgumentException when one of them cannot be read or used
         */
        public Builder certificate(Path chain, Path key) {
            this.certificate = Pem.identity(chain, key);
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

        /**
         * Listens to the platform's remote configuration, and asks for it on each connection. It comes as an upgrade of
         * {@link AliyunDevice#CONFIG_MODULE}, which needs an installer, and is reported to nobody. Defaults to not.
         */
        public Builder remoteConfiguration() {
            this.remoteConfiguration = true;
            return this;
        }

        /**
         * Asks on {@code /ota/device/request}, as platforms of 2018 want it, in place of {@code thing/ota/firmware/get}. Such
         * a platform knows the firmware only. Defaults to not.
         */
        public Builder legacyQueries() {
            this.legacyQueries = true;
            return this;
        }

        /** Lets tests of platforms that were asked too often end within a minute, in which such a platform counts. */
        Builder questionPause(Duration pause) {
            this.questionPause = pause;
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
            if (credentials == null) {
                throw new IllegalArgumentException("credentials: none (expected: product key, device name, secret)");
            }
            if ((credentials instanceof Credentials.Certified) != (certificate != null)) {
                throw new IllegalArgumentException("certificate: " + (certificate == null ? "none" : "given")
                        + " (expected: one with Credentials.Certified, and only then)");
            }
            DeviceId device = credentials.device();
            String id = Objects.requireNonNullElse(clientId, device.product() + "." + device.name());
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
                    platform.mqtt(device.product(), certificate),
                    Login.of(credentials, id, signMethod, platform.tls()),
                    keepAlive,
                    timeout,
                    networkTimeout,
                    splay,
                    new Backoff(firstWait, longestWait, 0),
                    stuckAfter,
                    questionPause,
                    remoteConfiguration,
                    legacyQueries));
        }

        private static void checkPositive(String what, Duration duration) {
            if (duration.isNegative() || duration.isZero() || duration.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException(what + ": " + duration + " (expected: more than 0, at most 1 day)");
            }
        }
    }
}
