package io.otaflux.samples.platform;

import com.fasterxml.jackson.annotation.JsonIgnore;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What Alibaba's platform tells an application of a device's upgrades, with the fields of its documents; those that a kind of
 * message does not have are null.
 *
 * @param kind the last part of its topic {@code /{productKey}/{deviceName}/{kind}}
 */
record ApplicationMessage(
        @JsonIgnore String kind,
        String productKey,
        String deviceName,
        String moduleName,
        @Nullable String moduleVersion,
        @Nullable String srcVersion,
        @Nullable String destVersion,
        @Nullable String step,
        @Nullable String status,
        @Nullable String desc,
        long messageCreateTime)
        implements PlatformEvent {

    static ApplicationMessage version(DeviceKey device, String module, String version, Instant now) {
        return new ApplicationMessage(
                "ota/version/post",
                device.productKey(),
                device.deviceName(),
                module,
                version,
                null,
                null,
                null,
                null,
                null,
                now.toEpochMilli());
    }

    static ApplicationMessage progress(Task task, int step, String description, Instant now) {
        return new ApplicationMessage(
                "ota/progress/post",
                task.productKey(),
                task.deviceName(),
                task.module(),
                null,
                task.sourceVersion(),
                task.targetVersion(),
                Integer.toString(step),
                null,
                description,
                now.toEpochMilli());
    }

    /** @param ended a task that has ended */
    static ApplicationMessage upgrade(Task ended, Instant now) {
        return new ApplicationMessage(
                "ota/upgrade",
                ended.productKey(),
                ended.deviceName(),
                ended.module(),
                null,
                ended.sourceVersion(),
                ended.targetVersion(),
                null,
                ended.status().name(),
                ended.description(),
                now.toEpochMilli());
    }
}
