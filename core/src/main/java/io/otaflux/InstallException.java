package io.otaflux;

import org.jspecify.annotations.Nullable;

/** Verified bytes could not be made to take effect, or did not stay in effect. What ran before still runs. */
public final class InstallException extends OtaException {

    public InstallException(Reason reason, String message, @Nullable Throwable cause) {
        super(Stage.INSTALL, reason, message, cause);
    }

    public InstallException(String message, @Nullable Throwable cause) {
        this(Reason.INSTALL_FAILED, message, cause);
    }
}
