package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
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
    private static final int CHANGES_BEHIND = 1 << 16;

    private final StateLoop loop;
    private final PlatformState state;
    private final Jobs jobs;
    private final SubDevices subDevices;
    private final Supplier<Instant> clock;
    private final Set<DeviceKey> connections = ConcurrentHashMap.newKeySet();
    private final Set<DeviceKey> online = new HashSet<>();
    private final Sinks.Many<TaskChange> changes = Sinks.many().multicast().directBestEffort();
    private final Sinks.Many<PlatformEvent> events = Sinks.many().multicast().directBestEffort();

    /** @param disconnect ends a device's own connection */
    Operations(
            StateLoop loop, PlatformState state, Jobs jobs, Supplier<Instant> clock, Consumer<DeviceKey> disconnect) {
        this.loop = loop;
        this.subDevices =
                new SubDevices(state, jobs, new Registration(state), connections::contains, disconnect, this::present);
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
    Mono<FirmwarePackage> addPackage(
            String productKey,
            String module,
            String version,
            SignMethod signMethod,
            @Nullable String customInfo,
            Mono<ArtifactFiles.StoredFile> content) {
        return run(() -> {
                    jobs.checkPackage(productKey, module, version, customInfo);
                    return true;
                })
                .then(content)
                .flatMap(file -> run(
                        () -> jobs.addPackage(productKey, module, version, file, signMethod, customInfo, clock.get())));
    }

    Mono<List<FirmwarePackage>> packages() {
        return run(() -> List.copyOf(state.packages()));
    }

    Mono<FirmwarePackage> firmware(String id) {
        return run(() -> jobs.requirePackage(id));
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

    Mono<Job> cancelJob(String id) {
        return run(() -> jobs.view(jobs.cancelJob(id, clock.get())));
    }

    Mono<List<Task>> tasks(String jobId) {
        return run(() -> {
            jobs.requireJob(jobId);
            return List.copyOf(state.tasks(jobId));
        });
    }

    Mono<Jobs.Offer> repush(String jobId, DeviceKey device) {
        return run(() -> jobs.repush(jobId, device, clock.get()));
    }

    /** Every change from now on; it fails for a subscriber that falls too far behind. */
    Flux<TaskChange> changes() {
        return changes.asFlux().onBackpressureBuffer(CHANGES_BEHIND).publishOn(Schedulers.parallel());
    }

    /** Every change of anything that the API shows, from now on; it fails for a subscriber that falls too far behind. */
    Flux<PlatformEvent> events() {
        return events.asFlux().onBackpressureBuffer(CHANGES_BEHIND).publishOn(Schedulers.parallel());
    }

    /** The tasks of a job as they are, then each as it changes; completes when the last one has ended. */
    Flux<Task> watch(String jobId) {
        return Flux.defer(() -> {
            // Listening starts before the look at what is there, so that nothing falls between the two.
            Sinks.Many<Task> later = Sinks.many().unicast().onBackpressureBuffer();
            Disposable listening = changes()
                    .map(TaskChange::task)
                    .filter(task -> task.jobId().equals(jobId))
                    .subscribe(later::tryEmitNext, later::tryEmitError, later::tryEmitComplete);
            return tasks(jobId)
                    .flatMapMany(tasks -> {
                        Set<String> open = new HashSet<>();
                        tasks.stream().filter(task -> !task.status().isFinal()).forEach(task -> open.add(task.id()));
                        Flux<Task> now = Flux.fromIterable(tasks);
                        return open.isEmpty()
                                ? now
                                : now.concatWith(later.asFlux()
                                        .filter(task -> open.contains(task.id()))
                                        .doOnNext(task -> {
                                            if (task.status().isFinal()) {
                                                open.remove(task.id());
                                            }
                                        })
                                        .takeUntil(task -> open.isEmpty()));
                    })
                    .doFinally(signal -> listening.dispose());
        });
    }

    /** Tells those who listen to {@link #changes} and {@link #events}; called on the state's thread only. */
    void announce(List<StateEntry> committed) {
        for (StateEntry entry : committed) {
            if (entry.task() != null) {
                TaskChange change = new TaskChange(entry.before(), entry.task());
                changes.tryEmitNext(change);
                events.tryEmitNext(change);
            } else if (entry.device() != null) {
                events.tryEmitNext(view(entry.device()));
            } else if (entry.firmware() != null) {
                events.tryEmitNext(entry.firmware());
            } else if (entry.job() != null) {
                events.tryEmitNext(jobs.view(entry.job()));
            } else if (entry.product() != null) {
                events.tryEmitNext(entry.product().view());
            } else if (entry.removed() != null) {
                events.tryEmitNext(new DeviceRemoved(
                        entry.removed().productKey(), entry.removed().deviceName()));
            }
        }
    }

    Mono<Boolean> informed(DeviceKey device, DeviceMessages.Inform inform, boolean pushAgain) {
        return run(() -> jobs.informed(device, inform.module(), inform.version(), pushAgain, clock.get()));
    }

    Mono<Boolean> progressed(DeviceKey device, DeviceMessages.Progress progress) {
        return run(
                () -> jobs.progressed(device, progress.module(), progress.step(), progress.description(), clock.get()));
    }

    Mono<Optional<Jobs.Offer>> queried(DeviceKey device, String module) {
        return run(() -> jobs.queried(device, module, clock.get()));
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

    void expire() {
        tell(() -> jobs.expire(clock.get()));
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
        RegisteredDevice registered = state.device(device);
        if (changed && registered != null) {
            events.tryEmitNext(view(registered));
        }
    }

    void refused(DeviceKey connection, DeviceKey device) {
        tell(() -> subDevices.refused(connection, device));
    }

    void close() {
        changes.tryEmitComplete();
        events.tryEmitComplete();
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
