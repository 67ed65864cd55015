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
 *                 CONFIRM        QUEUED         NOTIFIED      IN_PROGRESS   SUCCEEDED  FAILED   CANCELED
 *  confirmed      QUEUED         –              –             –             –          –        –
 *  offered        –              NOTIFIED       –             –             –          –        –
 *  step 0…100     –              –              IN_PROGRESS*  step noted    –          –        –
 *  step &lt; 0       –              –              FAILED        FAILED        –          –        –
 *  target version SUCCEEDED      SUCCEEDED      SUCCEEDED     SUCCEEDED     –          –        –
 *  source version –              –              –             –             –          –        –
 *  other version  source noted†  source noted†  FAILED        FAILED        –          –        –
 *  time limit     –              FAILED‡        –             FAILED        –          –        –
 *  tried again    –              –              –             –             –          QUEUED   –
 *  restarted      –              –              –             –             –          QUEUED   QUEUED
 *  cancelled      CANCELED       CANCELED       CANCELED      CANCELED      –          –        –
 * </pre>
 *
 * * starts the time limit, if it is not running. † FAILED if the job does not take devices of that version. ‡ of a task that
 * is tried again: the time limit goes on from the first progress of all.
 *
 * <p>Sources: Alibaba's OTA documents and the comments of its API ("success if and only if the device reports the target
 * version"; "the time limit counts from the first progress report"; "a version that is neither source nor target while a
 * task runs fails it"). A report while QUEUED is from an earlier task: this one was never offered, so it is ignored.
 */
final class TaskStateMachine {

    private static final int COMPLETE = 100;

    private TaskStateMachine() {}

    /** An application has confirmed the task. */
    static Task confirmed(Task task, Instant now) {
        return task.status() == TaskStatus.CONFIRM ? task.to(TaskStatus.QUEUED, "confirmed", now) : task;
    }

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
        Instant deadline = task.deadline();
        if (deadline == null && task.status() == TaskStatus.NOTIFIED && timeLimit != null) {
            deadline = now.plus(timeLimit);
        }
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
        if (!isRunning(task) && (sourceVersions.isEmpty() || sourceVersions.contains(version))) {
            return task.from(version, now);
        }
        String mismatch = "version mismatch: the device reported " + version + ", neither the source version "
                + task.sourceVersion() + " nor the target version " + task.targetVersion();
        return task.to(TaskStatus.FAILED, mismatch, now);
    }

    /** Time has passed. */
    static Task expired(Task task, Instant now) {
        Instant deadline = task.deadline();
        if (task.status().isFinal() || deadline == null || now.isBefore(deadline)) {
            return task;
        }
        return task.to(TaskStatus.FAILED, "timeout: no report of version " + task.targetVersion() + " in time", now);
    }

    /**
     * A task that failed is offered again by itself.
     *
     * @param failed the task as it failed
     * @param deadline the time limit that was running, which goes on
     * @param notBefore when it is offered again
     */
    static Task triedAgain(Task failed, @Nullable Instant deadline, Instant notBefore, int of, Instant now) {
        if (failed.status() != TaskStatus.FAILED) {
            return failed;
        }
        int retry = failed.retries() + 1;
        String why = "retry " + retry + " of " + of + " after: " + failed.description();
        return failed.to(TaskStatus.QUEUED, why, now).at(0, deadline).waiting(retry, notBefore);
    }

    /** Somebody has the task done once more from the start. */
    static Task restarted(Task task, String sourceVersion, Instant now) {
        if (task.status() != TaskStatus.FAILED && task.status() != TaskStatus.CANCELED) {
            return task;
        }
        return task.to(TaskStatus.QUEUED, "restarted", now)
                .at(0, null)
                .waiting(0, null)
                .from(sourceVersion, now);
    }

    /** Somebody on the platform's side gave the task up. */
    static Task cancelled(Task task, String why, Instant now) {
        return task.status().isFinal() ? task : task.to(TaskStatus.CANCELED, why, now);
    }

    private static boolean isRunning(Task task) {
        return task.status() == TaskStatus.NOTIFIED || task.status() == TaskStatus.IN_PROGRESS;
    }
}
