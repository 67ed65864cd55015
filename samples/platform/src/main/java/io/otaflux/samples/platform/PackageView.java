package io.otaflux.samples.platform;

/**
 * A package and how far its verification is.
 *
 * @param verifyStatus −1 not needed, 0 not verified, 1 verified, 2 being verified, 3 failed
 * @param verifyProgress percent of the devices of the verification that are finished
 */
record PackageView(FirmwarePackage firmware, int verifyStatus, int verifyProgress) implements PlatformEvent {

    static final int NOT_NEEDED = -1;
    static final int NOT_VERIFIED = 0;
    static final int VERIFIED = 1;
    static final int VERIFYING = 2;
    static final int FAILED = 3;
}
