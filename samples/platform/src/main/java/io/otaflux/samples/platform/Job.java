package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Map;

/**
 * A job and how far it is.
 *
 * @param id its name
 * @param request what it is to do
 * @param firmware what it brings
 * @param status where it stands as a whole
 * @param stopped whether it was dynamic and takes no more devices
 * @param tasks how many of its tasks are in each status; every status is present
 * @param createdAt when it was created
 */
public record Job(
        String id,
        JobRequest request,
        FirmwarePackage firmware,
        Status status,
        boolean stopped,
        Map<TaskStatus, Integer> tasks,
        Instant createdAt)
        implements PlatformEvent {

    /** Where a job stands as a whole. */
    public enum Status {
        /** Its start is still to come. */
        PLANNED,
        /** At least one task is not finished, or it goes on taking devices. */
        IN_PROGRESS,
        /** Every task is finished; also a job that found no device to upgrade. */
        COMPLETED,
        /** Cancelled; tasks that had ended before keep their result. */
        CANCELED;

        boolean isEnded() {
            return this == COMPLETED || this == CANCELED;
        }
    }

    /** How many tasks there are in all. */
    public int size() {
        return tasks.values().stream().mapToInt(Integer::intValue).sum();
    }
}
