package io.otaflux.samples.platform;

import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Everything the platform knows, as maps of immutable records, and the list of what has changed since it was last asked.
 *
 * <p>Written by one thread. Products and devices may be read by any (the broker checks logins on its own threads).
 */
final class PlatformState {

    private final Map<String, RegisteredProduct> products = new ConcurrentHashMap<>();
    private final Map<DeviceKey, RegisteredDevice> devices = new ConcurrentHashMap<>();
    private final Map<String, DeviceKey> certificates = new ConcurrentHashMap<>();
    private final Map<DeviceKey, Set<DeviceKey>> subDevices = new HashMap<>();
    private final Map<String, FirmwarePackage> packages = new LinkedHashMap<>();
    private final Map<String, StoredJob> jobs = new LinkedHashMap<>();
    private final Map<String, Map<String, Task>> tasksByJob = new LinkedHashMap<>();
    private final Map<String, Task> tasks = new HashMap<>();
    private final Map<String, Map<TaskStatus, Integer>> countsByJob = new HashMap<>();
    private final Map<DeviceKey, Map<String, Task>> tasksByDevice = new HashMap<>();
    private final Map<DeviceKey, Map<String, Task>> unfinishedByDevice = new LinkedHashMap<>();
    private final Map<String, List<String>> jobsByPackage = new HashMap<>();
    private final Map<String, Map<String, ProductModule>> modules = new HashMap<>();
    private final Map<String, Map<String, DeviceGroup>> groups = new HashMap<>();
    private long lastPackage;
    private List<StateEntry> changes = new ArrayList<>();

    void put(RegisteredProduct product) {
        products.put(product.productKey(), product);
        changes.add(StateEntry.of(product));
    }

    void put(RegisteredDevice device) {
        RegisteredDevice before = devices.put(device.key(), device);
        forgetCertificate(before);
        if (device.certificate() != null) {
            certificates.put(device.certificate(), device.key());
        }
        DeviceKey gatewayBefore = before == null ? null : before.gateway();
        if (!Objects.equals(gatewayBefore, device.gateway())) {
            unlink(gatewayBefore, device.key());
            if (device.gateway() != null) {
                subDevices
                        .computeIfAbsent(device.gateway(), key -> new LinkedHashSet<>())
                        .add(device.key());
            }
        }
        changes.add(StateEntry.of(device));
    }

    /** Forgets a device; its tasks are kept, and whoever is below it stays where it is. */
    void remove(DeviceKey device) {
        RegisteredDevice before = devices.remove(device);
        if (before != null) {
            forgetCertificate(before);
            unlink(before.gateway(), device);
            changes.add(StateEntry.ofRemoved(device));
        }
    }

    private void forgetCertificate(@Nullable RegisteredDevice device) {
        if (device != null && device.certificate() != null) {
            certificates.remove(device.certificate(), device.key());
        }
    }

    private void unlink(@Nullable DeviceKey gateway, DeviceKey device) {
        if (gateway != null) {
            subDevices.computeIfPresent(gateway, (key, below) -> {
                below.remove(device);
                return below.isEmpty() ? null : below;
            });
        }
    }

    void put(FirmwarePackage firmware) {
        packages.put(firmware.id(), firmware);
        lastPackage = Math.max(lastPackage, firmware.streamId());
        changes.add(StateEntry.of(firmware));
    }

    /** What the next package is to be called: as none was since the start. */
    String nextPackageId() {
        return "p" + (lastPackage + 1);
    }

    void removePackage(String id) {
        if (packages.remove(id) != null) {
            changes.add(StateEntry.ofRemovedPackage(id));
        }
    }

    void put(StoredJob job) {
        if (jobs.put(job.id(), job) == null) {
            jobsByPackage
                    .computeIfAbsent(job.request().packageId(), id -> new ArrayList<>())
                    .add(job.id());
        }
        tasksByJob.computeIfAbsent(job.id(), id -> new LinkedHashMap<>());
        changes.add(StateEntry.of(job));
    }

    void put(Task task) {
        Task before = tasks.put(task.id(), task);
        tasksByJob.computeIfAbsent(task.jobId(), id -> new LinkedHashMap<>()).put(task.id(), task);
        tasksByDevice
                .computeIfAbsent(task.device(), key -> new LinkedHashMap<>())
                .put(task.id(), task);
        Map<TaskStatus, Integer> counts =
                countsByJob.computeIfAbsent(task.jobId(), id -> new EnumMap<>(TaskStatus.class));
        if (before != null) {
            counts.merge(before.status(), -1, Integer::sum);
        }
        counts.merge(task.status(), 1, Integer::sum);
        if (!task.status().isFinal()) {
            unfinishedByDevice
                    .computeIfAbsent(task.device(), key -> new LinkedHashMap<>())
                    .put(task.id(), task);
        } else if (before != null && !before.status().isFinal()) {
            unfinishedByDevice.computeIfPresent(task.device(), (key, unfinished) -> {
                unfinished.remove(task.id());
                return unfinished.isEmpty() ? null : unfinished;
            });
        }
        changes.add(StateEntry.of(before, task));
    }

    void put(ProductModule module) {
        modules.computeIfAbsent(module.productKey(), key -> new TreeMap<>()).put(module.name(), module);
        changes.add(StateEntry.of(module));
    }

    void put(DeviceGroup group) {
        groups.computeIfAbsent(group.productKey(), key -> new TreeMap<>()).put(group.name(), group);
        changes.add(StateEntry.of(group));
    }

    void put(StateEntry entry) {
        if (entry.product() != null) {
            put(entry.product());
        } else if (entry.device() != null) {
            put(entry.device());
        } else if (entry.removed() != null) {
            remove(entry.removed());
        } else if (entry.removedPackage() != null) {
            removePackage(entry.removedPackage());
        } else if (entry.firmware() != null) {
            put(entry.firmware());
        } else if (entry.job() != null) {
            put(entry.job());
        } else if (entry.task() != null) {
            put(entry.task());
        } else if (entry.module() != null) {
            put(entry.module());
        } else if (entry.group() != null) {
            put(entry.group());
        }
    }

    /** What was put since the last call, in order. */
    List<StateEntry> takeChanges() {
        List<StateEntry> taken = changes;
        changes = new ArrayList<>();
        return taken;
    }

    /** The whole state as entries that, put one after the other into an empty state, make it again. */
    List<StateEntry> entries() {
        List<StateEntry> entries = new ArrayList<>();
        products.values().forEach(product -> entries.add(StateEntry.of(product)));
        devices.values().forEach(device -> entries.add(StateEntry.of(device)));
        modules.values().forEach(named -> named.values().forEach(module -> entries.add(StateEntry.of(module))));
        groups.values().forEach(named -> named.values().forEach(group -> entries.add(StateEntry.of(group))));
        packages.values().forEach(firmware -> entries.add(StateEntry.of(firmware)));
        jobs.values().forEach(job -> entries.add(StateEntry.of(job)));
        tasksByJob.values().forEach(tasks -> tasks.values().forEach(task -> entries.add(StateEntry.of(null, task))));
        return entries;
    }

    Collection<RegisteredProduct> products() {
        return products.values();
    }

    @Nullable
    RegisteredProduct product(String productKey) {
        return products.get(productKey);
    }

    boolean hasProduct(String productKey) {
        return products.containsKey(productKey);
    }

    Collection<RegisteredDevice> devices() {
        return devices.values();
    }

    @Nullable
    RegisteredDevice device(DeviceKey key) {
        return devices.get(key);
    }

    /** The device that a certificate belongs to. */
    @Nullable
    DeviceKey ofCertificate(String fingerprint) {
        return certificates.get(fingerprint);
    }

    /** The topology of a gateway, in the order in which it grew; a copy. */
    List<DeviceKey> subDevices(DeviceKey gateway) {
        return List.copyOf(subDevices.getOrDefault(gateway, Set.of()));
    }

    int subDeviceCount(DeviceKey gateway) {
        return subDevices.getOrDefault(gateway, Set.of()).size();
    }

    Collection<FirmwarePackage> packages() {
        return packages.values();
    }

    @Nullable
    FirmwarePackage firmware(String id) {
        return packages.get(id);
    }

    /** The package that a download over MQTT asks for by this number. */
    @Nullable
    FirmwarePackage firmwareOfStream(long streamId) {
        return packages.get("p" + streamId);
    }

    /** The jobs that bring a package, oldest first. */
    List<String> jobsOf(String packageId) {
        return jobsByPackage.getOrDefault(packageId, List.of());
    }

    Collection<StoredJob> jobs() {
        return jobs.values();
    }

    @Nullable
    StoredJob job(String id) {
        return jobs.get(id);
    }

    Collection<Task> tasks(String jobId) {
        return tasksByJob.getOrDefault(jobId, Map.of()).values();
    }

    @Nullable
    Task task(String id) {
        return tasks.get(id);
    }

    /** Every task that a device has had, oldest first. */
    Collection<Task> tasks(DeviceKey device) {
        return tasksByDevice.getOrDefault(device, Map.of()).values();
    }

    /** How many tasks of a job are in each status; every status is present. */
    Map<TaskStatus, Integer> taskCounts(String jobId) {
        Map<TaskStatus, Integer> counts = new EnumMap<>(TaskStatus.class);
        Map<TaskStatus, Integer> known = countsByJob.getOrDefault(jobId, Map.of());
        for (TaskStatus status : TaskStatus.values()) {
            counts.put(status, known.getOrDefault(status, 0));
        }
        return counts;
    }

    int taskCount() {
        return tasks.size();
    }

    /** The modules of a product that were created, by name. */
    Collection<ProductModule> modules(String productKey) {
        return modules.getOrDefault(productKey, Map.of()).values();
    }

    /** The groups of a product, by name. */
    Collection<DeviceGroup> groups(String productKey) {
        return groups.getOrDefault(productKey, Map.of()).values();
    }

    @Nullable
    DeviceGroup group(String productKey, String name) {
        return groups.getOrDefault(productKey, Map.of()).get(name);
    }

    /** A copy: the caller may change tasks while it goes through them. */
    List<Task> unfinished(DeviceKey device) {
        return List.copyOf(unfinishedByDevice.getOrDefault(device, Map.of()).values());
    }

    /** A copy: the caller may change tasks while it goes through them. */
    List<Task> unfinished() {
        List<Task> all = new ArrayList<>();
        unfinishedByDevice.values().forEach(tasks -> all.addAll(tasks.values()));
        return all;
    }
}
