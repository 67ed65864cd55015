package io.otaflux.samples.platform;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A part of a file, as a {@code Range} header asks for it (RFC 9110, section 14). */
record ByteRange(long first, long length) {

    private static final Pattern SPEC = Pattern.compile("\\s*(\\d*)-(\\d*)\\s*");
    private static final int MOST_DIGITS = 18;

    /** A header that is well-formed, but of which nothing lies within the file. */
    static final ByteRange UNSATISFIABLE = new ByteRange(0, 0);

    boolean isSatisfiable() {
        return length > 0;
    }

    long last() {
        return first + length - 1;
    }

    /**
     * Reads a header. Of several ranges the first that lies within the file is taken: the client sees from
     * {@code Content-Range} what it got and can ask for the rest, while the whole file in answer to a range is what a resuming
     * client would append.
     *
     * @return the range, {@link #UNSATISFIABLE}, or empty if the header is not a range of bytes and is to be ignored
     */
    static Optional<ByteRange> parse(@Nullable String header, long size) {
        if (header == null || !header.regionMatches(true, 0, "bytes=", 0, 6)) {
            return Optional.empty();
        }
        ByteRange found = UNSATISFIABLE;
        for (String spec : header.substring(6).split(",", -1)) {
            Matcher matcher = SPEC.matcher(spec);
            if (!matcher.matches()
                    || (matcher.group(1).isEmpty() && matcher.group(2).isEmpty())) {
                return Optional.empty();
            }
            long first = number(matcher.group(1));
            long last = matcher.group(2).isEmpty() ? Long.MAX_VALUE : number(matcher.group(2));
            if (matcher.group(1).isEmpty()) {
                first = Math.max(0, size - last);
                last = last == 0 ? -1 : size - 1;
            } else if (last < first) {
                return Optional.empty();
            }
            last = Math.min(last, size - 1);
            if (!found.isSatisfiable() && first < size && last >= first) {
                found = new ByteRange(first, last - first + 1);
            }
        }
        return Optional.of(found);
    }

    private static long number(String digits) {
        if (digits.isEmpty()) {
            return 0;
        }
        return digits.length() > MOST_DIGITS ? Long.MAX_VALUE : Long.parseLong(digits);
    }
}
