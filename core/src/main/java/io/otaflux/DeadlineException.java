package io.otaflux;

import java.time.Duration;

/** An upgrade was still running when its deadline passed. What is durable stays, and the same upgrade may be asked for again. */
public final class DeadlineException extends OtaException {

    private final Duration deadline;

    public DeadlineException(Stage stage, Duration deadline) {
        super(stage, Reason.DEADLINE, "Not finished within " + deadline, null);
        this.deadline = deadline;
    }

    /** How long the upgrade was allowed to run. */
    public Duration deadline() {
        return deadline;
    }
}
