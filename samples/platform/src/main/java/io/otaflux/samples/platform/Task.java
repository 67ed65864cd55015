package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
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
 * @param retries how often the platform has queued it again after a failure
 * @param notBefore when it is to be offered again after a failure; null if at once, or if it does not wait for that
 * @param history every status it has had, oldest first, with the reason
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
        int retries,
        @Nullable Instant notBefore,
        List<Transition> history,
        Instant createdAt,
        Instant updatedAt) {

    /**
     * A task came to have a status.
     *
     * @param status the status
     * @param at when
     * @param description why, as far as anybody said
     */
    public record Transition(TaskStatus status, Instant at, String description) {}

    /** What an earlier version of the platform has kept has no history. */
    public Task {
        history = history == null ? List.of(new Transition(status, updatedAt, description)) : List.copyOf(history);
    }

    static Task create(
            String id,
            String jobId,
            DeviceKey device,
            String module,
            String sourceVersion,
            String targetVersion,
            TaskStatus status,
            String description,
            Instant now) {
        return new Task(
                id,
                jobId,
                device.productKey(),
                device.deviceName(),
                module,
                sourceVersion,
                targetVersion,
                status,
                0,
                description,
                null,
                0,
                null,
                List.of(new Transition(status, now, description)),
                now,
                now);
    }

    DeviceKey device() {
        return new DeviceKey(productKey, deviceName);
    }

    /** In another status, or in the same one with another description; a final one has no deadline. */
    Task to(TaskStatus newStatus, String newDescription, Instant now) {
        List<Transition> newHistory = history;
        if (newStatus != status) {
            newHistory = new ArrayList<>(history);
            newHistory.add(new Transition(newStatus, now, newDescription));
        }
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
                newStatus.isFinal() ? null : deadline,
                retries,
                null,
                newHistory,
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
                retries,
                notBefore,
                history,
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
                retries,
                notBefore,
                history,
                createdAt,
                updatedAt);
    }

    Task waiting(int newRetries, @Nullable Instant until) {
        return new Task(
                id,
                jobId,
                productKey,
                deviceName,
                module,
                sourceVersion,
                targetVersion,
                status,
                step,
                description,
                deadline,
                newRetries,
                until,
                history,
                createdAt,
                updatedAt);
    }
}
