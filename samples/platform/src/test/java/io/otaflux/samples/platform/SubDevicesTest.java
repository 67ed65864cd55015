package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.subscribe.suback.Mqtt3SubAckReturnCode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gateways and the devices behind them, against the platform on its embedded broker. */
class SubDevicesTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final AtomicInteger NAMES = new AtomicInteger();

    private static Platform platform;
    private static Path program;
    private static FirmwarePackage firmware;

    private DeviceCredentials gatewayLogin;
    private DeviceCredentials sub;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        platform = Platform.builder().dataDirectory(directory.resolve("data")).start();
        platform.createProduct("gw");
        platform.createProduct("sub");
        program = Files.writeString(directory.resolve("app-2.0.0.bin"), "the new program");
        firmware = platform.addPackage("sub", "app", "2.0.0", program, SignMethod.MD5);
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @BeforeEach
    void devicesOfTheirOwn() {
        int n = NAMES.incrementAndGet();
        gatewayLogin = platform.createDevice("gw", "gw-" + n);
        sub = platform.createDevice("sub", "sub-" + n);
        platform.allowDynamicRegistration("sub", false);
    }

    @Test
    void aSubDeviceIsUpgradedOverItsGatewaysConnection() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            assertThat(add(gateway, sub).toString())
                    .isEqualTo("{\"id\":\"1\",\"code\":200,\"data\":{},\"message\":\"success\"}");
            assertThat(login(gateway, sub).toString())
                    .isEqualTo("{\"id\":\"2\",\"code\":200,\"data\":{\"productKey\":\"sub\",\"deviceName\":\""
                            + sub.deviceName() + "\"},\"message\":\"success\"}");
            assertThat(device(sub).online()).isTrue();
            assertThat(device(sub).gateway()).isEqualTo(key(gatewayLogin));

            inform(gateway, sub, "1.0.0");
            Job job = job(sub);
            JsonNode push = gateway.next("/ota/device/upgrade/" + path(sub));
            assertThat(push.at("/data/version").textValue()).isEqualTo("2.0.0");
            assertThat(push.get("code").textValue()).isEqualTo("1000");

            gateway.publish(
                    "/ota/device/progress/" + path(sub),
                    "{\"id\":\"1\",\"params\":{\"step\":\"50\",\"desc\":\"\",\"module\":\"app\"}}");
            assertStatus(job, TaskStatus.IN_PROGRESS);
            JsonNode asked = gateway.ask(
                    "/sys/" + path(sub) + "/thing/ota/firmware/get", "{\"id\":9, \"params\":{\"module\":\"app\"}}");
            assertThat(asked.at("/data/version").textValue()).isEqualTo("2.0.0");
            inform(gateway, sub, "2.0.0");
            assertStatus(job, TaskStatus.SUCCEEDED);
        }
    }

    @Test
    void aSubDeviceIsOnlineOnlyWhileItsGatewayIsAndIsPushedToAgainWhenItLogsInAgain() {
        Job job;
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            login(gateway, sub);
            inform(gateway, sub, "1.0.0");
            job = job(sub);
            gateway.next("/ota/device/upgrade/" + path(sub));
        }
        await().until(() -> !device(sub).online());
        try (DeviceClient gateway = connect(gatewayLogin)) {
            assertThat(device(sub).online()).isFalse();
            assertThat(login(gateway, sub).get("code").intValue()).isEqualTo(200);
            assertThat(gateway.next("/ota/device/upgrade/" + path(sub)).has("data"))
                    .isTrue();
            assertThat(logout(gateway, sub).get("code").intValue()).isEqualTo(200);
            assertThat(device(sub).online()).isFalse();
            assertThat(logout(gateway, sub).get("code").intValue()).isEqualTo(520);
        }
        assertStatus(job, TaskStatus.NOTIFIED);
    }

    @Test
    void aGatewayThatNeverSubscribedIsSentItsOwnTopicsOnlyIfItAskedForThat() {
        try (DeviceClient gateway =
                DeviceClient.connect(platform.mqttPort(), gatewayLogin).subscribe()) {
            gateway.subscribe("/sys/" + path(gatewayLogin) + "/#", MqttQos.AT_MOST_ONCE);
            gateway.subscribe("/ext/session/" + path(gatewayLogin) + "/combine/login_reply", MqttQos.AT_MOST_ONCE);
            add(gateway, sub);
            assertThatThrownBy(() -> gateway.subscribe("/ota/device/upgrade/" + path(sub), MqttQos.AT_LEAST_ONCE))
                    .as("a sub-device that is not logged in")
                    .hasCauseInstanceOf(Mqtt3SubAckException.class);
            login(gateway, sub);
            gateway.subscribe("/ota/device/upgrade/" + path(sub), MqttQos.AT_LEAST_ONCE);
            inform(gateway, sub, "1.0.0");
            Job job = job(sub);

            assertThat(gateway.next("/ota/device/upgrade/" + path(sub)).has("data"))
                    .isTrue();
            inform(gateway, sub, "2.0.0");
            assertStatus(job, TaskStatus.SUCCEEDED);
            assertThat(gateway.waiting("/ota/device/upgrade/" + path(sub)))
                    .as("pushed once")
                    .isZero();
        }
    }

    @Test
    void aMessageOfASubDeviceThatIsNotLoggedInIsRefusedAndToldSo() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            inform(gateway, sub, "1.0.0");

            JsonNode error = gateway.next("/ext/error/" + path(gatewayLogin));
            assertThat(error.get("code").intValue()).isEqualTo(520);
            assertThat(error.at("/data/deviceName").textValue()).isEqualTo(sub.deviceName());
            assertThat(device(sub).versions()).isEmpty();
        }
    }

    @Test
    void aGatewayCannotSpeakForTheSubDeviceOfAnother() {
        DeviceCredentials other = platform.createDevice("gw", "other-" + gatewayLogin.deviceName());
        try (DeviceClient gateway = connect(gatewayLogin);
                DeviceClient stranger = connect(other)) {
            add(gateway, sub);
            login(gateway, sub);
            inform(stranger, sub, "9.9.9");
            assertThat(login(stranger, sub).get("code").intValue()).isEqualTo(6401);
            assertThat(add(stranger, sub).get("code").intValue()).isEqualTo(6619);
            assertThatThrownBy(() -> stranger.subscribe("/ota/device/upgrade/" + path(sub), MqttQos.AT_LEAST_ONCE))
                    .hasCauseInstanceOf(Mqtt3SubAckException.class);

            inform(gateway, sub, "1.0.0");
            await().until(() -> "1.0.0".equals(device(sub).versions().get("app")));
            assertThat(stranger.waiting("/ext/error/" + path(other))).isZero();
        }
    }

    @Test
    void aDeviceThatLogsInByItselfEndsItsSessionThroughTheGatewayAndTheOtherWayRound() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            login(gateway, sub);
            AtomicInteger lost = new AtomicInteger();
            try (DeviceClient direct = DeviceClient.connect(
                    platform.mqttPort(), sub, options -> options.onDisconnect = lost::incrementAndGet)) {
                JsonNode error = gateway.next("/ext/error/" + path(gatewayLogin));
                assertThat(error.get("code").intValue()).isEqualTo(427);
                assertThat(error.get("message").textValue()).isEqualTo("device connect in elsewhere");
                direct.subscribe().inform("app", "1.0.0");
                await().until(() -> device(sub).versions().containsKey("app"));

                login(gateway, sub);

                await().atMost(PATIENCE).until(() -> lost.get() == 1);
            }
            job(sub);
            assertThat(gateway.next("/ota/device/upgrade/" + path(sub)).has("data"))
                    .isTrue();
        }
    }

    @Test
    void aSubDeviceThatMovesToAnotherGatewayIsTakenFromTheFirst() {
        DeviceCredentials second = platform.createDevice("gw", "second-" + gatewayLogin.deviceName());
        try (DeviceClient gateway = connect(gatewayLogin);
                DeviceClient other = connect(second)) {
            add(gateway, sub);
            login(gateway, sub);

            platform.unlink(key(gatewayLogin), key(sub));

            assertThat(gateway.next("/ext/error/" + path(gatewayLogin))
                            .get("code")
                            .intValue())
                    .isEqualTo(6401);
            JsonNode change = gateway.next("/sys/" + path(gatewayLogin) + "/thing/topo/change");
            assertThat(change.get("method").textValue()).isEqualTo("thing.topo.change");
            assertThat(change.get("params").toString()).isEqualTo("{\"status\":1,\"subList\":[" + name(sub) + "]}");
            assertThat(device(sub).online()).isFalse();
            platform.link(key(second), key(sub));
            assertThat(other.next("/sys/" + path(second) + "/thing/topo/change")
                            .at("/params/status")
                            .intValue())
                    .isZero();
            assertThat(login(other, sub).get("code").intValue()).isEqualTo(200);
            assertThat(login(gateway, sub).get("code").intValue()).isEqualTo(6401);
        }
    }

    @Test
    void aGatewayThatSubscribedInOnePacketHearsNothingOfASubDeviceThatHasLeft() {
        String upgrades = "/ota/device/upgrade/" + path(sub);
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            login(gateway, sub);
            gateway.subscribe("/ota/device/upgrade/" + path(gatewayLogin), upgrades, "/sys/" + path(sub) + "/#");
            assertThatThrownBy(() -> gateway.subscribe(upgrades, "/ota/device/upgrade/sub/other"))
                    .cause()
                    .isInstanceOfSatisfying(
                            Mqtt3SubAckException.class,
                            refused -> assertThat(refused.getMqttMessage().getReturnCodes())
                                    .containsExactly(
                                            Mqtt3SubAckReturnCode.SUCCESS_MAXIMUM_QOS_1,
                                            Mqtt3SubAckReturnCode.FAILURE));
            inform(gateway, sub, "1.0.0");
            Job job = job(sub);
            gateway.next(upgrades);
            platform.unlink(key(gatewayLogin), key(sub));

            try (DeviceClient alone =
                    DeviceClient.connect(platform.mqttPort(), sub).subscribe()) {
                alone.nextPush();
                platform.repush(job.id(), sub.productKey(), sub.deviceName());
                alone.nextPush();
            }
            add(gateway, gatewayLogin);
            assertThat(gateway.waiting(upgrades)).isZero();
        }
    }

    @Test
    void aSubDeviceIsDisabledEnabledAndDeleted() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            login(gateway, sub);
            String topics = "/sys/" + path(sub) + "/thing/";
            String errors = "/ext/error/" + path(gatewayLogin);

            platform.disable(key(sub), true);
            JsonNode told = gateway.next(topics + "disable");
            assertThat(told.get("params").toString()).isEqualTo("{}");
            assertThat(told.get("method").textValue()).isEqualTo("thing.disable");
            gateway.publish(topics + "disable_reply", "{\"id\":\"1\",\"code\":200,\"data\":{}}");
            assertThat(gateway.next(errors).get("code").intValue()).isEqualTo(522);
            assertThat(login(gateway, sub).get("code").intValue()).isEqualTo(6204);
            assertThatThrownBy(() -> DeviceClient.connect(platform.mqttPort(), sub))
                    .isNotNull();

            platform.disable(key(sub), false);
            gateway.next(topics + "enable");
            assertThat(login(gateway, sub).get("code").intValue()).isEqualTo(200);

            platform.deleteDevice(key(sub));
            gateway.next(topics + "delete");
            assertThat(gateway.next(errors).get("code").intValue()).isEqualTo(521);
            assertThat(login(gateway, sub).get("code").intValue()).isEqualTo(6100);
            assertThat(platform.topology("gw", gatewayLogin.deviceName())).isEmpty();
        }
    }

    @Test
    void aTopologyIsAskedForGivenBackAndInvitedInto() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            String sys = "/sys/" + path(gatewayLogin) + "/thing/";
            // As Alibaba's C client asks: the parameters are a text.
            String get = "{\"id\":\"3\",\"version\":\"1.0\",\"params\":\"{}\",\"method\":\"thing.topo.get\"}";
            assertThat(gateway.ask(sys + "topo/get", get).get("data").toString())
                    .isEqualTo("[]");
            add(gateway, sub);
            assertThat(gateway.ask(sys + "topo/get", get).get("data").toString())
                    .isEqualTo("[" + name(sub) + "]");
            assertThat(gateway.ask(sys + "list/found", params("[" + name(sub) + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            assertThat(gateway.ask(sys + "topo/delete", params("[" + name(sub) + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            assertThat(gateway.ask(sys + "topo/delete", params("[" + name(sub) + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(6401);

            platform.invite(key(gatewayLogin), key(sub));

            assertThat(gateway.next(sys + "topo/add/notify").get("params").toString())
                    .isEqualTo("[" + name(sub) + "]");
        }
    }

    @Test
    void theSecretsOfSubDevicesAreHandedOutWhereTheProductAllowsIt() {
        ProductCredentials product = platform.createProduct("reg-" + gatewayLogin.deviceName());
        DeviceCredentials fresh = platform.createDevice(product.productKey(), "fresh");
        DeviceCredentials proxied = platform.createDevice(product.productKey(), "proxied");
        try (DeviceClient gateway = connect(gatewayLogin)) {
            String register = "/sys/" + path(gatewayLogin) + "/thing/sub/register";
            assertThat(gateway.ask(register, params("[" + name(fresh) + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(6288);
            platform.allowDynamicRegistration(product.productKey(), true);

            JsonNode answer = gateway.ask(register, params("[" + name(fresh) + "]"));

            assertThat(answer.at("/data/0/deviceSecret").textValue()).isEqualTo(fresh.deviceSecret());
            assertThat(answer.at("/data/0/deviceName").textValue()).isEqualTo("fresh");
            String text = "deviceNameproxiedproductKey" + product.productKey() + "randomr";
            String proof = "{\"productKey\":\"" + product.productKey()
                    + "\",\"deviceName\":\"proxied\",\"random\":\"r\",\"signMethod\":\"hmacSha256\",\"sign\":\"%s\"}";
            String proxy = "/sys/" + path(gatewayLogin) + "/thing/proxy/provisioning/product_register";
            JsonNode registered = gateway.ask(
                    proxy,
                    params("{\"proxieds\":[" + proof.formatted(sign("HmacSHA256", product.productSecret(), text))
                            + "]}"));
            assertThat(registered.at("/data/successes/0/deviceSecret").textValue())
                    .isEqualTo(proxied.deviceSecret());
            assertThat(platform.topology("gw", gatewayLogin.deviceName())).hasSize(1);
            JsonNode forged = gateway.ask(proxy, params("{\"proxieds\":[" + proof.formatted("00") + "]}"));
            assertThat(forged.at("/data/failures/0/code").intValue()).isEqualTo(6600);

            DeviceClient.connect(platform.mqttPort(), fresh).close();
            await().untilAsserted(() -> assertThat(gateway.ask(register, params("[" + name(fresh) + "]"))
                            .get("code")
                            .intValue())
                    .as("a device that logs in by itself keeps its secret to itself")
                    .isEqualTo(6289));
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacMd5, HmacMD5, 1000, pk.sub",
        "hmacSha1, HmacSHA1, 1000, pk.sub",
        "HMACSHA256, HmacSHA256, 2524608000000, 'pk.sub|_ss=1,_v=sdk-c-4.1.0|'"
    })
    void theWholeClientIdIsSignedWithAnyMethod(String method, String algorithm, String timestamp, String clientId) {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            String text =
                    "clientId" + clientId + "deviceName" + sub.deviceName() + "productKeysubtimestamp" + timestamp;
            String element = "{\"productKey\":\"sub\",\"deviceName\":\"" + sub.deviceName() + "\",\"clientId\":\""
                    + clientId + "\",\"timestamp\":\"" + timestamp + "\",\"signmethod\":\"" + method
                    + "\",\"cleanSession\":\"false\",\"sign\":\"" + sign(algorithm, sub.deviceSecret(), text) + "\"}";
            assertThat(gateway.ask("/sys/" + path(gatewayLogin) + "/thing/topo/add", params("[" + element + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            assertThat(gateway.ask(
                                    "/ext/session/" + path(gatewayLogin) + "/combine/login",
                                    params(element.replace("signmethod", "signMethod")))
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            String forged = element.replace("timestamp\":\"", "timestamp\":\"1");
            assertThat(gateway.ask("/ext/session/" + path(gatewayLogin) + "/combine/login", params(forged))
                            .get("code")
                            .intValue())
                    .isEqualTo(6287);
            assertThat(gateway.ask("/sys/" + path(gatewayLogin) + "/thing/topo/add", params("[" + forged + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(401);
        }
    }

    /** Computed after the documented algorithm; the second is what the C client signs in a batch. */
    @ParameterizedTest
    @CsvSource({
        "hmacmd5, pk.sub, 1000, 4345ed6fdb1ceeeb1bd08ddb1c0836cc",
        "hmacsha1, pk.sub, 1000, 497e8d27422408684ed4af6006824f11f85403ee",
        "hmacsha256, pk.sub, 1000, 0107f8bb5a8ab61cfa23de9d82851f09c51e8e1e296950e1add47935d88e9a00",
        "hmacsha256, 'pk.sub|_ss=1,_v=sdk-c-4.1.0|', 2524608000000,"
                + " dca8d8f9ece53985ec396f82d16b115e301e359dd08a76de54f1132092d8aa66"
    })
    void theComputedSignaturesAreAccepted(String method, String clientId, String timestamp, String signature) {
        String text = "clientId" + clientId + "deviceNamesubproductKeypktimestamp" + timestamp;
        assertThat(DeviceAuthenticator.isSigned(method, "subsecret", text, signature))
                .isTrue();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = ';',
            value = {
                "no list; /sys/{gw}/thing/topo/add; {}; 460",
                "an empty list; /sys/{gw}/thing/topo/add; []; 460",
                "no sign; /sys/{gw}/thing/topo/add; [{\"productKey\":\"sub\",\"deviceName\":\"x\"}]; 460",
                "no name; /sys/{gw}/thing/topo/delete; [{\"productKey\":\"sub\"}]; 460",
                "nobody; /sys/{gw}/thing/topo/delete; [{\"productKey\":\"sub\",\"deviceName\":\"nobody\"}]; 6100",
                "no object; /ext/session/{gw}/combine/login; []; 460",
                "no params; /ext/session/{gw}/combine/login; null; 460",
                "no list; /ext/session/{gw}/combine/batch_login; {}; 460",
                "no session; /ext/session/{gw}/combine/batch_logout; [{\"productKey\":\"a\",\"deviceName\":\"b\"}]; 520",
                "no product; /sys/{gw}/thing/sub/register; [{\"productKey\":\"no\",\"deviceName\":\"b\"}]; 6250"
            })
    void whatIsWrongWithARequestIsToldByACode(String why, String topic, String params, int code) {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            JsonNode answer = gateway.ask(topic.replace("{gw}", path(gatewayLogin)), params(params));
            assertThat(answer.get("code").intValue()).as(why).isEqualTo(code);
            assertThat(answer.properties().stream().map(java.util.Map.Entry::getKey))
                    .containsExactly("id", "code", "data", "message");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "sub/register; [{devices}]",
                "proxy/provisioning/product_register; {\"proxieds\":[{devices}]}",
                "sub/unregister; [{devices}]"
            })
    void noMoreThanThirtyDevicesAreRegisteredAtOnce(String topic, String params) {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            String asked = "/sys/" + path(gatewayLogin) + "/thing/" + topic;
            String nobody = "{\"productKey\":\"sub\",\"deviceName\":\"nobody\"}";
            for (int count : new int[] {30, 31}) {
                String devices = String.join(",", Collections.nCopies(count, nobody));
                assertThat(gateway.ask(asked, params(params.replace("{devices}", devices)))
                                        .get("code")
                                        .intValue()
                                == 460)
                        .as("%d devices", count)
                        .isEqualTo(count > 30);
            }
        }
    }

    @Test
    void aGatewayIsNotItsOwnSubDeviceAndASubDeviceHasNone() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            assertThat(add(gateway, gatewayLogin).get("code").intValue()).isEqualTo(6402);
            add(gateway, sub);
            login(gateway, sub);
            assertThat(gateway.ask("/sys/" + path(sub) + "/thing/topo/get", params("{}"))
                            .get("code")
                            .intValue())
                    .isEqualTo(460);
        }
    }

    @Test
    void aBatchIsLoggedInAsAWholeOrNotAtAll() {
        List<DeviceCredentials> subs = new ArrayList<>();
        for (int i = 0; i < 51; i++) {
            subs.add(platform.createDevice("sub", sub.deviceName() + "-" + i));
        }
        try (DeviceClient gateway = connect(gatewayLogin)) {
            subs.forEach(it -> {
                if (!it.equals(subs.get(7))) {
                    add(gateway, it);
                }
            });
            assertThat(batchLogin(gateway, subs).get("code").intValue())
                    .as("51 at once")
                    .isEqualTo(460);
            assertThat(batchLogin(gateway, subs.subList(0, 10)).get("code").intValue())
                    .isEqualTo(6401);
            assertThat(device(subs.get(0)).online()).isFalse();
            JsonNode answer = batchLogin(gateway, subs.subList(8, 51));
            assertThat(answer.get("code").intValue()).isEqualTo(200);
            assertThat(answer.get("data")).hasSize(43);
            assertThat(device(subs.get(50)).online()).isTrue();
            JsonNode out = gateway.ask(
                    "/ext/session/" + path(gatewayLogin) + "/combine/batch_logout",
                    params("[" + name(subs.get(8)) + "," + name(subs.get(9)) + "]"));
            assertThat(out.get("data")).hasSize(2);
            assertThat(device(subs.get(8)).online()).isFalse();
            assertThat(device(subs.get(10)).online()).isTrue();
        }
    }

    @Test
    void loginsThatComeTooFastAreToldToWait() {
        try (DeviceClient gateway = connect(gatewayLogin)) {
            add(gateway, sub);
            List<Integer> codes = new ArrayList<>();
            String login = params("{\"signMethod\":\"hmacSha256\",\"deviceList\":["
                    + String.join(",", Collections.nCopies(50, element(sub))) + "]}");
            for (int i = 0; i < 60; i++) {
                gateway.publish("/ext/session/" + path(gatewayLogin) + "/combine/batch_login", login);
            }
            for (int i = 0; i < 60; i++) {
                codes.add(gateway.next("/ext/session/" + path(gatewayLogin) + "/combine/batch_login_reply")
                        .get("code")
                        .intValue());
            }
            assertThat(codes).contains(200, 429);
            assertThat(codes.get(0)).isEqualTo(200);
        }
    }

    @Test
    void theTopologyOutlivesThePlatform(@TempDir Path directory) throws Exception {
        DeviceCredentials gateway;
        DeviceCredentials below;
        DeviceCredentials gone;
        ProductCredentials product;
        try (Platform first = Platform.builder().dataDirectory(directory).start()) {
            product = first.createProduct("pk");
            first.allowDynamicRegistration("pk", true);
            gateway = first.createDevice("pk", "gw");
            below = first.createDevice("pk", "below");
            gone = first.createDevice("pk", "gone");
            first.link(key(gateway), key(below));
            first.disable(key(below), true);
            first.link(key(gateway), key(gone));
            first.deleteDevice(key(gone));
        }
        for (int start = 0; start < 2; start++) {
            try (Platform again = Platform.builder().dataDirectory(directory).start()) {
                assertThat(again.topology("pk", "gw"))
                        .singleElement()
                        .satisfies(device -> assertThat(device.disabled()).isTrue());
                assertThat(again.devices("pk")).hasSize(2);
            }
        }
        assertThat(Files.readString(directory.resolve("state.log"))).contains(product.productSecret());
        assertThat(product.toString() + RegisteredProduct.of("pk", java.time.Instant.EPOCH))
                .doesNotContain(product.productSecret())
                .doesNotContain("productSecret=");
    }

    @Test
    @Tag("faults")
    void twoThousandSubDevicesAreLoggedInAndPushedToInOneBurst() {
        int count = SubDevices.MAX_ONLINE;
        platform.createProduct("many");
        FirmwarePackage forMany = platform.addPackage("many", "app", "2.0.0", program, SignMethod.MD5);
        long started = System.nanoTime();
        List<DeviceCredentials> subs = IntStream.range(0, count)
                .mapToObj(i -> platform.createDevice("many", "many-" + i))
                .toList();
        DeviceCredentials tooMany = platform.createDevice("many", "one-more");
        long created = System.nanoTime();
        try (DeviceClient gateway = connect(gatewayLogin)) {
            String elements = subs.stream().map(SubDevicesTest::element).collect(Collectors.joining(","));
            assertThat(gateway.ask("/sys/" + path(gatewayLogin) + "/thing/topo/add", params("[" + elements + "]"))
                            .get("code")
                            .intValue())
                    .isEqualTo(200);
            assertThat(add(gateway, tooMany).get("code").intValue()).isEqualTo(6400);
            for (int at = 0; at < count; at += 50) {
                List<DeviceCredentials> batch = subs.subList(at, at + 50);
                await().pollInterval(Duration.ofMillis(50))
                        .atMost(PATIENCE)
                        .until(() -> batchLogin(gateway, batch).get("code").intValue() == 200);
            }
            long loggedIn = System.nanoTime();
            subs.forEach(it -> inform(gateway, it, "1.0.0"));
            await().atMost(PATIENCE)
                    .until(() -> !device(subs.get(count - 1)).versions().isEmpty());
            long informed = System.nanoTime();

            Job job = platform.createJob(JobRequest.of(forMany.id()));
            subs.forEach(it -> assertThat(
                            gateway.next("/ota/device/upgrade/" + path(it)).has("data"))
                    .isTrue());
            long pushed = System.nanoTime();
            subs.forEach(it -> inform(gateway, it, "2.0.0"));
            await().atMost(PATIENCE).until(() -> platform.job(job.id()).tasks().get(TaskStatus.SUCCEEDED) == count);
            System.out.printf(
                    "figure: 2,000 sub-devices over one connection: created in %d ms, in the topology and logged in in"
                            + " %d ms (200 a second are allowed), informed in %d ms, pushed to in %d ms%n",
                    millis(started, created),
                    millis(created, loggedIn),
                    millis(loggedIn, informed),
                    millis(informed, pushed));
        }
        await().atMost(PATIENCE).until(() -> !device(subs.get(count - 1)).online());
    }

    private static long millis(long from, long to) {
        return Duration.ofNanos(to - from).toMillis();
    }

    /** A gateway with the session of Alibaba's C client, which never subscribes. */
    private static DeviceClient connect(DeviceCredentials login) {
        return DeviceClient.connect(
                platform.mqttPort(),
                login,
                options -> options.parameters =
                        "timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=3,signmethod=hmacsha256,ext=3,");
    }

    private static JsonNode add(DeviceClient gateway, DeviceCredentials device) {
        return gateway.ask(
                "/sys/" + path(gateway.login()) + "/thing/topo/add",
                "{\"id\":\"1\",\"version\":\"1.0\",\"params\":[" + element(device)
                        + "],\"method\":\"thing.topo.add\"}");
    }

    private static JsonNode login(DeviceClient gateway, DeviceCredentials device) {
        return gateway.ask(
                "/ext/session/" + path(gateway.login()) + "/combine/login",
                "{\"id\":\"2\",\"params\":" + element(device) + "}");
    }

    private static JsonNode logout(DeviceClient gateway, DeviceCredentials device) {
        return gateway.ask("/ext/session/" + path(gateway.login()) + "/combine/logout", params(name(device)));
    }

    private static JsonNode batchLogin(DeviceClient gateway, List<DeviceCredentials> devices) {
        return gateway.ask(
                "/ext/session/" + path(gateway.login()) + "/combine/batch_login",
                params("{\"signMethod\":\"hmacSha256\",\"deviceList\":["
                        + devices.stream().map(SubDevicesTest::element).collect(Collectors.joining(",")) + "]}"));
    }

    /** What a gateway sends of a sub-device to prove that it has its secret. */
    static String element(DeviceCredentials device) {
        String clientId = device.productKey() + "." + device.deviceName();
        String text = "clientId" + clientId + "deviceName" + device.deviceName() + "productKey" + device.productKey()
                + "timestamp1000";
        return "{\"productKey\":\"" + device.productKey() + "\",\"deviceName\":\"" + device.deviceName()
                + "\",\"clientId\":\"" + clientId + "\",\"timestamp\":\"1000\",\"signMethod\":\"hmacSha256\","
                + "\"sign\":\"" + sign("HmacSHA256", device.deviceSecret(), text) + "\"}";
    }

    private static String params(String params) {
        return "{\"id\":\"5\",\"version\":\"1.0\",\"params\":" + params + "}";
    }

    private static String name(DeviceCredentials device) {
        return "{\"productKey\":\"" + device.productKey() + "\",\"deviceName\":\"" + device.deviceName() + "\"}";
    }

    private static String path(DeviceCredentials device) {
        return device.productKey() + "/" + device.deviceName();
    }

    private static DeviceKey key(DeviceCredentials device) {
        return new DeviceKey(device.productKey(), device.deviceName());
    }

    private static Device device(DeviceCredentials device) {
        return platform.device(device.productKey(), device.deviceName());
    }

    private static void inform(DeviceClient gateway, DeviceCredentials device, String version) {
        gateway.publish(
                "/ota/device/inform/" + path(device),
                "{\"id\":0, \"params\":{\"version\":\"" + version + "\",\"module\":\"app\"}}");
    }

    private static Job job(DeviceCredentials device) {
        await().atMost(PATIENCE).until(() -> device(device).versions().containsKey("app"));
        return platform.createJob(JobRequest.of(firmware.id()).withDevices(device.deviceName()));
    }

    private static void assertStatus(Job job, TaskStatus status) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.tasks(job.id()))
                        .singleElement()
                        .extracting(Task::status)
                        .isEqualTo(status));
    }

    private static String sign(String algorithm, String secret, String text) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), algorithm));
            return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
        } catch (java.security.GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
