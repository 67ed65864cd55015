package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Downloaded;
import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeEvent;
import io.otaflux.Verified;
import io.otaflux.storage.SlotInstaller;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The main job, from a trigger to a version that the platform counts as succeeded. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class UpgradeTest {

    @TempDir
    Path directory;

    @Test
    void aTriggerForAModuleBecomesAConfirmedVersion() throws IOException {
        Payload payload = Payload.of(3_000_000, 1);
        try (Site site = Site.open(directory);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "2.0.0", payload));

            gateway.awaitSuccess("2.0.0");
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
            assertThat(site.cloud().versions()).containsExactly("app=1.0.0", "app=2.0.0");
            assertThat(site.cloud().steps()).first().isEqualTo("app=1");
            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(site.cloud().steps()).endsWith("app=100"));
            assertThat(gateway.events())
                    .filteredOn(event -> !(event instanceof UpgradeEvent.Received))
                    .hasExactlyElementsOfTypes(
                            UpgradeEvent.Admitted.class,
                            Downloaded.class,
                            Verified.class,
                            Installed.class,
                            UpgradeEvent.Succeeded.class);
            assertThat(site.accesses())
                    .singleElement()
                    .extracting(Site.Access::bytes)
                    .isEqualTo(payload.size());
        }
    }

    @Test
    void aTriggerForTheFirmwareIsConfirmedAfterTheRestart() throws IOException {
        Payload payload = Payload.of(2_000_000, 2);
        Path slots = directory.resolve("firmware");
        try (Site site = Site.open(directory)) {
            SlotInstaller before = SlotInstaller.in(slots);
            assertThat(before.boot().blockOptional(Gateway.PATIENCE)).isEmpty();
            try (Gateway gateway = Gateway.startFirmware(
                    directory,
                    site.broker().port(),
                    SlotInstaller.FACTORY,
                    builder -> builder.installer("default", before))) {
                site.cloud().push(site.publish("default", "2.0.0", payload));
                Installed installed = gateway.awaitEvent(Installed.class, "2.0.0");
                assertThat(installed.effect()).isEqualTo(Installer.Effect.AFTER_RESTART);
                assertThat(gateway.events(UpgradeEvent.Ended.class)).isEmpty();
            }
            assertThat(site.cloud().versions()).containsExactly("default=factory");

            SlotInstaller after = SlotInstaller.in(slots);
            SlotInstaller.Boot boot =
                    after.boot().blockOptional(Gateway.PATIENCE).orElseThrow();
            assertThat(boot.version()).isEqualTo("2.0.0");
            assertThat(boot.attempt()).isEqualTo(1);
            try (Gateway gateway = Gateway.startFirmware(
                    directory, site.broker().port(), boot.version(), builder -> builder.installer("default", after))) {
                gateway.awaitSuccess("2.0.0");
            }

            assertThat(site.cloud().versions()).endsWith("default=2.0.0");
            assertThat(slots.resolve("current/default")).hasBinaryContent(payload.bytes());
            for (int start = 0; start < 5; start++) {
                assertThat(SlotInstaller.in(slots).boot().block(Gateway.PATIENCE))
                        .as("a confirmed version is not rolled back")
                        .satisfies(again -> assertThat(again.attempt()).isZero());
            }
        }
    }

    @Test
    void firmwareThatDoesNotComeUpIsRolledBackAndSaidToHaveFailed() throws IOException {
        Path slots = directory.resolve("firmware");
        try (Site site = Site.open(directory)) {
            SlotInstaller installer = SlotInstaller.in(slots);
            try (Gateway gateway = Gateway.startFirmware(
                    directory,
                    site.broker().port(),
                    SlotInstaller.FACTORY,
                    builder -> builder.installer("default", installer))) {
                site.cloud().push(site.publish("default", "2.0.0", Payload.of(100_000, 3)));
                gateway.awaitEvent(Installed.class, "2.0.0");
            }
            for (int start = 1; start <= 3; start++) {
                assertThat(SlotInstaller.in(slots).boot().block(Gateway.PATIENCE))
                        .isNotNull();
            }
            SlotInstaller last = SlotInstaller.in(slots);
            assertThat(last.boot().blockOptional(Gateway.PATIENCE)).isEmpty();
            try (Gateway gateway = Gateway.startFirmware(
                    directory,
                    site.broker().port(),
                    SlotInstaller.FACTORY,
                    builder -> builder.installer("default", last))) {
                UpgradeEvent.Failed failed = gateway.awaitEvent(UpgradeEvent.Failed.class, "2.0.0");
                assertThat(failed.cause().reason()).isEqualTo(Reason.ROLLED_BACK);
                await("the version after the failure")
                        .atMost(Gateway.PATIENCE)
                        .until(() -> site.cloud().versions().size() == 2);
                assertThat(site.cloud().steps()).endsWith("default=-4");
                assertThat(gateway.events(UpgradeEvent.Admitted.class))
                        .as("what was rolled back is not taken on again")
                        .isEmpty();
            }
        }
    }
}
