package io.otaflux.transport.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What an answer means, by its status and headers alone. Only 200 and 206 are data; a 206 is believed when its {@code
 * Content-Range} is exactly the rest that was asked for, and anything that is not an artifact's plain bytes is an error.
 */
sealed interface Verdict {

    /** The bytes follow. {@code size} is of the whole, or {@link Artifact#UNKNOWN_SIZE}. */
    record Data(long offset, long size, @Nullable String validator) implements Verdict {}

    /** There is no byte after those that are here: they are the whole. */
    record Complete() implements Verdict {}

    /** The bytes are elsewhere. {@code location} is null where the answer does not name exactly one place. */
    record Redirect(@Nullable String location) implements Verdict {

        /** Leaves the location out: its query is a credential. */
        @Override
        public String toString() {
            return "Redirect[" + (location == null ? "to nowhere" : "elsewhere") + "]";
        }
    }

    /** The range cannot be had, but perhaps the whole can: ask once more, without it. */
    record StartOver() implements Verdict {}

    /**
     * Judges an answer.
     *
     * @param request what was wanted
     * @param offset what was asked for: 0 for the whole, without a {@code Range}
     * @param where the location for messages
     * @throws OtaException where the answer has no bytes for us
     */
    static Verdict of(Request request, long offset, int status, HttpHeaders headers, String where) {
        return switch (status) {
            case 200 -> whole(request.artifact(), headers, where);
            case 206 -> rest(request, offset, headers, where);
            case 301, 302, 303, 307, 308 -> {
                List<String> locations = headers.getAll(HttpHeaderNames.LOCATION);
                yield new Redirect(locations.size() == 1 ? locations.get(0) : null);
            }
            case 401, 403, 407 ->
                throw new SourceException(Reason.FORBIDDEN, status, where + ": access refused, HTTP " + status, null);
            case 404, 410 ->
                throw new SourceException(Reason.NOT_FOUND, status, where + ": not there, HTTP " + status, null);
            case 408, 425, 429, 500, 502, 503, 504 ->
                throw new TransferException(
                        Reason.SERVER_BUSY, where + ": cannot answer now, HTTP " + status, null, retryAfter(headers));
            case 416 -> {
                if (offset == 0) {
                    throw bad(status, where, "range not satisfiable, though none was asked for");
                }
                yield isWhole(request, offset, headers) ? new Complete() : new StartOver();
            }
            default -> throw bad(status, where, "unexpected status (expected: 200 or 206)");
        };
    }

    private static Verdict whole(Artifact artifact, HttpHeaders headers, String where) {
        checkCoding(200, headers, where);
        long size = contentLength(headers);
        checkSize(artifact, size);
        return new Data(0, size == Artifact.UNKNOWN_SIZE ? artifact.size() : size, Validator.of(headers));
    }

    private static Verdict rest(Request request, long offset, HttpHeaders headers, String where) {
        if (offset == 0) {
            throw bad(206, where, "a part, though the whole was asked for");
        }
        checkCoding(206, headers, where);
        String type = headers.get(HttpHeaderNames.CONTENT_TYPE, "");
        if (type.toLowerCase(Locale.ROOT).startsWith("multipart/byteranges")) {
            throw bad(206, where, "several ranges, though one was asked for");
        }
        List<String> values = headers.getAll(HttpHeaderNames.CONTENT_RANGE);
        ContentRange range = ContentRange.parse(values.size() == 1 ? values.get(0) : null)
                .orElseThrow(() ->
                        bad(206, where, "Content-Range " + values + " (expected: [bytes " + offset + "-last/total])"));
        if (request.validator() != null && Validator.contradicts(request.validator(), headers)) {
            // The server overlooked If-Range: these bytes belong to another content than those that are here.
            return new StartOver();
        }
        checkSize(request.artifact(), range.total());
        if (range.first() != offset || range.last() != range.total() - 1) {
            throw bad(206, where, "Content-Range " + values + " (expected: from " + offset + " to the end)");
        }
        long length = contentLength(headers);
        if (length != Artifact.UNKNOWN_SIZE && length != range.total() - offset) {
            throw bad(206, where, "Content-Length " + length + " of Content-Range " + values);
        }
        String validator = Validator.of(headers);
        return new Data(offset, range.total(), validator == null ? request.validator() : validator);
    }

    /**
     * Tells whether nothing is left because everything is here. A server that tells contents apart by {@code If-Range}
     * does not answer so for another content; what others mean is for the digest to find out.
     */
    private static boolean isWhole(Request request, long offset, HttpHeaders headers) {
        List<String> values = headers.getAll(HttpHeaderNames.CONTENT_RANGE);
        OptionalLong total = ContentRange.unsatisfied(values.size() == 1 ? values.get(0) : null);
        long declared = request.artifact().size();
        return total.isPresent()
                && total.getAsLong() == offset
                && (declared == Artifact.UNKNOWN_SIZE || declared == offset)
                && (request.validator() == null || !Validator.contradicts(request.validator(), headers));
    }

    /** Compressed bytes are not the artifact's: their length, offset and digest are others. */
    private static void checkCoding(int status, HttpHeaders headers, String where) {
        for (String coding : headers.getAll(HttpHeaderNames.CONTENT_ENCODING)) {
            if (!coding.isBlank() && !coding.strip().equalsIgnoreCase("identity")) {
                throw bad(status, where, "Content-Encoding " + coding + " (expected: none)");
            }
        }
        List<String> transfer = headers.getAll(HttpHeaderNames.TRANSFER_ENCODING);
        if (!transfer.isEmpty()
                && !(transfer.size() == 1 && transfer.get(0).strip().equalsIgnoreCase("chunked"))) {
            throw bad(status, where, "Transfer-Encoding " + transfer + " (expected: chunked, or none)");
        }
    }

    private static void checkSize(Artifact artifact, long size) {
        if (size != Artifact.UNKNOWN_SIZE && artifact.size() != Artifact.UNKNOWN_SIZE && size != artifact.size()) {
            throw new LengthMismatchException(artifact.name(), artifact.size(), size);
        }
    }

    /** The decoder has refused lengths that are negative, no numbers, or several by now. */
    private static long contentLength(HttpHeaders headers) {
        String length = headers.get(HttpHeaderNames.CONTENT_LENGTH);
        return length == null || headers.contains(HttpHeaderNames.TRANSFER_ENCODING)
                ? Artifact.UNKNOWN_SIZE
                : Long.parseLong(length.strip());
    }

    /** {@code Retry-After} as seconds or as a date; a date counts from the server's own clock where it tells its time. */
    static @Nullable Duration retryAfter(HttpHeaders headers) {
        String value = headers.get(HttpHeaderNames.RETRY_AFTER, "").strip();
        if (value.matches("[0-9]{1,9}")) {
            return Duration.ofSeconds(Long.parseLong(value));
        }
        Instant until = HttpDate.parse(value);
        if (until == null) {
            return null;
        }
        Instant now = HttpDate.parse(headers.get(HttpHeaderNames.DATE));
        Duration wait = Duration.between(now == null ? Instant.now() : now, until);
        return wait.isNegative() ? Duration.ZERO : wait;
    }

    private static SourceException bad(int status, String where, String what) {
        return new SourceException(Reason.BAD_RESPONSE, status, where + ": HTTP " + status + ": " + what, null);
    }
}
