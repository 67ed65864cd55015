package io.otaflux.samples.platform;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A job as the REST API shows it. The names are those of Alibaba's API in camel case, where it has one.
 *
 * @param devices {@code "ALL"}, or the names
 */
record JobJson(
        String id,
        String packageId,
        String productKey,
        String module,
        String version,
        String jobType,
        String selectionType,
        String targetSelection,
        Object devices,
        @Nullable BigDecimal grayPercent,
        @Nullable String group,
        @Nullable Integer dynamicMode,
        @Nullable Boolean stopped,
        Set<String> srcVersions,
        @Nullable Instant scheduleTime,
        @Nullable Instant scheduleFinishTime,
        int maximumPerMinute,
        @Nullable Long timeoutInMinutes,
        @Nullable Long retryInterval,
        @Nullable Integer retryCount,
        boolean needPush,
        boolean needConfirm,
        int overwriteMode,
        boolean multiModule,
        DownloadProtocol downloadProtocol,
        Map<String, String> tags,
        Job.Status status,
        Map<TaskStatus, Integer> tasks,
        Instant createdAt) {

    private static final String VERIFY = "VERIFY_FIRMWARE";
    private static final String UPGRADE = "UPGRADE_FIRMWARE";
    private static final String STATIC = "STATIC";
    private static final String DYNAMIC = "DYNAMIC";
    private static final String ALL = "ALL";

    static JobJson of(Job job) {
        JobRequest request = job.request();
        List<String> devices = request.devices();
        Duration interval = request.retryInterval();
        Duration timeout = request.timeout();
        return new JobJson(
                job.id(),
                request.packageId(),
                job.firmware().productKey(),
                job.firmware().module(),
                job.firmware().version(),
                request.verification() ? VERIFY : UPGRADE,
                request.dynamic() ? DYNAMIC : STATIC,
                targetSelection(request),
                devices == null ? ALL : devices,
                request.grayPercent(),
                request.group(),
                request.dynamicMode(),
                request.dynamic() ? job.stopped() : null,
                request.sourceVersions(),
                request.scheduleTime(),
                request.scheduleFinishTime(),
                request.maximumPerMinute(),
                timeout == null ? null : timeout.toMinutes(),
                interval == null ? null : interval.toMinutes(),
                interval == null ? null : request.retryCount(),
                request.needPush(),
                request.needConfirm(),
                request.overwriteMode().number(),
                request.multiModule(),
                request.downloadProtocol(),
                request.tags(),
                job.status(),
                job.tasks(),
                job.createdAt());
    }

    private static String targetSelection(JobRequest request) {
        if (request.devices() != null) {
            return "SPECIFIC";
        }
        if (request.grayPercent() != null) {
            return "GRAY";
        }
        return request.group() != null ? "GROUP" : ALL;
    }

    /** What to create a job from. */
    record New(
            @Nullable String packageId,
            @Nullable String jobType,
            @Nullable String selectionType,
            @Nullable String targetSelection,
            @Nullable JsonNode devices,
            @Nullable BigDecimal grayPercent,
            @Nullable String group,
            @Nullable Integer dynamicMode,
            @Nullable Set<String> srcVersions,
            @Nullable String scheduleTime,
            @Nullable String scheduleFinishTime,
            @Nullable Integer maximumPerMinute,
            @Nullable Integer timeoutInMinutes,
            @Nullable Integer retryInterval,
            @Nullable Integer retryCount,
            @Nullable Boolean needPush,
            @Nullable Boolean needConfirm,
            @Nullable Integer overwriteMode,
            @Nullable Boolean multiModule,
            @Nullable String downloadProtocol,
            @Nullable Map<String, String> tags) {

        JobRequest request() {
            if (packageId == null) {
                throw RequestRefusedException.invalid("packageId is missing");
            }
            JobRequest request = new JobRequest(
                    packageId,
                    oneOf("jobType", jobType, UPGRADE, VERIFY).equals(VERIFY),
                    names(),
                    grayPercent,
                    group,
                    mode(),
                    srcVersions == null ? Set.of() : srcVersions,
                    time("scheduleTime", scheduleTime),
                    time("scheduleFinishTime", scheduleFinishTime),
                    maximumPerMinute == null ? JobRequest.FASTEST : positive("maximumPerMinute", maximumPerMinute),
                    timeoutInMinutes == null ? null : Duration.ofMinutes(timeoutInMinutes),
                    retryInterval == null ? null : Duration.ofMinutes(retryInterval),
                    retryCount == null ? 0 : positive("retryCount", retryCount),
                    needPush == null || needPush,
                    needConfirm != null && needConfirm,
                    OverwriteMode.ofNumber(overwriteMode == null ? 1 : overwriteMode),
                    multiModule != null && multiModule,
                    downloadProtocol == null ? DownloadProtocol.HTTPS : DownloadProtocol.parse(downloadProtocol),
                    tags == null ? Map.of() : tags);
            String actual = JobJson.targetSelection(request);
            if (!oneOf("targetSelection", targetSelection, actual, "ALL", "SPECIFIC", "GRAY", "GROUP")
                    .equals(actual)) {
                throw RequestRefusedException.invalid("targetSelection is " + targetSelection
                        + ", which wants devices (SPECIFIC), grayPercent (GRAY), group (GROUP) or none of them (ALL);"
                        + " the others of the job say " + actual);
            }
            return request;
        }

        /** Zero would be taken for nothing said. */
        private static int positive(String field, int value) {
            if (value <= 0) {
                throw RequestRefusedException.invalid(field + " must be more than 0, not " + value);
            }
            return value;
        }

        private @Nullable Integer mode() {
            boolean dynamic = oneOf(
                            "selectionType", selectionType, dynamicMode == null ? STATIC : DYNAMIC, STATIC, DYNAMIC)
                    .equals(DYNAMIC);
            if (!dynamic && dynamicMode != null) {
                throw RequestRefusedException.invalid("dynamicMode is for selectionType DYNAMIC, not STATIC");
            }
            return dynamic && dynamicMode == null ? Integer.valueOf(1) : dynamicMode;
        }

        private static String oneOf(String field, @Nullable String value, String fallback, String... allowed) {
            if (value == null) {
                return fallback;
            }
            List<String> values = new ArrayList<>(List.of(allowed));
            values.add(fallback);
            if (!values.contains(value)) {
                throw RequestRefusedException.invalid(
                        field + " must be one of " + String.join(", ", allowed) + ", not '" + value + "'");
            }
            return value;
        }

        private static @Nullable Instant time(String field, @Nullable String text) {
            if (text == null) {
                return null;
            }
            try {
                // A number is what Alibaba's API has: milliseconds.
                return text.chars().allMatch(c -> c >= '0' && c <= '9') && !text.isEmpty()
                        ? Instant.ofEpochMilli(Long.parseLong(text))
                        : Instant.parse(text);
            } catch (DateTimeParseException | NumberFormatException e) {
                throw RequestRefusedException.invalid(field
                        + " must be a time like 2026-01-31T08:00:00Z, or milliseconds since 1970, not '" + text + "'");
            }
        }

        /** A list of names, or {@code "ALL"}, which is also meant by nothing. */
        private @Nullable List<String> names() {
            if (devices == null
                    || devices.isNull()
                    || (devices.isTextual() && devices.asText().equals(ALL))) {
                return null;
            }
            if (!devices.isArray()) {
                throw RequestRefusedException.invalid("devices must be \"ALL\" or a list of device names");
            }
            List<String> names = new ArrayList<>();
            devices.forEach(name -> names.add(Limits.name("a device name", name.textValue())));
            return names;
        }
    }

    /** Which tasks of a job to cancel; what is not said is not cancelled. */
    record Cancel(
            @Nullable Boolean cancelQueuedTask,
            @Nullable Boolean cancelNotifiedTask,
            @Nullable Boolean cancelInProgressTask,
            @Nullable Boolean cancelUnconfirmedTask,
            @Nullable Boolean cancelScheduledTask) {

        CancelFlags flags() {
            return new CancelFlags(
                    isTrue(cancelQueuedTask),
                    isTrue(cancelNotifiedTask),
                    isTrue(cancelInProgressTask),
                    isTrue(cancelUnconfirmedTask),
                    isTrue(cancelScheduledTask));
        }

        private static boolean isTrue(@Nullable Boolean flag) {
            return flag != null && flag;
        }
    }

    /** Tasks by their ids. */
    record TaskIds(@Nullable List<String> taskIds) {}
}
