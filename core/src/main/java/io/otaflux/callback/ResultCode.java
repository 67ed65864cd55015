package io.otaflux.callback;

import io.otaflux.Digest;
import io.otaflux.DigestMismatchException;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.UnknownHostException;
import java.nio.file.FileSystemException;

/**
 * The ints of the original module ({@code OTA_ERRNO_E} in AliOS Things). At least zero is success.
 *
 * <p>Its {@code download} and {@code verify} report to their callbacks with these; the names are the original's.
 */
public enum ResultCode {
    SUCCESS(0),
    INIT_FAIL(-1),
    DOWNLOAD_CON_FAIL(-7),
    DOWNLOAD_REQ_FAIL(-8),
    DOWNLOAD_RECV_FAIL(-9),
    VERIFY_MD5_FAIL(-10),
    VERIFY_SHA2_FAIL(-11),
    VERIFY_RSA_FAIL(-12),
    VERIFY_IMAGE_FAIL(-13),
    UPGRADE_WRITE_FAIL(-14),
    UPGRADE_FW_SIZE_FAIL(-16),
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

    /** What the original would have said to its callback of a failed download. */
    static ResultCode ofDownload(Throwable failure) {
        if (!(failure instanceof OtaException known)) {
            // Withdrawn, for one: the program has reported the version while it was being fetched.
            return DOWNLOAD_RECV_FAIL;
        }
        return switch (known.reason()) {
            case ENDLESS_DATA, TRUNCATED -> DOWNLOAD_RECV_FAIL;
            default -> of(known);
        };
    }

    /** What the original would have said to its callback of a failed verification. */
    static ResultCode ofVerification(Throwable failure) {
        if (failure instanceof OtaException known) {
            return of(known);
        }
        if (failure instanceof IllegalArgumentException) {
            return INVALID_PARAMETER;
        }
        // The file cannot be opened; or it can, and not be read.
        return failure instanceof FileSystemException ? SET_BOOT_FAIL : VERIFY_IMAGE_FAIL;
    }

    /** What the original would have said to its callback of a failed installation. */
    static ResultCode ofInstallation(Throwable failure) {
        return failure instanceof LengthMismatchException ? UPGRADE_FW_SIZE_FAIL : ofVerification(failure);
    }

    private static ResultCode of(OtaException failure) {
        return switch (failure.reason()) {
            case TLS, CONNECTION_REFUSED -> DOWNLOAD_CON_FAIL;
            case CONNECTION_LOST, TIMEOUT -> isOfConnecting(failure) ? DOWNLOAD_CON_FAIL : DOWNLOAD_RECV_FAIL;
            case NOT_FOUND,
                    FORBIDDEN,
                    LOCATION_REFUSED,
                    REDIRECT_REFUSED,
                    BAD_RESPONSE,
                    SERVER_BUSY,
                    MALFORMED_TRIGGER,
                    UNSUPPORTED -> DOWNLOAD_REQ_FAIL;
            case TOO_SLOW, CHANGED_TOO_OFTEN, DEADLINE -> DOWNLOAD_RECV_FAIL;
            case ENDLESS_DATA, TRUNCATED -> VERIFY_IMAGE_FAIL;
            case DIGEST_MISMATCH -> mismatch(failure);
            case UNSIGNED, BAD_SIGNATURE -> VERIFY_RSA_FAIL;
            case WEAK_DIGEST, NO_DIGEST -> INVALID_PARAMETER;
            case NO_SPACE, IO_FAILED, STORE_LOCKED, CORRUPT -> UPGRADE_WRITE_FAIL;
            case NO_INSTALLER, POLICY, INSTALL_FAILED, ROLLED_BACK -> CUSTOM_CALLBACK_FAIL;
        };
    }

    /** Tells a server that cannot be reached from one that was, and then fell silent or broke off. */
    private static boolean isOfConnecting(OtaException failure) {
        for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
            if (cause instanceof ConnectException
                    || cause instanceof NoRouteToHostException
                    || cause instanceof UnknownHostException) {
                return true;
            }
        }
        return false;
    }

    private static ResultCode mismatch(OtaException failure) {
        return failure instanceof DigestMismatchException mismatch
                        && mismatch.expected().algorithm() == Digest.Algorithm.MD5
                ? VERIFY_MD5_FAIL
                : VERIFY_SHA2_FAIL;
    }
}
