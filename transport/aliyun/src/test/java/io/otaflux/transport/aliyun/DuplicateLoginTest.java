package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Backoff;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BiFunction;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;

/** Two processes with one identity, which put out each other's connection. */
class DuplicateLoginTest {

    private static final Duration MINUTE = Duration.ofMinutes(1);

    private long now;

    @Test
    void twoWithOneIdentityTakeTurnsInMinutes() {
        assertThat(fight(Pacing::new)).isLessThan(75);
    }

    @Test
    void oneThatSuspectsNothingIsCaught() {
        Mutant.assertCaught(
                "long waits for one who is put out again and again",
                () -> assertThat(fight(TrustingPacing::new)).isLessThan(75));
    }

    /** @return how many logins the two make in an hour */
    private int fight(BiFunction<Backoff, LongSupplier, Pacing> pacing) {
        now = 0;
        List<Pacing> two = List.of(pacing.apply(Backoff.DEFAULT, () -> now), pacing.apply(Backoff.DEFAULT, () -> now));
        long[] comes = {0, Duration.ofMillis(300).toNanos()};
        int inside = -1;
        int logins = 0;
        while (true) {
            int next = comes[0] <= comes[1] ? 0 : 1;
            now = comes[next];
            if (now > Duration.ofHours(1).toNanos()) {
                return logins;
            }
            logins++;
            two.get(next).connected();
            comes[next] = Long.MAX_VALUE;
            if (inside == 1 - next) {
                two.get(inside).ended(true);
                comes[inside] = now + two.get(inside).pause().toNanos();
            }
            inside = next;
        }
    }

    @Test
    void aConnectionThatLastsProvesThatTheOtherOneIsGone() {
        Pacing pacing = suspicious();

        life(pacing, MINUTE.multipliedBy(9), false);

        assertThat(pacing.isSuspicious()).isFalse();
        assertThat(pacing.pause()).isLessThanOrEqualTo(Duration.ofSeconds(1));
    }

    @Test
    void aConnectionThatLastsNoLongerThanTheOtherOneWaitsProvesNothing() {
        Pacing pacing = suspicious();

        assertThat(life(pacing, MINUTE.multipliedBy(7), true)).isEqualTo(4);

        assertThat(pacing.pause()).isBetween(MINUTE, MINUTE.multipliedBy(2));
    }

    @Test
    void aPlatformThatHangsUpNowAndThenIsNotSuspected() {
        Pacing pacing = new Pacing(Backoff.DEFAULT, () -> now);

        for (int i = 0; i < 10; i++) {
            assertThat(life(pacing, MINUTE.multipliedBy(9), true)).isZero();
            assertThat(pacing.pause()).isLessThanOrEqualTo(Duration.ofSeconds(1));
        }
    }

    @Test
    void aPlatformThatRestartsAgainAndAgainIsNotSuspected() {
        Pacing pacing = new Pacing(Backoff.DEFAULT, () -> now);

        for (int i = 0; i < 10; i++) {
            assertThat(life(pacing, MINUTE, true)).isZero();
            // Nobody listens for a while.
            assertThat(pacing.ended(false)).isZero();
        }
    }

    @Test
    void aNetworkThatCutsEveryConnectionIsNotSuspected() {
        Pacing pacing = new Pacing(Backoff.DEFAULT, () -> now);

        for (int i = 0; i < 10; i++) {
            assertThat(life(pacing, MINUTE, false)).isZero();
            assertThat(pacing.pause()).isLessThanOrEqualTo(Duration.ofSeconds(1));
        }
    }

    @Test
    @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
    void bothNoticeItAndTakeTurnsOnARealBroker() {
        Duration longest = Duration.ofSeconds(1);
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            List<DeviceEvent> events = new CopyOnWriteArrayList<>();
            List<AliyunDevice> devices = List.of(device(broker, longest), device(broker, longest));
            devices.forEach(device -> device.events().subscribe(events::add));
            devices.forEach(device -> device.connect().block(PATIENCE));

            // Each of the two, at least once.
            eventually(
                    PATIENCE,
                    () -> assertThat(events)
                            .filteredOn(
                                    event -> event.equals(new DeviceEvent.DuplicateLoginSuspected(Pacing.SUSPICIOUS)))
                            .hasSize(2));
            int before = logins(events);
            long start = System.nanoTime();
            eventually(PATIENCE, () -> assertThat(logins(events)).isGreaterThanOrEqualTo(before + 4));

            // Of each device at most one in half the longest wait.
            Duration took = Duration.ofNanos(System.nanoTime() - start);
            assertThat(took).isGreaterThan(longest.dividedBy(2));
            assertThat(events).noneMatch(DeviceEvent.ConnectFailed.class::isInstance);
            devices.forEach(device -> device.close().block(PATIENCE));
        }
    }

    private static int logins(List<DeviceEvent> events) {
        return (int)
                events.stream().filter(DeviceEvent.Connected.class::isInstance).count();
    }

    private static AliyunDevice device(MosquittoBroker broker, Duration longest) {
        return TestPlatform.device(broker.port())
                .reconnect(Duration.ofMillis(10), longest)
                .build();
    }

    private Pacing suspicious() {
        Pacing pacing = new Pacing(Backoff.DEFAULT, () -> now);
        assertThat(life(pacing, Duration.ofSeconds(1), true)).isZero();
        pacing.pause();
        assertThat(life(pacing, MINUTE, true)).isZero();
        pacing.pause();
        assertThat(life(pacing, MINUTE, true)).isEqualTo(3);
        assertThat(pacing.pause()).isBetween(MINUTE, MINUTE.multipliedBy(2));
        return pacing;
    }

    private int life(Pacing pacing, Duration length, boolean hungUp) {
        pacing.connected();
        now += length.toNanos();
        return pacing.ended(hungUp);
    }

    /** Waits as if every connection had been cut by the network. */
    private static final class TrustingPacing extends Pacing {

        TrustingPacing(Backoff backoff, LongSupplier nanoTime) {
            super(backoff, nanoTime);
        }

        @Override
        int ended(boolean hungUp) {
            return super.ended(false);
        }
    }
}
