package io.otaflux;

/** The source has another number of bytes than the platform declared. */
public final class LengthMismatchException extends OtaException {

    private final long expected;
    private final long actual;

    /** @param actual how many bytes there are, or the first count that was too many */
    public LengthMismatchException(String artifact, long expected, long actual) {
        super(
                Stage.VERIFY,
                actual > expected ? Reason.ENDLESS_DATA : Reason.TRUNCATED,
                artifact + ": expected " + expected + " bytes but the source has "
                        + (actual > expected ? "at least " : "") + actual,
                null);
        this.expected = expected;
        this.actual = actual;
    }

    /** The declared length in bytes. */
    public long expected() {
        return expected;
    }

    /** The length that was found, in bytes. */
    public long actual() {
        return actual;
    }
}
