package io.otaflux.samples.platform;

/** A request of a device is refused; it is told the protocol's code and these words. */
final class DeviceRefusedException extends RuntimeException {

    private final int code;
    private final String why;

    DeviceRefusedException(int code, String why) {
        super(code + " " + why, null, false, false);
        this.code = code;
        this.why = why;
    }

    int code() {
        return code;
    }

    String why() {
        return why;
    }
}
