package io.otaflux.transport.aliyun;

import io.otaflux.Backoff;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.LongSupplier;

/**
 * How long to wait between one connection and the next: a random time whose bound doubles, and begins again after a
 * connection that was a good one.
 *
 * <p>Two processes with one identity put out each other's connection, and MQTT 3.1.1 has no word for that: the platform
 * hangs up. It is guessed where a platform that answered each time hung up on three connections running, none of which lasted
 * longer than the other one can have waited. From then on the waits are long, so that the two take turns in minutes and not
 * in milliseconds, until a connection proves that nobody else comes. A network that is cut, a platform that restarts and
 * one that cannot be reached are none of that: they give an error, or refuse an attempt.
 */
class Pacing {

    /** How often the platform hangs up before another process is suspected. */
    static final int SUSPICIOUS = 3;

    /** A connection that lasted this long was a good one. */
    private static final Duration STABLE = Duration.ofSeconds(30);

    private final Backoff backoff;
    private final LongSupplier nanoTime;
    private boolean connected;
    private long connectedSince;
    private int failures;
    private int hangUps;

    Pacing(Backoff backoff, LongSupplier nanoTime) {
        this.backoff = backoff;
        this.nanoTime = nanoTime;
    }

    void connected() {
        connected = true;
        connectedSince = nanoTime.getAsLong();
    }

    /**
     * A connection, or the attempt to make one, came to its end.
     *
     * @param hungUp whether the platform ended it without an error
     * @return how often the platform has hung up, if that is suspicious; otherwise 0
     */
    int ended(boolean hungUp) {
        boolean wasConnected = connected;
        connected = false;
        if (!wasConnected) {
            hangUps = 0;
            return 0;
        }
        Duration life = Duration.ofNanos(nanoTime.getAsLong() - connectedSince);
        if (life.compareTo(STABLE) > 0 && life.compareTo(backoff.max().multipliedBy(4)) > 0) {
            hangUps = 0;
        }
        if (hungUp) {
            hangUps++;
        }
        if (!isSuspicious() && life.compareTo(STABLE) > 0) {
            failures = 0;
        }
        return isSuspicious() ? hangUps : 0;
    }

    /** How long to wait before the next attempt. */
    Duration pause() {
        failures++;
        if (!isSuspicious()) {
            return backoff.delay(failures);
        }
        long half = backoff.max().dividedBy(2).toNanos();
        return Duration.ofNanos(half + ThreadLocalRandom.current().nextLong(half + 1));
    }

    /** How many attempts have followed one another, for whoever takes turns. */
    int failures() {
        return failures;
    }

    boolean isSuspicious() {
        return hangUps >= SUSPICIOUS;
    }
}
