package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the platform decides: who gets which task when. Synchronous and without input or output: pushes that a decision
 * asks for are left in {@link #takePushes()}, changes in {@link PlatformState#takeChanges()}.
 *
 * <p>A method that refuses does so before it changes anything.
 */
final class Jobs {

    private final PlatformState state;
    private final Set<DeviceKey> listening = new HashSet<>();
    private List<Offer> pushes = new ArrayList<>();

    Jobs(PlatformState state) {
        this.state = state;
    }

    /** A task with all that its device is told. */
    record Offer(Task task, FirmwarePackage firmware, Map<String, String> tags) {}

    /** What to push to which device, in the order in which that was decided, since the last call. */
    List<Offer> takePushes() {
        List<Offer> taken = pushes;
        pushes = new ArrayList<>();
        return taken;
    }

    RegisteredProduct createProduct(String productKey, Instant now) {
        Limits.name("productKey", productKey);
        if (state.hasProduct(productKey)) {
            throw RequestRefusedException.conflict("product '" + productKey + "' exists already");
        }
        RegisteredProduct product = RegisteredProduct.of(productKey, now);
        state.put(product);
        return product;
    }

    RegisteredDevice createDevice(DeviceKey key, String secret, Instant now) {
        Limits.name("deviceName", key.deviceName());
        requireProduct(key.productKey());
        if (state.device(key) != null) {
            throw RequestRefusedException.conflict("device '" + key + "' exists already");
        }
        RegisteredDevice device = RegisteredDevice.of(key, secret, now);
        state.put(device);
        return device;
    }

    /** Forgets a device and cancels what it had to do. */
    void deleteDevice(DeviceKey key, Instant now) {
        requireDevice(key);
        listening.remove(key);
        state.unfinished(key)
                .forEach(task -> update(task, TaskStateMachine.cancelled(task, "the device was deleted", now)));
        state.remove(key);
    }

    RegisteredDevice requireDevice(DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device == null) {
            throw RequestRefusedException.notFound("device", key.toString());
        }
        return device;
    }

    FirmwarePackage addPackage(
            String productKey,
            String module,
            String version,
            ArtifactFiles.StoredFile file,
            SignMethod signMethod,
            @Nullable String customInfo,
            Instant now) {
        checkPackage(productKey, module, version, customInfo);
        String id = "p" + (state.packages().size() + 1);
        FirmwarePackage firmware = new FirmwarePackage(
                id, productKey, module, version, file.size(), file.md5(), file.sha256(), signMethod, customInfo, now);
        state.put(firmware);
        return firmware;
    }

    /** Refuses what {@link #addPackage} would refuse, before a file has been taken in. */
    void checkPackage(String productKey, String module, String version, @Nullable String customInfo) {
        requireProduct(productKey);
        Limits.name("module", module);
        Limits.name("version", version);
        Limits.customInfo(customInfo);
        for (FirmwarePackage firmware : state.packages()) {
            if (firmware.productKey().equals(productKey)
                    && firmware.module().equals(module)
                    && firmware.version().equals(version)) {
                throw RequestRefusedException.conflict("package " + firmware.id() + " is already version " + version
                        + " of module " + module + " of product " + productKey);
            }
        }
    }

    /**
     * Creates a job and its tasks, and decides the first pushes.
     *
     * <p>A device that already reports the target version, or a version the job does not take, gets no task. A device that
     * never reported the module cannot be targeted: it is left out of a job for all, and refused when it is named.
     */
    StoredJob createJob(JobRequest request, Instant now) {
        FirmwarePackage firmware = requirePackage(request.packageId());
        Limits.timeout(request.timeout());
        Limits.tags(request.tags());
        request.sourceVersions().forEach(version -> Limits.name("a source version", version));
        if (request.multiModule() && request.overwriteMode() == OverwriteMode.REPLACE_EARLIER) {
            throw RequestRefusedException.invalid("multiModule cannot be combined with overwriteMode 2");
        }
        Collection<RegisteredDevice> targets = targets(request, firmware);

        StoredJob job = new StoredJob("j" + (state.jobs().size() + 1), request, false, now);
        state.put(job);
        for (RegisteredDevice device : targets) {
            String source = device.versions().get(firmware.module());
            if (source == null
                    || source.equals(firmware.version())
                    || (!request.sourceVersions().isEmpty()
                            && !request.sourceVersions().contains(source))) {
                continue;
            }
            createTask(job, firmware, device, source, now);
        }
        return job;
    }

    /** Cancels every unfinished task of a job. The devices are not told: the protocol has no message for it. */
    StoredJob cancelJob(String jobId, Instant now) {
        StoredJob job = requireJob(jobId);
        if (status(job) != Job.Status.IN_PROGRESS) {
            throw RequestRefusedException.conflict("job '" + jobId + "' is " + status(job) + " already");
        }
        StoredJob cancelled = job.asCancelled();
        state.put(cancelled);
        List.copyOf(state.tasks(jobId))
                .forEach(task -> update(task, TaskStateMachine.cancelled(task, "the job was cancelled", now)));
        return cancelled;
    }

    /** A device can be pushed to from now on: pushes what it has not finished. */
    void startedListening(DeviceKey device, Instant now) {
        if (state.device(device) == null) {
            return;
        }
        listening.add(device);
        state.unfinished(device).forEach(task -> pushIfWanted(task, now));
    }

    /** A device cannot be pushed to any more. */
    void stoppedListening(DeviceKey device) {
        listening.remove(device);
    }

    /**
     * A device reported the version of a module.
     *
     * @param pushAgain whether this counts as coming online: a broker that does not say who is connected leaves only this
     * @return whether the device is known
     */
    boolean informed(DeviceKey key, String module, String version, boolean pushAgain, Instant now) {
        RegisteredDevice device = state.device(key);
        if (device == null) {
            return false;
        }
        if (pushAgain) {
            listening.add(key);
        }
        if (!version.equals(device.versions().get(module))) {
            state.put(device.withVersion(module, version));
        }
        for (Task task : state.unfinished(key)) {
            if (task.module().equals(module)) {
                Set<String> sources = requireJob(task.jobId()).request().sourceVersions();
                Task informed = update(task, TaskStateMachine.informed(task, version, sources, now));
                if (pushAgain) {
                    pushIfWanted(informed, now);
                }
            }
        }
        return true;
    }

    /**
     * A device reported progress.
     *
     * @return whether there is a task that the report can be about
     */
    boolean progressed(DeviceKey key, String module, int step, String description, Instant now) {
        Task task = unfinished(key, module);
        if (task == null) {
            return false;
        }
        update(
                task,
                TaskStateMachine.progressed(
                        task,
                        step,
                        description,
                        requireJob(task.jobId()).request().timeout(),
                        now));
        return true;
    }

    /** A device asks what there is to do for a module; handing out the answer counts as a push. */
    Optional<Offer> queried(DeviceKey key, String module, Instant now) {
        Task task = unfinished(key, module);
        return task == null ? Optional.empty() : Optional.of(offer(task, now));
    }

    /** Time has passed. */
    void expire(Instant now) {
        state.unfinished().forEach(task -> update(task, TaskStateMachine.expired(task, now)));
    }

    /** Pushes a task once more, whatever its status. */
    Offer repush(String jobId, DeviceKey device, Instant now) {
        requireJob(jobId);
        for (Task task : state.tasks(jobId)) {
            if (task.device().equals(device)) {
                return offer(task, now);
            }
        }
        throw RequestRefusedException.notFound("task of job " + jobId + " for device", device.toString());
    }

    Job view(StoredJob job) {
        Map<TaskStatus, Integer> counts = new EnumMap<>(TaskStatus.class);
        for (TaskStatus status : TaskStatus.values()) {
            counts.put(status, 0);
        }
        state.tasks(job.id()).forEach(task -> counts.merge(task.status(), 1, Integer::sum));
        return new Job(job.id(), job.request(), status(job), counts, job.createdAt());
    }

    StoredJob requireJob(String jobId) {
        StoredJob job = state.job(jobId);
        if (job == null) {
            throw RequestRefusedException.notFound("job", jobId);
        }
        return job;
    }

    FirmwarePackage requirePackage(String packageId) {
        FirmwarePackage firmware = state.firmware(packageId);
        if (firmware == null) {
            throw RequestRefusedException.notFound("package", packageId);
        }
        return firmware;
    }

    RegisteredProduct requireProduct(String productKey) {
        Limits.name("productKey", productKey);
        RegisteredProduct product = state.product(productKey);
        if (product == null) {
            throw RequestRefusedException.notFound("product", productKey);
        }
        return product;
    }

    private Job.Status status(StoredJob job) {
        if (job.cancelled()) {
            return Job.Status.CANCELED;
        }
        return state.tasks(job.id()).stream().allMatch(task -> task.status().isFinal())
                ? Job.Status.COMPLETED
                : Job.Status.IN_PROGRESS;
    }

    private Collection<RegisteredDevice> targets(JobRequest request, FirmwarePackage firmware) {
        List<String> names = request.devices();
        if (names == null) {
            return state.devices().stream()
                    .filter(device -> device.productKey().equals(firmware.productKey()))
                    .sorted(Comparator.comparing(RegisteredDevice::deviceName))
                    .toList();
        }
        if (names.isEmpty()) {
            throw RequestRefusedException.invalid("devices names no device; leave it out or say ALL for every device");
        }
        List<RegisteredDevice> targets = new ArrayList<>();
        for (String name : new LinkedHashSet<>(names)) {
            DeviceKey key = new DeviceKey(firmware.productKey(), name);
            RegisteredDevice device = state.device(key);
            if (device == null) {
                throw RequestRefusedException.notFound("device", key.toString());
            }
            if (!device.versions().containsKey(firmware.module())) {
                throw RequestRefusedException.conflict(
                        "device '" + key + "' has never reported a version of module " + firmware.module());
            }
            targets.add(device);
        }
        return targets;
    }

    private void createTask(
            StoredJob job, FirmwarePackage firmware, RegisteredDevice device, String source, Instant now) {
        Task task = new Task(
                "t" + (state.taskCount() + 1),
                job.id(),
                device.productKey(),
                device.deviceName(),
                firmware.module(),
                source,
                firmware.version(),
                TaskStatus.QUEUED,
                0,
                "",
                null,
                now,
                now);
        for (Task earlier : state.unfinished(device.key())) {
            if (!conflict(job, earlier)) {
                continue;
            }
            if (job.request().overwriteMode() == OverwriteMode.KEEP_EARLIER
                    || earlier.status() == TaskStatus.IN_PROGRESS) {
                state.put(task.to(
                        TaskStatus.FAILED,
                        "task " + earlier.id() + " of job " + earlier.jobId() + " is not finished",
                        now));
                return;
            }
            update(earlier, TaskStateMachine.cancelled(earlier, "replaced by job " + job.id(), now));
        }
        state.put(task);
        if (listening.contains(device.key())) {
            pushIfWanted(task, now);
        }
    }

    /** Several tasks at once only for different modules, and only if both jobs allow it. */
    private boolean conflict(StoredJob job, Task earlier) {
        StoredJob earlierJob = requireJob(earlier.jobId());
        return !job.request().multiModule()
                || !earlierJob.request().multiModule()
                || requirePackage(job.request().packageId()).module().equals(earlier.module());
    }

    private void pushIfWanted(Task task, Instant now) {
        if (!task.status().isFinal() && requireJob(task.jobId()).request().needPush()) {
            pushes.add(offer(task, now));
        }
    }

    private Offer offer(Task task, Instant now) {
        JobRequest request = requireJob(task.jobId()).request();
        return new Offer(
                update(task, TaskStateMachine.offered(task, now)), requirePackage(request.packageId()), request.tags());
    }

    private @Nullable Task unfinished(DeviceKey key, String module) {
        for (Task task : state.unfinished(key)) {
            if (task.module().equals(module)) {
                return task;
            }
        }
        return null;
    }

    private Task update(Task before, Task after) {
        if (!after.equals(before)) {
            state.put(after);
        }
        return after;
    }
}
