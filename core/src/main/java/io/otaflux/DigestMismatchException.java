package io.otaflux;

/** The bytes are all there and they are the wrong bytes. Trying again from where they are cannot help. */
public final class DigestMismatchException extends OtaException {

    private final Digest expected;
    private final Digest actual;

    public DigestMismatchException(Stage stage, String artifact, Digest expected, Digest actual) {
        super(stage, Reason.DIGEST_MISMATCH, artifact + ": expected " + expected + " but computed " + actual, null);
        this.expected = expected;
        this.actual = actual;
    }

    public Digest expected() {
        return expected;
    }

    public Digest actual() {
        return actual;
    }
}
