package io.otaflux;

/** A failure as the journal kept it for the platform that has yet to hear of it; its evidence is its message. */
public final class JournaledException extends OtaException {

    JournaledException(Stage stage, Reason reason, String message) {
        super(stage, reason, message, null);
    }

    /** One line, from which {@link #read} makes the failure again. */
    static String write(OtaException failure) {
        return failure.stage() + " " + failure.reason() + " " + failure.getMessage();
    }

    static OtaException read(String line) {
        String[] parts = line.split(" ", 3);
        try {
            return new JournaledException(Stage.valueOf(parts[0]), Reason.valueOf(parts[1]), parts[2]);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
            // Written by a version that knew other words: what matters is that it failed.
            return new JournaledException(Stage.TRANSPORT, Reason.INSTALL_FAILED, line);
        }
    }
}
