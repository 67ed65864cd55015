package io.otaflux.samples.platform;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The upgrade of one device by one job.
 *
 * @param id its name
 * @param jobId the job it belongs to
 * @param productKey the device's product
 * @param deviceName the device
 * @param module the module that is upgraded
 * @param sourceVersion what the device last reported before the upgrade
 * @param targetVersion what it is to report
 * @param status where it stands
 * @param step the last progress the device reported: percent, or −1 upgrade, −2 download, −3 verification, −4 flashing
 *     failed; 0 before the first report
 * @param description the text of the device's last report, or why the platform ended the task
 * @param deadline when the time limit ends it; null while no limit is running
 * @param createdAt when the job was created
 * @param updatedAt when it last changed
 */
public record Task(
        String id,
        String jobId,
        String productKey,
        String deviceName,
        String module,
        String sourceVersion,
        String targetVersion,
        TaskStatus status,
        int step,
        String description,
        @Nullable Instant deadline,
        Instant createdAt,
        Instant updatedAt) {

    DeviceKey device() {
        return new DeviceKey(productKey, deviceName);
    }

    Task to(TaskStatus newStatus, String newDescription, Instant now) {
        return new Task(
                id,
                jobId,
                productKey,
                deviceName,
                module,
                sourceVersion,
                targetVersion,
                newStatus,
                step,
                newDescription,
                newStatus == TaskStatus.IN_PROGRESS ? deadline : null,
                createdAt,
                now);
    }

    Task from(String newSourceVersion, Instant now) {
        return new Task(
                id,
                jobId,
                productKey,
                deviceName,
                module,
                newSourceVersion,
                targetVersion,
                status,
                step,
                description,
                deadline,
                createdAt,
                now);
    }

    Task at(int newStep, @Nullable Instant newDeadline) {
        return new Task(
                id,
                jobId,
                productKey,
                deviceName,
                module,
                sourceVersion,
                targetVersion,
                status,
                newStep,
                description,
                newDeadline,
                createdAt,
                updatedAt);
    }
}
