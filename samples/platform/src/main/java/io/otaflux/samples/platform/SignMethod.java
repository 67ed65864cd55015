package io.otaflux.samples.platform;

import java.util.Locale;

/** Which digest of a package's file is sent to devices as its {@code sign}. */
public enum SignMethod {
    /** MD5, the method every device of this protocol understands. */
    MD5("Md5"),
    /** SHA-256. */
    SHA256("Sha256");

    private final String wireName;

    SignMethod(String wireName) {
        this.wireName = wireName;
    }

    /** As the platform's pushes spell it; Alibaba's C client refuses {@code MD5} in capitals. */
    String wireName() {
        return wireName;
    }

    /** Reads {@code md5}, {@code Md5}, {@code SHA256}, {@code Sha256}, … in any case. */
    static SignMethod parse(String text) {
        try {
            return valueOf(text.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw RequestRefusedException.invalid("signMethod must be Md5 or Sha256, not '" + text + "'");
        }
    }
}
