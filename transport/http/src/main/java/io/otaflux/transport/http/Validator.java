package io.otaflux.transport.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What tells one content of a location from another, as it goes into {@code If-Range}: a strong entity tag byte for byte
 * as the server wrote it (also without quotes, as hawkBit writes it), else a strong {@code Last-Modified}, else nothing.
 *
 * <p>A weak tag ({@code W/"…"}) promises the same meaning, not the same bytes, and is never used. A date is strong when
 * the answer was made at least a minute after it: then nobody can have changed the content twice within the second that
 * the date can express, and a minute also covers a file system whose clock differs a little (RFC 9110 §8.8.2.2, with the
 * sixty seconds that RFC 7232 named).
 */
final class Validator {

    private static final Duration STRONG_AFTER = Duration.ofSeconds(60);

    private Validator() {}

    /** The validator of an answer, or null. */
    static @Nullable String of(HttpHeaders headers) {
        String etag = single(headers, HttpHeaderNames.ETAG);
        if (etag != null && !etag.isEmpty() && !isWeak(etag)) {
            return etag;
        }
        String modified = single(headers, HttpHeaderNames.LAST_MODIFIED);
        Instant modifiedAt = HttpDate.parse(modified);
        Instant answeredAt = HttpDate.parse(single(headers, HttpHeaderNames.DATE));
        boolean strong = modifiedAt != null
                && answeredAt != null
                && Duration.between(modifiedAt, answeredAt).compareTo(STRONG_AFTER) >= 0;
        return strong ? modified : null;
    }

    /**
     * Tells whether an answer that goes on says of itself that it is of another content than {@code validator}. A server
     * may leave out what the client knows already, so that silence is no contradiction.
     */
    static boolean contradicts(String validator, HttpHeaders headers) {
        String now = single(
                headers, HttpDate.parse(validator) == null ? HttpHeaderNames.ETAG : HttpHeaderNames.LAST_MODIFIED);
        return now != null && !now.equals(validator);
    }

    private static boolean isWeak(String etag) {
        return etag.startsWith("W/") || etag.startsWith("w/");
    }

    private static @Nullable String single(HttpHeaders headers, CharSequence name) {
        List<String> values = headers.getAll(name);
        return values.size() == 1 ? values.get(0) : null;
    }
}
