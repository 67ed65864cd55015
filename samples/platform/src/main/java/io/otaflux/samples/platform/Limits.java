package io.otaflux.samples.platform;

import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What names and values may look like. The numbers are those of Alibaba's documents where they give one; the alphabet is
 * theirs for versions, applied to every name because names also end up in topics and paths.
 */
final class Limits {

    static final String DEFAULT_MODULE = "default";
    static final int MAX_CONFIG_BYTES = 64 << 10;
    static final int MAX_FILES = 20;
    static final int MAX_PACKAGES = 500;
    static final int MAX_MODULES = 10;
    static final int MAX_MATCHES = 10;
    static final long MAX_MQTT_BYTES = 16L << 20;

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]+");
    private static final Pattern TAG_KEY = Pattern.compile("[A-Za-z0-9.]{1,30}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final int MAX_NAME = 64;
    private static final int MAX_TAGS = 10;
    private static final int MAX_TAG_VALUE = 1024;
    private static final int MAX_TAGS_TOTAL = 4096;
    private static final int MAX_CUSTOM_INFO = 4096;
    private static final int MAX_TEXT = 512;
    private static final int MAX_PACKAGE_NAME = 40;
    private static final int MAX_FILE_NAME = 32;
    private static final Pattern FILE_NAME = Pattern.compile("[^\\p{Cntrl}/\\\\:*?\"<>|]+");
    private static final List<String> SUFFIXES =
            List.of(".bin", ".dav", ".apk", ".tar", ".gz", ".zip", ".gzip", ".tar.xz", ".pack");
    private static final int MAX_SOURCE_VERSIONS = 10;
    private static final int MAX_DEVICES = 200;
    private static final int MAX_VERIFICATION_DEVICES = 10;
    private static final int MAX_GRAY_SCALE = 3;
    private static final BigDecimal ALL_PERCENT = BigDecimal.valueOf(100);
    private static final int SLOWEST_RATE = 10;
    private static final Set<Long> RETRY_INTERVALS = Set.of(0L, 10L, 30L, 60L, 1440L);
    private static final Set<Integer> RETRY_COUNTS = Set.of(1, 2, 5);
    private static final Duration EARLIEST_START = Duration.ofMinutes(5);
    private static final Duration LATEST_START = Duration.ofDays(7);
    private static final Duration EARLIEST_FINISH = Duration.ofHours(1);
    private static final Duration LATEST_FINISH = Duration.ofDays(30);
    private static final int MAX_IDS = 10;
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

    /** A text of a person about something; it may be empty. */
    static String text(String what, @Nullable String text) {
        if (text != null && text.length() > MAX_TEXT) {
            throw RequestRefusedException.invalid(what + " must be at most " + MAX_TEXT + " characters");
        }
        return text == null ? "" : text;
    }

    static @Nullable String packageName(@Nullable String name) {
        if (name != null
                && (name.isBlank()
                        || name.length() > MAX_PACKAGE_NAME
                        || name.chars().anyMatch(Character::isISOControl))) {
            throw RequestRefusedException.invalid("a package's name must be 1 to " + MAX_PACKAGE_NAME
                    + " characters without control characters, not '" + abbreviated(name) + "'");
        }
        return name;
    }

    /**
     * Checks the names of a package's files.
     *
     * @param names null for a file without a name, which only an only file may be
     */
    static void fileNames(List<@Nullable String> names) {
        if (names.isEmpty() || names.size() > MAX_FILES) {
            throw RequestRefusedException.invalid("a package has 1 to " + MAX_FILES + " files, not " + names.size());
        }
        Set<String> seen = new HashSet<>();
        for (String name : names) {
            if (name == null) {
                if (names.size() > 1) {
                    throw RequestRefusedException.invalid("each file of a package of several must have a name");
                }
                continue;
            }
            if (name.length() > MAX_FILE_NAME || !FILE_NAME.matcher(name).matches()) {
                throw RequestRefusedException.invalid("a file's name must be 1 to " + MAX_FILE_NAME
                        + " characters, none of them / \\ : * ? \" < > | or a control character, not '"
                        + abbreviated(name)
                        + "'");
            }
            if (SUFFIXES.stream().noneMatch(name.toLowerCase(Locale.ROOT)::endsWith)) {
                throw RequestRefusedException.invalid(
                        "a file's name must end in one of " + String.join(" ", SUFFIXES) + ", not '" + name + "'");
            }
            if (!seen.add(name)) {
                throw RequestRefusedException.invalid("two files of the package are called '" + name + "'");
            }
        }
    }

    /** Checks all of a job that can be checked without knowing anything else. */
    static void job(JobRequest job, Instant now) {
        selection(job);
        if (job.sourceVersions().size() > MAX_SOURCE_VERSIONS) {
            throw RequestRefusedException.invalid("srcVersions must be at most " + MAX_SOURCE_VERSIONS
                    + " versions, not " + job.sourceVersions().size());
        }
        job.sourceVersions().forEach(version -> name("a source version", version));
        if (job.maximumPerMinute() < SLOWEST_RATE || job.maximumPerMinute() > JobRequest.FASTEST) {
            throw RequestRefusedException.invalid("maximumPerMinute must be " + SLOWEST_RATE + " to "
                    + JobRequest.FASTEST + ", not " + job.maximumPerMinute());
        }
        schedule(job, now);
        timeout(job.timeout());
        retries(job);
        if (job.multiModule() && job.overwriteMode() == OverwriteMode.REPLACE_EARLIER) {
            throw RequestRefusedException.invalid("multiModule cannot be combined with overwriteMode 2");
        }
        tags(job.tags());
    }

    /** Names of tasks in one request. */
    static Collection<String> taskIds(@Nullable Collection<String> ids) {
        Set<String> distinct = ids == null ? Set.of() : new LinkedHashSet<>(ids);
        if (distinct.isEmpty() || distinct.size() > MAX_IDS) {
            throw RequestRefusedException.invalid(
                    "taskIds must name 1 to " + MAX_IDS + " tasks, not " + distinct.size());
        }
        return distinct;
    }

    private static void selection(JobRequest job) {
        List<String> devices = job.devices();
        BigDecimal gray = job.grayPercent();
        if ((devices == null ? 0 : 1) + (gray == null ? 0 : 1) + (job.group() == null ? 0 : 1) > 1) {
            throw RequestRefusedException.invalid("devices, grayPercent and group exclude each other");
        }
        if (devices != null && devices.isEmpty()) {
            throw RequestRefusedException.invalid("devices names no device; leave it out or say ALL for every device");
        }
        if (devices != null && devices.size() > MAX_DEVICES) {
            throw RequestRefusedException.invalid(
                    "devices must be at most " + MAX_DEVICES + " names, not " + devices.size());
        }
        if (gray != null
                && (gray.signum() <= 0
                        || gray.compareTo(ALL_PERCENT) > 0
                        || gray.stripTrailingZeros().scale() > MAX_GRAY_SCALE)) {
            throw RequestRefusedException.invalid("grayPercent must be more than 0 and at most 100, with at most "
                    + MAX_GRAY_SCALE + " decimals, not " + abbreviated(gray.toString()));
        }
        Integer mode = job.dynamicMode();
        if (mode != null && mode != 1 && mode != 2) {
            throw RequestRefusedException.invalid("dynamicMode must be 1 or 2, not " + mode);
        }
        if (mode != null && (devices != null || gray != null)) {
            throw RequestRefusedException.invalid(
                    "a dynamic job takes whatever devices match, or a group's; not devices or grayPercent");
        }
        if (job.verification() && (devices == null || devices.size() > MAX_VERIFICATION_DEVICES || mode != null)) {
            throw RequestRefusedException.invalid("a verification job must name its devices, 1 to "
                    + MAX_VERIFICATION_DEVICES + ", in devices, and is not dynamic");
        }
    }

    private static void schedule(JobRequest job, Instant now) {
        Instant start = job.scheduleTime();
        Instant finish = job.scheduleFinishTime();
        if ((start != null || finish != null) && job.dynamic()) {
            throw RequestRefusedException.invalid("a dynamic job has no scheduleTime and no scheduleFinishTime");
        }
        if (start != null && (start.isBefore(now.plus(EARLIEST_START)) || start.isAfter(now.plus(LATEST_START)))) {
            throw RequestRefusedException.invalid(
                    "scheduleTime must be 5 minutes to 7 days from now (" + now + "), not " + start);
        }
        Instant from = start == null ? now : start;
        if (finish != null
                && (finish.isBefore(from.plus(EARLIEST_FINISH)) || finish.isAfter(from.plus(LATEST_FINISH)))) {
            throw RequestRefusedException.invalid(
                    "scheduleFinishTime must be 1 hour to 30 days after the start (" + from + "), not " + finish);
        }
    }

    private static void retries(JobRequest job) {
        Duration interval = job.retryInterval();
        if ((interval == null) != (job.retryCount() == 0)) {
            throw RequestRefusedException.invalid("retryInterval and retryCount go together");
        }
        if (interval == null) {
            return;
        }
        if (!RETRY_INTERVALS.contains(interval.toMinutes())
                || !interval.equals(Duration.ofMinutes(interval.toMinutes()))) {
            throw RequestRefusedException.invalid(
                    "retryInterval must be 0, 10, 30, 60 or 1440 minutes, not " + interval.toMinutes());
        }
        if (!RETRY_COUNTS.contains(job.retryCount())) {
            throw RequestRefusedException.invalid("retryCount must be 1, 2 or 5, not " + job.retryCount());
        }
        Duration timeout = job.timeout();
        if (timeout != null && interval.compareTo(timeout) >= 0) {
            throw RequestRefusedException.invalid("retryInterval (" + interval.toMinutes()
                    + ") must be less than timeoutInMinutes (" + timeout.toMinutes() + ")");
        }
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
            if (tag.getValue() == null
                    || tag.getValue().isEmpty()
                    || tag.getValue().length() > MAX_TAG_VALUE) {
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
