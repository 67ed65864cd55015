package io.otaflux.samples.platform;

/**
 * Which unfinished tasks of a job are cancelled. {@link #ALL} cancels the job itself.
 *
 * @param queued those that wait for their device, or for their turn
 * @param notified those whose device was told
 * @param inProgress those whose device has begun
 * @param unconfirmed those that wait for a confirmation
 * @param scheduled those that wait for the start of a planned job
 */
public record CancelFlags(
        boolean queued, boolean notified, boolean inProgress, boolean unconfirmed, boolean scheduled) {

    /** Everything that is not finished. */
    public static final CancelFlags ALL = new CancelFlags(true, true, true, true, true);

    boolean cover(Task task, boolean planned) {
        return switch (task.status()) {
            case CONFIRM -> unconfirmed;
            case QUEUED -> planned ? scheduled : queued;
            case NOTIFIED -> notified;
            case IN_PROGRESS -> inProgress;
            case SUCCEEDED, FAILED, CANCELED -> false;
        };
    }
}
