package io.otaflux.samples.platform;

/** Where the upgrade of one device stands. The names are those of Alibaba's task records. */
public enum TaskStatus {
    /** Not yet offered to the device: it is offline, or it has to ask. */
    QUEUED,
    /** Pushed to the device, or handed out in answer to its query. */
    NOTIFIED,
    /** The device has reported progress; the time limit, if there is one, is running. */
    IN_PROGRESS,
    /** The device reported the target version. Nothing else counts as success. */
    SUCCEEDED,
    /** The device reported a failure or a foreign version, or the time limit passed. */
    FAILED,
    /** Cancelled on the platform. The protocol has no message that would tell the device. */
    CANCELED;

    /** Whether the task will not change any more. */
    public boolean isFinal() {
        return this == SUCCEEDED || this == FAILED || this == CANCELED;
    }
}
