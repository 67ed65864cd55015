package io.otaflux;

import org.jspecify.annotations.Nullable;

/** A medium on this side failed or is full: the store, the journal, or the place to install to. */
public final class StorageException extends OtaException {

    public StorageException(Reason reason, String message, @Nullable Throwable cause) {
        this(Stage.DOWNLOAD, reason, message, cause);
    }

    public StorageException(Stage stage, Reason reason, String message, @Nullable Throwable cause) {
        super(stage, reason, message, cause);
    }
}
