package io.otaflux.samples.platform;

import java.util.Locale;

/** How devices of a job get the file. */
public enum DownloadProtocol {
    /** From a signed URL; the platform's own file server is plain HTTP unless a proxy stands before it. */
    HTTPS,
    /** In blocks over the MQTT connection: one file of at most 16 MB. */
    MQTT;

    static DownloadProtocol parse(String text) {
        try {
            return valueOf(text.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw RequestRefusedException.invalid("downloadProtocol must be HTTPS or MQTT, not '" + text + "'");
        }
    }
}
