package io.otaflux;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * How a transfer that broke off is tried again: after a random time between zero and a bound that doubles from
 * {@code first} to {@code max} ("full jitter", so that a thousand devices do not come back together), at most
 * {@code attempts} times in a row without any new byte becoming durable. Where the source asks to be left alone for a
 * while, the random time begins after that.
 *
 * @param first the bound of the first wait
 * @param max the largest bound, and the most that a source may ask to wait
 * @param attempts how many tries may follow one another without progress before the transfer gives up
 */
public record Backoff(Duration first, Duration max, int attempts) {

    /** Up to 1 second at first, up to 2 minutes later, 10 tries without progress. */
    public static final Backoff DEFAULT = new Backoff(Duration.ofSeconds(1), Duration.ofMinutes(2), 10);

    /** Longer ones are as good as this one, which can still be counted in nanoseconds. */
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /** @throws IllegalArgumentException when a duration is not positive, {@code first > max}, or {@code attempts < 0} */
    public Backoff {
        if (first.isNegative() || first.isZero() || first.compareTo(max) > 0) {
            throw new IllegalArgumentException("first: " + first + ", max: " + max + " (expected: 0 < first <= max)");
        }
        if (attempts < 0) {
            throw new IllegalArgumentException("attempts: " + attempts + " (expected: >= 0)");
        }
    }

    /** No second try. */
    public static Backoff none() {
        return new Backoff(DEFAULT.first, DEFAULT.max, 0);
    }

    /**
     * A random wait before try number {@code retry}, the first one being 1.
     *
     * @return a duration in {@code [0, min(max, first * 2^(retry - 1))]}
     */
    public Duration delay(int retry) {
        return random(bound(retry));
    }

    private long bound(int retry) {
        double doubled = (double) nanos(first) * Math.pow(2, Math.max(0, retry - 1));
        return doubled < (double) nanos(max) ? (long) doubled : nanos(max);
    }

    private static Duration random(long bound) {
        return Duration.ofNanos(ThreadLocalRandom.current().nextLong(bound + 1));
    }

    private static long nanos(Duration duration) {
        return duration.compareTo(LONGEST) < 0 ? duration.toNanos() : LONGEST.toNanos();
    }

    /**
     * The wait before try number {@code retry}. What the source asked for, up to {@code max}, comes before the random part
     * and not instead of it, and the random part is up to as long again: a thousand devices that were all told to come
     * back in a minute come in the course of the minute after.
     */
    Duration pause(int retry, @Nullable Duration asked) {
        if (asked == null || asked.isNegative()) {
            return delay(retry);
        }
        Duration granted = asked.compareTo(max) > 0 ? max : asked;
        return granted.plus(random(Math.max(bound(retry), nanos(granted))));
    }
}
