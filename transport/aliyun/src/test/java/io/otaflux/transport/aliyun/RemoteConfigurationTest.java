package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.netty.buffer.ByteBuf;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;

/** Remote configurations on a real broker. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class RemoteConfigurationTest {

    private static final String SYS = "/sys/a1B2c3D4e5F/dev01/thing/config/";
    private static final byte[] CONTENT = "{\"interval\":60}".getBytes(UTF_8);
    private static final String URL = "https://files.example.com/configuration";

    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final List<String> installed = new CopyOnWriteArrayList<>();
    private final MemorySource source = new MemorySource().serve(URI.create(URL), CONTENT);
    private MosquittoBroker broker;
    private TestPlatform platform;
    private AliyunDevice device;
    private Disposable running;

    @BeforeEach
    void open() throws Exception {
        broker = MosquittoBroker.start();
        platform = TestPlatform.on(broker);
        platform.listen("/sys/+/+/thing/config/#");
        device = TestPlatform.device(broker.port()).remoteConfiguration().build();
        running = OtaClient.builder(device.upgrades())
                .source(source)
                .store(new MemoryStore())
                .installer(
                        AliyunDevice.CONFIG_MODULE,
                        verified -> verified.file()
                                .read()
                                .map(RemoteConfigurationTest::text)
                                .reduce("", String::concat)
                                .doOnNext(installed::add)
                                .thenReturn(Installer.Effect.IMMEDIATE))
                .build()
                .upgrades()
                .subscribe(events::add);
    }

    @AfterEach
    void close() {
        running.dispose();
        device.close().block(PATIENCE);
        platform.close();
        broker.close();
        source.ledger().assertNoLeaks();
    }

    @Test
    void itIsAskedForOnEachConnectionAndInstalledOnce() throws Exception {
        TestPlatform.Heard first = question(1);
        assertThat(first.payload())
                .matches("\\{\"id\":\"[0-9]{1,10}\",\"version\":\"1.0\",\"params\":\\{\"configScope\":\"product\","
                        + "\"getType\":\"file\"},\"method\":\"thing.config.get\"}");
        answer(first, 200, data("config-7"));
        await().atMost(PATIENCE).until(() -> ended() == 1);
        assertThat(installed).containsExactly("{\"interval\":60}");

        broker.restart();
        answer(question(2), 200, data("config-7"));
        broker.restart();
        answer(question(3), 6710, "{}");
        broker.restart();
        answer(question(4), 6713, "{}");
        broker.restart();
        answer(question(5), 200, data("config-8"));

        await().atMost(PATIENCE).until(() -> ended() == 2);
        assertThat(installed).hasSize(2);
        assertThat(events)
                .filteredOn(UpgradeEvent.Succeeded.class::isInstance)
                .extracting(event -> event.trigger().version())
                .containsExactly("config-7", "config-8");
        assertThat(platform.versions()).as("of no interest to the platform").isEmpty();
        assertThat(platform.steps()).isEmpty();
        assertThat(device.skippedMessages()).isZero();
    }

    @Test
    void aPushIsRepliedToAndInstalled() {
        question(1);

        push("{\"id\":\"123\",\"version\":\"1.0\",\"params\":" + data("123dagdah")
                + ",\"method\":\"thing.config.push\"}");

        await().atMost(PATIENCE).until(() -> ended() == 1);
        assertThat(installed).hasSize(1);
        await().atMost(PATIENCE).until(() -> !platform.heard(SYS + "push_reply").isEmpty());
        assertThat(platform.heard(SYS + "push_reply").get(0).payload())
                .startsWith("{\"id\":\"123\",\"code\":200,\"data\":{}");
        assertThat(platform.versions()).isEmpty();
        assertThat(platform.steps()).isEmpty();
    }

    @Test
    void aPushThatMakesNoSenseIsCountedAndFailsNothingElse() {
        question(1);

        push("{\"id\":");
        push("{\"id\":1,\"params\":{\"configId\":\"1\",\"configSize\":65537,\"url\":\"" + URL + "\"}}");
        push("{\"id\":\"2\",\"params\":" + data("good") + "}");

        await().atMost(PATIENCE).until(() -> ended() == 1);
        assertThat(device.skippedMessages()).isEqualTo(2);
        assertThat(platform.steps()).as("a step would be one of the firmware").isEmpty();
    }

    @Test
    void itCanBeAskedForAtAnyTime() throws Exception {
        answer(question(1), 200, "{}");
        assertThat(installed).isEmpty();

        Disposable asking = device.askForUpgrade(AliyunDevice.CONFIG_MODULE).subscribe();
        answer(question(2), 200, data("later"));

        await().atMost(PATIENCE).until(() -> ended() == 1);
        asking.dispose();
    }

    @Test
    void whoDoesNotWantConfigurationsHearsOfNone() throws Exception {
        running.dispose();
        device.close().block(PATIENCE);
        int asked = platform.heard(SYS + "get").size();
        device = TestPlatform.device(broker.port()).build();
        device.connect().block(PATIENCE);

        push("{\"id\":\"123\",\"params\":" + data("unwanted") + "}");
        device.upgrades().report(DEVICE, "app", "1").block(PATIENCE);

        assertThat(platform.heard(SYS + "get")).hasSize(asked);
        assertThat(platform.heard(SYS + "push_reply")).isEmpty();
    }

    private TestPlatform.Heard question(int number) {
        await().atMost(PATIENCE).until(() -> platform.heard(SYS + "get").size() >= number);
        return platform.heard(SYS + "get").get(number - 1);
    }

    private void answer(TestPlatform.Heard question, int code, String data) throws Exception {
        String id = question.payload().replaceAll(".*\"id\":\"([0-9]+)\".*", "$1");
        platform.send(
                SYS + "get_reply",
                "{\"id\":\"" + id + "\",\"version\":\"1.0\",\"code\":" + code + ",\"data\":" + data + "}",
                MqttQos.AT_LEAST_ONCE);
    }

    private void push(String payload) {
        platform.send(SYS + "push", payload, MqttQos.AT_LEAST_ONCE);
    }

    private long ended() {
        return events.stream().filter(UpgradeEvent.Ended.class::isInstance).count();
    }

    private static String data(String id) {
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.SHA_256));
        hasher.update(ByteBuffer.wrap(CONTENT));
        return "{\"configId\":\"" + id + "\",\"configSize\":" + CONTENT.length + ",\"sign\":\""
                + hasher.finish().get(0).hex() + "\",\"signMethod\":\"Sha256\",\"url\":\"" + URL
                + "?token=CANARY\",\"getType\":\"file\"}";
    }

    private static String text(ByteBuf buffer) {
        String text = buffer.toString(UTF_8);
        buffer.release();
        return text;
    }
}
