package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3ConnAckException;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.connect.connack.Mqtt3ConnAckReturnCode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.test.scheduler.VirtualTimeScheduler;

/** Devices of any make against the platform on its embedded broker. */
class EmbeddedBrokerTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final AtomicInteger NAMES = new AtomicInteger();

    private static VirtualTimeScheduler time;
    private static Platform platform;
    private static FirmwarePackage firmware;

    private DeviceCredentials login;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        time = VirtualTimeScheduler.create();
        platform = Platform.builder()
                .dataDirectory(directory.resolve("data"))
                .time(time)
                .start();
        platform.createProduct("pk");
        Path file = Files.writeString(directory.resolve("app-2.0.0.bin"), "the new program");
        firmware = platform.addPackage("pk", "app", "2.0.0", file, SignMethod.MD5);
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @BeforeEach
    void aDeviceOfItsOwn() {
        login = platform.createDevice("pk", "device-" + NAMES.incrementAndGet());
    }

    @Test
    void aDeviceIsUpgradedFromReportToConfirmedVersion() {
        try (DeviceClient device = connect().subscribe().inform("app", "1.0.0")) {
            Job job = job();

            JsonNode push = device.nextPush();
            assertThat(push.get("code").textValue()).isEqualTo("1000");
            assertThat(push.get("id").isIntegralNumber()).isTrue();
            assertThat(push.get("message").textValue()).isEqualTo("success");
            assertThat(push.get("data").get("version").textValue()).isEqualTo("2.0.0");
            assertThat(push.get("data").get("signMethod").textValue()).isEqualTo("Md5");
            assertThat(push.get("data").get("sign").textValue()).isEqualTo(firmware.md5());
            assertThat(device.pushQos()).containsExactly(1);
            assertStatus(job, TaskStatus.NOTIFIED);

            device.progress("app", 50, "half");
            assertStatus(job, TaskStatus.IN_PROGRESS);
            device.progress("app", 100, "all");
            device.inform("app", "2.0.0");

            Job ended = platform.jobEnd(job.id()).block(PATIENCE);
            assertThat(ended).isNotNull();
            assertThat(ended.tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
            assertThat(platform.device("pk", login.deviceName()).versions()).containsEntry("app", "2.0.0");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "securemode=3,signmethod=hmacmd5",
                "securemode=2,signmethod=hmacsha1,timestamp=789,lan=NodeJS,_v=1.x",
                "timestamp=2524608000000,_v=sdk-c-4.2.0,securemode=2,signmethod=hmacsha256,ext=3,",
                "securemode=3"
            })
    void everyWayToSignIsLetIn(String parameters) {
        try (DeviceClient device = connect(options -> options.parameters = parameters)) {
            await().until(() -> platform.device("pk", login.deviceName()).online());
            device.leave();
            await().until(() -> !platform.device("pk", login.deviceName()).online());
        }
    }

    @Test
    void aWrongSecretAnUnknownDeviceAndNobodyAreRefused() {
        assertNotAuthorized(options -> options.secret = "guess");
        assertNotAuthorized(options -> options.signed = false);
        login = new DeviceCredentials("pk", "nobody", "secret");
        assertNotAuthorized(options -> {});
        login = new DeviceCredentials("other", "device-1", "secret");
        assertNotAuthorized(options -> {});
    }

    @Test
    void aWrongLoginLeavesTheRightOneAlone() {
        try (DeviceClient device = connect().subscribe().inform("app", "1.0.0")) {
            assertNotAuthorized(options -> options.secret = "guess");

            job();

            assertThat(device.nextPush().has("data")).isTrue();
        }
    }

    @Test
    void aKeepaliveBelowThirtySecondsIsRefused() {
        assertRefused(Mqtt3ConnAckReturnCode.IDENTIFIER_REJECTED, options -> options.keepAlive = 29);
        assertRefused(Mqtt3ConnAckReturnCode.IDENTIFIER_REJECTED, options -> options.keepAlive = 0);
        connect(options -> options.keepAlive = 30).close();
        connect(options -> options.keepAlive = 65_535).close();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aSessionThatAsksForItIsPushedToWithoutSubscribing(boolean cleanSession) {
        Consumer<DeviceClient.Options> cSdk = options -> {
            options.id = "pk." + login.deviceName();
            options.parameters =
                    "timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=2,signmethod=hmacsha256,ext=3,";
            options.cleanSession = cleanSession;
        };
        try (DeviceClient device = connect(cSdk).inform("app", "1.0.0")) {
            await().until(() ->
                    !platform.device("pk", login.deviceName()).versions().isEmpty());
            Job job = job();

            assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2.0.0");
            assertThat(device.query("{\"id\":9, \"params\":{\"module\":\"app\"}}")
                            .at("/data/version")
                            .textValue())
                    .isEqualTo("2.0.0");
            device.leave();
            assertStatus(job, TaskStatus.NOTIFIED);
        }
        try (DeviceClient again = connect(cSdk)) {
            assertThat(again.nextPush().at("/data/version").textValue()).isEqualTo("2.0.0");
        }
    }

    @Test
    void aSessionThatAsksForItMaySubscribeAsWellAndIsPushedToOnce() {
        try (DeviceClient device =
                connect(options -> options.parameters += ",_ss=1").subscribe().inform("app", "1.0.0")) {
            Job job = job();
            assertThat(device.nextPush().has("data")).isTrue();

            device.progress("app", 1, "");
            assertStatus(job, TaskStatus.IN_PROGRESS);

            assertThat(device.pushesWaiting()).isZero();
        }
    }

    @Test
    void aSessionThatDoesNotAskIsSentNothingItDidNotSubscribeTo() {
        try (DeviceClient device = connect().inform("app", "1.0.0")) {
            await().until(() ->
                    !platform.device("pk", login.deviceName()).versions().isEmpty());
            Job job = job();
            assertStatus(job, TaskStatus.QUEUED);

            device.subscribe();

            assertThat(device.nextPush().has("data")).isTrue();
            assertStatus(job, TaskStatus.NOTIFIED);
        }
    }

    @Test
    void anOfflineDeviceIsPushedToWhenItReturnsAndAgainUntilItIsDone() {
        connect().subscribe().inform("app", "1.0.0").close();
        await().until(() -> !platform.device("pk", login.deviceName()).online());
        Job job = job();
        assertStatus(job, TaskStatus.QUEUED);

        String firstUrl;
        try (DeviceClient device = connect().subscribe()) {
            firstUrl = device.nextPush().at("/data/url").textValue();
            assertStatus(job, TaskStatus.NOTIFIED);
        }
        time.advanceTimeBy(Duration.ofSeconds(5));
        try (DeviceClient device = connect().subscribe()) {
            JsonNode repeated = device.nextPush();
            assertThat(repeated.at("/data/url").textValue())
                    .as("a fresh url")
                    .isNotEqualTo(firstUrl)
                    .startsWith(firstUrl.substring(0, firstUrl.indexOf('?')));
            device.progress("app", 10, "");
            assertStatus(job, TaskStatus.IN_PROGRESS);
        }
        try (DeviceClient device = connect().subscribe()) {
            assertThat(device.nextPush().has("data")).isTrue();
            device.inform("app", "2.0.0");
            assertStatus(job, TaskStatus.SUCCEEDED);
        }
        try (DeviceClient device = connect().subscribe()) {
            device.query("{\"id\":1,\"params\":{\"module\":\"app\"}}");
            assertThat(device.pushesWaiting()).isZero();
        }
    }

    @Test
    void aSecondLoginEndsTheFirstEvenUnderAnotherClientId() {
        AtomicInteger firstLost = new AtomicInteger();
        try (DeviceClient first = connect(options -> {
            options.id = "first";
            options.onDisconnect = firstLost::incrementAndGet;
        })) {
            first.subscribe().inform("app", "1.0.0");
            try (DeviceClient second = connect(options -> options.id = "second").subscribe()) {
                await().until(() -> firstLost.get() == 1);
                await().until(() -> platform.device("pk", login.deviceName()).online());
                job();
                assertThat(second.nextPush().has("data")).isTrue();
                assertThat(first.pushesWaiting()).isZero();
            }
        }
    }

    @Test
    void devicesWithTheSameClientIdDoNotShareASession() {
        DeviceCredentials twin = platform.createDevice("pk", "twin-" + login.deviceName());
        AtomicInteger lost = new AtomicInteger();
        try (DeviceClient device = connect(options -> {
                            options.cleanSession = false;
                            options.onDisconnect = lost::incrementAndGet;
                        })
                        .subscribe()
                        .inform("app", "1.0.0");
                DeviceClient other =
                        DeviceClient.connect(platform.mqttPort(), twin, options -> options.cleanSession = false)) {
            job();

            assertThat(device.nextPush().has("data")).isTrue();
            assertThat(lost).hasValue(0);
            assertThat(other.pushesWaiting()).isZero();
        }
    }

    @Test
    void aDeviceCannotUseTheTopicsOfAnother() {
        DeviceCredentials victim = platform.createDevice("pk", "victim-" + login.deviceName());
        try (DeviceClient other =
                DeviceClient.connect(platform.mqttPort(), victim).subscribe().inform("app", "1.0.0")) {
            await().until(() ->
                    platform.device("pk", victim.deviceName()).versions().containsKey("app"));
            Job job = platform.createJob(JobRequest.of(firmware.id()).withDevices(victim.deviceName()));
            other.nextPush();
            String topics = "pk/" + victim.deviceName();
            try (DeviceClient device = connect()) {
                for (String filter : new String[] {
                    "#", "/ota/device/upgrade/" + topics, "/ota/device/upgrade/+/+", "/sys/" + topics + "/#"
                }) {
                    assertThatThrownBy(() -> device.subscribe(filter, MqttQos.AT_LEAST_ONCE))
                            .as(filter)
                            .hasCauseInstanceOf(Mqtt3SubAckException.class);
                }
                device.publish(
                        "/ota/device/inform/" + topics, "{\"params\":{\"version\":\"2.0.0\",\"module\":\"app\"}}");
                device.publish("/ota/device/upgrade/" + topics, "{\"forged\":true}");

                // The connection has survived, and nothing has come of it.
                device.subscribe().inform("app", "1.0.0");
                await().until(() ->
                        platform.device("pk", login.deviceName()).versions().containsKey("app"));
            }
            assertStatus(job, TaskStatus.NOTIFIED);
            assertThat(other.pushesWaiting()).isZero();
        }
    }

    @Test
    void aDeviceAsksAndIsAnsweredWithItsOwnId() {
        try (DeviceClient device = connect().subscribe()) {
            JsonNode nothing = device.query("{\"id\":\"123\",\"version\":\"1.0\",\"params\":{\"module\":\"app\"},"
                    + "\"method\":\"thing.ota.firmware.get\"}");
            assertThat(nothing.toString())
                    .isEqualTo("{\"id\":\"123\",\"code\":200,\"data\":{},\"message\":\"success\"}");

            device.inform("app", "1.0.0");
            await().until(() ->
                    !platform.device("pk", login.deviceName()).versions().isEmpty());
            Job job = platform.createJob(JobRequest.of(firmware.id())
                    .withDevices(login.deviceName())
                    .withoutPush()
                    .withTags(java.util.Map.of("ring", "1")));
            assertStatus(job, TaskStatus.QUEUED);

            JsonNode answer = device.query("{\"id\":7, \"params\":{\"module\":\"app\",},}\0");
            assertThat(answer.get("id").intValue()).isEqualTo(7);
            assertThat(answer.at("/data/url").textValue())
                    .startsWith(platform.httpUri().toString());
            assertThat(answer.at("/data/extData/ring").textValue()).isEqualTo("1");
            assertStatus(job, TaskStatus.NOTIFIED);
            assertThat(device.pushesWaiting()).isZero();
        }
    }

    @Test
    void aSubscriptionAtQosZeroIsPushedToAtQosZero() {
        try (DeviceClient device = connect().subscribe(MqttQos.AT_MOST_ONCE).inform("app", "1.0.0")) {
            job();
            device.nextPush();
            assertThat(device.pushQos()).containsExactly(0);
        }
    }

    @Test
    void reportsAtEveryQosAndWithATerminatorAreUnderstood() {
        try (DeviceClient device = connect().subscribe()) {
            String inform = "/ota/device/inform/pk/" + login.deviceName();
            MqttQos[] qos = {MqttQos.AT_MOST_ONCE, MqttQos.AT_LEAST_ONCE, MqttQos.EXACTLY_ONCE};
            for (int i = 0; i < qos.length; i++) {
                String module = "m" + i;
                device.publish(
                        inform,
                        ("{\"id\":0, \"params\":{\"version\":\"1.0\",\"module\":\"" + module + "\"}}\0")
                                .getBytes(StandardCharsets.UTF_8),
                        qos[i]);
                await().until(() ->
                        platform.device("pk", login.deviceName()).versions().containsKey(module));
            }
        }
    }

    @Test
    void aMessageThatCannotBeUnderstoodDoesNotEndTheConversation() {
        try (DeviceClient device = connect().subscribe()) {
            long before = platform.ignoredMessages();
            device.publish("/ota/device/inform/pk/" + login.deviceName(), "{");
            device.publish("/ota/device/progress/pk/" + login.deviceName(), "{\"params\":{\"step\":\"many\"}}");
            device.publish("/sys/pk/" + login.deviceName() + "/thing/ota/firmware/get", "\0");
            await().until(() -> platform.ignoredMessages() == before + 3);

            device.inform("app", "1.0.0");

            await().until(() ->
                    !platform.device("pk", login.deviceName()).versions().isEmpty());
        }
    }

    @Test
    void aFailureIsKeptWithTheDevicesWords() {
        try (DeviceClient device = connect().subscribe().inform("app", "1.0.0")) {
            Job job = job();
            device.nextPush();

            device.progress("app", -3, "digest mismatch");

            assertStatus(job, TaskStatus.FAILED);
            assertThat(platform.tasks(job.id()).get(0).step()).isEqualTo(-3);
            assertThat(platform.tasks(job.id()).get(0).description()).isEqualTo("digest mismatch");
        }
    }

    @Test
    void theTimeLimitRunsFromTheFirstProgress() {
        try (DeviceClient device = connect().subscribe().inform("app", "1.0.0")) {
            awaitVersion();
            Job job = platform.createJob(
                    JobRequest.of(firmware.id()).withDevices(login.deviceName()).withTimeout(Duration.ofMinutes(10)));
            device.nextPush();
            time.advanceTimeBy(Duration.ofHours(1));
            device.progress("app", 1, "");
            assertStatus(job, TaskStatus.IN_PROGRESS);

            time.advanceTimeBy(Duration.ofMinutes(9));
            assertStatus(job, TaskStatus.IN_PROGRESS);
            time.advanceTimeBy(Duration.ofMinutes(2));

            assertStatus(job, TaskStatus.FAILED);
            assertThat(platform.tasks(job.id()).get(0).description()).contains("timeout");
        }
    }

    @Test
    void aTaskCanBePushedAgainAndAgain() {
        try (DeviceClient device = connect().subscribe().inform("app", "1.0.0")) {
            Job job = job();
            for (int i = 0; i < 100; i++) {
                platform.repush(job.id(), "pk", login.deviceName());
            }
            platform.pushRaw("pk", login.deviceName(), "not json".getBytes(StandardCharsets.UTF_8));

            for (int i = 0; i < 101; i++) {
                assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2.0.0");
            }
            assertThat(device.nextPush().textValue()).isEqualTo("not json");
            assertStatus(job, TaskStatus.NOTIFIED);
        }
    }

    private DeviceClient connect() {
        return connect(options -> {});
    }

    private DeviceClient connect(Consumer<DeviceClient.Options> options) {
        return DeviceClient.connect(platform.mqttPort(), login, options);
    }

    private Job job() {
        awaitVersion();
        return platform.createJob(JobRequest.of(firmware.id()).withDevices(login.deviceName()));
    }

    private void awaitVersion() {
        await().until(() -> platform.device("pk", login.deviceName()).versions().containsKey("app"));
    }

    private static void assertStatus(Job job, TaskStatus status) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.tasks(job.id()))
                        .singleElement()
                        .extracting(Task::status)
                        .isEqualTo(status));
    }

    private void assertNotAuthorized(Consumer<DeviceClient.Options> options) {
        assertRefused(Mqtt3ConnAckReturnCode.BAD_USER_NAME_OR_PASSWORD, options);
    }

    private void assertRefused(Mqtt3ConnAckReturnCode code, Consumer<DeviceClient.Options> options) {
        assertThatThrownBy(() -> connect(options))
                .isInstanceOf(CompletionException.class)
                .cause()
                .isInstanceOfSatisfying(
                        Mqtt3ConnAckException.class,
                        refused -> assertThat(refused.getMqttMessage().getReturnCode())
                                .isEqualTo(code));
    }
}
