package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The platform as a client of a Mosquitto. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class ExternalBrokerTest {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    @TempDir
    private Path directory;

    private MosquittoBroker mosquitto;
    private Platform platform;
    private DeviceCredentials login;

    @BeforeEach
    void start() throws IOException {
        mosquitto = MosquittoBroker.start();
        platform = platform();
        platform.createProduct("pk");
        login = platform.createDevice("pk", "dn");
        Path file = Files.writeString(directory.resolve("f"), "firmware");
        platform.addPackage("pk", "default", "2", file, SignMethod.MD5);
    }

    @AfterEach
    void stop() {
        platform.close();
        mosquitto.close();
    }

    private Platform platform() throws IOException {
        return Platform.builder()
                .dataDirectory(directory.resolve("data"))
                .broker(URI.create("tcp://127.0.0.1:" + mosquitto.port()))
                .start();
    }

    @Test
    void aDeviceIsUpgraded() {
        assertThat(platform.mqttPort()).isEqualTo(mosquitto.port());
        try (DeviceClient device = connect().subscribe().inform("default", "1")) {
            awaitVersion("1");
            assertThat(platform.device("pk", "dn").online()).isTrue();
            platform.createJob(JobRequest.of("p1"));
            JsonNode push = device.nextPush();
            assertThat(push.at("/data/signMethod").textValue()).isEqualTo("Md5");
            device.progress("default", 100, "");
            assertThat(device.query("{\"id\":1}").at("/data/version").textValue())
                    .isEqualTo("2");
            device.inform("default", "2");

            assertThat(platform.jobEnd("j1").block(PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        }
    }

    @Test
    void aSubDeviceIsUpgradedThroughAGatewayThatSubscribes() {
        DeviceCredentials below = platform.createDevice("pk", "below");
        platform.link(new DeviceKey("pk", "dn"), new DeviceKey("pk", "below"));
        String session = "/ext/session/pk/dn/combine/login";
        String upgrade = "/ota/device/upgrade/pk/below";
        try (DeviceClient gateway = connect()) {
            gateway.subscribe(session + "_reply", MqttQos.AT_LEAST_ONCE);
            gateway.subscribe(upgrade, MqttQos.AT_LEAST_ONCE);
            assertThat(gateway.ask(session, "{\"id\":1,\"params\":" + SubDevicesTest.element(below) + "}")
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            assertThat(platform.device("pk", "below").online()).isTrue();
            gateway.publish("/ota/device/inform/pk/below", "{\"id\":1,\"params\":{\"version\":\"1\"}}");
            await().atMost(PATIENCE)
                    .until(() -> !platform.device("pk", "below").versions().isEmpty());

            platform.createJob(JobRequest.of("p1").withDevices("below"));

            assertThat(gateway.next(upgrade).at("/data/version").textValue()).isEqualTo("2");
        }
    }

    @Test
    void aDeviceThatThePlatformDoesNotKnowIsToldSo() {
        try (DeviceClient stranger =
                DeviceClient.connect(mosquitto.port(), new DeviceCredentials("pk", "stranger", "CANARY-none"))) {
            assertThat(stranger.subscribe().query("{\"id\":1}").get("code").intValue())
                    .isEqualTo(9112);
        }
    }

    @Test
    void aVersionReportIsAReasonToPushAgain() {
        try (DeviceClient device = connect().subscribe().inform("default", "1")) {
            awaitVersion("1");
            platform.createJob(JobRequest.of("p1"));
            device.nextPush();
        }
        try (DeviceClient device = connect().subscribe().inform("default", "1")) {
            assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2");
        }
    }

    @Test
    void theConversationGoesOnAfterTheBrokerRestarts() {
        connect().inform("default", "1").leave();
        awaitVersion("1");
        mosquitto.restart();
        try (DeviceClient device = connect().subscribe()) {
            platform.createJob(JobRequest.of("p1"));
            await().atMost(PATIENCE).until(() -> {
                device.inform("default", "1");
                return device.pushesWaiting() > 0;
            });
        }
    }

    @Test
    void whatDevicesReportWhileThePlatformIsDownIsNotLost() throws IOException {
        try (DeviceClient device = connect().subscribe().inform("default", "1")) {
            awaitVersion("1");
            platform.createJob(JobRequest.of("p1"));
            device.nextPush();
            platform.close();
            device.inform("default", "2");
        }
        platform = platform();

        assertThat(platform.jobEnd("j1").block(PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
    }

    @Test
    void aRetainedReportIsNotTakenForNews() throws IOException {
        try (DeviceClient device = connect().subscribe().inform("default", "1")) {
            awaitVersion("1");
            device.publishRetained("/ota/device/inform/pk/dn", "{\"params\":{\"version\":\"0.9\"}}");
            awaitVersion("0.9");
            device.inform("default", "1");
            awaitVersion("1");
            platform.close();
            platform = platform();
            device.inform("other", "5");
            await().until(() -> platform.device("pk", "dn").versions().containsKey("other"));

            assertThat(platform.device("pk", "dn").versions()).containsEntry("default", "1");
        }
    }

    @Test
    void aBrokerThatIsNotThereIsSaid() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        assertThatThrownBy(() -> Platform.builder()
                        .dataDirectory(directory.resolve("other"))
                        .broker(URI.create("tcp://127.0.0.1:" + port))
                        .start())
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("127.0.0.1:" + port);
        for (String bad : new String[] {"http://127.0.0.1", "tcp://user:pass@host", "tcp:///x"}) {
            assertThatThrownBy(() -> Platform.builder().broker(URI.create(bad)).start())
                    .isInstanceOf(IllegalArgumentException.class)
                    .message()
                    .doesNotContain("pass");
        }
    }

    private DeviceClient connect() {
        return DeviceClient.connect(mosquitto.port(), login);
    }

    private void awaitVersion(String version) {
        await().atMost(PATIENCE)
                .until(() ->
                        version.equals(platform.device("pk", "dn").versions().get("default")));
    }
}
