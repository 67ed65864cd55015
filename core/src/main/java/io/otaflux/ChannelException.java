package io.otaflux;

import org.jspecify.annotations.Nullable;

/** The conversation with the platform failed: it refused this device, or a message makes no sense. */
public final class ChannelException extends OtaException {

    public ChannelException(Reason reason, String message, @Nullable Throwable cause) {
        super(Stage.TRANSPORT, reason, message, cause);
    }
}
