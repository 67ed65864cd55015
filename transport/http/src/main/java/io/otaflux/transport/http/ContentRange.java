package io.otaflux.transport.http;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * {@code Content-Range: bytes first-last/total} (RFC 9110 §14.4), with all three numbers known.
 *
 * @param first the offset of the first byte
 * @param last the offset of the last byte, inclusive
 * @param total the length of the whole
 */
record ContentRange(long first, long last, long total) {

    /** 18 digits fit into a long whatever they are; no artifact is an exabyte. */
    private static final Pattern FORMAT =
            Pattern.compile("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", Pattern.CASE_INSENSITIVE);

    private static final Pattern UNSATISFIED = Pattern.compile("bytes \\*/([0-9]{1,18})", Pattern.CASE_INSENSITIVE);

    /** The length of the whole as an answer names it that had no byte of the range, or empty where it names none. */
    static OptionalLong unsatisfied(@Nullable String header) {
        Matcher matcher = UNSATISFIED.matcher(header == null ? "" : header);
        return matcher.matches() ? OptionalLong.of(Long.parseLong(matcher.group(1))) : OptionalLong.empty();
    }

    /** The range, or empty where {@code header} is anything else than one satisfied range of a known whole. */
    static Optional<ContentRange> parse(@Nullable String header) {
        if (header == null) {
            return Optional.empty();
        }
        Matcher matcher = FORMAT.matcher(header);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        ContentRange range = new ContentRange(
                Long.parseLong(matcher.group(1)), Long.parseLong(matcher.group(2)), Long.parseLong(matcher.group(3)));
        return range.first <= range.last && range.last < range.total ? Optional.of(range) : Optional.empty();
    }
}
