package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.Installed;
import io.otaflux.UpgradeEvent;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Platforms push again whenever they doubt that they were heard. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class RepeatedPushTest {

    private static final int SIZE = 4_000_000;

    @TempDir
    Path directory;

    @Test
    void aHundredPushesAreOneInstallationAndAreAllAcknowledged() {
        Payload payload = Payload.of(SIZE, 21);
        try (Site site = Site.open(directory, "limit_rate 2m;");
                Gateway gateway = Gateway.start(site)) {
            ObjectNode data = site.publish("app", "2.0.0", payload);
            site.cloud().push(data);
            gateway.awaitBytes(SIZE / 4);
            site.cloud().push(data, 49);
            assertThat(gateway.events(Installed.class)).as("still downloading").isEmpty();
            gateway.awaitSuccess("2.0.0");
            // With a fresh signature, as platforms do.
            site.cloud().push(data.put("url", data.get("url").textValue() + "-2"), 50);

            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(acknowledged(site)).isEqualTo(100));
            assertThat(gateway.events(Installed.class)).hasSize(1);
            assertThat(gateway.events(UpgradeEvent.Ended.class)).hasSize(1);
            assertThat(site.accesses()).hasSize(1);
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            assertThat(site.cloud().versions()).startsWith("app=1.0.0").contains("app=2.0.0");
            assertThat(site.cloud().steps())
                    .filteredOn("app=100"::equals)
                    .as("one upgrade, one end")
                    .hasSize(1);
        }
    }

    @Test
    void pushesThatWaitedForARestartedDeviceAreStillOneInstallation() {
        Payload payload = Payload.of(SIZE, 22);
        try (Site site = Site.open(directory, "limit_rate 2m;")) {
            ObjectNode data = site.publish("app", "2.0.0", payload);
            try (Gateway gateway = Gateway.start(site)) {
                site.cloud().push(data);
                gateway.awaitBytes(SIZE / 4);
            }
            site.cloud().push(data, 9);
            try (Gateway gateway = Gateway.start(site)) {
                gateway.awaitSuccess("2.0.0");
                await().atMost(Gateway.PATIENCE)
                        .untilAsserted(() -> assertThat(acknowledged(site)).isEqualTo(10));
                assertThat(gateway.events(Installed.class)).hasSize(1);
                assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            }
            assertThat(site.accesses()).hasSize(2).last().satisfies(rest -> {
                assertThat(rest.status()).isEqualTo(206);
                assertThat(rest.bytes()).isLessThanOrEqualTo(SIZE - SIZE / 4);
            });
        }
    }

    private static long acknowledged(Site site) {
        return site.broker()
                .log()
                .lines()
                .filter(line -> line.contains("Received PUBACK from " + Cloud.DEVICE.product()))
                .count();
    }
}
