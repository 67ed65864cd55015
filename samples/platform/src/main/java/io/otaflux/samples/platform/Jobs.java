package io.otaflux.samples.platform;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the platform decides: who gets which task when. Synchronous and without input or output: pushes that a decision
 * asks for are left in {@link #takePushes()}, what is to be told in {@link #takeEvents()}, changes in
 * {@link PlatformState#takeChanges()}.
 *
 * <p>A method that refuses does so before it changes anything. Nothing but the creation of a job takes longer the more tasks
 * there are.
 */
final class Jobs {

    private final PlatformState state;
    private final Packages packages;
    private final Targets targets;
    private final Set<DeviceKey> listening = new HashSet<>();
    private final Agenda agenda = new Agenda();
    private final Map<String, Pace> paces = new HashMap<>();
    private final Set<String> dynamicJobs = new LinkedHashSet<>();
    private final Set<String> touchedJobs = new LinkedHashSet<>();
    private List<Offer> pushes = new ArrayList<>();
    private List<PlatformEvent> events = new ArrayList<>();

    /** @param state what is known already; what in it waits for a time is waited for again */
    Jobs(PlatformState state) {
        this.state = state;
        this.packages = new Packages(state);
        this.targets = new Targets(state, packages);
        state.jobs().forEach(this::waitFor);
        state.unfinished().forEach(this::waitFor);
        state.jobs().stream().filter(job -> !status(job).isEnded()).forEach(this::rememberPace);
    }

    /** A task with all that its device is told. */
    record Offer(Task task, FirmwarePackage firmware, Map<String, String> tags, DownloadProtocol protocol) {}

    Packages packages() {
        return packages;
    }

    /** What to push to which device, in the order in which that was decided, since the last call. */
    List<Offer> takePushes() {
        List<Offer> taken = pushes;
        pushes = new ArrayList<>();
        return taken;
    }

    /** What else there is to tell since the last call: what devices said and came to, then each job that is different now. */
    List<PlatformEvent> takeEvents() {
        List<PlatformEvent> taken = events;
        events = new ArrayList<>();
        for (String id : touchedJobs) {
            StoredJob job = requireJob(id);
            taken.add(view(job));
            if (job.request().verification()) {
                taken.add(packages.view(packages.require(job.request().packageId())));
            }
        }
        touchedJobs.clear();
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
                .forEach(task -> update(task, TaskStateMachine.cancelled(task, "the device was deleted", now), now));
        state.remove(key);
    }

    RegisteredDevice requireDevice(DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device == null) {
            throw RequestRefusedException.notFound("device", key.toString());
        }
        return device;
    }

    FirmwarePackage addPackage(PackageRequest request, List<PackageFile> files, Instant now) {
        FirmwarePackage firmware = packages.add(request, files, now);
        events.add(packages.view(firmware));
        return firmware;
    }

    /**
     * Creates a job and its tasks, and decides the first pushes.
     *
     * <p>A device that already reports the target version, or a version the job does not take, gets no task. A device that
     * never reported the module cannot be targeted: it is left out of a job for all, and refused when it is named.
     */
    StoredJob createJob(JobRequest request, Instant now) {
        FirmwarePackage firmware = packages.require(request.packageId());
        Limits.job(request, now);
        checkFirmware(request, firmware);
        List<RegisteredDevice> devices = targets.now(request, firmware);
        if (request.verification() && devices.isEmpty()) {
            throw RequestRefusedException.conflict("none of the devices can be upgraded to version "
                    + firmware.version() + ", so nothing would be verified");
        }
        StoredJob job = new StoredJob(
                "j" + (state.jobs().size() + 1), request, false, request.scheduleTime() != null, false, now);
        put(job);
        waitFor(job);
        for (RegisteredDevice device : devices) {
            createTask(job, firmware, device, now);
        }
        return job;
    }

    /**
     * Cancels unfinished tasks of a job. The devices are not told: the protocol has no message for it. The job itself is
     * cancelled by {@link CancelFlags#ALL}, and when nothing of it is left.
     */
    StoredJob cancelJob(String jobId, CancelFlags flags, Instant now) {
        StoredJob job = requireJob(jobId);
        if (status(job).isEnded()) {
            throw RequestRefusedException.conflict("job '" + jobId + "' is " + status(job) + " already");
        }
        if (flags.equals(new CancelFlags(false, false, false, false, false))) {
            throw RequestRefusedException.invalid("at least one of cancelQueuedTask, cancelNotifiedTask,"
                    + " cancelInProgressTask, cancelUnconfirmedTask and cancelScheduledTask must be true;"
                    + " without a body all of the job is cancelled");
        }
        boolean any = false;
        for (Task task : unfinished(job)) {
            if (flags.cover(task, job.planned())) {
                update(task, TaskStateMachine.cancelled(task, "the job was cancelled", now), now);
                any = true;
            }
        }
        boolean nothingLeft = any && !job.request().dynamic() && unfinished(job).isEmpty();
        if (flags.equals(CancelFlags.ALL) || nothingLeft) {
            job = job.asCancelled(true);
            put(job);
            dynamicJobs.remove(jobId);
        }
        return job;
    }

    /** A dynamic job takes no more devices; the tasks there are go on. */
    StoredJob stopJob(String jobId) {
        StoredJob job = requireJob(jobId);
        if (!job.request().dynamic()) {
            throw RequestRefusedException.conflict("job '" + jobId + "' is not dynamic: its devices are fixed");
        }
        if (job.stopped() || status(job).isEnded()) {
            throw RequestRefusedException.conflict("job '" + jobId + "' takes no more devices already");
        }
        StoredJob stopped = job.asStopped();
        put(stopped);
        dynamicJobs.remove(jobId);
        return stopped;
    }

    /** An application confirms tasks that wait for it. */
    List<Task> confirm(Collection<String> taskIds, Instant now) {
        List<Task> tasks = requireTasks(taskIds);
        for (Task task : tasks) {
            if (task.status() != TaskStatus.CONFIRM) {
                throw RequestRefusedException.conflict(
                        "task '" + task.id() + "' is " + task.status() + " and waits for no confirmation");
            }
        }
        return tasks.stream()
                .map(task -> pushed(update(task, TaskStateMachine.confirmed(task, now), now), now))
                .toList();
    }

    /** Has tasks that failed or were cancelled done once more. */
    List<Task> restart(Collection<String> taskIds, Instant now) {
        List<Task> tasks = requireTasks(taskIds);
        List<Task> checked = new ArrayList<>();
        for (Task task : tasks) {
            checkRestart(task, checked, now);
            checked.add(task);
        }
        return tasks.stream().map(task -> restart(task, now)).toList();
    }

    /** Cancels tasks. The devices are not told. */
    List<Task> cancelTasks(Collection<String> taskIds, Instant now) {
        List<Task> tasks = requireTasks(taskIds);
        for (Task task : tasks) {
            if (task.status().isFinal()) {
                throw RequestRefusedException.conflict("task '" + task.id() + "' is " + task.status() + " already");
            }
        }
        return tasks.stream()
                .map(task -> update(task, TaskStateMachine.cancelled(task, "the task was cancelled", now), now))
                .toList();
    }

    /** Cancels the unfinished tasks of a device, of one job or of all. The device is not told. */
    List<Task> cancelDevice(DeviceKey device, @Nullable String jobId, Instant now) {
        requireDevice(device);
        if (jobId != null) {
            requireJob(jobId);
        }
        return state.unfinished(device).stream()
                .filter(task -> jobId == null || task.jobId().equals(jobId))
                .map(task ->
                        update(task, TaskStateMachine.cancelled(task, "the device's tasks were cancelled", now), now))
                .toList();
    }

    /** A device can be pushed to from now on: pushes what it has not finished. */
    void startedListening(DeviceKey device, Instant now) {
        if (state.device(device) == null) {
            return;
        }
        listening.add(device);
        state.unfinished(device).forEach(task -> pushed(task, now));
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
            device = device.withVersion(module, version);
            state.put(device);
        }
        events.add(ApplicationMessage.version(key, module, version, now));
        for (Task task : state.unfinished(key)) {
            if (task.module().equals(module)) {
                StoredJob job = requireJob(task.jobId());
                Set<String> sources = sources(job);
                Task informed = TaskStateMachine.informed(task, version, sources, now);
                if (informed.status() == TaskStatus.FAILED && (sources.isEmpty() || sources.contains(version))) {
                    informed = triedAgain(job, task, informed, now);
                }
                boolean queuedAgain = task.status() != TaskStatus.QUEUED && informed.status() == TaskStatus.QUEUED;
                if (queuedAgain) {
                    informed = informed.from(version, now);
                }
                Task updated = update(task, informed, now);
                if (pushAgain || queuedAgain) {
                    pushed(updated, now);
                }
            }
        }
        for (String id : List.copyOf(dynamicJobs)) {
            match(requireJob(id), device, module, now);
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
        StoredJob job = requireJob(task.jobId());
        events.add(ApplicationMessage.progress(task, step, description, now));
        Task progressed = TaskStateMachine.progressed(
                task, step, description, job.request().timeout(), now);
        Task updated = update(task, triedAgain(job, task, progressed, now), now);
        if (updated.status() == TaskStatus.QUEUED && updated.retries() > task.retries()) {
            pushed(updated, now);
        }
        return true;
    }

    /** A device asks what there is to do for a module; handing out the answer counts as a push. */
    Optional<Offer> queried(DeviceKey key, String module, Instant now) {
        Task task = unfinished(key, module);
        return task == null || !mayBeTold(task, now) ? Optional.empty() : Optional.of(offer(task, now));
    }

    /** Time has passed: looks at what was to be looked at by now. */
    void advance(Instant now) {
        for (String id : agenda.take(now)) {
            Task task = state.task(id);
            StoredJob job = state.job(id);
            if (task != null) {
                Task late = update(task, TaskStateMachine.expired(task, now), now);
                pushedIfQueued(late, now);
            } else if (job != null && !status(job).isEnded()) {
                advance(job, now);
            }
        }
    }

    /** Pushes the last task of a device in a job once more, whatever its status. */
    Offer repush(String jobId, DeviceKey device, Instant now) {
        requireJob(jobId);
        Task last = null;
        for (Task task : state.tasks(device)) {
            if (task.jobId().equals(jobId)) {
                last = task;
            }
        }
        if (last == null) {
            throw RequestRefusedException.notFound("task of job " + jobId + " for device", device.toString());
        }
        return offer(last, now);
    }

    Job view(StoredJob job) {
        return new Job(
                job.id(),
                job.request(),
                packages.require(job.request().packageId()),
                status(job),
                job.stopped(),
                state.taskCounts(job.id()),
                job.createdAt());
    }

    StoredJob requireJob(String jobId) {
        StoredJob job = state.job(jobId);
        if (job == null) {
            throw RequestRefusedException.notFound("job", jobId);
        }
        return job;
    }

    Task requireTask(String taskId) {
        Task task = state.task(taskId);
        if (task == null) {
            throw RequestRefusedException.notFound("task", taskId);
        }
        return task;
    }

    RegisteredProduct requireProduct(String productKey) {
        Limits.name("productKey", productKey);
        RegisteredProduct product = state.product(productKey);
        if (product == null) {
            throw RequestRefusedException.notFound("product", productKey);
        }
        return product;
    }

    private List<Task> requireTasks(Collection<String> taskIds) {
        return Limits.taskIds(taskIds).stream().map(this::requireTask).toList();
    }

    private Job.Status status(StoredJob job) {
        if (job.cancelled()) {
            return Job.Status.CANCELED;
        }
        if (job.planned()) {
            return Job.Status.PLANNED;
        }
        boolean open = state.taskCounts(job.id()).entrySet().stream()
                .anyMatch(count -> count.getValue() > 0 && !count.getKey().isFinal());
        boolean takesMore = job.request().dynamic() && !job.stopped();
        return open || takesMore ? Job.Status.IN_PROGRESS : Job.Status.COMPLETED;
    }

    /** A copy: the caller may change tasks while it goes through them. */
    private List<Task> unfinished(StoredJob job) {
        return state.tasks(job.id()).stream()
                .filter(task -> !task.status().isFinal())
                .toList();
    }

    private void checkFirmware(JobRequest request, FirmwarePackage firmware) {
        String source = firmware.srcVersion();
        if (source != null
                && !request.sourceVersions().isEmpty()
                && !request.sourceVersions().contains(source)) {
            throw RequestRefusedException.invalid("package " + firmware.id() + " is a delta from version " + source
                    + ", which is not among the srcVersions");
        }
        if (request.downloadProtocol() == DownloadProtocol.MQTT
                && (firmware.files().size() > 1 || firmware.size() > Limits.MAX_MQTT_BYTES)) {
            throw RequestRefusedException.conflict("over MQTT goes one file of at most " + Limits.MAX_MQTT_BYTES
                    + " bytes; package " + firmware.id() + " has "
                    + firmware.files().size() + " with " + firmware.size());
        }
        if (request.group() != null) {
            packages.requireGroup(firmware.productKey(), request.group());
        }
        int verified = packages.view(firmware).verifyStatus();
        if (request.verification()) {
            if (verified == PackageView.VERIFYING) {
                throw RequestRefusedException.conflict("package " + firmware.id() + " is being verified already");
            }
        } else if (verified != PackageView.NOT_NEEDED && verified != PackageView.VERIFIED) {
            throw RequestRefusedException.conflict("package " + firmware.id()
                    + " has to be verified first: a VERIFY_FIRMWARE job must succeed on every device of it");
        }
        if (request.dynamic()) {
            for (String id : dynamicJobs) {
                if (requireJob(id).request().packageId().equals(firmware.id())) {
                    throw RequestRefusedException.conflict(
                            "dynamic job '" + id + "' brings package " + firmware.id() + " already");
                }
            }
        }
    }

    /** Which versions a job takes devices from; empty for any. */
    private Set<String> sources(StoredJob job) {
        return Targets.sources(job.request(), packages.require(job.request().packageId()));
    }

    /** A dynamic job takes a device, unless it had it too often, or the device is busy. */
    private void match(StoredJob job, RegisteredDevice device, String module, Instant now) {
        FirmwarePackage firmware = packages.require(job.request().packageId());
        if (!firmware.module().equals(module) || !targets.includes(job.request(), firmware, device)) {
            return;
        }
        long matches = state.tasks(device.key()).stream()
                .filter(task -> task.jobId().equals(job.id()))
                .count();
        boolean busy = state.unfinished(device.key()).stream()
                .anyMatch(earlier ->
                        earlier.jobId().equals(job.id()) || (conflict(job, earlier) && !replaces(job, earlier)));
        if (!busy && matches < Limits.MAX_MATCHES) {
            createTask(job, firmware, device, now);
        }
    }

    private void createTask(StoredJob job, FirmwarePackage firmware, RegisteredDevice device, Instant now) {
        Task blocker = null;
        List<Task> replaced = new ArrayList<>();
        for (Task earlier : state.unfinished(device.key())) {
            if (conflict(job, earlier)) {
                if (!replaces(job, earlier)) {
                    blocker = earlier;
                }
                replaced.add(earlier);
            }
        }
        TaskStatus status = blocker != null
                ? TaskStatus.FAILED
                : job.request().needConfirm() ? TaskStatus.CONFIRM : TaskStatus.QUEUED;
        if (blocker == null) {
            replaced.forEach(earlier ->
                    update(earlier, TaskStateMachine.cancelled(earlier, "replaced by job " + job.id(), now), now));
        }
        Task task = Task.create(
                "t" + (state.taskCount() + 1),
                job.id(),
                device.key(),
                firmware.module(),
                device.versions().getOrDefault(firmware.module(), ""),
                firmware.version(),
                status,
                blocker == null ? "" : "task " + blocker.id() + " of job " + blocker.jobId() + " is not finished",
                now);
        put(task, now);
        pushed(task, now);
    }

    /** Several tasks at once only for different modules, and only if both jobs allow it. */
    private boolean conflict(StoredJob job, Task earlier) {
        StoredJob earlierJob = requireJob(earlier.jobId());
        return !job.request().multiModule()
                || !earlierJob.request().multiModule()
                || packages.require(job.request().packageId()).module().equals(earlier.module());
    }

    private static boolean replaces(StoredJob job, Task earlier) {
        return job.request().overwriteMode() == OverwriteMode.REPLACE_EARLIER
                && earlier.status() != TaskStatus.IN_PROGRESS;
    }

    private void checkRestart(Task task, List<Task> others, Instant now) {
        String refusal = "task '" + task.id() + "' cannot be restarted: ";
        if (task.status() != TaskStatus.FAILED && task.status() != TaskStatus.CANCELED) {
            throw RequestRefusedException.conflict(refusal + "it is " + task.status() + ", not FAILED or CANCELED");
        }
        StoredJob job = requireJob(task.jobId());
        if (job.request().needConfirm()
                && task.history().stream().noneMatch(past -> past.status() == TaskStatus.QUEUED)) {
            throw RequestRefusedException.conflict(refusal + "it was never confirmed");
        }
        Instant finish = job.request().scheduleFinishTime();
        if (finish != null && !now.isBefore(finish)) {
            throw RequestRefusedException.conflict(refusal + "its job was to be finished by " + finish);
        }
        FirmwarePackage firmware = packages.require(job.request().packageId());
        RegisteredDevice device = requireDevice(task.device());
        if (!Targets.takes(job.request(), firmware, device)) {
            throw RequestRefusedException.conflict(refusal + "its device reports version "
                    + device.versions().get(task.module()) + ", which the job does not upgrade");
        }
        for (Task other : state.unfinished(task.device())) {
            if (conflict(job, other)) {
                throw RequestRefusedException.conflict(
                        refusal + "task '" + other.id() + "' of its device is not finished");
            }
        }
        if (others.stream().anyMatch(other -> other.device().equals(task.device()) && conflict(job, other))) {
            throw RequestRefusedException.conflict(refusal + "another of the tasks is for the same device");
        }
    }

    private Task restart(Task task, Instant now) {
        revive(requireJob(task.jobId()), now);
        String source = requireDevice(task.device()).versions().getOrDefault(task.module(), task.sourceVersion());
        return pushed(update(task, TaskStateMachine.restarted(task, source, now), now), now);
    }

    /** A job that was cancelled goes on for the tasks that are restarted: with no other devices, and at once if it is late. */
    private void revive(StoredJob job, Instant now) {
        if (!job.cancelled()) {
            return;
        }
        StoredJob revived = job.asCancelled(false);
        Instant start = job.request().scheduleTime();
        if (job.planned() && start != null && !now.isBefore(start)) {
            revived = revived.asStarted();
        }
        put(job.request().dynamic() ? revived.asStopped() : revived);
    }

    /** A failure that the device reported, as the job wants it: the task is offered again, or has failed. */
    private static Task triedAgain(StoredJob job, Task before, Task after, Instant now) {
        Duration interval = job.request().retryInterval();
        if (after.status() != TaskStatus.FAILED
                || before.status() == TaskStatus.FAILED
                || interval == null
                || after.retries() >= job.request().retryCount()) {
            return after;
        }
        return TaskStateMachine.triedAgain(
                after, before.deadline(), now.plus(interval), job.request().retryCount(), now);
    }

    private void advance(StoredJob job, Instant now) {
        Instant start = job.request().scheduleTime();
        Instant finish = job.request().scheduleFinishTime();
        if (finish != null && !now.isBefore(finish)) {
            if (job.planned()) {
                put(job.asStarted());
            }
            unfinished(job)
                    .forEach(task -> update(
                            task,
                            TaskStateMachine.cancelled(task, "the job was to be finished by " + finish, now),
                            now));
            return;
        }
        if (job.planned() && start != null && !now.isBefore(start)) {
            put(job.asStarted());
            unfinished(job).forEach(task -> pushed(task, now));
        }
        Pace pace = paces.get(job.id());
        while (pace != null && pace.hasRoom(now)) {
            String next = pace.next();
            if (next == null) {
                return;
            }
            pushedIfQueued(requireTask(next), now);
        }
        waitForRoom(job.id());
    }

    private void pushedIfQueued(Task task, Instant now) {
        if (task.status() == TaskStatus.QUEUED) {
            pushed(task, now);
        }
    }

    /** Pushes a task that is not finished to its device, if it can be reached, the job pushes, and it is the task's turn. */
    private Task pushed(Task task, Instant now) {
        if (task.status().isFinal()
                || !listening.contains(task.device())
                || !requireJob(task.jobId()).request().needPush()) {
            return task;
        }
        if (!mayBeTold(task, now)) {
            return task;
        }
        Offer offer = offer(task, now);
        pushes.add(offer);
        return offer.task();
    }

    /** Whether it is a task's turn; if too many others have had theirs just now, it waits for it. */
    private boolean mayBeTold(Task task, Instant now) {
        Instant notBefore = task.notBefore();
        if (task.status() != TaskStatus.QUEUED) {
            return task.status() != TaskStatus.CONFIRM;
        }
        StoredJob job = requireJob(task.jobId());
        if (job.planned() || (notBefore != null && now.isBefore(notBefore))) {
            return false;
        }
        Pace pace = paces.computeIfAbsent(job.id(), id -> new Pace(job.request().maximumPerMinute()));
        if (pace.hasRoom(now)) {
            return true;
        }
        if (job.request().needPush() && pace.await(task.id())) {
            waitForRoom(job.id());
        }
        return false;
    }

    private Offer offer(Task task, Instant now) {
        JobRequest request = requireJob(task.jobId()).request();
        if (task.status() == TaskStatus.QUEUED) {
            paces.computeIfAbsent(task.jobId(), id -> new Pace(request.maximumPerMinute()))
                    .told(now);
        }
        return new Offer(
                update(task, TaskStateMachine.offered(task, now), now),
                packages.require(request.packageId()),
                request.tags(),
                request.downloadProtocol());
    }

    private @Nullable Task unfinished(DeviceKey key, String module) {
        for (Task task : state.unfinished(key)) {
            if (task.module().equals(module)) {
                return task;
            }
        }
        return null;
    }

    private Task update(Task before, Task after, Instant now) {
        if (!after.equals(before)) {
            put(after, now);
        }
        return after;
    }

    private void put(Task task, Instant now) {
        state.put(task);
        waitFor(task);
        touchedJobs.add(task.jobId());
        if (task.status().isFinal()) {
            events.add(ApplicationMessage.upgrade(task, now));
            if (status(requireJob(task.jobId())).isEnded()) {
                paces.remove(task.jobId());
            }
        }
    }

    private void put(StoredJob job) {
        state.put(job);
        touchedJobs.add(job.id());
    }

    private void waitFor(Task task) {
        if (!task.status().isFinal()) {
            waitFor(task.deadline(), task.id());
            waitFor(task.notBefore(), task.id());
        }
    }

    private void waitFor(StoredJob job) {
        waitFor(job.request().scheduleTime(), job.id());
        waitFor(job.request().scheduleFinishTime(), job.id());
        if (job.request().dynamic() && !job.stopped() && !job.cancelled()) {
            dynamicJobs.add(job.id());
        }
    }

    /** Those who were told just before the platform was started again count too. */
    private void rememberPace(StoredJob job) {
        Pace pace = new Pace(job.request().maximumPerMinute());
        state.tasks(job.id()).stream()
                .flatMap(task -> task.history().stream())
                .filter(past -> past.status() == TaskStatus.NOTIFIED)
                .map(Task.Transition::at)
                .sorted()
                .forEach(pace::told);
        paces.put(job.id(), pace);
    }

    private void waitFor(@Nullable Instant time, String id) {
        if (time != null) {
            agenda.add(time, id);
        }
    }

    private void waitForRoom(String jobId) {
        Pace pace = paces.get(jobId);
        waitFor(pace == null ? null : pace.nextRoom(), jobId);
    }
}
