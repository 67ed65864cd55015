package io.otaflux.samples.platform;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** How often somebody may still do something: so many at once, and so many more each second. */
final class Allowance {

    private final double atOnce;
    private final double perSecond;
    private double left;
    private @Nullable Instant countedAt;

    Allowance(int atOnce, int perSecond) {
        this.atOnce = atOnce;
        this.perSecond = perSecond;
        this.left = atOnce;
    }

    /** Takes so many, or none if there are not as many left. */
    boolean take(int count, Instant now) {
        if (countedAt != null) {
            double seconds = Duration.between(countedAt, now).toMillis() / 1000.0;
            left = Math.min(atOnce, left + seconds * perSecond);
        }
        countedAt = now;
        if (left < count) {
            return false;
        }
        left -= count;
        return true;
    }
}
