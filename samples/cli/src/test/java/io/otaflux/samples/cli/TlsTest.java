package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The commands and servers that an authority of one's own vouches for. */
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
@Timeout(120)
class TlsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final byte[] CONTENT = DownloadCommandTest.content(300_000);
    private static final String SHA256 = DownloadCommandTest.hex("SHA-256", CONTENT);

    @TempDir
    private Path directory;

    private Authority authority;

    @BeforeEach
    void createAuthority() throws IOException {
        authority = Authority.in(directory);
    }

    @Test
    void aDownloadTrustsTheAuthorityThatItIsGivenAndNoOther() throws IOException {
        Path file = directory.resolve("file");
        Authority stranger = Authority.in(Files.createDirectory(directory.resolve("stranger")));
        try (NginxServer nginx = NginxServer.startTls(home(), authority.certificate(), authority.key())) {
            nginx.put("file.bin", CONTENT);
            String url = "https://127.0.0.1:" + nginx.port() + "/file.bin";

            assertRefused(Cli.run("download", url, "-o", file, "--sha256", SHA256));
            assertRefused(Cli.run("download", url, "-o", file, "--sha256", SHA256, "--ca", stranger.pem()));
            assertThat(file).doesNotExist();

            Cli.Outcome trusting = Cli.run("download", url, "-o", file, "--sha256", SHA256, "--ca", authority.pem());
            assertThat(trusting.exitCode()).as("%s", trusting).isZero();
            assertThat(file).hasBinaryContent(CONTENT);
        }
    }

    private static void assertRefused(Cli.Outcome outcome) {
        assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(3);
        assertThat(outcome.err()).singleElement().asString().contains("TLS");
    }

    @Test
    @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
    void aDeviceIsUpgradedOverTlsAlone() throws Exception {
        int tlsPort = freePort();
        int httpPort = freePort();
        try (MosquittoBroker broker = MosquittoBroker.configure()
                        .line("listener " + tlsPort + " 127.0.0.1")
                        .tls(authority.certificate(), authority.key())
                        .start();
                NginxServer nginx = NginxServer.startTls(
                        home(),
                        authority.certificate(),
                        authority.key(),
                        "location / { proxy_pass http://127.0.0.1:" + httpPort + "; }");
                Platform platform = Platform.builder()
                        .dataDirectory(directory.resolve("platform"))
                        .broker(URI.create("tcp://127.0.0.1:" + broker.port()))
                        .httpPort(httpPort)
                        .downloadBase(URI.create("https://127.0.0.1:" + nginx.port()))
                        .start()) {
            platform.createProduct("k1");
            DeviceCredentials login = platform.createDevice("k1", "edge-1");
            FirmwarePackage firmware = platform.addPackage(
                    "k1", "app", "2.0.0", Files.write(directory.resolve("image"), CONTENT), SignMethod.SHA256);
            Path app = directory.resolve("app.bin");
            Path secret = Files.writeString(directory.resolve("secret"), login.deviceSecret());

            CompletableFuture<Cli.Outcome> device = CompletableFuture.supplyAsync(() -> Cli.run(
                    "device",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    tlsPort,
                    "--tls",
                    "--ca",
                    authority.pem(),
                    "--product-key",
                    "k1",
                    "--device-name",
                    "edge-1",
                    "--device-secret-file",
                    secret,
                    "--store",
                    directory.resolve("store"),
                    "--module",
                    "app=1.0.0",
                    "--install",
                    "app=" + app,
                    "--allow-network",
                    "127.0.0.0/8",
                    "--once"));
            await().atMost(PATIENCE)
                    .until(() -> "1.0.0"
                            .equals(platform.device("k1", "edge-1").versions().get("app")));
            String job = platform.createJob(JobRequest.of(firmware.id())).id();
            Cli.Outcome ended = device.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            platform.jobEnd(job).block(PATIENCE);

            assertThat(ended.exitCode()).as("%s", ended).isZero();
            assertThat(ended.out()).last().isEqualTo("app 2.0.0: succeeded");
            assertThat(app).hasBinaryContent(CONTENT);
            assertThat(platform.tasks(job))
                    .singleElement()
                    .satisfies(task -> assertThat(task.status()).isEqualTo(TaskStatus.SUCCEEDED));
        }
    }

    private Path home() throws IOException {
        return Files.createDirectory(directory.resolve("nginx"));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
