package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.Disposable;
import reactor.core.scheduler.Schedulers;
import reactor.test.scheduler.VirtualTimeScheduler;

class MaintenanceWindowTest {

    @ParameterizedTest
    @CsvSource({
        "02:00, 04:00, 01:59, false",
        "02:00, 04:00, 02:00, true",
        "02:00, 04:00, 03:59, true",
        "02:00, 04:00, 04:00, false",
        "23:00, 01:00, 22:59, false",
        "23:00, 01:00, 23:30, true",
        "23:00, 01:00, 00:30, true",
        "23:00, 01:00, 01:00, false",
        "00:00, 00:00, 12:00, true",
    })
    void itIsOpenFromItsBeginningToJustBeforeItsEnd(LocalTime from, LocalTime to, LocalTime time, boolean open) {
        MaintenanceWindow window = new MaintenanceWindow(from, to, Clock.systemUTC(), Schedulers.parallel());

        assertThat(window.isOpenAt(time)).isEqualTo(open);
    }

    @Test
    void approvalComesWhenItOpens() {
        VirtualTimeScheduler time = VirtualTimeScheduler.create();
        Clock clock = new Clock() {
            @Override
            public ZoneId getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(ZoneId zone) {
                throw new UnsupportedOperationException();
            }

            @Override
            public Instant instant() {
                return Instant.ofEpochMilli(time.now(TimeUnit.MILLISECONDS));
            }
        };
        MaintenanceWindow window = new MaintenanceWindow(LocalTime.of(2, 0), LocalTime.of(3, 0), clock, time);
        Disposable approval = window.approves(null).subscribe();

        time.advanceTimeBy(Duration.ofMinutes(119));
        assertThat(approval.isDisposed()).isFalse();
        time.advanceTimeBy(Duration.ofMinutes(2));
        assertThat(approval.isDisposed()).isTrue();
    }

    @Test
    void itIsReadFromTheEnvironment() {
        Map<String, String> environment = Map.of(
                "OTA_HOST", "platform",
                "OTA_PRODUCT", "pk",
                "OTA_DEVICE", "dn",
                "OTA_SECRET_FILE", "/secret",
                "OTA_HOME", "/home",
                "OTA_NETWORKS", "192.168.0.0/16, fd00::/8",
                "OTA_WINDOW", "02:00-04:30");

        Settings settings = Settings.from(environment, "app=/opt/app.jar");

        assertThat(settings.from()).isEqualTo(LocalTime.of(2, 0));
        assertThat(settings.to()).isEqualTo(LocalTime.of(4, 30));
        assertThat(settings.modules()).containsOnlyKeys("app");
        assertThat(settings.networks()).containsExactly("192.168.0.0/16", "fd00::/8");
    }
}
