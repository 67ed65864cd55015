package io.otaflux;

import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** The source cannot provide the artifact, and asking again the same way will not change that. */
public final class SourceException extends OtaException {

    private final int status;

    public SourceException(Reason reason, String message, @Nullable Throwable cause) {
        this(reason, 0, message, cause);
    }

    /** @param status the HTTP status, or 0 where the source gave none */
    public SourceException(Reason reason, int status, String message, @Nullable Throwable cause) {
        super(Stage.DOWNLOAD, reason, message, cause);
        this.status = status;
    }

    /** The HTTP status of the answer; empty where there was none. */
    public OptionalInt status() {
        return status == 0 ? OptionalInt.empty() : OptionalInt.of(status);
    }
}
