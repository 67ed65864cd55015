package io.otaflux.samples.platform;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/**
 * What can be asked of the platform, for every way of asking (REST, Java, devices). Each Mono does nothing before it is
 * subscribed to, runs its command on the state's thread, emits on another when what it changed is durable, and fails with
 * {@link RequestRefusedException} if the platform refuses.
 */
final class Operations {

    private static final Logger log = LoggerFactory.getLogger(Operations.class);
    private static final int SECRET_BYTES = 16;
    private static final int CONFIG_ID_BYTES = 16;
    /** Each module once per connection, and a few more; nobody has published what the real platform allows. */
    private static final int QUESTIONS_AT_ONCE = 60;

    private static final int QUESTIONS_PER_SECOND = 1;
    private static final int TOO_FREQUENT = 429;
    private static final int NO_DEVICE_INFO = 9112;
    private static final int NO_CONFIG = 6710;
    private static final int EVENTS_BEHIND = 1 << 17;
    private static final Duration UPLOAD_LIFETIME = Duration.ofMinutes(60);

    private final StateLoop loop;
    private final PlatformState state;
    private final Jobs jobs;
    private final SubDevices subDevices;
    private final Registration registration;
    private final PreAuthentications preAuthentications = new PreAuthentications();
    private final Supplier<Instant> clock;
    private final Set<DeviceKey> connections = ConcurrentHashMap.newKeySet();
    private final Set<DeviceKey> online = new HashSet<>();
    private final Map<DeviceKey, Allowance> questions = new HashMap<>();
    private final List<ConfigPush> configPushes = new ArrayList<>();
    private final Sinks.Many<PlatformEvent> events = Sinks.many().multicast().directBestEffort();
    private final Map<String, Upload> uploads = new HashMap<>();
    private final DigestSigner signer;

    /** A file that was uploaded to be part of a package, and is until then not for ever. */
    private record Upload(ArtifactFiles.StoredFile file, Instant until) {}

    private record NamedFile(@Nullable String name, ArtifactFiles.StoredFile file) {}

    /** A file of a package to be, by the digest of what was uploaded. */
    record UploadedFile(@Nullable String name, String sha256) {}

    /** @param disconnect ends a device's own connection */
    Operations(
            StateLoop loop,
            PlatformState state,
            Jobs jobs,
            DigestSigner signer,
            Supplier<Instant> clock,
            Consumer<DeviceKey> disconnect) {
        this.signer = signer;
        this.loop = loop;
        this.registration = new Registration(state);
        this.subDevices = new SubDevices(state, jobs, registration, connections::contains, disconnect, this::present);
        this.state = state;
        this.jobs = jobs;
        this.clock = clock;
    }

    <T> Mono<T> run(Supplier<T> command) {
        return Mono.fromFuture(() -> loop.submit(command)).publishOn(Schedulers.parallel());
    }

    /** Emits the product with its secret, which is not told again. */
    Mono<ProductCredentials> createProduct(String productKey) {
        return run(() -> jobs.createProduct(productKey, clock.get())).map(RegisteredProduct::credentials);
    }

    Mono<Product> product(String productKey) {
        return run(() -> jobs.requireProduct(productKey).view());
    }

    Mono<Product> allowDynamicRegistration(String productKey, boolean allowed) {
        return run(() -> {
                    RegisteredProduct product = jobs.requireProduct(productKey).withDynamicRegistration(allowed);
                    state.put(product);
                    return product;
                })
                .map(RegisteredProduct::view);
    }

    /** Replaces a product's secret; emits the new one, which is not told again. */
    Mono<ProductCredentials> renewProductSecret(String productKey) {
        return run(() -> {
                    RegisteredProduct product = jobs.requireProduct(productKey).withFreshSecret();
                    state.put(product);
                    return product;
                })
                .map(RegisteredProduct::credentials);
    }

    Mono<List<Product>> products() {
        return run(() -> state.products().stream()
                .map(RegisteredProduct::view)
                .sorted(Comparator.comparing(Product::productKey))
                .toList());
    }

    Mono<DeviceCredentials> createDevice(DeviceKey key) {
        return run(() -> jobs.createDevice(key, DurableFiles.randomHex(SECRET_BYTES), clock.get()))
                .map(device -> new DeviceCredentials(device.productKey(), device.deviceName(), device.deviceSecret()));
    }

    Mono<List<Device>> devices(String productKey) {
        return run(() -> {
            jobs.requireProduct(productKey);
            return state.devices().stream()
                    .filter(device -> device.productKey().equals(productKey))
                    .sorted(Comparator.comparing(RegisteredDevice::deviceName))
                    .map(this::view)
                    .toList();
        });
    }

    Mono<Device> device(DeviceKey key) {
        return run(() -> view(jobs.requireDevice(key)));
    }

    /** Shuts a device out and ends its connection or session, or lets it in again. */
    Mono<Device> disable(DeviceKey key, boolean disabled) {
        return run(() -> {
            subDevices.disable(key, disabled);
            return view(jobs.requireDevice(key));
        });
    }

    /** Says which certificate a device may log in with; null for none. */
    Mono<Device> trustCertificate(DeviceKey key, @Nullable String fingerprint) {
        return run(() -> {
            RegisteredDevice device = jobs.requireDevice(key);
            DeviceKey owner = fingerprint == null ? null : state.ofCertificate(fingerprint);
            if (owner != null && !owner.equals(key)) {
                throw RequestRefusedException.conflict("the certificate is that of device '" + owner + "'");
            }
            state.put(device.withCertificate(fingerprint));
            return view(jobs.requireDevice(key));
        });
    }

    /** Emits the device that may be given its credentials; fails with {@link DeviceRefusedException} if it may not. */
    Mono<RegisteredDevice> register(Registration.Claim claim) {
        return run(() -> registration.register(claim, clock.get()));
    }

    /** What the broker checks logins against. */
    DeviceAuthenticator.Credentials credentials() {
        return new Credentials();
    }

    PreAuthentications preAuthentications() {
        return preAuthentications;
    }

    private final class Credentials implements DeviceAuthenticator.Credentials {

        private @Nullable RegisteredDevice enabled(DeviceKey key) {
            RegisteredDevice device = state.device(key);
            return device == null || device.disabled() ? null : device;
        }

        @Override
        public @Nullable String secret(DeviceKey key) {
            RegisteredDevice device = enabled(key);
            return device == null ? null : device.deviceSecret();
        }

        @Override
        public @Nullable String token(DeviceKey key) {
            RegisteredDevice device = enabled(key);
            return device == null ? null : device.token();
        }

        @Override
        public @Nullable DeviceKey ofCertificate(String fingerprint) {
            DeviceKey owner = state.ofCertificate(fingerprint);
            return owner == null || enabled(owner) == null ? null : owner;
        }

        @Override
        public @Nullable DeviceKey ofToken(String iotId, String iotToken) {
            DeviceKey device = preAuthentications.device(iotId, iotToken);
            return device == null || enabled(device) == null ? null : device;
        }

        @Override
        public byte @Nullable [] register(Registration.Claim claim) {
            try {
                RegisteredDevice device = loop.submit(() -> registration.register(claim, clock.get()))
                        .join();
                return DeviceMessages.write(DeviceMessages.registered(device, claim.unlisted()));
            } catch (CompletionException e) {
                log.info("{} is not registered: {}", claim.device(), String.valueOf(e.getCause()));
                return null;
            }
        }
    }

    /** Lets a device register again, as if it had never logged in. */
    Mono<Device> reset(DeviceKey key) {
        return run(() -> {
            RegisteredDevice device = jobs.requireDevice(key).asActivated(false);
            state.put(device);
            return view(device);
        });
    }

    /** Forgets a device, cancels its tasks, and frees its sub-devices; emits what it was. */
    Mono<Device> deleteDevice(DeviceKey key) {
        return run(() -> {
            Device device = view(jobs.requireDevice(key));
            subDevices.delete(key, clock.get());
            preAuthentications.forget(key);
            return device;
        });
    }

    Mono<List<Device>> topology(DeviceKey gateway) {
        return run(() -> {
            jobs.requireDevice(gateway);
            return state.subDevices(gateway).stream()
                    .map(jobs::requireDevice)
                    .sorted(Comparator.comparing(RegisteredDevice::productKey)
                            .thenComparing(RegisteredDevice::deviceName))
                    .map(this::view)
                    .toList();
        });
    }

    Mono<Device> link(DeviceKey gateway, DeviceKey device) {
        return run(() -> {
            subDevices.link(gateway, device);
            return view(jobs.requireDevice(device));
        });
    }

    Mono<Device> unlink(DeviceKey gateway, DeviceKey device) {
        return run(() -> {
            subDevices.unlink(gateway, device);
            return view(jobs.requireDevice(device));
        });
    }

    /** Asks a gateway to add a device to its topology; emits the device as it still is. */
    Mono<Device> invite(DeviceKey gateway, DeviceKey device) {
        return run(() -> {
            subDevices.invite(gateway, device);
            return view(jobs.requireDevice(device));
        });
    }

    /** Emits the answer to a gateway's request. */
    Mono<byte[]> requested(DeviceKey gateway, DeviceTopics.Kind kind, DeviceMessages.Request request) {
        return run(() -> subDevices.requested(gateway, kind, request, clock.get()));
    }

    /** Whose connection a device is reached over. On any thread. */
    DeviceKey connection(DeviceKey device) {
        DeviceKey gateway = subDevices.gatewayOf(device);
        return gateway == null ? device : gateway;
    }

    @Nullable
    DeviceKey gatewayOf(DeviceKey device) {
        return subDevices.gatewayOf(device);
    }

    /** What gateways are to be told since the last call; on the state's thread only. */
    List<SubDevices.Notice> takeNotices() {
        return subDevices.takeNotices();
    }

    /** Checks the names before the file is taken in, so that a refused upload costs nothing. */
    Mono<PackageView> addPackage(
            PackageRequest request, @Nullable String fileName, Mono<ArtifactFiles.StoredFile> file) {
        return run(() -> {
                    jobs.packages().check(request);
                    Limits.fileNames(Collections.singletonList(fileName));
                    return true;
                })
                .then(file)
                .flatMap(stored -> signed(request, List.of(new NamedFile(fileName, stored))))
                .flatMap(files -> addPackageOf(request, files));
    }

    /** A package of files that were uploaded within the last hour, by their digests, in their order. */
    Mono<PackageView> addPackage(PackageRequest request, List<UploadedFile> files) {
        return run(() -> {
                    jobs.packages().check(request);
                    Limits.fileNames(files.stream().map(UploadedFile::name).toList());
                    return files.stream()
                            .map(file -> new NamedFile(file.name(), uploaded(file.sha256())))
                            .toList();
                })
                .flatMap(found -> signed(request, found))
                .flatMap(named -> addPackageOf(request, named));
    }

    /** Keeps a file for a package that is added within the hour. */
    Mono<ArtifactFiles.StoredFile> upload(Mono<ArtifactFiles.StoredFile> file) {
        return file.flatMap(stored -> run(() -> {
            uploads.put(stored.sha256(), new Upload(stored, clock.get().plus(UPLOAD_LIFETIME)));
            return stored;
        }));
    }

    Mono<List<PackageView>> packages() {
        return run(() -> state.packages().stream().map(jobs.packages()::view).toList());
    }

    Mono<PackageView> firmware(String id) {
        return run(() -> jobs.packages().view(jobs.packages().require(id)));
    }

    /** Forgets a package that no job has been about; emits what it was. Its files go when the platform starts next. */
    Mono<PackageView> removePackage(String id) {
        return run(() -> {
            PackageView removed = jobs.packages().view(jobs.packages().require(id));
            jobs.packages().remove(id);
            return removed;
        });
    }

    Mono<List<ProductModule>> modules(String productKey) {
        return run(() -> jobs.packages().modules(productKey));
    }

    Mono<ProductModule> createModule(
            String productKey, String name, @Nullable String alias, @Nullable String description) {
        return run(() -> jobs.packages().createModule(productKey, name, alias, description, clock.get()));
    }

    Mono<ProductModule> editModule(
            String productKey, String name, @Nullable String alias, @Nullable String description) {
        return run(() -> jobs.packages().editModule(productKey, name, alias, description));
    }

    Mono<List<DeviceGroup>> groups(String productKey) {
        return run(() -> {
            jobs.requireProduct(productKey);
            return List.copyOf(state.groups(productKey));
        });
    }

    Mono<DeviceGroup> group(String productKey, String name) {
        return run(() -> jobs.packages().requireGroup(productKey, name));
    }

    Mono<DeviceGroup> putGroup(String productKey, String name, List<String> devices) {
        return run(() -> jobs.packages().putGroup(productKey, name, devices));
    }

    Mono<Job> createJob(JobRequest request) {
        return run(() -> jobs.view(jobs.createJob(request, clock.get())));
    }

    Mono<List<Job>> jobs() {
        return run(() -> state.jobs().stream().map(jobs::view).toList());
    }

    Mono<Job> job(String id) {
        return run(() -> jobs.view(jobs.requireJob(id)));
    }

    Mono<Job> cancelJob(String id, CancelFlags flags) {
        return run(() -> jobs.view(jobs.cancelJob(id, flags, clock.get())));
    }

    Mono<Job> stopJob(String id) {
        return run(() -> jobs.view(jobs.stopJob(id)));
    }

    /**
     * Tasks of a job, oldest first.
     *
     * @param status only those, or null for all
     * @param offset how many to leave out
     * @param limit how many there may be
     */
    Mono<List<Task>> tasks(String jobId, @Nullable TaskStatus status, long offset, long limit) {
        return run(() -> {
            jobs.requireJob(jobId);
            return state.tasks(jobId).stream()
                    .filter(task -> status == null || task.status() == status)
                    .skip(offset)
                    .limit(limit)
                    .toList();
        });
    }

    Mono<List<Task>> tasks(String jobId) {
        return tasks(jobId, null, 0, Long.MAX_VALUE);
    }

    Mono<Task> task(String id) {
        return run(() -> jobs.requireTask(id));
    }

    Mono<List<Task>> tasks(DeviceKey device) {
        return run(() -> {
            jobs.requireDevice(device);
            return List.copyOf(state.tasks(device));
        });
    }

    Mono<List<Task>> confirm(Collection<String> taskIds) {
        return run(() -> jobs.confirm(taskIds, clock.get()));
    }

    Mono<List<Task>> restart(Collection<String> taskIds) {
        return run(() -> jobs.restart(taskIds, clock.get()));
    }

    Mono<List<Task>> cancelTasks(Collection<String> taskIds) {
        return run(() -> jobs.cancelTasks(taskIds, clock.get()));
    }

    Mono<List<Task>> cancelDevice(DeviceKey device, @Nullable String jobId) {
        return run(() -> jobs.cancelDevice(device, jobId, clock.get()));
    }

    Mono<Jobs.Offer> repush(String jobId, DeviceKey device) {
        return run(() -> jobs.repush(jobId, device, clock.get()));
    }

    /** Everything from now on; it fails for a subscriber that falls too far behind. */
    Flux<PlatformEvent> events() {
        return events.asFlux().onBackpressureBuffer(EVENTS_BEHIND).publishOn(Schedulers.parallel());
    }

    /** The tasks of a job as they are, then each as it changes; completes when the job has ended. */
    Flux<Task> watch(String jobId) {
        return Flux.defer(() -> {
            // Listening starts before the look at what is there, so that nothing falls between the two.
            // Bounded: whoever does not read fails here, and does not have the platform remember everything meanwhile.
            Sinks.Many<PlatformEvent> later =
                    Sinks.many().unicast().onBackpressureBuffer(new LinkedBlockingQueue<>(EVENTS_BEHIND));
            Disposable listening = events().filter(event -> isOf(jobId, event))
                    .subscribe(
                            event -> {
                                if (later.tryEmitNext(event) == Sinks.EmitResult.FAIL_OVERFLOW) {
                                    later.tryEmitError(Exceptions.failWithOverflow());
                                }
                            },
                            later::tryEmitError,
                            later::tryEmitComplete);
            return run(() -> new JobNow(jobs.view(jobs.requireJob(jobId)), List.copyOf(state.tasks(jobId))))
                    .flatMapMany(seen -> {
                        Flux<Task> now = Flux.fromIterable(seen.tasks());
                        return seen.job().status().isEnded()
                                ? now
                                : now.concatWith(later.asFlux()
                                        .takeUntil(event -> event instanceof Job job
                                                && job.status().isEnded())
                                        .ofType(TaskChange.class)
                                        .map(TaskChange::task));
                    })
                    .doFinally(signal -> listening.dispose());
        });
    }

    private static boolean isOf(String jobId, PlatformEvent event) {
        return (event instanceof Job job && job.id().equals(jobId))
                || (event instanceof TaskChange change && change.task().jobId().equals(jobId));
    }

    private record JobNow(Job job, List<Task> tasks) {}

    /** Tells those who listen to {@link #events}; called on the state's thread only. */
    void announce(List<StateEntry> committed) {
        for (StateEntry entry : committed) {
            if (entry.task() != null) {
                events.tryEmitNext(new TaskChange(entry.before(), entry.task()));
            } else if (entry.device() != null) {
                events.tryEmitNext(view(entry.device()));
            } else if (entry.product() != null) {
                events.tryEmitNext(entry.product().view());
            } else if (entry.removed() != null) {
                events.tryEmitNext(new DeviceRemoved(
                        entry.removed().productKey(), entry.removed().deviceName()));
            } else if (entry.removedPackage() != null) {
                events.tryEmitNext(new PackageRemoved(entry.removedPackage()));
            }
        }
        jobs.takeEvents().forEach(events::tryEmitNext);
    }

    Mono<Boolean> informed(DeviceKey device, DeviceMessages.Inform inform, boolean pushAgain) {
        return run(() -> jobs.informed(device, inform.module(), inform.version(), pushAgain, clock.get()));
    }

    Mono<Boolean> progressed(DeviceKey device, DeviceMessages.Progress progress) {
        return run(
                () -> jobs.progressed(device, progress.module(), progress.step(), progress.description(), clock.get()));
    }

    /** Fails with {@link DeviceRefusedException} for a device that is unknown or asks too often. */
    Mono<Optional<Jobs.Offer>> queried(DeviceKey device, String module) {
        return run(() -> {
            if (state.device(device) == null) {
                throw new DeviceRefusedException(NO_DEVICE_INFO, "device info not found");
            }
            Allowance allowance =
                    questions.computeIfAbsent(device, key -> new Allowance(QUESTIONS_AT_ONCE, QUESTIONS_PER_SECOND));
            if (!allowance.take(1, clock.get())) {
                throw new DeviceRefusedException(TOO_FREQUENT, "too many requests");
            }
            return jobs.queried(device, module, clock.get());
        });
    }

    /** Emits the remote configuration of a product's devices. */
    Mono<RemoteConfig> config(String productKey) {
        return run(() -> {
            RemoteConfig config = jobs.requireProduct(productKey).config();
            if (config == null) {
                throw RequestRefusedException.notFound("configuration of product", productKey);
            }
            return config;
        });
    }

    /** Replaces the remote configuration of a product's devices; those that are online are told. */
    Mono<RemoteConfig> configure(String productKey, Mono<ArtifactFiles.StoredFile> content) {
        return run(() -> jobs.requireProduct(productKey))
                .then(content)
                .flatMap(file -> run(() -> {
                    RemoteConfig config = new RemoteConfig(
                            DurableFiles.randomHex(CONFIG_ID_BYTES), file.size(), file.sha256(), clock.get());
                    state.put(jobs.requireProduct(productKey).withConfig(config));
                    online.stream()
                            .filter(device -> device.productKey().equals(productKey))
                            .forEach(device -> configPushes.add(new ConfigPush(device, config)));
                    return config;
                }));
    }

    /** Takes the remote configuration of a product's devices away; devices keep what they have. */
    Mono<Product> unconfigure(String productKey) {
        return run(() -> {
            RegisteredProduct product = jobs.requireProduct(productKey).withConfig(null);
            state.put(product);
            return product.view();
        });
    }

    /** Emits the remote configuration for a device; fails with {@link DeviceRefusedException} if there is none. */
    Mono<RemoteConfig> configFor(DeviceKey device) {
        return run(() -> {
            RegisteredProduct product = state.product(device.productKey());
            if (product == null || product.config() == null) {
                throw new DeviceRefusedException(NO_CONFIG, "no configuration");
            }
            return product.config();
        });
    }

    /** A device that is to be told of a new configuration. */
    record ConfigPush(DeviceKey device, RemoteConfig config) {}

    /** Whom to tell since the last call; on the state's thread only. */
    List<ConfigPush> takeConfigPushes() {
        List<ConfigPush> taken = List.copyOf(configPushes);
        configPushes.clear();
        return taken;
    }

    void startedListening(DeviceKey device) {
        tell(() -> {
            if (subDevices.gatewayOf(device) == null) {
                jobs.startedListening(device, clock.get());
            }
        });
    }

    void stoppedListening(DeviceKey device) {
        tell(() -> {
            if (subDevices.gatewayOf(device) == null) {
                jobs.stoppedListening(device);
            }
        });
    }

    /** Time has passed. */
    void advance() {
        tell(() -> {
            Instant now = clock.get();
            jobs.advance(now);
            uploads.values().removeIf(upload -> !now.isBefore(upload.until()));
        });
    }

    /** A device has a connection of its own, a new one if it had one. */
    void connected(DeviceKey device) {
        connections.add(device);
        tell(() -> {
            subDevices.connected(device);
            present(device, true);
        });
    }

    /** A device has no connection of its own any more. */
    void disconnected(DeviceKey device) {
        connections.remove(device);
        tell(() -> {
            subDevices.disconnected(device);
            if (subDevices.gatewayOf(device) == null) {
                present(device, false);
            }
        });
    }

    /** A broker that does not say who is connected brought a message: its sender is taken to be there from now on. */
    void heard(DeviceKey device) {
        if (subDevices.gatewayOf(device) == null && connections.add(device)) {
            tell(() -> present(device, true));
        }
    }

    /** On the state's thread: a device can be reached now, over whatever connection, or cannot. */
    private void present(DeviceKey device, boolean isOnline) {
        boolean changed = isOnline ? online.add(device) : online.remove(device);
        if (!isOnline) {
            questions.remove(device);
        }
        RegisteredDevice registered = state.device(device);
        if (changed && registered != null) {
            events.tryEmitNext(view(registered));
        }
    }

    void refused(DeviceKey connection, DeviceKey device) {
        tell(() -> subDevices.refused(connection, device));
    }

    void close() {
        events.tryEmitComplete();
    }

    private Mono<PackageView> addPackageOf(PackageRequest request, List<PackageFile> files) {
        return run(() -> jobs.packages().view(jobs.addPackage(request, files, clock.get())));
    }

    private Mono<List<PackageFile>> signed(PackageRequest request, List<NamedFile> files) {
        return Mono.fromCallable(() -> {
                    List<PackageFile> signed = new ArrayList<>();
                    for (NamedFile named : files) {
                        ArtifactFiles.StoredFile file = named.file();
                        PackageFile plain = new PackageFile(named.name(), file.size(), file.md5(), file.sha256(), null);
                        signed.add(
                                request.digestSign()
                                        ? plain.signed(signer.sign(plain.sign(request.signMethod())))
                                        : plain);
                    }
                    return signed;
                })
                .subscribeOn(Schedulers.boundedElastic());
    }

    private ArtifactFiles.StoredFile uploaded(String sha256) {
        Upload upload = uploads.get(sha256.toLowerCase(Locale.ROOT));
        if (upload == null || !clock.get().isBefore(upload.until())) {
            throw RequestRefusedException.conflict("no file with the SHA-256 '" + sha256
                    + "' was uploaded within the last " + UPLOAD_LIFETIME.toMinutes() + " minutes");
        }
        return upload.file();
    }

    private void tell(Runnable command) {
        run(() -> {
                    command.run();
                    return true;
                })
                .subscribe(ignored -> {}, error -> log.warn("the state was not told of something", error));
    }

    private Device view(RegisteredDevice device) {
        DeviceKey key = device.key();
        return new Device(
                device.productKey(),
                device.deviceName(),
                device.versions(),
                online.contains(key),
                device.gateway(),
                device.disabled());
    }
}
