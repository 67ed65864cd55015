package io.otaflux.samples.platform;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What names and values may look like. Lengths are those of Alibaba's documents where they give one (version and module 64,
 * tags 10 of at most 30/1024 characters, custom information 4096, time limit 1 to 1440 minutes); the alphabet is theirs for
 * versions, applied to every name because names also end up in topics and paths.
 */
final class Limits {

    static final String DEFAULT_MODULE = "default";

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]+");
    private static final Pattern TAG_KEY = Pattern.compile("[A-Za-z0-9.]{1,30}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final int MAX_NAME = 64;
    private static final int MAX_TAGS = 10;
    private static final int MAX_TAG_VALUE = 1024;
    private static final int MAX_TAGS_TOTAL = 4096;
    private static final int MAX_CUSTOM_INFO = 4096;
    private static final Duration SHORTEST_TIMEOUT = Duration.ofMinutes(1);
    private static final Duration LONGEST_TIMEOUT = Duration.ofDays(1);

    private Limits() {}

    static boolean isName(String text) {
        return text.length() <= MAX_NAME && NAME.matcher(text).matches();
    }

    static String name(String what, @Nullable String text) {
        if (text == null || text.isEmpty()) {
            throw RequestRefusedException.invalid(what + " is missing");
        }
        if (!isName(text)) {
            throw RequestRefusedException.invalid(what + " must be 1 to " + MAX_NAME
                    + " characters of A-Z a-z 0-9 . _ -, not '" + abbreviated(text) + "'");
        }
        return text;
    }

    static @Nullable String customInfo(@Nullable String text) {
        if (text != null && text.length() > MAX_CUSTOM_INFO) {
            throw RequestRefusedException.invalid("customInfo must be at most " + MAX_CUSTOM_INFO + " characters");
        }
        return text;
    }

    /** A SHA-256 in hex of any case, with or without colons, as lower-case hex. */
    static @Nullable String fingerprint(@Nullable String text) {
        if (text == null) {
            return null;
        }
        String hex = text.replace(":", "").toLowerCase(Locale.ROOT);
        if (!SHA256.matcher(hex).matches()) {
            throw RequestRefusedException.invalid("a certificate is named by its SHA-256, 64 hex digits");
        }
        return hex;
    }

    static void timeout(@Nullable Duration limit) {
        if (limit != null && (limit.compareTo(SHORTEST_TIMEOUT) < 0 || limit.compareTo(LONGEST_TIMEOUT) > 0)) {
            throw RequestRefusedException.invalid("timeoutInMinutes must be 1 to 1440, not " + limit.toMinutes());
        }
    }

    static void tags(Map<String, String> tags) {
        if (tags.size() > MAX_TAGS) {
            throw RequestRefusedException.invalid("at most " + MAX_TAGS + " tags, not " + tags.size());
        }
        int total = 0;
        for (Map.Entry<String, String> tag : tags.entrySet()) {
            if (!TAG_KEY.matcher(tag.getKey()).matches()) {
                throw RequestRefusedException.invalid("a tag's key must be 1 to 30 characters of A-Z a-z 0-9 ., not '"
                        + abbreviated(tag.getKey()) + "'");
            }
            if (tag.getValue().isEmpty() || tag.getValue().length() > MAX_TAG_VALUE) {
                throw RequestRefusedException.invalid(
                        "the value of tag '" + tag.getKey() + "' must be 1 to " + MAX_TAG_VALUE + " characters");
            }
            total += tag.getKey().length() + tag.getValue().length();
        }
        if (total > MAX_TAGS_TOTAL) {
            throw RequestRefusedException.invalid(
                    "all tags together must be at most " + MAX_TAGS_TOTAL + " characters");
        }
    }

    private static String abbreviated(String text) {
        return text.length() <= MAX_NAME ? text : text.substring(0, MAX_NAME) + "…";
    }
}
