package io.otaflux.samples.platform;

/** Where the upgrade of one device stands. The names are those of Alibaba's task records. */
public enum TaskStatus {
    /** Waits for an application to confirm it. */
    CONFIRM,
    /** Not yet offered to the device: it is offline, has to ask, or it is not its turn. */
    QUEUED,
    /** Pushed to the device, or handed out in answer to its query. */
    NOTIFIED,
    /** The device has reported progress; the time limit, if there is one, is running. */
    IN_PROGRESS,
    /** The device reported the target version. Nothing else counts as success. */
    SUCCEEDED,
    /** The device reported a failure or a foreign version, or the time limit passed, and it is not tried again by itself. */
    FAILED,
    /** Cancelled on the platform. The protocol has no message that would tell the device. */
    CANCELED;

    /** Whether nothing that a device does changes the task any more. */
    public boolean isFinal() {
        return this == SUCCEEDED || this == FAILED || this == CANCELED;
    }
}
