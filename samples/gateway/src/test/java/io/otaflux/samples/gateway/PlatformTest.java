package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.Verified;
import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.PackageRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.Task;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.NginxServer;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** The whole way with a platform that keeps books, its messages on a Mosquitto and its files behind an nginx. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class PlatformTest {

    @TempDir
    Path directory;

    private MosquittoBroker broker;
    private NginxServer nginx;
    private Platform platform;
    private DeviceCredentials login;
    private AliyunDevice device;
    private HttpArtifactSource source;
    private FileArtifactStore store;
    private OtaClient ota;
    private Disposable running;
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();

    @BeforeEach
    void start() throws Exception {
        broker = MosquittoBroker.start();
        nginx = NginxServer.start(
                directory.resolve("nginx"),
                "location /artifacts/ { root %s; }".formatted(directory.resolve("platform")));
        platform = Platform.builder()
                .dataDirectory(directory.resolve("platform"))
                .broker(URI.create("tcp://127.0.0.1:" + broker.port()))
                .downloadBase(nginx.uri(""))
                .start();
        platform.createProduct("pk");
        login = platform.createDevice("pk", "gateway");
        device = AliyunDevice.builder()
                .host("127.0.0.1")
                .port(broker.port())
                .plainTcp()
                .credentials(login.productKey(), login.deviceName(), login.deviceSecret())
                .build();
        source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .build();
        store = FileArtifactStore.in(directory.resolve("store"));
        ota = OtaClient.builder(device.upgrades())
                .source(source)
                .store(store)
                .installer("app", FileInstaller.to(directory.resolve("app.bin")))
                .build();
        running = ota.report("app", "1.0.0").thenMany(ota.upgrades()).subscribe(events::add);
        await().atMost(Gateway.PATIENCE)
                .until(() -> "1.0.0"
                        .equals(platform.device("pk", "gateway").versions().get("app")));
    }

    @AfterEach
    void stop() {
        running.dispose();
        ota.dispose();
        Mono.whenDelayError(device.close(), source.close(), store.close()).block(Gateway.PATIENCE);
        platform.close();
        nginx.close();
        broker.close();
    }

    @ParameterizedTest
    @EnumSource
    void thePlatformCountsTheUpgradeAsSucceeded(SignMethod signMethod) throws Exception {
        Payload payload = Payload.of(1_000_000, 91);
        Job job = job("2.0.0", signMethod, payload);

        assertThat(platform.jobEnd(job.id()).block(Gateway.PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(directory.resolve("app.bin")).hasBinaryContent(payload.bytes());
        assertThat(platform.device("pk", "gateway").versions()).containsEntry("app", "2.0.0");
    }

    @Test
    void thePlatformHearsWhyAnUpgradeFailedAndTheNextOneSucceeds() throws Exception {
        Payload payload = Payload.of(300_000, 92);
        Path stored = directory.resolve("platform/artifacts").resolve(payload.sha256());
        Path file = Files.write(directory.resolve("firmware"), payload.bytes());
        FirmwarePackage firmware = platform.addPackage("pk", "app", "2.0.0", file, SignMethod.SHA256);
        byte[] rotten = payload.bytes().clone();
        rotten[rotten.length / 2] ^= 1;
        Files.write(stored, rotten);
        Job job = platform.createJob(JobRequest.of(firmware.id()));

        assertThat(platform.jobEnd(job.id()).block(Gateway.PATIENCE).tasks()).containsEntry(TaskStatus.FAILED, 1);
        Task task = platform.tasks(job.id()).get(0);
        assertThat(task.step()).isEqualTo(-3);
        assertThat(task.description()).startsWith("DIGEST_MISMATCH: ");
        assertThat(directory.resolve("app.bin")).doesNotExist();

        Job next = job("3.0.0", SignMethod.SHA256, Payload.of(300_000, 93));
        assertThat(platform.jobEnd(next.id()).block(Gateway.PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
    }

    @Test
    void aDeviceThatKnowsThePlatformsKeyTakesWhatThePlatformSignedAndNothingElse() throws Exception {
        Payload payload = Payload.of(300_000, 94);
        Path file = Files.write(directory.resolve("firmware"), payload.bytes());
        FirmwarePackage signed =
                platform.addPackage(PackageRequest.of("pk", "app", "2.0.0").withDigestSign(), file);
        running.dispose();
        ota.dispose();
        ota = OtaClient.builder(device.upgrades())
                .source(source)
                .store(store)
                .installer("app", FileInstaller.to(directory.resolve("app.bin")))
                .publicKey(directory.resolve("platform/signing-key.pub.pem"))
                .build();
        running = ota.upgrades().subscribe(events::add);

        Job job = platform.createJob(JobRequest.of(signed.id()));
        assertThat(platform.jobEnd(job.id()).block(Gateway.PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(events)
                .filteredOn(Verified.class::isInstance)
                .singleElement()
                .satisfies(event -> assertThat(((Verified) event).assurance()).isEqualTo(Verified.Assurance.ORIGIN));

        Job unsigned = job("3.0.0", SignMethod.SHA256, Payload.of(300_000, 95));
        assertThat(platform.jobEnd(unsigned.id()).block(Gateway.PATIENCE).tasks())
                .containsEntry(TaskStatus.FAILED, 1);
        Task task = platform.tasks(unsigned.id()).get(0);
        assertThat(task.step()).isEqualTo(-3);
        assertThat(task.description()).startsWith("UNSIGNED: ");
        assertThat(directory.resolve("app.bin")).hasBinaryContent(payload.bytes());
    }

    private Job job(String version, SignMethod signMethod, Payload payload) throws Exception {
        Path file = Files.write(directory.resolve("firmware-" + version), payload.bytes());
        FirmwarePackage firmware = platform.addPackage("pk", "app", version, file, signMethod);
        return platform.createJob(JobRequest.of(firmware.id()));
    }
}
