package io.otaflux.samples.gateway;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.DeviceId;
import io.otaflux.OtaClient;
import io.otaflux.samples.platform.DeviceKey;
import io.otaflux.samples.platform.DownloadProtocol;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.PackageRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.ProductCredentials;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.Credentials;
import io.otaflux.transport.aliyun.DynamicRegistration;
import io.otaflux.transport.aliyun.DynamicRegistration.Way;
import io.otaflux.transport.aliyun.FileCredentialStore;
import io.otaflux.transport.aliyun.RegistrationException;
import io.otaflux.transport.aliyun.RegistrationException.Problem;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.HexFormat;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

/** Both ends of how a device that has nothing but its product's secret, or a certificate, gets in and is kept up to date. */
@RequiresProgram(value = "openssl", debianPackage = "openssl")
class FirstLifeTest {

    @TempDir
    static Path directory;

    private static Platform platform;
    private static ProductCredentials product;

    @BeforeAll
    static void start() throws Exception {
        certificate("ca", "-batch");
        certificate("server", "-CA", "ca.pem", "-CAkey", "ca.key");
        certificate("device", "-CA", "ca.pem", "-CAkey", "ca.key");
        platform = Platform.builder()
                .dataDirectory(directory.resolve("platform"))
                .tls(0, file("server.pem"), file("server.key"), file("ca.pem"))
                .start();
        product = platform.createProduct("pk");
        platform.allowDynamicRegistration("pk", true);
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @ParameterizedTest
    @EnumSource(mode = Mode.EXCLUDE, names = "CERTIFICATE")
    void aDeviceWithTheSecretOfItsProductRegistersAndLogsIn(Way way) {
        if (way != Way.MQTT_UNKNOWN_DEVICE) {
            platform.createDevice("pk", "dn-" + way);
        }
        DynamicRegistration registration = registration("dn-" + way, way)
                .store(FileCredentialStore.at(file(way + ".json")))
                .build();

        Credentials credentials = registration.register().block(Gateway.PATIENCE);

        assertThat(credentials).isNotNull();
        assertThat(credentials.device()).isEqualTo(new DeviceId("pk", "dn-" + way));
        assertLogsIn(secure().credentials(credentials));
        // It has logged in, so that the platform would refuse another registration.
        assertThat(registration.register().block(Gateway.PATIENCE)).isEqualTo(credentials);
    }

    @Test
    void aDeviceThatHasLoggedInIsRefusedAnotherSecret() {
        platform.createDevice("pk", "once");
        Credentials credentials =
                registration("once", Way.HTTP).build().register().block(Gateway.PATIENCE);
        assertThat(credentials).isNotNull();
        assertLogsIn(secure().credentials(credentials));

        assertRefused(registration("once", Way.HTTP), Problem.ALREADY_ACTIVE);
        assertRefused(registration("nobody", Way.HTTP), Problem.NO_SUCH_DEVICE);
        assertRefused(registration("once", Way.HTTP).product("pk", "CANARY-guess"), Problem.BAD_SIGNATURE);
        assertRefused(registration("once", Way.MQTT).product("pk", "CANARY-guess"), Problem.BAD_SIGNATURE);
    }

    @Test
    void aDeviceWithACertificateIsToldWhoItIs() throws Exception {
        platform.createDevice("pk", "certified");
        platform.trustCertificate(new DeviceKey("pk", "certified"), fingerprint("device.pem"));

        Credentials credentials = DynamicRegistration.builder()
                .host("127.0.0.1")
                .port(platform.mqttTlsPort())
                .trust(file("ca.pem"))
                .certificate(file("device.pem"), file("device.key"))
                .build()
                .register()
                .block(Gateway.PATIENCE);

        assertThat(credentials).isEqualTo(new Credentials.Certified(new DeviceId("pk", "certified")));
        assertLogsIn(secure().credentials(credentials).certificate(file("device.pem"), file("device.key")));
    }

    @Test
    void aJobOverMqttNeedsNoFileServer() throws Exception {
        platform.createDevice("pk", "streaming");
        Credentials credentials =
                registration("streaming", Way.HTTP).build().register().block(Gateway.PATIENCE);
        assertThat(credentials).isNotNull();
        AliyunDevice device = secure().credentials(credentials).build();
        FileArtifactStore store = FileArtifactStore.in(file("store"));
        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(AliyunDevice.STREAM_SCHEME, device.streams(10_000, 4))
                .store(store)
                .installer("app", FileInstaller.to(file("app.bin")))
                .build();
        Disposable running = ota.report("app", "1.0.0").thenMany(ota.upgrades()).subscribe();
        await().atMost(Gateway.PATIENCE)
                .until(() -> platform.device("pk", "streaming").versions().containsKey("app"));
        Payload payload = Payload.of(1_234_567, 7);
        Path image = Files.write(file("image.bin"), payload.bytes());
        long before = platform.downloads();

        FirmwarePackage firmware = platform.addPackage(PackageRequest.of("pk", "app", "2.0.0"), image);
        Job job = platform.createJob(
                JobRequest.of(firmware.id()).withDevices("streaming").withDownloadProtocol(DownloadProtocol.MQTT));

        assertThat(platform.jobEnd(job.id()).block(Gateway.PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(file("app.bin")).hasBinaryContent(payload.bytes());
        assertThat(platform.downloads()).isEqualTo(before);
        running.dispose();
        ota.dispose();
        device.close().block(Gateway.PATIENCE);
        store.close().block(Gateway.PATIENCE);
    }

    private static void assertLogsIn(AliyunDevice.Builder builder) {
        AliyunDevice device = builder.build();
        device.connect().as(StepVerifier::create).expectComplete().verify(Gateway.PATIENCE);
        device.close().block(Gateway.PATIENCE);
    }

    private static void assertRefused(DynamicRegistration.Builder registration, Problem expected) {
        registration
                .build()
                .register()
                .as(StepVerifier::create)
                .expectErrorSatisfies(e -> {
                    assertThat(e).isInstanceOf(RegistrationException.class).hasMessageNotContaining("CANARY");
                    assertThat(((RegistrationException) e).problem()).isEqualTo(expected);
                })
                .verify(Gateway.PATIENCE);
    }

    private static DynamicRegistration.Builder registration(String name, Way way) {
        DynamicRegistration.Builder builder = DynamicRegistration.builder()
                .host("127.0.0.1")
                .product("pk", product.productSecret())
                .deviceName(name)
                .way(way);
        return way == Way.HTTP
                ? builder.port(platform.httpPort()).plainTcp()
                : builder.port(platform.mqttTlsPort()).trust(file("ca.pem"));
    }

    private static AliyunDevice.Builder secure() {
        return AliyunDevice.builder()
                .host("127.0.0.1")
                .port(platform.mqttTlsPort())
                .trust(file("ca.pem"));
    }

    private static Path file(String name) {
        return directory.resolve(name);
    }

    private static String fingerprint(String name) throws Exception {
        try (InputStream pem = Files.newInputStream(file(name))) {
            byte[] certificate = CertificateFactory.getInstance("X.509")
                    .generateCertificate(pem)
                    .getEncoded();
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(certificate));
        }
    }

    private static void certificate(String name, String... issuer) throws Exception {
        Process process = new ProcessBuilder(Stream.of(
                                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
                                        .split(" "),
                                new String[] {"-subj", "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1"},
                                new String[] {"-keyout", name + ".key", "-out", name + ".pem"},
                                issuer)
                        .flatMap(Stream::of)
                        .toList())
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }
}
