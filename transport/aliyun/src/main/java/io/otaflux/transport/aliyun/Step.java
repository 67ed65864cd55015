package io.otaflux.transport.aliyun;

import io.otaflux.Installed;
import io.otaflux.OtaException;
import io.otaflux.UpgradeEvent;
import java.util.Optional;

/**
 * What a progress report says: 1 to 100 percent, or how the upgrade failed.
 *
 * <p>A cancelled upgrade has no step. The protocol has no word for a cancellation by the device, and a step names a module,
 * not an upgrade: failing the superseded upgrade would fail the one that superseded it.
 *
 * @param value 1 … 100, -1 failed, -2 download failed, -3 verification failed, -4 installation failed
 * @param description why it failed, otherwise empty
 */
record Step(int value, String description) {

    /** The first step: it makes the platform's task one that is in progress, and starts the task's time limit. */
    static final Step FIRST = new Step(1, "");

    private static final int MAX_DESCRIPTION = 128;

    /** The step that tells about {@code event}, or empty where the platform has no use for it. */
    static Optional<Step> of(UpgradeEvent event) {
        if (event instanceof UpgradeEvent.Admitted) {
            return Optional.of(FIRST);
        }
        if (event instanceof UpgradeEvent.Received received) {
            // 100 is kept for the moment when the upgrade is in place.
            return Optional.of(new Step(Math.min(99, Math.max(1, received.percent())), ""));
        }
        if (event instanceof Installed) {
            return Optional.of(new Step(100, ""));
        }
        if (event instanceof UpgradeEvent.Failed failed) {
            return Optional.of(failed(failed.cause()));
        }
        return Optional.empty();
    }

    static Step failed(OtaException cause) {
        int value = switch (cause.stage()) {
            case TRANSPORT -> -1;
            case DOWNLOAD -> -2;
            case VERIFY -> -3;
            case INSTALL -> -4;
        };
        String text = cause.reason() + ": " + String.valueOf(cause.getMessage()).replaceAll("\\p{Cntrl}", " ");
        return new Step(value, shortened(text));
    }

    boolean isFailure() {
        return value < 0;
    }

    private static String shortened(String text) {
        if (text.length() <= MAX_DESCRIPTION) {
            return text;
        }
        // Not between the two halves of one character.
        int end = MAX_DESCRIPTION - 1 - (Character.isHighSurrogate(text.charAt(MAX_DESCRIPTION - 2)) ? 1 : 0);
        return text.substring(0, end) + "…";
    }
}
