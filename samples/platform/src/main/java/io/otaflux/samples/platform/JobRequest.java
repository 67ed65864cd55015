package io.otaflux.samples.platform;

import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a job is to do: bring devices to a package's version.
 *
 * <p>{@link #of(String)} is the plain job for every device of the package's product; the other methods narrow or change it.
 * Which devices: those that are named, a share of all ({@code grayPercent}), a group, or all. They are fixed when the job is
 * created, but for a dynamic job, which goes on taking devices as they report.
 *
 * @param packageId the package
 * @param verification whether the job tries out the package, on at most ten named devices, before others may have it
 * @param devices names of devices, at most 200, or null
 * @param grayPercent percent of the devices that could be taken, rounded down but at least one, at most three decimals; or
 *     null
 * @param group the name of a group of devices, or null
 * @param dynamicMode null for a job whose devices are fixed; 1 takes devices that match now or later, 2 only those that report
 *     a version later
 * @param sourceVersions only devices that report one of these, at most ten; empty for any
 * @param scheduleTime when to start, 5 minutes to 7 days from the creation, or null for at once
 * @param scheduleFinishTime when to give up what is not finished, 1 hour to 30 days after the start, or null
 * @param maximumPerMinute how many devices are told of the job in a minute, 10 to 10000
 * @param timeout how long a device may take from its first progress report, or null for no limit; whole minutes, 1 to 1440
 * @param retryInterval how long to wait before a failed device is told again, 0, 10, 30, 60 or 1440 minutes and less than the
 *     time limit, or null for no retries
 * @param retryCount how often, 1, 2 or 5; 0 without retries
 * @param needPush whether the platform pushes; if not, devices have to ask ({@code firmware/get})
 * @param needConfirm whether each task waits until an application has confirmed it
 * @param overwriteMode what happens to an earlier unfinished task of a device
 * @param multiModule whether a device may work on tasks for other modules at the same time
 * @param downloadProtocol how devices get the file
 * @param tags sent to devices as {@code extData}; at most 10
 */
public record JobRequest(
        String packageId,
        boolean verification,
        @Nullable List<String> devices,
        @Nullable BigDecimal grayPercent,
        @Nullable String group,
        @Nullable Integer dynamicMode,
        Set<String> sourceVersions,
        @Nullable Instant scheduleTime,
        @Nullable Instant scheduleFinishTime,
        int maximumPerMinute,
        @Nullable Duration timeout,
        @Nullable Duration retryInterval,
        int retryCount,
        boolean needPush,
        boolean needConfirm,
        OverwriteMode overwriteMode,
        boolean multiModule,
        DownloadProtocol downloadProtocol,
        Map<String, String> tags) {

    static final int FASTEST = 10_000;

    /** What an earlier version of the platform has kept lacks what it could not do. */
    public JobRequest {
        maximumPerMinute = maximumPerMinute == 0 ? FASTEST : maximumPerMinute;
        downloadProtocol = downloadProtocol == null ? DownloadProtocol.HTTPS : downloadProtocol;
    }

    private JobRequest(Draft draft) {
        this(
                draft.packageId,
                draft.verification,
                draft.devices,
                draft.grayPercent,
                draft.group,
                draft.dynamicMode,
                draft.sourceVersions,
                draft.scheduleTime,
                draft.scheduleFinishTime,
                draft.maximumPerMinute,
                draft.timeout,
                draft.retryInterval,
                draft.retryCount,
                draft.needPush,
                draft.needConfirm,
                draft.overwriteMode,
                draft.multiModule,
                draft.downloadProtocol,
                draft.tags);
    }

    /** A job for every device of the package's product, pushed at once, without a time limit. */
    public static JobRequest of(String packageId) {
        return new JobRequest(new Draft(packageId));
    }

    /** The same job for these devices only. */
    public JobRequest withDevices(String... names) {
        return with(draft -> draft.devices = List.of(names));
    }

    /** The job that tries out the package on these devices. */
    public JobRequest asVerification(String... names) {
        return with(draft -> {
            draft.verification = true;
            draft.devices = List.of(names);
        });
    }

    /** The same job for a share of the devices only, which is always the same one. */
    public JobRequest withGrayPercent(String percent) {
        return with(draft -> draft.grayPercent = new BigDecimal(percent));
    }

    /** The same job for the devices of a group only. */
    public JobRequest withGroup(String name) {
        return with(draft -> draft.group = name);
    }

    /** The same job, which goes on taking devices until it is stopped: 1 also those there are, 2 only later reports. */
    public JobRequest withDynamicMode(int mode) {
        return with(draft -> draft.dynamicMode = mode);
    }

    /** The same job for devices only that report one of these versions. */
    public JobRequest withSourceVersions(String... versions) {
        return with(draft -> draft.sourceVersions = Set.of(versions));
    }

    /** The same job, planned for later. */
    public JobRequest withSchedule(@Nullable Instant start, @Nullable Instant finish) {
        return with(draft -> {
            draft.scheduleTime = start;
            draft.scheduleFinishTime = finish;
        });
    }

    /** The same job that tells at most so many devices in a minute. */
    public JobRequest withMaximumPerMinute(int devicesPerMinute) {
        return with(draft -> draft.maximumPerMinute = devicesPerMinute);
    }

    /** The same job with a time limit, counted per device from its first progress report. */
    public JobRequest withTimeout(Duration limit) {
        return with(draft -> draft.timeout = limit);
    }

    /** The same job that tells devices again which reported a failure. */
    public JobRequest withRetries(Duration interval, int count) {
        return with(draft -> {
            draft.retryInterval = interval;
            draft.retryCount = count;
        });
    }

    /** The same job without pushes: devices have to ask. */
    public JobRequest withoutPush() {
        return with(draft -> draft.needPush = false);
    }

    /** The same job, whose tasks wait until each is confirmed. */
    public JobRequest withConfirmation() {
        return with(draft -> draft.needConfirm = true);
    }

    /** The same job with another way to treat earlier unfinished tasks. */
    public JobRequest withOverwriteMode(OverwriteMode mode) {
        return with(draft -> draft.overwriteMode = mode);
    }

    /** The same job for devices that upgrade several modules at once. */
    public JobRequest withMultiModule() {
        return with(draft -> draft.multiModule = true);
    }

    /** The same job with another way to get the file. */
    public JobRequest withDownloadProtocol(DownloadProtocol protocol) {
        return with(draft -> draft.downloadProtocol = protocol);
    }

    /** The same job with tags that are sent to the devices. */
    public JobRequest withTags(Map<String, String> extData) {
        return with(draft -> draft.tags = Map.copyOf(extData));
    }

    boolean dynamic() {
        return dynamicMode != null;
    }

    private JobRequest with(Consumer<Draft> change) {
        Draft draft = new Draft(packageId);
        draft.verification = verification;
        draft.devices = devices;
        draft.grayPercent = grayPercent;
        draft.group = group;
        draft.dynamicMode = dynamicMode;
        draft.sourceVersions = sourceVersions;
        draft.scheduleTime = scheduleTime;
        draft.scheduleFinishTime = scheduleFinishTime;
        draft.maximumPerMinute = maximumPerMinute;
        draft.timeout = timeout;
        draft.retryInterval = retryInterval;
        draft.retryCount = retryCount;
        draft.needPush = needPush;
        draft.needConfirm = needConfirm;
        draft.overwriteMode = overwriteMode;
        draft.multiModule = multiModule;
        draft.downloadProtocol = downloadProtocol;
        draft.tags = tags;
        change.accept(draft);
        return new JobRequest(draft);
    }

    /** The components of a request while one of them is changed. */
    private static final class Draft {

        private final String packageId;
        private boolean verification;
        private @Nullable List<String> devices;
        private @Nullable BigDecimal grayPercent;
        private @Nullable String group;
        private @Nullable Integer dynamicMode;
        private Set<String> sourceVersions = Set.of();
        private @Nullable Instant scheduleTime;
        private @Nullable Instant scheduleFinishTime;
        private int maximumPerMinute = FASTEST;
        private @Nullable Duration timeout;
        private @Nullable Duration retryInterval;
        private int retryCount;
        private boolean needPush = true;
        private boolean needConfirm;
        private OverwriteMode overwriteMode = OverwriteMode.KEEP_EARLIER;
        private boolean multiModule;
        private DownloadProtocol downloadProtocol = DownloadProtocol.HTTPS;
        private Map<String, String> tags = Map.of();

        Draft(String packageId) {
            this.packageId = packageId;
        }
    }
}
