package io.otaflux.samples.platform;

/** The platform refuses a request; the message says what is wrong with it. */
public final class RequestRefusedException extends RuntimeException {

    /** Why, in the terms of HTTP. */
    public enum Reason {
        /** A value is missing, malformed or out of its limits. */
        INVALID(400),
        /** What the request names does not exist. */
        NOT_FOUND(404),
        /** The request contradicts what is already there. */
        CONFLICT(409),
        /** The body is larger than the platform takes. */
        TOO_LARGE(413);

        private final int httpStatus;

        Reason(int httpStatus) {
            this.httpStatus = httpStatus;
        }

        int httpStatus() {
            return httpStatus;
        }
    }

    private final Reason reason;

    private RequestRefusedException(Reason reason, String message) {
        super(message);
        this.reason = reason;
    }

    static RequestRefusedException invalid(String message) {
        return new RequestRefusedException(Reason.INVALID, message);
    }

    static RequestRefusedException notFound(String what, String key) {
        return new RequestRefusedException(Reason.NOT_FOUND, "no " + what + " '" + key + "'");
    }

    static RequestRefusedException conflict(String message) {
        return new RequestRefusedException(Reason.CONFLICT, message);
    }

    static RequestRefusedException tooLarge(String what, long limit) {
        return new RequestRefusedException(Reason.TOO_LARGE, what + " is larger than " + limit + " bytes");
    }

    /** Why the platform refuses. */
    public Reason reason() {
        return reason;
    }
}
