package io.otaflux;

import org.jspecify.annotations.Nullable;

/**
 * The conversation with the platform failed: it refused this device, or a message makes no sense. A transport may have
 * subclasses of it, for what its platform calls by name.
 */
public non-sealed class ChannelException extends OtaException {

    public ChannelException(Reason reason, String message, @Nullable Throwable cause) {
        super(Stage.TRANSPORT, reason, message, cause);
    }
}
