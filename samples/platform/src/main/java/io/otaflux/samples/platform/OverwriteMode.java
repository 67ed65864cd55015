package io.otaflux.samples.platform;

/** What happens to a device that still has an unfinished task when a job wants to give it another. */
public enum OverwriteMode {
    /** The earlier task goes on and the new one fails (mode 1 of the protocol's documents). */
    KEEP_EARLIER(1),
    /** The new task replaces the earlier one, but never one that is in progress (mode 2). */
    REPLACE_EARLIER(2);

    private final int number;

    OverwriteMode(int number) {
        this.number = number;
    }

    static OverwriteMode ofNumber(int number) {
        for (OverwriteMode mode : values()) {
            if (mode.number == number) {
                return mode;
            }
        }
        throw RequestRefusedException.invalid("overwriteMode must be 1 or 2, not " + number);
    }

    int number() {
        return number;
    }
}
