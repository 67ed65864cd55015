package io.otaflux.samples.platform;

import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.util.concurrent.ImmediateEventExecutor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.DisposableServer;
import reactor.netty.FutureMono;
import reactor.netty.http.server.HttpServer;
import reactor.netty.resources.LoopResources;

/**
 * An OTA platform for one machine that speaks the server side of the Alibaba Cloud IoT device protocol to any client.
 *
 * <pre>{@code
 * try (Platform platform = Platform.builder().dataDirectory(directory).start()) {
 *     platform.createProduct("a1gateway");
 *     DeviceCredentials login = platform.createDevice("a1gateway", "edge-7");
 *     // … a device connects to platform.mqttPort() with that login and reports version 1.0.0 …
 *     FirmwarePackage firmware = platform.addPackage("a1gateway", "app", "2.0.0", file, SignMethod.SHA256);
 *     Job job = platform.createJob(JobRequest.of(firmware.id()).withDevices("edge-7"));
 *     platform.jobEnd(job.id()).block();
 * }
 * }</pre>
 *
 * <p>The methods that ask or change something block until the answer is there and the change is on disk; they must not be
 * called from a non-blocking thread. They throw {@link RequestRefusedException} if the platform refuses. All methods may be called
 * from any thread.
 *
 */
public final class Platform implements AutoCloseable {

    private static final Logger log = LoggerFactory.getLogger(Platform.class);
    private static final Duration SWEEP = Duration.ofSeconds(1);
    private static final Duration SHUTDOWN = Duration.ofSeconds(5);
    private static final Duration IDLE = Duration.ofSeconds(60);

    private final Deque<AutoCloseable> running = new ArrayDeque<>();
    private final Scheduler time;
    private final ArtifactFiles artifacts;
    private final FileBlocks blocks;
    private final SignedUrls urls;
    private final Operations operations;
    private final FileServer files;
    private final Jobs jobs;
    private final Broker broker;
    private final DeviceConversation conversation;
    private final DisposableServer http;
    private final String token;
    private final URI downloadBase;
    private boolean closed;

    private Platform(Builder settings) throws IOException {
        try {
            Path directory = settings.dataDirectory;
            DurableFiles.createPrivateDirectory(directory);
            this.time = settings.time == null ? ownTime() : settings.time;

            PlatformState state = new PlatformState();
            StateLog stateLog = new StateLog(directory, state);
            this.jobs = new Jobs(state);
            StateLoop loop = new StateLoop(state, stateLog, this::committed);
            running.push(loop);
            this.operations = new Operations(
                    loop,
                    state,
                    jobs,
                    new DigestSigner(directory, settings.signingKey),
                    this::now,
                    device -> broker().disconnect(device));
            running.push(operations::close);
            this.artifacts = new ArtifactFiles(directory, settings.maxPackageBytes);
            running.push(artifacts);
            artifacts.keepOnly(filesOf(state));
            this.blocks = new FileBlocks(state, artifacts);
            this.token = settings.newToken
                    ? DurableFiles.newSecret(directory, "token")
                    : DurableFiles.secret(directory, "token");
            this.urls = new SignedUrls(DurableFiles.secret(directory, "url-key"), settings.urlLifetime);

            this.broker = settings.broker == null
                    ? new EmbeddedBroker(
                            settings.host,
                            settings.mqttPort,
                            settings.tls,
                            directory.resolve("broker"),
                            new DeviceAuthenticator(operations.credentials()),
                            operations::gatewayOf,
                            new BrokerPresence())
                    : settings.broker;
            running.push(broker);
            if (!broker.tellsPresence()) {
                // Nobody says who is connected, so whoever ever reported may be: a push that nobody hears is repeated.
                state.devices().stream()
                        .filter(device -> !device.versions().isEmpty())
                        .forEach(device -> jobs.startedListening(device.key(), now()));
            }
            String clientId = "otaflux-platform-"
                    + DurableFiles.secret(directory, "client-id").substring(0, 8);
            this.conversation = new DeviceConversation(broker, clientId, new DeviceReports());
            running.push(conversation);

            LoopResources loops = LoopResources.create("platform-http", 2, true);
            running.push(() -> loops.disposeLater(Duration.ZERO, SHUTDOWN).block(SHUTDOWN));
            // An event loop that ends without a quiet period can miss to close its connections (Netty 4.2.18).
            ChannelGroup connections = new DefaultChannelGroup(ImmediateEventExecutor.INSTANCE, true);
            running.push(() ->
                    FutureMono.deferFuture(connections::close).onErrorComplete().block(SHUTDOWN));
            this.files = new FileServer(artifacts, urls, this::now, Schedulers.boundedElastic());
            Access access = Access.of(token, settings.host, settings.downloadBase);
            RestApi api = new RestApi(operations, artifacts, access);
            WebPage page = new WebPage();
            DeviceAuthApi auth = new DeviceAuthApi(operations, broker);
            this.http = HttpServer.create()
                    .host(settings.host)
                    .port(settings.httpPort)
                    .runOn(loops)
                    .idleTimeout(IDLE)
                    .doOnChannelInit((observer, channel, remote) -> connections.add(channel))
                    .handle((request, response) -> Mono.defer(() -> {
                                if (!isWellFormed(request.uri())) {
                                    return response.status(HttpResponseStatus.BAD_REQUEST)
                                            .header(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE)
                                            .header(HttpHeaderNames.CONTENT_LENGTH, HttpHeaderValues.ZERO)
                                            .send();
                                }
                                if (request.uri().startsWith(SignedUrls.PATH)) {
                                    return files.serve(request, response);
                                }
                                if (request.uri().startsWith(DeviceAuthApi.PATH)) {
                                    return auth.serve(request, response);
                                }
                                return page.has(request)
                                                && access.isForUs(
                                                        request.requestHeaders().get(HttpHeaderNames.HOST))
                                        ? page.serve(request, response)
                                        : api.serve(request, response);
                            })
                            // Not on the event loop: a kept connection whose next request comes early, and is answered
                            // within the call that brings it, is never read from again (Reactor Netty 1.3.6 and 1.3.7).
                            .subscribeOn(Schedulers.parallel()))
                    .bindNow();
            running.push(() -> http.disposeNow(SHUTDOWN));
            this.downloadBase = settings.downloadBase == null ? httpUri() : settings.downloadBase;

            // Last: the first command can have effects, and those need everything else.
            loop.start();
            conversation.start().block();
            var sweep = time.schedulePeriodically(
                    operations::advance, SWEEP.toMillis(), SWEEP.toMillis(), TimeUnit.MILLISECONDS);
            running.push(sweep::dispose);
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /** A builder with a free port for each protocol, bound to the loopback address, and the embedded broker. */
    public static Builder builder() {
        return new Builder();
    }

    /** The port that devices connect to; an external broker's if there is one. */
    public int mqttPort() {
        return broker.port();
    }

    /** The port that devices connect to with TLS, or 0 if the platform was given no certificate. */
    public int mqttTlsPort() {
        return broker.tlsPort();
    }

    /** The port of the file server and the REST API. */
    public int httpPort() {
        return http.port();
    }

    /** Where the file server and the REST API are, without a slash at the end. */
    public URI httpUri() {
        String host = http.host().contains(":") ? "[" + http.host() + "]" : http.host();
        return URI.create("http://" + host + ":" + http.port());
    }

    /** What the REST API wants as bearer token; also in the file {@code token} of the data directory. */
    public String token() {
        return token;
    }

    /**
     * The page for a person, with the token behind the {@code #}: a browser does not send that part to anybody, and the page
     * takes it out of the address at once. To be shown to whoever starts the platform, and not to be logged.
     */
    public URI pageUri() {
        return URI.create(downloadBase + (downloadBase.toString().endsWith("/") ? "" : "/") + "#token=" + token);
    }

    /** Creates a product; its secret is not told again. */
    public ProductCredentials createProduct(String productKey) {
        return await(operations.createProduct(productKey));
    }

    /** Creates a device with a secret of its own. */
    public DeviceCredentials createDevice(String productKey, String deviceName) {
        return await(operations.createDevice(new DeviceKey(productKey, deviceName)));
    }

    /** The devices of a product, by name. */
    public List<Device> devices(String productKey) {
        return await(operations.devices(productKey));
    }

    /** One device. */
    public Device device(String productKey, String deviceName) {
        return await(operations.device(new DeviceKey(productKey, deviceName)));
    }

    /** Switches on or off that devices of a product may fetch their secrets with the product's. */
    public Product allowDynamicRegistration(String productKey, boolean allowed) {
        return await(operations.allowDynamicRegistration(productKey, allowed));
    }

    /**
     * Says which certificate a device may log in with.
     *
     * @param fingerprint SHA-256 of the certificate in hex, with or without colons; null for none
     */
    public Device trustCertificate(DeviceKey device, @Nullable String fingerprint) {
        return await(operations.trustCertificate(device, Limits.fingerprint(fingerprint)));
    }

    /**
     * Sets the remote configuration of a product's devices, at most 64 KiB; those that are online are told.
     *
     * @param content the file's bytes
     */
    public RemoteConfig configure(String productKey, byte[] content) {
        return await(operations.configure(productKey, artifacts.store(content, Limits.MAX_CONFIG_BYTES)));
    }

    /** The devices that are in a gateway's topology, by product and name. */
    public List<Device> topology(String productKey, String deviceName) {
        return await(operations.topology(new DeviceKey(productKey, deviceName)));
    }

    /** Shuts a device out and ends its connection or session, or lets it in again; its gateway is told. */
    public Device disable(DeviceKey device, boolean disabled) {
        return await(operations.disable(device, disabled));
    }

    /** Forgets a device, cancels its tasks and frees its sub-devices; its gateway is told. */
    public Device deleteDevice(DeviceKey device) {
        return await(operations.deleteDevice(device));
    }

    /** Puts a device into a gateway's topology and tells the gateway. */
    public Device link(DeviceKey gateway, DeviceKey device) {
        return await(operations.link(gateway, device));
    }

    /** Takes a device out of a gateway's topology, ends its session and tells the gateway. */
    public Device unlink(DeviceKey gateway, DeviceKey device) {
        return await(operations.unlink(gateway, device));
    }

    /** Asks a gateway to add a device to its topology. */
    public Device invite(DeviceKey gateway, DeviceKey device) {
        return await(operations.invite(gateway, device));
    }

    /** Adds a package with a copy of a file. */
    public FirmwarePackage addPackage(
            String productKey, String module, String version, Path file, SignMethod signMethod) {
        return addPackage(PackageRequest.of(productKey, module, version).withSignMethod(signMethod), file);
    }

    /** Adds a package with a copy of a file. */
    public FirmwarePackage addPackage(PackageRequest request, Path file) {
        return await(operations.addPackage(request, null, copy(file))).firmware();
    }

    /**
     * Adds a package with copies of several files.
     *
     * @param files at most 20 by their names, in their order
     */
    public FirmwarePackage addPackage(PackageRequest request, Map<String, Path> files) {
        return await(Flux.fromIterable(files.entrySet())
                        .concatMap(file -> operations
                                .upload(copy(file.getValue()))
                                .map(stored -> new Operations.UploadedFile(file.getKey(), stored.sha256())))
                        .collectList()
                        .flatMap(uploaded -> operations.addPackage(request, uploaded)))
                .firmware();
    }

    private Mono<ArtifactFiles.StoredFile> copy(Path file) {
        return Mono.fromCallable(() -> artifacts.store(file)).subscribeOn(Schedulers.boundedElastic());
    }

    /** Makes a group of devices of a product what is said, or creates it. */
    public DeviceGroup putGroup(String productKey, String name, List<String> devices) {
        return await(operations.putGroup(productKey, name, devices));
    }

    /** Creates a job; see {@link JobRequest} for what becomes of each device. */
    public Job createJob(JobRequest request) {
        return await(operations.createJob(request));
    }

    /** Cancels the unfinished tasks of a job. Devices are not told: the protocol has no message for it. */
    public Job cancelJob(String jobId) {
        return cancelJob(jobId, CancelFlags.ALL);
    }

    /** Cancels some of the unfinished tasks of a job. Devices are not told. */
    public Job cancelJob(String jobId, CancelFlags flags) {
        return await(operations.cancelJob(jobId, flags));
    }

    /** A dynamic job takes no more devices; the tasks there are go on. */
    public Job stopJob(String jobId) {
        return await(operations.stopJob(jobId));
    }

    /** Confirms tasks, at most ten, that wait for it. */
    public List<Task> confirm(String... taskIds) {
        return await(operations.confirm(List.of(taskIds)));
    }

    /** Has tasks, at most ten, that failed or were cancelled done once more. */
    public List<Task> restart(String... taskIds) {
        return await(operations.restart(List.of(taskIds)));
    }

    /** A job as it is now. */
    public Job job(String jobId) {
        return await(operations.job(jobId));
    }

    /** The tasks of a job as they are now. */
    public List<Task> tasks(String jobId) {
        return await(operations.tasks(jobId));
    }

    /**
     * Task changes, from the moment of subscription.
     *
     * @return a Flux that emits each change after it is on disk, in order, completes when the platform is closed, and fails
     *     for a subscriber that falls tens of thousands of changes behind
     */
    public Flux<TaskChange> taskChanges() {
        return operations.events().ofType(TaskChange.class);
    }

    /**
     * Waits for the end of a job.
     *
     * @return a Mono that emits the job when its last task has ended; it never does if a device never answers and the job has
     *     no time limit
     */
    public Mono<Job> jobEnd(String jobId) {
        return operations.watch(jobId).then(operations.job(jobId));
    }

    /** Pushes a task to its device once more, with a fresh URL, whatever its status; returns when the broker has it. */
    public void repush(String jobId, String productKey, String deviceName) {
        await(operations
                .repush(jobId, new DeviceKey(productKey, deviceName))
                .flatMap(offer -> push(offer).thenReturn(offer)));
    }

    /** Publishes any bytes to a device's upgrade topic, for tests of what a device makes of them. */
    public void pushRaw(String productKey, String deviceName, byte[] payload) {
        DeviceKey device = new DeviceKey(productKey, deviceName);
        await(conversation
                .publish(device, DeviceTopics.upgrade(device), payload)
                .thenReturn(device));
    }

    /** How many messages of devices were ignored because they could not be understood. */
    public long ignoredMessages() {
        return conversation.ignoredMessages();
    }

    /** How many requests of devices were answered with bytes of a package's file, the whole or a part. */
    public long downloads() {
        return files.downloads();
    }

    /** How many bytes of files they were promised. */
    public long downloadedBytes() {
        return files.downloadedBytes();
    }

    /** Stops the servers, then closes the state. What is on disk is complete at any time; this only ends things in order. */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        while (!running.isEmpty()) {
            try {
                running.pop().close();
            } catch (Exception e) {
                log.warn("a part of the platform did not stop cleanly", e);
            }
        }
    }

    private Scheduler ownTime() {
        Scheduler single = Schedulers.newSingle("platform-time", true);
        running.push(single::dispose);
        return single;
    }

    /** Whether all that is escaped in a path and a query can be read. */
    private static boolean isWellFormed(String uri) {
        try {
            QueryStringDecoder decoder = new QueryStringDecoder(uri);
            return !decoder.path().isEmpty() && decoder.parameters() != null;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** The digests of all files that devices can still be sent to. */
    private static Set<String> filesOf(PlatformState state) {
        Stream<String> packages = state.packages().stream()
                .flatMap(firmware -> firmware.files().stream())
                .map(PackageFile::sha256);
        Stream<String> configurations = state.products().stream()
                .map(RegisteredProduct::config)
                .flatMap(Stream::ofNullable)
                .map(RemoteConfig::sha256);
        return Stream.concat(packages, configurations).collect(Collectors.toSet());
    }

    /** A method, since what uses it is made before the broker is. */
    private Broker broker() {
        return broker;
    }

    private Instant now() {
        return Instant.ofEpochMilli(time.now(TimeUnit.MILLISECONDS));
    }

    /** On the state's thread, after the changes are durable. */
    private void committed(List<StateEntry> changes) {
        for (SubDevices.Notice notice : operations.takeNotices()) {
            conversation
                    .publishOver(notice.connection(), notice.topic(), notice.payload())
                    .subscribe(
                            ignored -> {},
                            error -> log.warn("gateway {} could not be told something", notice.connection(), error));
        }
        for (Operations.ConfigPush push : operations.takeConfigPushes()) {
            push(push)
                    .subscribe(
                            ignored -> {},
                            error -> log.warn("device {} could not be told its configuration", push.device(), error));
        }
        for (Jobs.Offer offer : jobs.takePushes()) {
            push(offer)
                    .subscribe(
                            ignored -> {},
                            error -> log.warn(
                                    "task {} could not be pushed; it will be when its device is heard of again",
                                    offer.task().id(),
                                    error));
        }
        operations.announce(changes);
    }

    private Mono<Void> push(Operations.ConfigPush push) {
        return Mono.defer(() -> conversation.publish(
                push.device(),
                DeviceTopics.system(push.device(), "thing/config/push"),
                DeviceMessages.request(
                        now().toEpochMilli(),
                        "thing.config.push",
                        DeviceMessages.config(push.config(), url(push.config().sha256())))));
    }

    private Mono<Void> push(Jobs.Offer offer) {
        DeviceKey device = offer.task().device();
        return Mono.defer(() -> conversation.publish(
                device, DeviceTopics.upgrade(device), DeviceMessages.push(offer, this::url, now())));
    }

    private URI url(PackageFile file) {
        return url(file.sha256());
    }

    private URI url(String sha256) {
        return urls.sign(downloadBase, sha256, now());
    }

    private static <T> T await(Mono<T> answer) {
        try {
            return answer.toFuture().join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RequestRefusedException refused) {
                throw refused;
            }
            if (e.getCause() instanceof IOException io) {
                throw new UncheckedIOException(io);
            }
            throw e;
        }
    }

    private final class BrokerPresence implements Broker.Presence {

        @Override
        public void startedListening(DeviceKey device) {
            operations.startedListening(device);
        }

        @Override
        public void stoppedListening(DeviceKey device) {
            operations.stoppedListening(device);
        }

        @Override
        public void connected(DeviceKey device) {
            operations.connected(device);
        }

        @Override
        public void disconnected(DeviceKey device) {
            operations.disconnected(device);
        }

        @Override
        public void refused(DeviceKey connection, DeviceKey device) {
            operations.refused(connection, device);
        }
    }

    private final class DeviceReports implements DeviceConversation.Listener {

        @Override
        public Mono<Void> informed(DeviceKey device, DeviceMessages.Inform inform) {
            boolean reportIsOnlySign = !broker.tellsPresence();
            return operations
                    .informed(device, inform, reportIsOnlySign)
                    .doOnNext(known -> {
                        if (reportIsOnlySign && known) {
                            operations.heard(device);
                        }
                    })
                    .then();
        }

        @Override
        public Mono<Void> progressed(DeviceKey device, DeviceMessages.Progress progress) {
            return operations.progressed(device, progress).then();
        }

        @Override
        public Mono<byte[]> queried(DeviceKey device, DeviceMessages.Query query) {
            return operations
                    .queried(device, query.module())
                    .map(found -> found.map(offer -> DeviceMessages.queryReply(query, offer, Platform.this::url))
                            .orElseGet(() -> DeviceMessages.emptyQueryReply(query)))
                    .onErrorResume(
                            DeviceRefusedException.class,
                            refused -> Mono.just(DeviceMessages.refusal(query.id(), refused)));
        }

        @Override
        public Mono<byte[]> requested(DeviceKey device, DeviceTopics.Kind kind, DeviceMessages.Request request) {
            if (!broker.tellsPresence()) {
                operations.heard(device);
            }
            return switch (kind) {
                case FILE_DOWNLOAD -> block(device, request);
                case CONFIG_GET -> config(device, request);
                default -> operations.requested(device, kind, request);
            };
        }

        private Mono<byte[]> config(DeviceKey device, DeviceMessages.Request request) {
            return operations
                    .configFor(device)
                    .map(config -> DeviceMessages.reply(
                            request.id(), 200, DeviceMessages.config(config, url(config.sha256())), "success"))
                    .onErrorResume(
                            DeviceRefusedException.class,
                            refused -> Mono.just(DeviceMessages.refusal(request.id(), refused)));
        }

        private Mono<byte[]> block(DeviceKey device, DeviceMessages.Request request) {
            return operations
                    .run(() -> blocks.find(device, request))
                    .publishOn(Schedulers.boundedElastic())
                    .map(blocks::read)
                    .onErrorResume(
                            DeviceRefusedException.class,
                            refused -> Mono.just(FileBlocks.refusal(request.id(), refused)));
        }

        @Override
        public DeviceKey connection(DeviceKey device) {
            return operations.connection(device);
        }
    }

    /** Settings of a platform. */
    public static final class Builder {

        private static final Duration DAY = Duration.ofHours(24);
        private static final long TWO_THOUSAND_MIB = 2000L << 20;

        private Path dataDirectory = Path.of("platform-data");
        private int mqttPort;
        private @Nullable TlsSettings tls;
        private int httpPort;
        private String host = "127.0.0.1";
        private @Nullable URI brokerUri;
        private Broker.@Nullable Login brokerLogin;
        private @Nullable Broker broker;
        private @Nullable URI downloadBase;
        private Duration urlLifetime = DAY;
        private boolean newToken;
        private long maxPackageBytes = TWO_THOUSAND_MIB;
        private @Nullable Scheduler time;
        private @Nullable Path signingKey;

        private Builder() {}

        /** Where the state is kept; created if missing. Defaults to {@code platform-data} in the working directory. */
        public Builder dataDirectory(Path directory) {
            this.dataDirectory = directory;
            return this;
        }

        /** Port of the embedded broker. Defaults to 0, any free one. */
        public Builder mqttPort(int port) {
            this.mqttPort = port;
            return this;
        }

        /**
         * Listens for devices with TLS as well, at a port of its own ({@link Platform#mqttTlsPort()}). Defaults to not.
         *
         * @param port the port, or 0 for any free one
         * @param certificate PEM file of the certificate, with those that lead to the authority behind it
         * @param key PEM file of its private key, PKCS #8 and not encrypted
         * @param clientAuthorities PEM file of the authorities of certificates that devices may log in with, or null for none
         */
        public Builder tls(int port, Path certificate, Path key, @Nullable Path clientAuthorities) {
            this.tls = new TlsSettings(port, certificate, key, clientAuthorities);
            return this;
        }

        /** Port of the file server and the REST API. Defaults to 0, any free one. */
        public Builder httpPort(int port) {
            this.httpPort = port;
            return this;
        }

        /**
         * Address to listen on. Defaults to {@code 127.0.0.1}: who opens the platform to a network should have meant to, and
         * put something in front of it that speaks TLS. On the loopback address the REST API and the page only answer to names
         * of this machine and to that of {@link #downloadBase}.
         */
        public Builder host(String address) {
            this.host = address;
            return this;
        }

        /**
         * Uses a broker that runs elsewhere, {@code tcp://host[:port]}, instead of the embedded one. That broker then decides
         * who logs in: the HMAC of the device protocol is not checked.
         */
        public Builder broker(URI uri) {
            this.brokerUri = uri;
            return this;
        }

        /** The platform's login at the external broker. Defaults to none. */
        public Builder brokerLogin(String username, String password) {
            this.brokerLogin = new Broker.Login(username, password);
            return this;
        }

        /**
         * What download URLs start with, for example {@code https://ota.example.com}. Defaults to the address and port of the
         * file server, which is not what devices can reach if it listens on {@code 0.0.0.0}.
         */
        public Builder downloadBase(URI base) {
            this.downloadBase = base;
            return this;
        }

        /** Makes a new access token and forgets the one of earlier runs. Defaults to keeping that. */
        public Builder newToken() {
            this.newToken = true;
            return this;
        }

        /** How long a download URL is good for. Defaults to 24 hours. */
        public Builder urlLifetime(Duration lifetime) {
            this.urlLifetime = lifetime;
            return this;
        }

        /** The largest package that is taken in, in bytes. Defaults to 2000 MiB. */
        public Builder maxPackageBytes(long bytes) {
            this.maxPackageBytes = bytes;
            return this;
        }

        /**
         * The key that packages are signed with: an RSA key of 2048 bits or more, PKCS #8, in PEM, not encrypted. Its public
         * key is written to {@code signing-key.pub.pem} of the data directory. Defaults to a key that is made, and kept in
         * {@code signing-key.pem} there, when the first package is to be signed.
         */
        public Builder signingKey(Path pem) {
            this.signingKey = pem;
            return this;
        }

        /** The clock and timer of time limits and URLs. Defaults to the system's. */
        public Builder time(Scheduler scheduler) {
            this.time = scheduler;
            return this;
        }

        /**
         * Starts the platform; when this returns, devices can connect.
         *
         * @throws IOException if the data directory cannot be used, or the embedded broker cannot listen
         * @throws IllegalStateException if the external broker does not answer
         */
        public Platform start() throws IOException {
            URI uri = brokerUri;
            broker = uri == null ? null : ExternalBroker.at(uri, brokerLogin);
            return new Platform(this);
        }
    }
}
