package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.SECRET;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.callback.Ota;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.bouncycastle.asn1.x509.GeneralName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The device as ported programs use it. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class DeviceTest {

    private final Device device = new Device();
    private final List<String> called = new CopyOnWriteArrayList<>();

    @Test
    void theNumbersAreTheOriginals() {
        assertThat(List.of(
                        Device.ON_CONNECT,
                        Device.ON_CLOSE,
                        Device.ON_DISCONNECT,
                        Device.ON_EVENT,
                        Device.ON_SERVICE,
                        Device.ON_SUBCRIBE,
                        Device.ON_PROPS,
                        Device.ON_ERROR,
                        Device.ON_REPLY,
                        Device.ON_RAWDATA,
                        Device.ON_REGISTER))
                .containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    }

    @Test
    void aProgramHearsOfItsConnection() {
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            register(Device.ON_CONNECT, "connect");
            register(Device.ON_DISCONNECT, "disconnect");
            register(Device.ON_CLOSE, "close");

            assertThat(device.connect(options(broker.port()))).isZero();
            await().atMost(PATIENCE).until(() -> called.size() == 1);
            broker.restart();
            await().atMost(PATIENCE).until(() -> called.size() == 3);
            assertThat(device.end()).isZero();
            await().atMost(PATIENCE).until(() -> called.size() == 4);

            assertThat(called).containsExactly("connect 0", "disconnect -1", "connect 0", "close 0");
        }
    }

    @Test
    void callbacksRunOneAtATimeOnAThreadOfTheirOwnAndMayThrow() {
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            List<String> threads = new CopyOnWriteArrayList<>();
            assertThat(device.on(Device.ON_CONNECT, data -> {
                        threads.add(Thread.currentThread().getName());
                        throw new IllegalStateException("a bug of the program's");
                    }))
                    .isZero();
            device.on(Device.ON_DISCONNECT, data -> {
                threads.add(Thread.currentThread().getName());
                throw new StackOverflowError("a worse one");
            });
            device.connect(options(broker.port()));
            await().atMost(PATIENCE).until(() -> threads.size() == 1);

            broker.restart();

            await().atMost(PATIENCE).until(() -> threads.size() == 3);
            assertThat(threads)
                    .allMatch(name -> name.startsWith("otaflux-device"))
                    .containsOnly(threads.get(0));
            device.close().block(PATIENCE);
        }
    }

    @Test
    void aLaterCallbackReplacesTheEarlier() {
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            device.on(Device.ON_CONNECT, data -> called.add("first"));
            device.on(Device.ON_CONNECT, data -> called.add("second"));

            device.connect(options(broker.port()));

            await().atMost(PATIENCE).until(() -> !called.isEmpty());
            assertThat(called).containsExactly("second");
            device.close().block(PATIENCE);
        }
    }

    @Test
    void aRefusalIsAnError() {
        try (RefusingBroker broker = RefusingBroker.answering(4)) {
            List<Map<String, Object>> errors = new CopyOnWriteArrayList<>();
            device.on(Device.ON_ERROR, errors::add);

            assertThat(device.connect(options(broker.port()))).isZero();

            await().atMost(PATIENCE).until(() -> errors.size() == 1);
            assertThat(errors.get(0)).containsEntry("code", -1);
            assertThat(errors.get(0).get("message").toString())
                    .contains("CONNACK 4")
                    .doesNotContain(SECRET);
            device.close().block(PATIENCE);
        }
    }

    @Test
    void anAuthorityMayBeGivenAsAFile(@TempDir Path directory) throws Exception {
        Authority authority = Authority.create(directory);
        Authority.Server server = authority.server(new GeneralName(GeneralName.iPAddress, "127.0.0.1"));
        try (MosquittoBroker broker = MosquittoBroker.configure()
                .tls(server.certificate(), server.key())
                .start()) {
            register(Device.ON_CONNECT, "connect");
            Map<String, Object> options = new HashMap<>(options(broker.port()));
            options.remove("tls");
            options.put("ca_file", authority.certificate().toString());

            assertThat(device.connect(options)).isZero();

            await().atMost(PATIENCE).until(() -> called.equals(List.of("connect 0")));
            device.close().block(PATIENCE);
        }
    }

    @Test
    void whatIsMissingOrOutOfRangeIsANegativeNumber() {
        Map<String, Object> good = options(1);
        for (String key : List.of("productKey", "deviceName", "deviceSecret")) {
            Map<String, Object> bad = new HashMap<>(good);
            bad.remove(key);
            assertThat(device.connect(bad)).as(key).isNegative();
        }
        for (Map.Entry<String, Object> wrong : Map.<String, Object>of(
                        "keepaliveSec", 29, "port", "1883", "deviceName", 7, "ca_file", "/absent", "host", "a b")
                .entrySet()) {
            Map<String, Object> bad = new HashMap<>(good);
            bad.put(wrong.getKey(), wrong.getValue());
            assertThat(device.connect(bad)).as(wrong.getKey()).isNegative();
        }
        assertThat(device.on(0, data -> {})).isNegative();
        assertThat(device.on(12, data -> {})).isNegative();
        assertThat(device.end()).isNegative();
    }

    @Test
    void aProgramUsesTheCallbackModuleWithTheHandle() throws Exception {
        assertThat(device.getDeviceHandle()).isNegative();
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker);
                Ota ota = ota()) {
            register(Device.ON_CONNECT, "connect");
            device.connect(options(broker.port()));
            await().atMost(PATIENCE).until(() -> called.size() == 1);
            int handle = device.getDeviceHandle();
            assertThat(handle).isPositive().isEqualTo(device.getDeviceHandle());

            assertThat(ota.init(Map.of("device_handle", handle))).isZero();
            assertThat(ota.report(Map.of(
                            "device_handle",
                            handle,
                            "product_key",
                            DEVICE.product(),
                            "device_name",
                            DEVICE.name(),
                            "module_name",
                            "app",
                            "version",
                            "1.0.0")))
                    .isZero();

            await().atMost(PATIENCE).until(() -> platform.versions().contains("app=1.0.0"));
            device.close().block(PATIENCE);
            try (Ota late = ota()) {
                assertThat(late.init(Map.of("device_handle", handle))).isNegative();
            }
        }
    }

    @Test
    void aProgramHearsWhatItSubscribedToAlsoAfterAReconnect() throws Exception {
        String topic = "/a1B2c3D4e5F/dev01/user/get";
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker)) {
            List<Map<String, Object>> heard = new CopyOnWriteArrayList<>();
            device.on(Device.ON_SUBCRIBE, heard::add);
            register(Device.ON_CONNECT, "connect");
            assertThat(device.subscribe(Map.of("topic", topic, "qos", 1)))
                    .as("before it connects")
                    .isNegative();
            device.connect(options(broker.port()));
            assertThat(device.subscribe(Map.of("topic", topic, "qos", 1))).isZero();
            await().atMost(PATIENCE)
                    .until(() -> broker.log().contains("Sending SUBACK to a1B2c3D4e5F.dev01")
                            && broker.log().contains(topic));

            platform.send(topic, "one \u4e16", MqttQos.AT_LEAST_ONCE);
            await().atMost(PATIENCE).until(() -> heard.size() == 1);
            assertThat(heard.get(0)).containsOnly(Map.entry("topic", topic), Map.entry("payload", "one \u4e16"));
            broker.restart();
            await().atMost(PATIENCE).until(() -> called.size() == 2);
            platform.send(topic, "two", MqttQos.AT_LEAST_ONCE);
            await().atMost(PATIENCE).until(() -> heard.size() == 2);

            assertThat(device.unsubscribe(Map.of("topic", topic))).isZero();
            await().atMost(PATIENCE).until(() -> broker.log().contains("Received UNSUBSCRIBE from a1B2c3D4e5F.dev01"));
            platform.send(topic, "three", MqttQos.AT_LEAST_ONCE);
            platform.listen("/a1B2c3D4e5F/dev01/user/update");
            assertThat(device.publish(Map.of("topic", "/a1B2c3D4e5F/dev01/user/update", "payload", "four", "qos", 1)))
                    .isZero();
            await().atMost(PATIENCE)
                    .until(() ->
                            platform.heard("/a1B2c3D4e5F/dev01/user/update").size() == 1);
            assertThat(heard).hasSize(2);
            device.close().block(PATIENCE);
        }
    }

    @Test
    void whatIsNoTopicOrNoPayloadIsANegativeNumber() {
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            register(Device.ON_CONNECT, "connect");
            assertThat(device.publish(Map.of("topic", "a", "payload", "b"))).isNegative();
            assertThat(device.getNtpTime(time -> {})).isNegative();
            device.connect(options(broker.port()));
            await().atMost(PATIENCE).until(() -> called.size() == 1);

            Topics own = Topics.of(DEVICE);
            for (Object topic : List.of("", "a/#/b", 7, own.upgrade(), own.queryReply(), own.downloadReply())) {
                assertThat(device.subscribe(Map.of("topic", topic)))
                        .as("subscribe " + topic)
                        .isNegative();
                assertThat(device.unsubscribe(Map.of("topic", topic)))
                        .as("unsubscribe " + topic)
                        .isNegative();
            }
            assertThat(device.subscribe(Map.of("topic", "a", "qos", 2))).isNegative();
            for (Map<String, Object> wrong : List.<Map<String, Object>>of(
                    Map.of("topic", "a/+", "payload", "b"),
                    Map.of("topic", "a"),
                    Map.of("payload", "b"),
                    Map.of("topic", "a", "payload", "b", "qos", -1),
                    Map.of("topic", "a", "payload", "b".repeat(256 * 1024 + 1)))) {
                assertThat(device.publish(wrong)).isNegative();
            }
            device.close().block(PATIENCE);
        }
    }

    @Test
    void aProgramIsToldTheTimeOfThePlatform() throws Exception {
        String ntp = "/ext/ntp/a1B2c3D4e5F/dev01/";
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker)) {
            platform.listen(ntp + "request");
            register(Device.ON_CONNECT, "connect");
            device.connect(options(broker.port()));
            await().atMost(PATIENCE).until(() -> called.size() == 1);
            List<Map<String, Object>> times = new CopyOnWriteArrayList<>();

            assertThat(device.getNtpTime(times::add)).isZero();
            await().atMost(PATIENCE).until(() -> platform.heard(ntp + "request").size() == 1);
            String request = platform.heard(ntp + "request").get(0).payload();
            assertThat(request).matches("\\{\"deviceSendTime\":\"[0-9]{13}\"}");
            long sent = Long.parseLong(request.replaceAll("[^0-9]", ""));
            // Of the year 2100, at noon in Shanghai; the answer took no time at the platform.
            long there = 4102459200000L;
            platform.send(
                    ntp + "response",
                    "{\"deviceSendTime\":\"" + sent + "\",\"serverRecvTime\":\"" + there + "\",\"serverSendTime\":\""
                            + there + "\"}",
                    MqttQos.AT_MOST_ONCE);

            await().atMost(PATIENCE).until(() -> !times.isEmpty());
            assertThat(times.get(0))
                    .containsOnlyKeys("year", "month", "day", "hour", "minute", "second", "msecond", "timestamp")
                    .containsEntry("year", 2100)
                    .containsEntry("month", 1)
                    .containsEntry("day", 1)
                    .containsEntry("hour", 12);
            assertThat((long) times.get(0).get("timestamp")).isBetween(there, there + PATIENCE.toMillis());
            device.close().block(PATIENCE);
        }
    }

    @Test
    void aProgramRegistersItsDevice(@TempDir Path directory) throws Exception {
        Authority authority = Authority.create(directory);
        Authority.Server server = authority.server(new GeneralName(GeneralName.iPAddress, "127.0.0.1"));
        Map<String, Object> options = new HashMap<>(Map.of(
                "productKey", DEVICE.product(),
                "productSecret", "CANARY-product-secret",
                "deviceName", DEVICE.name(),
                "host", "127.0.0.1",
                "ca_file", authority.certificate().toString(),
                "credentials_file", directory.resolve("credentials.json").toString()));
        List<Map<String, Object>> answers = new CopyOnWriteArrayList<>();
        List<Map<String, Object>> told = new CopyOnWriteArrayList<>();
        device.on(Device.ON_REGISTER, told::add);
        device.on(Device.ON_ERROR, told::add);
        String success = "{\"code\":200,\"data\":{\"productKey\":\"" + DEVICE.product() + "\",\"deviceName\":\""
                + DEVICE.name() + "\",\"deviceSecret\":\"CANARY-new-secret\"},\"message\":\"success\"}";
        try (DynamicRegistrationTest.Endpoint443 refusing = DynamicRegistrationTest.Endpoint443.start(
                authority, server, 200, "{\"code\":6288,\"message\":\"no\"}")) {
            options.put("port", refusing.port());
            assertThat(device.register(options, answers::add)).isZero();
            await().atMost(PATIENCE).until(() -> told.size() == 1);
            assertThat(answers).isEmpty();
            assertThat(told.get(0)).containsEntry("code", -1);
        }
        try (DynamicRegistrationTest.Endpoint443 platform =
                DynamicRegistrationTest.Endpoint443.start(authority, server, 200, success)) {
            options.put("port", platform.port());

            assertThat(device.register(options, answers::add)).isZero();

            await().atMost(PATIENCE).until(() -> told.size() == 2);
            assertThat(answers)
                    .containsExactly(Map.of("code", 0, "deviceSecret", "CANARY-new-secret"))
                    .isEqualTo(told.subList(1, 2));
        }
        for (String key : List.of("productKey", "productSecret", "deviceName")) {
            Map<String, Object> bad = new HashMap<>(options);
            bad.remove(key);
            assertThat(device.register(bad, answers::add)).as(key).isNegative();
        }
    }

    @Test
    void aDeviceIsConnectedOnce() {
        assertThat(device.connect(options(1))).isZero();
        assertThat(device.connect(options(1))).isNegative();
        device.close().block(PATIENCE);
    }

    private static Ota ota() {
        return Ota.builder().source(new MemorySource()).store(new MemoryStore()).build();
    }

    private void register(int event, String name) {
        assertThat(device.on(event, data -> called.add(name + " " + data.get("code"))))
                .isZero();
    }

    private static Map<String, Object> options(int port) {
        return Map.of(
                "region",
                "cn-shanghai",
                "productKey",
                DEVICE.product(),
                "deviceName",
                DEVICE.name(),
                "deviceSecret",
                SECRET,
                "keepaliveSec",
                60,
                "host",
                "127.0.0.1",
                "port",
                port,
                "tls",
                false,
                "whatever",
                "else");
    }
}
