package io.otaflux.callback;

import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.DigestMismatchException;
import io.otaflux.Downloaded;
import io.otaflux.Hasher;
import io.otaflux.Installer;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaClient;
import io.otaflux.OtaException;
import io.otaflux.RefusedException;
import io.otaflux.StorageException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.retry.Retry;

/**
 * The {@code ota} module of AliOS Things HaaS on the JVM, for programs written against it.
 *
 * <pre>{@code
 * Ota ota = new Ota();
 * ota.init(Map.of("device_handle", device.getDeviceHandle()));
 * ota.on(1, this::onTrigger);      // void onTrigger(Map<String, Object> data)
 * ota.on(2, this::onDownload);     // void onDownload(int code)
 * ota.on(3, this::onVerify);       // void onVerify(int code)
 * ota.report(Map.of("device_handle", handle, "module_name", "app", "version", "1.0.0", …));
 * }</pre>
 *
 * <p>Every function returns at once: 0 when it was accepted, a negative {@link ResultCode} otherwise; it never throws for
 * what is in a dictionary. What comes of it arrives at a callback. Callbacks run one at a time on one thread of this
 * object's own; calling its functions inside one is the normal case. A callback that throws is logged and harms nobody
 * else; one that blocks delays the callbacks behind it and nothing more.
 *
 * <p>Module {@code default} is the system firmware: its upgrade runs by itself with the installer that is configured for
 * it, and fires no callback. An upgrade of another module is the program's: it ends as succeeded when the program has
 * {@linkplain #report reported} the new version, and as failed when its download, verification or {@linkplain #upgrade
 * installation} fails. As long as none of these is under way, a trigger that comes next is fired at once, be it the same one
 * once more or another, which then takes its place. Triggers of several files are refused and reported, and so are deltas.
 *
 * <p>Where the original fell short, this does not: URLs of any length, several downloads at once, the length is checked,
 * digests compare in any case, and a download goes on where it broke off, also after a restart.
 */
public final class Ota implements AutoCloseable {

    /** An upgrade of a module was triggered. */
    public static final int ON_TRIGGER = 1;

    /** A download has ended. */
    public static final int ON_DOWNLOAD = 2;

    /** A verification has ended. */
    public static final int ON_VERIFY = 3;

    /** An installation has ended. */
    public static final int ON_UPGRADE = 4;

    private static final Logger log = Loggers.getLogger(Ota.class);

    /** Whether files have what Unix knows of them. */
    private static final boolean UNIX =
            FileSystems.getDefault().supportedFileAttributeViews().contains("unix");

    private static final int BUFFER = 1 << 20;
    private static final Duration REFUSED = Duration.ofSeconds(10);
    private static final Duration REFUSED_FOR_LONG = Duration.ofMinutes(5);

    private final Builder settings;
    private final ExecutorService callbacks;
    private final Map<Integer, Consumer<Object>> listeners = new ConcurrentHashMap<>();
    private final Triggers triggers = new Triggers();
    private final Map<String, UpgradeTrigger> unheard = new LinkedHashMap<>();
    private final Map<Path, Fetched> fetched = new ConcurrentHashMap<>();
    private final Set<Path> unpacking = ConcurrentHashMap.newKeySet();
    private final Disposable.Composite running = Disposables.composite();

    private volatile @Nullable Service service;

    /**
     * A module with default settings: artifacts over the source that is on the class path, state under the directory of
     * the system property {@code otaflux.state}, or {@code .otaflux} in the user's home.
     */
    public Ota() {
        this(builder());
    }

    private Ota(Builder settings) {
        this.settings = settings;
        this.callbacks = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task, "otaflux-callbacks");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Starts the configuration of a module that differs from the default. */
    public static Builder builder() {
        return new Builder();
    }

    /** What {@link #init} starts. */
    private record Service(UpgradeChannel channel, OtaClient client, ArtifactStore store, Mono<Void> closing) {}

    /** A file that {@link #download} put somewhere, and what was learnt of it on the way. */
    private record Fetched(@Nullable UpgradeTrigger trigger, Downloaded downloaded, Fingerprint fingerprint) {}

    /** What tells an untouched file from another. */
    private record Fingerprint(Map<String, Object> attributes) {

        /** One question. The time of the change is the one that nobody can set back, where the system keeps it. */
        static Fingerprint of(Path path) throws IOException {
            boolean unix = UNIX && path.getFileSystem() == FileSystems.getDefault();
            return new Fingerprint(Files.readAttributes(
                    path, unix ? "unix:size,lastModifiedTime,fileKey,ctime" : "size,lastModifiedTime,fileKey"));
        }
    }

    /**
     * Starts the service for one device; needed before everything but {@link #on}.
     *
     * @param arguments {@code device_handle}: int, from the device
     * @return 0; {@link ResultCode#INVALID_PARAMETER} for an unknown handle; {@link ResultCode#INIT_FAIL} when the state
     *     directory cannot be used or the service runs already
     */
    public int init(Map<String, ?> arguments) {
        return guarded("init", () -> {
            int handle = Math.toIntExact(new Dictionary(arguments).number("device_handle"));
            UpgradeChannel channel = DeviceHandles.find(handle)
                    .orElseThrow(() -> new IllegalArgumentException(
                            "device_handle: " + handle + " (expected: a connected device's)"));
            synchronized (this) {
                if (service != null || running.isDisposed()) {
                    log.warn("ota.init: called twice, or after close");
                    return ResultCode.INIT_FAIL;
                }
                start(channel);
            }
            return ResultCode.SUCCESS;
        });
    }

    private void start(UpgradeChannel channel) {
        ArtifactStore store = settings.openStore(channel.device());
        try {
            ArtifactSource source = settings.openSource();
            OtaClient.Builder builder =
                    OtaClient.builder(heard(channel)).source(source).store(store);
            settings.installers.forEach(builder::installer);
            OtaClient client = settings.customizer.apply(builder).build();
            Mono<Void> closing = settings.owns(source) ? source.close().then(store.close()) : store.close();
            service = new Service(channel, client, store, closing);
        } catch (RuntimeException e) {
            store.close().subscribe(done -> {}, also -> log.warn("ota.init: {}", also.toString()));
            throw e;
        }
        Service started = service;
        background(
                "triggers",
                started.client()
                        .triggers()
                        .doOnNext(trigger -> begun(started.client(), trigger))
                        // Refused: the device may be enabled again, and nobody but this would notice.
                        .retryWhen(Retry.backoff(Long.MAX_VALUE, REFUSED)
                                .maxBackoff(REFUSED_FOR_LONG)
                                .filter(ChannelException.class::isInstance)
                                .doBeforeRetry(retry -> log.warn(
                                        "ota: the platform refuses this device: {}",
                                        retry.failure().toString())))
                        .then());
    }

    /** {@code channel}, listened in on: the engine emits a trigger when its turn has come, and the program is to know. */
    private UpgradeChannel heard(UpgradeChannel channel) {
        return new UpgradeChannel() {
            @Override
            public DeviceId device() {
                return channel.device();
            }

            @Override
            public Flux<Delivery> triggers() {
                return channel.triggers().doOnNext(delivery -> {
                    UpgradeTrigger trigger = delivery.trigger();
                    if (!trigger.module().equals(UpgradeTrigger.DEFAULT_MODULE)) {
                        move(triggers.pushed(trigger), trigger);
                    }
                });
            }

            @Override
            public Mono<Void> report(DeviceId device, String module, String version) {
                return channel.report(device, module, version);
            }

            @Override
            public Mono<Void> report(UpgradeEvent event) {
                return channel.report(event);
            }

            @Override
            public Mono<UpgradeTrigger> refresh(UpgradeTrigger trigger) {
                return channel.refresh(trigger);
            }

            @Override
            public boolean sendsWeakDigests() {
                return channel.sendsWeakDigests();
            }
        };
    }

    private void begun(OtaClient client, UpgradeTrigger trigger) {
        if (trigger.module().equals(UpgradeTrigger.DEFAULT_MODULE)) {
            background(
                    "firmware upgrade",
                    client.upgrade(trigger)
                            .doOnNext(event -> log.info("ota: {}", event))
                            .then());
        } else if (trigger.artifacts().size() > 1) {
            OtaException several = new RefusedException(
                    OtaException.Stage.TRANSPORT,
                    OtaException.Reason.UNSUPPORTED,
                    trigger.key() + ": " + trigger.artifacts().size() + " files (expected: 1, for callbacks)");
            log.warn("ota: {}", several.getMessage());
            background("refusal", client.fail(trigger, several).then());
        } else {
            move(triggers.begun(trigger), trigger);
        }
    }

    private void move(Triggers.Move move, UpgradeTrigger trigger) {
        switch (move) {
            case NOTHING -> {}
            case TELL -> tell(trigger);
            case GIVE_UP -> giveUp(trigger);
        }
    }

    private void tell(UpgradeTrigger trigger) {
        synchronized (unheard) {
            if (!listeners.containsKey(ON_TRIGGER)) {
                unheard.put(trigger.device() + " " + trigger.module(), trigger);
                return;
            }
        }
        fire(ON_TRIGGER, dictionary(trigger));
    }

    /** Nobody is at what the program was told before, and the platform wants something else by now. */
    private void giveUp(UpgradeTrigger trigger) {
        Service active = service;
        if (active != null) {
            triggers.toldBefore(trigger)
                    .ifPresent(before -> background(
                            "a trigger that nobody took up",
                            active.client().cancel(before, "superseded").then()));
        }
    }

    /** {@code work}, an upgrade's download, verification or installation; it ends the upgrade when it errors. */
    private <T> Mono<T> working(@Nullable UpgradeTrigger trigger, Mono<T> work) {
        if (trigger == null) {
            return work;
        }
        return Mono.using(
                () -> {
                    triggers.work(trigger);
                    return new AtomicBoolean();
                },
                failed -> work.doOnError(OtaException.class, e -> failed.set(true)),
                failed -> move(triggers.rest(trigger, failed.get()), trigger),
                // Later than the end: the program hears of that first, and of the next trigger after it.
                false);
    }

    private static Map<String, Object> dictionary(UpgradeTrigger trigger) {
        Artifact artifact = trigger.artifact();
        Map<String, Object> data = new HashMap<>();
        data.put("url", artifact.location().toString());
        data.put("length", Math.toIntExact(Math.min(artifact.size(), Integer.MAX_VALUE)));
        data.put("module_name", trigger.module());
        data.put("version", trigger.version());
        data.put(
                "hash",
                artifact.digest()
                        .map(digest -> digest.hex().toUpperCase(Locale.ROOT))
                        .orElse(""));
        data.put(
                "hash_type",
                artifact.digest().map(digest -> hashType(digest.algorithm())).orElse("null"));
        return data;
    }

    private static String hashType(Digest.Algorithm algorithm) {
        return algorithm.name().replace("_", "").toLowerCase(Locale.ROOT);
    }

    /**
     * Tells the platform which version of a module runs. It is published as soon as there is a connection.
     *
     * @param arguments {@code module_name}: str, {@code version}: str, and optionally {@code product_key}: str and
     *     {@code device_name}: str, which default to the device's own
     * @return 0, {@link ResultCode#INIT_FAIL} before {@link #init}, or {@link ResultCode#INVALID_PARAMETER}
     */
    public int report(Map<String, ?> arguments) {
        return guarded("report", () -> {
            Service active = service;
            if (active == null) {
                return ResultCode.INIT_FAIL;
            }
            Dictionary dictionary = new Dictionary(arguments);
            DeviceId own = active.channel().device();
            DeviceId device = new DeviceId(
                    dictionary.optionalText("product_key").orElse(own.product()),
                    dictionary.optionalText("device_name").orElse(own.name()));
            String module = dictionary.text("module_name");
            String version = dictionary.text("version");
            Mono<Void> report = active.client().report(device, module, version);
            triggers.reported(device, module, version);
            background("report", report);
            return ResultCode.SUCCESS;
        });
    }

    /**
     * Sets the callback for triggers, in place of the one before it. A trigger that came before there was one is handed to
     * the first.
     *
     * @param event {@link #ON_TRIGGER}
     * @param callback receives {@code url}: str, {@code length}: int (bytes), {@code module_name}: str, {@code version}:
     *     str, {@code hash}: str (upper-case hexadecimal), {@code hash_type}: str ({@code md5}, {@code sha256}, …)
     * @return 0, or {@link ResultCode#INVALID_PARAMETER} for another event
     */
    @SuppressWarnings(
            "overloads") // With a method reference or a typed lambda, as ported programs have them, it is not.
    public int on(int event, Consumer<Map<String, Object>> callback) {
        if (event != ON_TRIGGER) {
            log.warn("ota.on: event {} has no dictionary (expected: {})", event, ON_TRIGGER);
            return ResultCode.INVALID_PARAMETER.code();
        }
        List<UpgradeTrigger> waiting;
        synchronized (unheard) {
            listeners.put(event, data -> callback.accept(asDictionary(data)));
            waiting = List.copyOf(unheard.values());
            unheard.clear();
        }
        waiting.forEach(trigger -> fire(ON_TRIGGER, dictionary(trigger)));
        return ResultCode.SUCCESS.code();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> asDictionary(Object data) {
        return (Map<String, Object>) data;
    }

    /**
     * Sets the callback for the end of downloads, verifications or installations, in place of the one before it.
     *
     * @param event {@link #ON_DOWNLOAD}, {@link #ON_VERIFY} or {@link #ON_UPGRADE}
     * @param callback receives at least 0 for success, a negative {@link ResultCode} otherwise
     * @return 0, or {@link ResultCode#INVALID_PARAMETER} for another event
     */
    @SuppressWarnings("overloads")
    public int on(int event, IntConsumer callback) {
        if (event < ON_DOWNLOAD || event > ON_UPGRADE) {
            log.warn("ota.on: event {} has no code (expected: {} to {})", event, ON_DOWNLOAD, ON_UPGRADE);
            return ResultCode.INVALID_PARAMETER.code();
        }
        listeners.put(event, data -> callback.accept((Integer) data));
        return ResultCode.SUCCESS.code();
    }

    /** {@link #on(int, Consumer)} for {@link #ON_TRIGGER}, for new code. */
    public int onTrigger(Consumer<Map<String, Object>> callback) {
        return on(ON_TRIGGER, callback);
    }

    /** {@link #on(int, IntConsumer)} for {@link #ON_DOWNLOAD}, for new code. */
    public int onDownload(IntConsumer callback) {
        return on(ON_DOWNLOAD, callback);
    }

    /** {@link #on(int, IntConsumer)} for {@link #ON_VERIFY}, for new code. */
    public int onVerify(IntConsumer callback) {
        return on(ON_VERIFY, callback);
    }

    /** {@link #on(int, IntConsumer)} for {@link #ON_UPGRADE}, for new code. */
    public int onUpgrade(IntConsumer callback) {
        return on(ON_UPGRADE, callback);
    }

    /**
     * Starts a download; its end comes as {@link #ON_DOWNLOAD}. The file appears at its path when it is complete, in one
     * step; what broke off is kept in the state directory and gone on with by the next download of the same URL.
     *
     * @param arguments {@code url}: str, of a trigger or any other; {@code store_path}: str
     * @return 0, {@link ResultCode#INIT_FAIL} before {@link #init}, or {@link ResultCode#INVALID_PARAMETER}
     */
    public int download(Map<String, ?> arguments) {
        return guarded("download", () -> {
            Service active = service;
            if (active == null) {
                return ResultCode.INIT_FAIL;
            }
            Dictionary dictionary = new Dictionary(arguments);
            String url = dictionary.text("url");
            Path path = path(dictionary);
            UpgradeTrigger known = triggers.find(url).orElse(null);
            UpgradeTrigger trigger = known == null ? unknown(active, url) : known;
            Mono<Void> placed = active.client().download(trigger).flatMap(downloaded -> place(downloaded, path, known));
            background(
                    "download",
                    working(known, placed)
                            .thenReturn(ResultCode.SUCCESS)
                            .onErrorResume(e -> failed("download", e, ResultCode::ofDownload))
                            .doOnNext(result -> fire(ON_DOWNLOAD, result.code()))
                            .then());
            return ResultCode.SUCCESS;
        });
    }

    private static UpgradeTrigger unknown(Service active, String url) {
        URI location = location(url);
        return new UpgradeTrigger(
                active.channel().device(),
                "download",
                "0",
                new Artifact("download", location, Artifact.UNKNOWN_SIZE, List.of()));
    }

    private static URI location(String url) {
        try {
            return new URI(url);
        } catch (URISyntaxException e) {
            // The message of the cause quotes the URL, and with it a credential.
            throw new IllegalArgumentException("url: " + e.getReason() + " at index " + e.getIndex(), null);
        }
    }

    private Mono<Void> place(Downloaded downloaded, Path path, @Nullable UpgradeTrigger trigger) {
        ArtifactStore.Stored file = downloaded.files().get(0);
        return file.moveTo(path)
                .then(Mono.defer(() -> glance(() -> Fingerprint.of(path))))
                .doOnNext(fingerprint -> fetched.put(path, new Fetched(trigger, downloaded, fingerprint)))
                .then()
                .onErrorMap(IOException.class, e -> unreadable(path, e))
                .onErrorResume(OtaException.class, e -> fail(trigger, e).then(Mono.error(e)))
                .doFinally(end -> file.release());
    }

    /**
     * Starts a verification; its end comes as {@link #ON_VERIFY}. Of a file that {@link #download} put there and nobody
     * touched since, the digest that was taken in flight is compared; any other file is read.
     *
     * @param arguments {@code length}: int (bytes), {@code store_path}: str, {@code hash_type}: str ({@code md5}, {@code
     *     sha256}, …), {@code hash}: str, hexadecimal in any case
     * @return 0, {@link ResultCode#INIT_FAIL} before {@link #init}, or {@link ResultCode#INVALID_PARAMETER}. An unknown
     *     {@code hash_type} is accepted here and comes back at the callback, as the original does it
     */
    public int verify(Map<String, ?> arguments) {
        return guarded("verify", () -> {
            Service active = service;
            if (active == null) {
                return ResultCode.INIT_FAIL;
            }
            Dictionary dictionary = new Dictionary(arguments);
            long length = dictionary.number("length");
            Path path = path(dictionary);
            String hash = dictionary.text("hash");
            String hashType = dictionary.text("hash_type");
            background(
                    "verify",
                    verified(active, path, length, hashType, hash)
                            .doOnNext(result -> fire(ON_VERIFY, result.code()))
                            .then());
            return ResultCode.SUCCESS;
        });
    }

    private Mono<ResultCode> verified(Service active, Path path, long length, String hashType, String hash) {
        return Mono.fromCallable(() -> new Digest(Digest.Algorithm.named(hashType), hash))
                .flatMap(expected -> compared(active, path, length, expected))
                .thenReturn(ResultCode.SUCCESS)
                .onErrorResume(e -> failed("verify", e, ResultCode::ofVerification));
    }

    private Mono<Boolean> compared(Service active, Path path, long length, Digest expected) {
        Fetched here = fetched.get(path);
        UpgradeTrigger trigger = here == null ? null : here.trigger();
        Mono<Boolean> comparison = Mono.defer(() ->
                        glance(() -> here != null && here.fingerprint().equals(Fingerprint.of(path)) ? here : null))
                .filter(file -> knows(file.downloaded(), expected.algorithm()))
                .flatMap(file -> stage(active, file, length, expected))
                .switchIfEmpty(Mono.defer(() -> read(path, length, expected)))
                .onErrorResume(OtaException.class, e -> fail(trigger, e).then(Mono.error(e)));
        return working(trigger, comparison);
    }

    /**
     * Asks the file system for what it knows of a file, on this thread if it is one that may block: the store's, or the
     * program's own, which mostly is that of the callbacks. Another thread would cost more than the question.
     */
    private static <T> Mono<T> glance(Callable<? extends @Nullable T> question) {
        Mono<T> answer = Mono.fromCallable(question);
        return Schedulers.isInNonBlockingThread() ? answer.subscribeOn(Schedulers.boundedElastic()) : answer;
    }

    private static boolean knows(Downloaded downloaded, Digest.Algorithm algorithm) {
        return downloaded.files().get(0).digests().stream().anyMatch(digest -> digest.algorithm() == algorithm);
    }

    private static Mono<Boolean> stage(Service active, Fetched file, long length, Digest expected) {
        ArtifactStore.Stored stored = file.downloaded().files().get(0);
        OtaException wrong = wrong(stored.size(), stored.digests(), length, expected);
        if (wrong != null) {
            return Mono.error(wrong);
        }
        // What the program asked for is right; what the platform named must be right too, where it named something.
        return file.trigger() == null
                ? Mono.just(true)
                : active.client().verify(file.downloaded()).thenReturn(true);
    }

    private static Mono<Boolean> read(Path path, long length, Digest expected) {
        return Mono.fromCallable(() -> {
                    Hasher hasher = new Hasher(Set.of(expected.algorithm()));
                    try (FileChannel channel = FileChannel.open(path)) {
                        ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
                        while (channel.read(buffer) >= 0) {
                            hasher.update(buffer.flip());
                            buffer.clear();
                        }
                    }
                    long read = hasher.bytes();
                    OtaException wrong = wrong(read, hasher.finish(), length, expected);
                    if (wrong != null) {
                        throw wrong;
                    }
                    return true;
                })
                .subscribeOn(Schedulers.boundedElastic());
    }

    /**
     * Unpacks a downloaded archive (zip, tar or gzipped tar) and puts it in the place of a directory; the end comes as
     * {@link #ON_UPGRADE}. A file that {@link #download} brought for a trigger is compared with what the trigger named first,
     * whether or not the program has verified it. It is unpacked beside the directory, which is replaced only when all of it
     * is durable: what fails leaves the old directory. The program then reports the new version, as after any installation.
     *
     * @param arguments {@code length}: int (bytes of the archive), {@code store_path}: str, {@code install_path}: str, the
     *     directory; it need not exist, the one it is in must
     * @return 0, {@link ResultCode#INIT_FAIL} before {@link #init}, without an {@link Unpacker} on the class path, or while
     *     the same directory is being replaced, or {@link ResultCode#INVALID_PARAMETER}
     */
    public int upgrade(Map<String, ?> arguments) {
        return guarded("upgrade", () -> {
            Service active = service;
            if (active == null) {
                return ResultCode.INIT_FAIL;
            }
            Dictionary dictionary = new Dictionary(arguments);
            long length = dictionary.number("length");
            Path path = path(dictionary);
            Path directory =
                    Path.of(dictionary.text("install_path")).toAbsolutePath().normalize();
            Unpacker unpacker = settings.openUnpacker();
            if (!unpacking.add(directory)) {
                throw new IllegalStateException("install_path: " + directory + " is being replaced already");
            }
            background(
                    "upgrade",
                    installed(active, unpacker, path, length, directory)
                            // Before the callback, which may be about to try another archive.
                            .doOnTerminate(() -> unpacking.remove(directory))
                            .doOnCancel(() -> unpacking.remove(directory))
                            .doOnNext(result -> fire(ON_UPGRADE, result.code()))
                            .then());
            return ResultCode.SUCCESS;
        });
    }

    private Mono<ResultCode> installed(Service active, Unpacker unpacker, Path path, long length, Path directory) {
        Fetched here = fetched.get(path);
        UpgradeTrigger trigger = here == null ? null : here.trigger();
        Digest named = trigger == null ? null : trigger.artifact().digest().orElse(null);
        Mono<Boolean> right = named == null
                ? Mono.defer(() -> glance(() -> hasLength(path, length)))
                : compared(active, path, length, named);
        Mono<Boolean> unpacked = right.then(Mono.defer(() -> unpacker.unpack(path, directory)))
                .thenReturn(true)
                .onErrorResume(OtaException.class, e -> fail(trigger, e).then(Mono.error(e)));
        return working(trigger, unpacked)
                .thenReturn(ResultCode.SUCCESS)
                .onErrorResume(e -> failed("upgrade", e, ResultCode::ofInstallation));
    }

    private static boolean hasLength(Path path, long length) throws IOException {
        long size = Files.size(path);
        if (size != length) {
            throw new LengthMismatchException("store_path", length, size);
        }
        return true;
    }

    private static @Nullable OtaException wrong(long size, List<Digest> digests, long length, Digest expected) {
        for (Digest actual : digests) {
            if (actual.algorithm() == expected.algorithm() && !actual.matches(expected)) {
                return new DigestMismatchException(OtaException.Stage.VERIFY, "store_path", expected, actual);
            }
        }
        return size == length ? null : new LengthMismatchException("store_path", length, size);
    }

    /** Ends the upgrade on the platform too, where there is one. */
    private Mono<Void> fail(@Nullable UpgradeTrigger trigger, OtaException cause) {
        Service active = service;
        return trigger == null || active == null
                ? Mono.empty()
                : active.client().fail(trigger, cause).then();
    }

    private static Mono<ResultCode> failed(String what, Throwable cause, Function<Throwable, ResultCode> code) {
        Exceptions.throwIfJvmFatal(cause);
        ResultCode result = code.apply(cause);
        log.warn(
                "ota.{}: {}",
                what,
                cause instanceof OtaException failure
                        ? failure.reason() + " " + failure.getMessage()
                        : cause.getClass().getSimpleName() + " " + cause.getMessage());
        return Mono.just(result);
    }

    private static OtaException unreadable(Path path, IOException cause) {
        return new StorageException(OtaException.Reason.IO_FAILED, "Could not read back " + path.getFileName(), cause);
    }

    private static Path path(Dictionary dictionary) {
        return Path.of(dictionary.text("store_path")).toAbsolutePath().normalize();
    }

    private void fire(int event, Object data) {
        Consumer<Object> listener = listeners.get(event);
        if (listener == null || callbacks.isShutdown()) {
            return;
        }
        callbacks.execute(() -> {
            try {
                listener.accept(data);
            } catch (RuntimeException | Error e) {
                log.error("ota: the callback of event {} threw {}", event, e.toString());
            }
        });
    }

    private void background(String what, Mono<Void> work) {
        Disposable.Swap slot = Disposables.swap();
        running.add(slot);
        slot.update(work.doFinally(end -> running.remove(slot))
                .subscribe(done -> {}, e -> log.error("ota: {} ended with {}", what, e.toString())));
    }

    private int guarded(String function, Call call) {
        try {
            return call.run().code();
        } catch (IllegalArgumentException | ArithmeticException e) {
            log.warn("ota.{}: {}", function, e.getMessage());
            return ResultCode.INVALID_PARAMETER.code();
        } catch (OtaException | IllegalStateException e) {
            log.warn("ota.{}: {}", function, e.toString());
            return ResultCode.INIT_FAIL.code();
        }
    }

    @FunctionalInterface
    private interface Call {
        ResultCode run();
    }

    /**
     * Stops the service: what is under way stops and is gone on with when a program runs again on the same state. The
     * device stays connected. Blocks until the state directory is free; not to be called from a callback.
     */
    @Override
    public void close() {
        running.dispose();
        callbacks.shutdown();
        Service active = service;
        if (active != null) {
            active.client().dispose();
            active.closing().block(Duration.ofSeconds(30));
        }
    }

    /** Configures an {@link Ota}. */
    public static final class Builder {

        private final Map<String, Installer> installers = new HashMap<>();
        private @Nullable ArtifactSource source;
        private @Nullable ArtifactStore store;
        private @Nullable Path state;
        private @Nullable Unpacker unpacker;
        private UnaryOperator<OtaClient.Builder> customizer = UnaryOperator.identity();

        private Builder() {}

        /**
         * Where files come from; it stays open when the module is closed. Defaults to what the {@link
         * ArtifactSource.Provider} on the class path makes, which is closed together with the module.
         */
        public Builder source(ArtifactSource source) {
            this.source = Objects.requireNonNull(source, "source");
            return this;
        }

        /** Where state is kept; in place of {@link #stateDirectory}. {@link Ota#close} closes it. */
        public Builder store(ArtifactStore store) {
            this.store = Objects.requireNonNull(store, "store");
            return this;
        }

        /**
         * Where the {@link ArtifactStore.Provider} on the class path keeps state. Defaults to a directory per device under
         * the system property {@code otaflux.state}, or {@code .otaflux} in the user's home.
         */
        public Builder stateDirectory(Path state) {
            this.state = Objects.requireNonNull(state, "state");
            return this;
        }

        /** How the system firmware, module {@code default}, is installed. Defaults to not at all. */
        public Builder firmware(Installer installer) {
            installers.put(UpgradeTrigger.DEFAULT_MODULE, Objects.requireNonNull(installer, "installer"));
            return this;
        }

        /** What {@link Ota#upgrade} unpacks with. Defaults to the {@link Unpacker} on the class path. */
        public Builder unpacker(Unpacker unpacker) {
            this.unpacker = Objects.requireNonNull(unpacker, "unpacker");
            return this;
        }

        /** Adjusts the engine behind the module: backoff, limits, policy. */
        public Builder client(UnaryOperator<OtaClient.Builder> customizer) {
            this.customizer = Objects.requireNonNull(customizer, "customizer");
            return this;
        }

        public Ota build() {
            return new Ota(this);
        }

        /** Tells whether {@link Ota} made this source, so that it has to close it. */
        private boolean owns(ArtifactSource opened) {
            return opened != source;
        }

        private ArtifactSource openSource() {
            return source != null
                    ? source
                    : ServiceLoader.load(ArtifactSource.Provider.class)
                            .findFirst()
                            .orElseThrow(() -> new IllegalStateException(
                                    "no artifact source on the class path (expected: otaflux-transport-http)"))
                            .create();
        }

        private Unpacker openUnpacker() {
            return unpacker != null
                    ? unpacker
                    : ServiceLoader.load(Unpacker.class)
                            .findFirst()
                            .orElseThrow(() -> new IllegalStateException(
                                    "no unpacker on the class path (expected: otaflux-storage)"));
        }

        private ArtifactStore openStore(DeviceId device) {
            if (store != null) {
                return store;
            }
            Path directory = state != null
                    ? state
                    : defaultState().resolve(device.product()).resolve(device.name());
            return ServiceLoader.load(ArtifactStore.Provider.class)
                    .findFirst()
                    .orElseThrow(() -> new IllegalStateException(
                            "no artifact store on the class path (expected: otaflux-storage)"))
                    .open(directory);
        }

        private static Path defaultState() {
            String configured = System.getProperty("otaflux.state");
            return configured != null ? Path.of(configured) : Path.of(System.getProperty("user.home", "."), ".otaflux");
        }
    }
}
