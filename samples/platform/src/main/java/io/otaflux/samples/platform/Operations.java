package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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
    private final Supplier<Instant> clock;
    private final Set<DeviceKey> online = ConcurrentHashMap.newKeySet();
    private final Sinks.Many<TaskChange> changes = Sinks.many().multicast().directBestEffort();
    private final Sinks.Many<PlatformEvent> events = Sinks.many().multicast().directBestEffort();

    Operations(StateLoop loop, PlatformState state, Jobs jobs, Supplier<Instant> clock) {
        this.loop = loop;
        this.state = state;
        this.jobs = jobs;
        this.clock = clock;
    }

    <T> Mono<T> run(Supplier<T> command) {
        return Mono.fromFuture(() -> loop.submit(command)).publishOn(Schedulers.parallel());
    }

    Mono<Product> createProduct(String productKey) {
        return run(() -> jobs.createProduct(productKey, clock.get()));
    }

    Mono<List<Product>> products() {
        return run(() -> state.products().stream()
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
        return run(() -> {
            RegisteredDevice device = state.device(key);
            if (device == null) {
                throw RequestRefusedException.notFound("device", key.toString());
            }
            return view(device);
        });
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
                events.tryEmitNext(entry.product());
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
        tell(() -> jobs.startedListening(device, clock.get()));
    }

    void stoppedListening(DeviceKey device) {
        tell(() -> jobs.stoppedListening(device));
    }

    void expire() {
        tell(() -> jobs.expire(clock.get()));
    }

    void connected(DeviceKey device) {
        if (online.add(device)) {
            tell(() -> announcePresence(device));
        }
    }

    void disconnected(DeviceKey device) {
        if (online.remove(device)) {
            tell(() -> announcePresence(device));
        }
    }

    void close() {
        changes.tryEmitComplete();
        events.tryEmitComplete();
    }

    private void announcePresence(DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device != null) {
            events.tryEmitNext(view(device));
        }
    }

    private void tell(Runnable command) {
        run(() -> {
                    command.run();
                    return true;
                })
                .subscribe(ignored -> {}, error -> log.warn("the state was not told of something", error));
    }

    private Device view(RegisteredDevice device) {
        return new Device(device.productKey(), device.deviceName(), device.versions(), online.contains(device.key()));
    }
}
