package io.otaflux.transport.http;

import io.netty.handler.codec.DateFormatter;
import java.time.Instant;
import java.util.Date;
import org.jspecify.annotations.Nullable;

/** Dates as they stand in HTTP headers, in all the formats that RFC 9110 §5.6.7 wants understood. */
final class HttpDate {

    private static final int LONGEST = 64;

    private HttpDate() {}

    /** The instant, or null where {@code value} is no date. */
    static @Nullable Instant parse(@Nullable String value) {
        Date date = value == null || value.isEmpty() || value.length() > LONGEST
                ? null
                : DateFormatter.parseHttpDate(value);
        return date == null ? null : date.toInstant();
    }
}
