package io.otaflux.samples.legacy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.Task;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The program against the sample platform, and against a real broker and a real file server. */
class LegacyProgramTest {

    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final String PRODUCT = "a1legacy";
    private static final String DEVICE = "board-1";

    @TempDir
    private Path directory;

    private final List<String> lines = new CopyOnWriteArrayList<>();
    private Path installed;
    private Platform platform;
    private DeviceCredentials login;
    private LegacyProgram program;
    private CompletableFuture<Void> running = CompletableFuture.completedFuture(null);

    @BeforeEach
    void installTheOldVersion() throws IOException {
        installed = Files.writeString(directory.resolve("app.py"), "version 1.0.0");
    }

    @AfterEach
    void stop() throws Exception {
        if (program != null) {
            program.close();
            running.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
        if (platform != null) {
            platform.close();
        }
    }

    @ParameterizedTest
    @EnumSource(SignMethod.class)
    void theProgramUpgradesItsModule(SignMethod signMethod) throws IOException {
        startPlatform(Platform.builder());
        startProgram(Map.of());
        awaitVersion("app", "1.0.0");
        byte[] content = bytes(3_000_000);

        Job job = platform.jobEnd(push("app", "2.0.0", content, signMethod)).block(PATIENCE);

        assertThat(job.tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(installed).hasBinaryContent(content);
        assertThat(directory.resolve("download")).doesNotExist();
        assertThat(lines)
                .containsExactly("connected", "Ota download succeed", "Ota verify succeed", "Ota install succeed");
        assertThat(platform.device(PRODUCT, DEVICE).versions()).containsExactly(Map.entry("app", "2.0.0"));
    }

    @Test
    void wrongBytesAreNotInstalledAndTheNextUpgradeIs() throws IOException {
        startPlatform(Platform.builder());
        startProgram(Map.of());
        awaitVersion("app", "1.0.0");
        FirmwarePackage firmware = add("app", "2.0.0", bytes(100_000), SignMethod.SHA256);
        // What the file server has is no longer what the platform promises.
        Files.write(directory.resolve("data/artifacts").resolve(firmware.sha256()), bytes(100_000));

        String failing = push(firmware);
        platform.jobEnd(failing).block(PATIENCE);

        Task task = platform.tasks(failing).get(0);
        assertThat(task.status()).isEqualTo(TaskStatus.FAILED);
        assertThat(task.step()).isEqualTo(-3);
        assertThat(task.description()).contains("DIGEST_MISMATCH");
        await().atMost(PATIENCE).until(() -> lines.contains("Ota verify failed: -11"));
        assertThat(installed).hasContent("version 1.0.0");

        byte[] content = bytes(50_000);
        Job next = platform.jobEnd(push("app", "3.0.0", content, SignMethod.SHA256))
                .block(PATIENCE);

        assertThat(next.tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(installed).hasBinaryContent(content);
    }

    @Test
    void whatIsNotThereIsReportedAsAFailedDownloadAndNotVerified() throws IOException {
        startPlatform(Platform.builder());
        startProgram(Map.of());
        awaitVersion("app", "1.0.0");
        FirmwarePackage firmware = add("app", "2.0.0", bytes(1_000), SignMethod.SHA256);
        Files.delete(directory.resolve("data/artifacts").resolve(firmware.sha256()));

        String failing = push(firmware);
        platform.jobEnd(failing).block(PATIENCE);

        assertThat(platform.tasks(failing).get(0).step()).isEqualTo(-2);
        await().atMost(PATIENCE).until(() -> lines.contains("Ota download failed: -8"));
        assertThat(lines).noneMatch(line -> line.contains("verify"));
        assertThat(installed).hasContent("version 1.0.0");
    }

    @Test
    void theFirmwareUpgradesByItselfAndIsConfirmedAfterTheRestart() throws Exception {
        startPlatform(Platform.builder());
        Map<String, String> firmwareToo =
                Map.of("firmware_dir", directory.resolve("slots").toString(), "firmware_version", "1.0.0");
        startProgram(firmwareToo);
        awaitVersion("default", "1.0.0");
        byte[] content = bytes(200_000);

        String job = push("default", "2.0.0", content, SignMethod.SHA256);
        running.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        program.close();

        assertThat(platform.job(job).tasks()).containsEntry(TaskStatus.SUCCEEDED, 0);
        startProgram(firmwareToo);
        assertThat(platform.jobEnd(job).block(PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        try (var files = Files.list(directory.resolve("slots/current"))) {
            assertThat(files.toList())
                    .singleElement()
                    .satisfies(file -> assertThat(file).hasBinaryContent(content));
        }
        assertThat(lines).as("no callback was called").containsExactly("connected", "connected");
        assertThat(installed).hasContent("version 1.0.0");
    }

    @Test
    void aProgramThatIsNotLetInCanBeEnded() throws Exception {
        startPlatform(Platform.builder());
        startProgram(Map.of("deviceSecret", "guess"));
        assertThat(running).isNotDone();

        program.close();

        running.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        assertThat(lines).isEmpty();
    }

    @Test
    void aMissingSettingIsNamed() {
        assertThatThrownBy(() -> new LegacyProgram(Map.of("store_path", "x"), lines::add))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("install_path: missing");
    }

    @Nested
    @RequiresProgram(value = "nginx", debianPackage = "nginx-light")
    class OnRealServers {

        @Test
        @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
        void theProgramUpgradesItsModuleOverMosquittoAndNginx(@TempDir Path home) throws IOException {
            try (MosquittoBroker mosquitto = MosquittoBroker.start();
                    NginxServer nginx = NginxServer.start(
                            home, "location /artifacts/ { root " + directory.resolve("data") + "; }")) {
                startPlatform(Platform.builder()
                        .broker(URI.create("tcp://127.0.0.1:" + mosquitto.port()))
                        .downloadBase(nginx.uri("")));
                startProgram(Map.of());
                awaitVersion("app", "1.0.0");
                byte[] content = bytes(3_000_000);

                Job job = platform.jobEnd(push("app", "2.0.0", content, SignMethod.MD5))
                        .block(PATIENCE);

                assertThat(job.tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
                assertThat(installed).hasBinaryContent(content);
                assertThat(Files.readString(home.resolve("access.log"))).contains("GET /artifacts/");
                stopBefore();
            }
        }
    }

    private void startPlatform(Platform.Builder builder) throws IOException {
        platform = builder.dataDirectory(directory.resolve("data")).start();
        platform.createProduct(PRODUCT);
        login = platform.createDevice(PRODUCT, DEVICE);
    }

    private void startProgram(Map<String, String> more) {
        Map<String, String> settings = new HashMap<>(Map.of("allow_networks", "127.0.0.0/8"));
        settings.putAll(Map.of(
                "host", "127.0.0.1",
                "port", Integer.toString(platform.mqttPort()),
                "tls", "false",
                "allow_http", "true",
                "productKey", login.productKey(),
                "deviceName", login.deviceName(),
                "deviceSecret", login.deviceSecret(),
                "state", directory.resolve("state").toString(),
                "store_path", directory.resolve("download").toString(),
                "install_path", installed.toString()));
        settings.putAll(more);
        program = new LegacyProgram(settings, lines::add);
        LegacyProgram started = program;
        running = CompletableFuture.runAsync(() -> {
            try {
                started.run();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private void stopBefore() {
        program.close();
        platform.close();
    }

    private void awaitVersion(String module, String version) {
        await().atMost(PATIENCE)
                .until(() -> version.equals(
                        platform.device(PRODUCT, DEVICE).versions().get(module)));
    }

    private String push(String module, String version, byte[] content, SignMethod signMethod) throws IOException {
        return push(add(module, version, content, signMethod));
    }

    private String push(FirmwarePackage firmware) {
        return platform.createJob(JobRequest.of(firmware.id()).withDevices(DEVICE))
                .id();
    }

    private FirmwarePackage add(String module, String version, byte[] content, SignMethod signMethod)
            throws IOException {
        Path file = Files.write(directory.resolve("package"), content);
        return platform.addPackage(PRODUCT, module, version, file, signMethod);
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }
}
