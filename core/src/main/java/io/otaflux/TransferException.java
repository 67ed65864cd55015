package io.otaflux;

import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A transfer broke off or could not start for a reason that may pass. What is durable stays; the transfer goes on from
 * there with a backoff, for as long as its budget lasts.
 */
public final class TransferException extends OtaException {

    private final @Nullable Duration retryAfter;

    public TransferException(Reason reason, String message, @Nullable Throwable cause) {
        this(reason, message, cause, null);
    }

    /** @param retryAfter how long the source asked to wait; null where it did not say */
    public TransferException(Reason reason, String message, @Nullable Throwable cause, @Nullable Duration retryAfter) {
        super(Stage.DOWNLOAD, reason, message, cause);
        this.retryAfter = retryAfter;
    }

    /** How long the source asked to wait. */
    public Optional<Duration> retryAfter() {
        return Optional.ofNullable(retryAfter);
    }

    @Override
    public boolean isTransient() {
        return true;
    }
}
