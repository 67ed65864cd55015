package io.otaflux.transport.aliyun;

/** The platform does not register the device. */
public final class RegistrationException extends RuntimeException {

    private final Problem problem;
    private final int code;

    RegistrationException(Problem problem, int code, String message) {
        super(message);
        this.problem = problem;
        this.code = code;
    }

    /** What is wrong, by name. */
    public Problem problem() {
        return problem;
    }

    /** The platform's own code; 0 where it gave none. */
    public int code() {
        return code;
    }

    /** What is wrong. */
    public enum Problem {
        /** The product does not allow dynamic registration (6288). */
        DISABLED,
        /** The device has logged in before, and only its owner can open it to registration again (6289). */
        ALREADY_ACTIVE,
        /** The platform does not know the sign method (6292). */
        BAD_SIGN_METHOD,
        /** The product secret is wrong (6600, or a login refused with 4 or 5). */
        BAD_SIGNATURE,
        /** A parameter is wrong (460). */
        BAD_PARAMETER,
        /** There is no such product (6250). */
        NO_SUCH_PRODUCT,
        /** The platform does not know the device (6100). */
        NO_SUCH_DEVICE,
        /** The platform failed and may be asked again (500). */
        PLATFORM_FAILED,
        /** Something else; the code says more. */
        OTHER;

        static Problem of(int code) {
            return switch (code) {
                case 6288 -> DISABLED;
                case 6289 -> ALREADY_ACTIVE;
                case 6292 -> BAD_SIGN_METHOD;
                case 6600 -> BAD_SIGNATURE;
                case 460 -> BAD_PARAMETER;
                case 6250 -> NO_SUCH_PRODUCT;
                case 6100 -> NO_SUCH_DEVICE;
                case 500 -> PLATFORM_FAILED;
                default -> OTHER;
            };
        }
    }
}
