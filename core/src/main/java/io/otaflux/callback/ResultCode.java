package io.otaflux.callback;

import io.otaflux.Digest;
import io.otaflux.DigestMismatchException;
import io.otaflux.OtaException;

/**
 * The ints of the original module ({@code OTA_ERRNO_E} in AliOS Things). At least zero is success.
 *
 * <p>Its {@code download} and {@code verify} report to their callbacks with these; the names are the original's.
 */
public enum ResultCode {
    SUCCESS(0),
    INIT_FAIL(-1),
    DOWNLOAD_INIT_FAIL(-5),
    DOWNLOAD_CON_FAIL(-7),
    DOWNLOAD_REQ_FAIL(-8),
    DOWNLOAD_RECV_FAIL(-9),
    VERIFY_MD5_FAIL(-10),
    VERIFY_SHA2_FAIL(-11),
    VERIFY_IMAGE_FAIL(-13),
    UPGRADE_WRITE_FAIL(-14),
    SET_BOOT_FAIL(-17),
    CUSTOM_CALLBACK_FAIL(-18),
    INVALID_PARAMETER(-25);

    private final int code;

    ResultCode(int code) {
        this.code = code;
    }

    /** The number on the wire between module and program. */
    public int code() {
        return code;
    }

    /** What the original would have said to its callback of a failed download or verification. */
    static ResultCode of(OtaException failure) {
        return switch (failure.reason()) {
            case CONNECTION_LOST, TIMEOUT, TLS, CONNECTION_REFUSED -> DOWNLOAD_CON_FAIL;
            case NOT_FOUND,
                    FORBIDDEN,
                    LOCATION_REFUSED,
                    REDIRECT_REFUSED,
                    BAD_RESPONSE,
                    SERVER_BUSY,
                    MALFORMED_TRIGGER,
                    UNSUPPORTED -> DOWNLOAD_REQ_FAIL;
            case TOO_SLOW, CHANGED_TOO_OFTEN, DEADLINE -> DOWNLOAD_RECV_FAIL;
            case ENDLESS_DATA, TRUNCATED ->
                failure.stage() == OtaException.Stage.VERIFY ? VERIFY_IMAGE_FAIL : DOWNLOAD_RECV_FAIL;
            case DIGEST_MISMATCH -> mismatch(failure);
            case WEAK_DIGEST, NO_DIGEST -> INVALID_PARAMETER;
            case NO_SPACE, IO_FAILED, STORE_LOCKED, CORRUPT -> UPGRADE_WRITE_FAIL;
            case NO_INSTALLER, POLICY, INSTALL_FAILED, ROLLED_BACK -> CUSTOM_CALLBACK_FAIL;
        };
    }

    private static ResultCode mismatch(OtaException failure) {
        return failure instanceof DigestMismatchException mismatch
                        && mismatch.expected().algorithm() == Digest.Algorithm.MD5
                ? VERIFY_MD5_FAIL
                : VERIFY_SHA2_FAIL;
    }
}
