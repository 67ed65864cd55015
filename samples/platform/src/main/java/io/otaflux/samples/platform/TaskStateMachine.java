package io.otaflux.samples.platform;

import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The transitions of a task. Each method takes a task and something that happened and returns the task as it is then: the
 * same object if nothing changes. No clock, no storage, no device: who calls does the rest.
 *
 * <pre>
 *                 QUEUED        NOTIFIED        IN_PROGRESS       SUCCEEDED, FAILED, CANCELED
 *  offered        NOTIFIED      –               –                 –
 *  step 0…100     –             IN_PROGRESS*    step noted        –
 *  step &lt; 0       –             FAILED          FAILED            –
 *  target version SUCCEEDED     SUCCEEDED       SUCCEEDED         –
 *  source version –             –               –                 –
 *  other version  source noted† FAILED          FAILED            –
 *  time limit     –             –               FAILED            –
 *  cancelled      CANCELED      CANCELED        CANCELED          –
 * </pre>
 *
 * * starts the time limit. † FAILED if the job does not take devices of that version.
 *
 * <p>Sources: Alibaba's OTA documents and the comments of its API ("success if and only if the device reports the target
 * version"; "the time limit counts from the first progress report"; "a version that is neither source nor target while a
 * task runs fails it"). A report while QUEUED is from an earlier task: this one was never offered, so it is ignored.
 */
final class TaskStateMachine {

    private static final int COMPLETE = 100;

    private TaskStateMachine() {}

    /** The task was pushed to the device, or given to it in answer to its query. */
    static Task offered(Task task, Instant now) {
        return task.status() == TaskStatus.QUEUED ? task.to(TaskStatus.NOTIFIED, task.description(), now) : task;
    }

    /**
     * The device reported progress.
     *
     * @param step percent, or a negative code for a failure
     * @param timeLimit the job's, or null for none
     */
    static Task progressed(Task task, int step, String description, @Nullable Duration timeLimit, Instant now) {
        if (!isRunning(task) || step > COMPLETE) {
            return task;
        }
        if (step < 0) {
            return task.at(step, null).to(TaskStatus.FAILED, description, now);
        }
        Instant deadline = task.status() == TaskStatus.IN_PROGRESS
                ? task.deadline()
                : timeLimit == null ? null : now.plus(timeLimit);
        return task.at(step, deadline).to(TaskStatus.IN_PROGRESS, description, now);
    }

    /**
     * The device reported the version of the task's module.
     *
     * @param sourceVersions the versions the job takes devices from; empty for any
     */
    static Task informed(Task task, String version, Set<String> sourceVersions, Instant now) {
        if (task.status().isFinal()) {
            return task;
        }
        if (version.equals(task.targetVersion())) {
            return task.to(TaskStatus.SUCCEEDED, task.description(), now);
        }
        if (version.equals(task.sourceVersion())) {
            return task;
        }
        if (task.status() == TaskStatus.QUEUED && (sourceVersions.isEmpty() || sourceVersions.contains(version))) {
            return task.from(version, now);
        }
        String mismatch = "version mismatch: the device reported " + version + ", neither the source version "
                + task.sourceVersion() + " nor the target version " + task.targetVersion();
        return task.to(TaskStatus.FAILED, mismatch, now);
    }

    /** Time has passed. */
    static Task expired(Task task, Instant now) {
        Instant deadline = task.deadline();
        if (task.status() != TaskStatus.IN_PROGRESS || deadline == null || now.isBefore(deadline)) {
            return task;
        }
        return task.to(TaskStatus.FAILED, "timeout: no report of version " + task.targetVersion() + " in time", now);
    }

    /** Somebody on the platform's side gave the task up. */
    static Task cancelled(Task task, String why, Instant now) {
        return task.status().isFinal() ? task : task.to(TaskStatus.CANCELED, why, now);
    }

    private static boolean isRunning(Task task) {
        return task.status() == TaskStatus.NOTIFIED || task.status() == TaskStatus.IN_PROGRESS;
    }
}
