package io.otaflux.samples.platform;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a job is to do: bring devices to a package's version. The devices are fixed when the job is created.
 *
 * <p>{@link #of(String)} is the plain job for every device of the package's product; the {@code with…} methods narrow it.
 *
 * @param packageId the package
 * @param devices names of devices, or null for every device of the product that has reported the module
 * @param sourceVersions only devices that report one of these; empty for any
 * @param timeout how long a device may take from its first progress report, or null for no limit; whole minutes, 1 to 1440
 * @param needPush whether the platform pushes; if not, devices have to ask ({@code firmware/get})
 * @param overwriteMode what happens to an earlier unfinished task of a device
 * @param multiModule whether a device may work on tasks for other modules at the same time
 * @param tags sent to devices as {@code extData}; at most 10
 */
public record JobRequest(
        String packageId,
        @Nullable List<String> devices,
        Set<String> sourceVersions,
        @Nullable Duration timeout,
        boolean needPush,
        OverwriteMode overwriteMode,
        boolean multiModule,
        Map<String, String> tags) {

    /** A job for every device of the package's product, pushed at once, without a time limit. */
    public static JobRequest of(String packageId) {
        return new JobRequest(packageId, null, Set.of(), null, true, OverwriteMode.KEEP_EARLIER, false, Map.of());
    }

    /** The same job for these devices only. */
    public JobRequest withDevices(String... names) {
        return new JobRequest(
                packageId, List.of(names), sourceVersions, timeout, needPush, overwriteMode, multiModule, tags);
    }

    /** The same job for devices only that report one of these versions. */
    public JobRequest withSourceVersions(String... versions) {
        return new JobRequest(
                packageId, devices, Set.of(versions), timeout, needPush, overwriteMode, multiModule, tags);
    }

    /** The same job with a time limit, counted per device from its first progress report. */
    public JobRequest withTimeout(Duration limit) {
        return new JobRequest(packageId, devices, sourceVersions, limit, needPush, overwriteMode, multiModule, tags);
    }

    /** The same job without pushes: devices have to ask. */
    public JobRequest withoutPush() {
        return new JobRequest(packageId, devices, sourceVersions, timeout, false, overwriteMode, multiModule, tags);
    }

    /** The same job with another way to treat earlier unfinished tasks. */
    public JobRequest withOverwriteMode(OverwriteMode mode) {
        return new JobRequest(packageId, devices, sourceVersions, timeout, needPush, mode, multiModule, tags);
    }

    /** The same job for devices that upgrade several modules at once. */
    public JobRequest withMultiModule() {
        return new JobRequest(packageId, devices, sourceVersions, timeout, needPush, overwriteMode, true, tags);
    }

    /** The same job with tags that are sent to the devices. */
    public JobRequest withTags(Map<String, String> extData) {
        return new JobRequest(
                packageId, devices, sourceVersions, timeout, needPush, overwriteMode, multiModule, Map.copyOf(extData));
    }
}
