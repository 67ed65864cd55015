package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.SlotInstaller;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalTime;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class GatewayApplicationTest {

    private static final Operator WILLING = verified -> Mono.empty();

    @TempDir
    Path directory;

    @Test
    void aJarIsInstalledWhenTheOperatorAgreesAndABadOneHarmsNobody() throws Exception {
        try (Site site = Site.open(directory)) {
            Files.write(directory.resolve("app.jar"), jar("1.0.0"));
            Sinks.Empty<Void> approval = Sinks.empty();
            GatewayApplication gateway = new GatewayApplication(settings(site), verified -> approval.asMono());
            CompletableFuture<Integer> end = gateway.run().toFuture();

            site.cloud()
                    .push(site.publish("app", "1.1.0", new Payload(jar("1.1.0")))
                            .put("sign", Payload.of(1, 1).sha256()));
            await().atMost(Gateway.PATIENCE).until(() -> site.cloud().steps().contains("app=-3"));
            Payload payload = new Payload(jar("2.0.0"));
            site.cloud().push(site.publish("app", "2.0.0", payload));
            await("the download")
                    .atMost(Gateway.PATIENCE)
                    .until(() -> site.cloud().steps().contains("app=99"));
            assertThat(directory.resolve("app.jar")).hasBinaryContent(jar("1.0.0"));
            approval.tryEmitEmpty();
            await().atMost(Gateway.PATIENCE).until(() -> site.cloud().versions().contains("app=2.0.0"));

            assertThat(directory.resolve("app.jar")).hasBinaryContent(payload.bytes());
            assertThat(gateway.outcomes()).hasToString("2 begun, 1 installed, failed: {DIGEST_MISMATCH=1}");
            gateway.stop().block(Gateway.PATIENCE);
            assertThat(end).succeedsWithin(Gateway.PATIENCE).isEqualTo(0);
        }
        try (Site site = Site.open(directory)) {
            GatewayApplication again = new GatewayApplication(settings(site), WILLING);
            CompletableFuture<Integer> end = again.run().toFuture();
            await("the version is the jar's own")
                    .atMost(Gateway.PATIENCE)
                    .until(() -> site.cloud().versions().contains("app=2.0.0"));
            again.stop().block(Gateway.PATIENCE);
            assertThat(end).succeedsWithin(Gateway.PATIENCE).isEqualTo(0);
        }
    }

    @Test
    void newFirmwareIsARestartAndConfirmedAfterIt() throws Exception {
        try (Site site = Site.open(directory)) {
            CompletableFuture<Integer> first =
                    new GatewayApplication(settings(site), WILLING).run().toFuture();
            site.cloud().push(site.publish(UpgradeTrigger.DEFAULT_MODULE, "2.0.0", Payload.of(400_000, 81)));
            assertThat(first).succeedsWithin(Gateway.PATIENCE).isEqualTo(GatewayApplication.RESTART);
            assertThat(site.cloud().versions()).doesNotContain("default=2.0.0");

            GatewayApplication restarted = new GatewayApplication(settings(site), WILLING);
            CompletableFuture<Integer> second = restarted.run().toFuture();
            await().atMost(Gateway.PATIENCE).until(() -> site.cloud().versions().contains("default=2.0.0"));
            await("it is confirmed").atMost(Gateway.PATIENCE).until(this::isConfirmed);
            restarted.stop().block(Gateway.PATIENCE);
            assertThat(second).succeedsWithin(Gateway.PATIENCE).isEqualTo(0);
        }
        assertThat(SlotInstaller.in(directory.resolve("firmware")).boot().block(Gateway.PATIENCE))
                .satisfies(boot -> assertThat(boot.attempt()).isZero());
    }

    @Test
    void aSecondGatewayOnTheSameDirectoryDoesNotStart() throws IOException {
        try (Site site = Site.open(directory)) {
            GatewayApplication first = new GatewayApplication(settings(site), WILLING);
            CompletableFuture<Integer> end = first.run().toFuture();

            assertThatThrownBy(() -> new GatewayApplication(settings(site), WILLING))
                    .isInstanceOfSatisfying(
                            StorageException.class,
                            refusal -> assertThat(refusal.reason()).isEqualTo(Reason.STORE_LOCKED));

            first.stop().block(Gateway.PATIENCE);
            assertThat(end).isCompleted();
        }
    }

    private boolean isConfirmed() throws IOException {
        return Files.readString(directory.resolve("firmware/state")).contains("confirmed=");
    }

    private Settings settings(Site site) throws IOException {
        Path secret = Files.writeString(directory.resolve("secret"), Secrets.DEVICE_SECRET + "\n");
        return new Settings(
                "127.0.0.1",
                site.broker().port(),
                true,
                null,
                List.of("127.0.0.0/8"),
                Cloud.DEVICE.product(),
                Cloud.DEVICE.name(),
                secret,
                directory,
                Map.of("app", directory.resolve("app.jar")),
                LocalTime.MIN,
                LocalTime.MIN);
    }

    private static byte[] jar(String version) throws IOException {
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.IMPLEMENTATION_VERSION, version);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JarOutputStream jar = new JarOutputStream(bytes)) {
            ZipEntry entry = new ZipEntry("META-INF/MANIFEST.MF");
            entry.setTime(0);
            jar.putNextEntry(entry);
            manifest.write(jar);
            jar.closeEntry();
            ZipEntry data = new ZipEntry("data");
            data.setTime(0);
            jar.putNextEntry(data);
            byte[] random = new byte[200_000];
            new Random(version.hashCode()).nextBytes(random);
            jar.write(random);
            jar.closeEntry();
        }
        return bytes.toByteArray();
    }
}
