package io.otaflux;

import java.time.Duration;

/**
 * The least that a transfer must bring, so that a dripping server does not hold a place for ever.
 *
 * @param bytes how many bytes must arrive
 * @param window within which time, over and over again
 */
public record Throughput(long bytes, Duration window) {

    /** 16 KiB in every minute. */
    public static final Throughput DEFAULT = new Throughput(16 * 1024, Duration.ofMinutes(1));

    /** @throws IllegalArgumentException when {@code bytes} is negative or {@code window} is not positive */
    public Throughput {
        if (bytes < 0) {
            throw new IllegalArgumentException("bytes: " + bytes + " (expected: >= 0)");
        }
        if (window.isNegative() || window.isZero()) {
            throw new IllegalArgumentException("window: " + window + " (expected: > 0)");
        }
    }
}
