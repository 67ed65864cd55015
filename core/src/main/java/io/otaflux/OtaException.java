package io.otaflux;

import org.jspecify.annotations.Nullable;

/**
 * The root of everything that can go wrong with an upgrade. It is sealed, so that whoever maps failures to a platform's
 * codes can be complete; {@link #stage()} is the coarse answer and {@link #reason()} names the fault or attack.
 *
 * <p>Messages say what, where, expected and actual, and never contain a credential.
 */
public abstract sealed class OtaException extends RuntimeException
        permits ChannelException,
                DeadlineException,
                DigestMismatchException,
                InstallException,
                JournaledException,
                LengthMismatchException,
                RefusedException,
                SourceException,
                StorageException,
                TransferException {

    private final Stage stage;
    private final Reason reason;

    OtaException(Stage stage, Reason reason, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.stage = stage;
        this.reason = reason;
    }

    /** Which part of the road the upgrade failed on. */
    public Stage stage() {
        return stage;
    }

    /** The fault or attack by name. */
    public Reason reason() {
        return reason;
    }

    /** Tells whether the same step may succeed if it is tried again with nothing changed; then it is, under a budget. */
    public boolean isTransient() {
        return false;
    }

    /** The parts of the road that platforms tell apart. */
    public enum Stage {
        /** The conversation with the platform, or the upgrade as a whole. */
        TRANSPORT,
        /** Fetching the bytes. */
        DOWNLOAD,
        /** Length, digest, signature. */
        VERIFY,
        /** Making verified bytes take effect. */
        INSTALL
    }

    /** What happened, by name. */
    public enum Reason {
        /** A message of the platform could not be understood. */
        MALFORMED_TRIGGER,
        /** The platform asks for something that its protocol knows and this side does not do. */
        UNSUPPORTED,
        /** The platform refused the connection for good, for example for bad credentials. */
        CONNECTION_REFUSED,
        /** The only digests are MD5 or SHA-1 and the configuration does not accept these alone. */
        WEAK_DIGEST,
        /** There is no digest at all. */
        NO_DIGEST,
        /** A public key is configured and there is no signature that it could judge. */
        UNSIGNED,
        /** The signature is not one of the configured key over this digest. */
        BAD_SIGNATURE,
        /** No installer is configured for the module. */
        NO_INSTALLER,
        /** The configured policy turned the trigger down. */
        POLICY,
        /** The upgrade took longer than it may. */
        DEADLINE,
        /** The source does not have the artifact (any more). */
        NOT_FOUND,
        /** The source wants other credentials; often a signed URL that has expired. */
        FORBIDDEN,
        /** The location is not one that may be asked: scheme, host, network, user-info, … */
        LOCATION_REFUSED,
        /** A redirect was not followed: too many, to another scheme, to a host or network that may not be asked, malformed. */
        REDIRECT_REFUSED,
        /** The source answered with something that is no artifact. */
        BAD_RESPONSE,
        /** The artifact changed again and again while it was fetched. */
        CHANGED_TOO_OFTEN,
        /** TLS failed: certificate, host name, protocol. */
        TLS,
        /** The connection could not be made or broke. */
        CONNECTION_LOST,
        /** Nothing came for too long. */
        TIMEOUT,
        /** Bytes came, but slower than the minimum throughput. */
        TOO_SLOW,
        /** The source asked to come back later (429, 503, …). */
        SERVER_BUSY,
        /** The source sent, or announced, more than the declared length. */
        ENDLESS_DATA,
        /** The artifact ended before its declared length. */
        TRUNCATED,
        /** The bytes are all there and they are the wrong bytes. */
        DIGEST_MISMATCH,
        /** No room: the disk is full, or the quota would be exceeded. */
        NO_SPACE,
        /** The medium failed or refused. */
        IO_FAILED,
        /** Another process uses the store. */
        STORE_LOCKED,
        /** What is stored is not what was written. */
        CORRUPT,
        /** The installer failed. */
        INSTALL_FAILED,
        /** The device came back with the version it had before. */
        ROLLED_BACK
    }
}
