package io.otaflux.samples.cli;

import io.otaflux.DeadlineException;
import io.otaflux.DigestMismatchException;
import io.otaflux.InstallException;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.StorageException;
import io.otaflux.TransferException;

/** What the process ends with. Scripts rely on these numbers; the usage of each command lists those that it has. */
final class ExitCode {

    static final int OK = 0;
    static final int FAILED = 1;
    static final int USAGE = 2;
    static final int UNAVAILABLE = 3;
    static final int WRONG_BYTES = 4;
    static final int STORAGE = 5;
    static final int RESUMABLE = 6;

    private ExitCode() {}

    /** What a failed download ends with. */
    static int of(OtaException failure) {
        if (failure instanceof DigestMismatchException || failure instanceof LengthMismatchException) {
            return WRONG_BYTES;
        }
        if (failure instanceof StorageException || failure instanceof InstallException) {
            return STORAGE;
        }
        if (failure instanceof TransferException || failure instanceof DeadlineException) {
            return RESUMABLE;
        }
        return UNAVAILABLE;
    }
}
