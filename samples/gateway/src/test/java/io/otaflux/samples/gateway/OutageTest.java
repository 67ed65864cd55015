package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.UpgradeEvent;
import io.otaflux.transport.aliyun.DeviceEvent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What happens when one of the servers goes away while an upgrade is under way. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class OutageTest {

    /** Slow enough that there is a middle; the first megabyte comes at once, since nginx counts from there. */
    private static final String[] SLOW = {"limit_rate 4m;"};

    private static final int SIZE = 8_000_000;

    @TempDir
    Path directory;

    @Test
    void aBrokerThatIsKilledInMidDownloadDelaysNothingButWords() {
        Payload payload = Payload.of(SIZE, 11);
        try (Site site = Site.open(directory, SLOW);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "2.0.0", payload));
            gateway.awaitBytes(SIZE / 4);

            site.broker().kill();
            await().atMost(Gateway.PATIENCE)
                    .until(() -> gateway.deviceEvents().stream().anyMatch(DeviceEvent.Disconnected.class::isInstance));
            assertThat(gateway.events(UpgradeEvent.Ended.class))
                    .as("not over yet")
                    .isEmpty();
            site.broker().restart();

            gateway.awaitSuccess("2.0.0");
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            assertThat(site.accesses()).as("the download did not notice").hasSize(1);
            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(site.cloud().versions()).endsWith("app=2.0.0"));
        }
    }

    @Test
    void aBrokerThatForgetsEverythingIsToldEverythingAgain() {
        Payload payload = Payload.of(SIZE, 12);
        try (Site site = Site.open(directory, SLOW);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "2.0.0", payload));
            gateway.awaitBytes(SIZE / 4);

            site.broker().forget();
            gateway.awaitSuccess("2.0.0");

            try (Cloud restarted = new Cloud(site.broker().port())) {
                // The gateway does not know that the platform has lost its report; saying it again after each
                // reconnection is what makes up for that. A broker that forgets also forgets what it was told before
                // the platform was back, so whoever comes back last decides a round.
                await().pollInterval(Duration.ofSeconds(2))
                        .atMost(Duration.ofSeconds(60))
                        .until(() -> {
                            if (restarted.versions().contains("app=2.0.0")) {
                                return true;
                            }
                            site.broker().restart();
                            return false;
                        });
            }
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
        }
    }

    @Test
    void aFileServerThatIsKilledInMidDownloadIsAskedForTheRest() {
        Payload payload = Payload.of(SIZE, 13);
        try (Site site = Site.open(directory, SLOW);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "2.0.0", payload));
            long durable = gateway.awaitBytes(SIZE / 4).bytes();

            site.nginx().kill();
            gateway.awaitEvent(UpgradeEvent.Interrupted.class, "2.0.0");
            site.nginx().start();

            gateway.awaitSuccess("2.0.0");
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            assertRest(site, durable);
        }
    }

    @Test
    void everythingMayGoAwayAtOnceAndComeBackInAnyOrder() {
        Payload payload = Payload.of(SIZE, 14);
        try (Site site = Site.open(directory, SLOW);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "2.0.0", payload));
            long durable = gateway.awaitBytes(SIZE / 4).bytes();

            site.nginx().kill();
            site.broker().kill();
            gateway.awaitEvent(UpgradeEvent.Interrupted.class, "2.0.0");
            site.nginx().start();
            gateway.awaitBytes(SIZE);
            site.broker().restart();

            gateway.awaitSuccess("2.0.0");
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            assertRest(site, durable);
        }
    }

    /** Of a killed nginx there is no line about the request that it died of; the others say what was fetched after it. */
    private static void assertRest(Site site, long durable) {
        List<Site.Access> after = site.accesses();
        assertThat(after).singleElement().satisfies(rest -> {
            assertThat(rest.status()).isEqualTo(206);
            assertThat(rest.bytes()).isBetween(1L, SIZE - durable);
        });
    }
}
