package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.SECRET;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

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
