package io.otaflux.transport.aliyun;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Keeps a gateway below 200 logins in any second, the platform's limit, whatever happens to its connection: a bucket of
 * {@value #BATCH} that fills with {@value #PER_SECOND} a second.
 */
final class LoginRate {

    /** How many devices one request may log in. */
    static final int BATCH = 50;

    private static final int PER_SECOND = 150;

    private final LongSupplier nanoClock;
    private final long nanosEach;

    /** When the bucket was empty, or will be. */
    private long empty;

    LoginRate(LongSupplier nanoClock) {
        this(nanoClock, PER_SECOND);
    }

    /** Another rate, for tests. */
    LoginRate(LongSupplier nanoClock, int perSecond) {
        this.nanoClock = nanoClock;
        this.nanosEach = Duration.ofSeconds(1).toNanos() / perSecond;
        this.empty = nanoClock.getAsLong() - BATCH * nanosEach;
    }

    /**
     * Asks for {@code logins}, at most {@value #BATCH}.
     *
     * @return 0 when they may take place now, and then count; otherwise in how many nanoseconds to ask again
     */
    long take(int logins) {
        long now = nanoClock.getAsLong();
        long full = -BATCH * nanosEach;
        long then = Math.max(empty - now, full) + logins * nanosEach;
        if (then > 0) {
            return then;
        }
        empty = now + then;
        return 0;
    }
}
