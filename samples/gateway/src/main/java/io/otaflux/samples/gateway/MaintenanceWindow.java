package io.otaflux.samples.gateway;

import io.otaflux.Verified;
import java.time.Clock;
import java.time.Duration;
import java.time.LocalTime;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * An operator that lets upgrades be installed at some hours of the day only.
 *
 * @param from when the window opens
 * @param to when it closes; before {@code from} for a window that lasts over midnight, equal to it for all day
 * @param clock what tells the time of day
 * @param scheduler what waits
 */
record MaintenanceWindow(LocalTime from, LocalTime to, Clock clock, Scheduler scheduler) implements Operator {

    /** A gateway without a battery learns the time of day minutes after its start, so one long wait could be far off. */
    private static final Duration LOOK = Duration.ofSeconds(30);

    @Override
    public Mono<Void> approves(Verified verified) {
        return Flux.interval(Duration.ZERO, LOOK, scheduler)
                .onBackpressureDrop()
                .filter(tick -> isOpenAt(LocalTime.now(clock)))
                .next()
                .then();
    }

    boolean isOpenAt(LocalTime time) {
        boolean begun = !time.isBefore(from);
        boolean over = !time.isBefore(to);
        return from.isBefore(to) ? begun && !over : begun || !over;
    }
}
