package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.MosquittoBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.awaitility.core.ConditionTimeoutException;
import org.awaitility.core.ThrowingRunnable;

/** The platform's side of the protocol, played on a real broker. It answers queries and remembers what it heard. */
final class TestPlatform implements AutoCloseable {

    static final DeviceId DEVICE = new DeviceId("a1B2c3D4e5F", "dev01");
    static final String SECRET = "CANARY-device-secret";
    static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final ObjectMapper JSON = new ObjectMapper();

    /** One message as it arrived. */
    record Heard(String topic, String payload, MqttQos qos) {

        JsonNode params() {
            try {
                return JSON.readTree(payload).path("params");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private final Mqtt3AsyncClient client;
    private final List<Heard> heard = new CopyOnWriteArrayList<>();
    private final Map<String, JsonNode> pending = new ConcurrentHashMap<>();
    private final Topics topics = Topics.of(DEVICE);
    private volatile int answerCode = 200;
    private volatile boolean answers = true;
    private volatile boolean away;

    private TestPlatform(Mqtt3AsyncClient client) {
        this.client = client;
    }

    static TestPlatform on(MosquittoBroker broker) throws Exception {
        Mqtt3AsyncClient client = MqttClient.builder()
                .useMqttVersion3()
                .identifier("platform")
                .serverHost("127.0.0.1")
                .serverPort(broker.port())
                .simpleAuth()
                .username("platform")
                .password("platform".getBytes(UTF_8))
                .applySimpleAuth()
                .automaticReconnect()
                .initialDelay(20, TimeUnit.MILLISECONDS)
                .maxDelay(100, TimeUnit.MILLISECONDS)
                .applyAutomaticReconnect()
                .buildAsync();
        TestPlatform platform = new TestPlatform(client);
        client.publishes(MqttGlobalPublishFilter.ALL, platform::hear);
        client.connectWith().cleanSession(false).send().get(20, TimeUnit.SECONDS);
        for (String filter :
                List.of("/ota/device/inform/+/+", "/ota/device/progress/+/+", "/sys/+/+/thing/ota/firmware/get")) {
            client.subscribeWith()
                    .topicFilter(filter)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .send()
                    .get(20, TimeUnit.SECONDS);
        }
        return platform;
    }

    /** A device of this platform's, without TLS and with short waits. */
    static AliyunDevice.Builder device(int port) {
        return AliyunDevice.builder()
                .host("127.0.0.1")
                .port(port)
                .plainTcp()
                .credentials(DEVICE.product(), DEVICE.name(), SECRET)
                .reconnect(Duration.ofMillis(50), Duration.ofMillis(200));
    }

    static Login login() {
        return Login.of(
                DEVICE, new Secret(SECRET), DEVICE.product() + "." + DEVICE.name(), SignMethod.HMAC_SHA256, false);
    }

    /** Makes the session that the device will find, so that the broker keeps what is sent before it first connects. */
    static void enrol(int port) throws Exception {
        Login login = login();
        Mqtt3AsyncClient device = MqttClient.builder()
                .useMqttVersion3()
                .identifier(login.clientIdentifier())
                .serverHost("127.0.0.1")
                .serverPort(port)
                .simpleAuth()
                .username(login.userName())
                .password(login.password().value().getBytes(UTF_8))
                .applySimpleAuth()
                .buildAsync();
        device.connectWith().cleanSession(false).send().get(20, TimeUnit.SECONDS);
        device.subscribeWith()
                .topicFilter(Topics.of(DEVICE).upgrade())
                .qos(MqttQos.AT_LEAST_ONCE)
                .send()
                .get(20, TimeUnit.SECONDS);
        device.disconnect().get(20, TimeUnit.SECONDS);
    }

    /** Waits until {@code assertion} holds, and fails as an assertion does when that takes too long. */
    static void eventually(Duration patience, ThrowingRunnable assertion) {
        try {
            await().atMost(patience).pollInterval(Duration.ofMillis(20)).untilAsserted(assertion);
        } catch (ConditionTimeoutException e) {
            throw new AssertionError(e.getMessage(), e);
        }
    }

    /** Sends text to the device's upgrade topic. */
    void push(String payload, MqttQos qos) {
        push(payload.getBytes(UTF_8), qos);
    }

    /** Sends bytes to the device's upgrade topic. */
    void push(byte[] payload, MqttQos qos) {
        publish(payload, qos, false);
    }

    /** Sends a trigger that the broker keeps, and gives to everybody who subscribes from now on. */
    void pushRetained(UpgradeTrigger trigger) {
        publish(payload(trigger).getBytes(UTF_8), MqttQos.AT_LEAST_ONCE, true);
    }

    /** Sends a trigger of QoS 1; while the broker is away, later. */
    void push(UpgradeTrigger trigger) {
        push(payload(trigger), MqttQos.AT_LEAST_ONCE);
    }

    private static String payload(UpgradeTrigger trigger) {
        ObjectNode message = JSON.createObjectNode().put("code", "1000");
        message.set("data", data(trigger));
        return message.put("id", 1695281536874L).put("message", "success").toString();
    }

    private void publish(byte[] payload, MqttQos qos, boolean retain) {
        CompletableFuture<Mqtt3Publish> sent = client.publishWith()
                .topic(topics.upgrade())
                .qos(qos)
                .payload(payload)
                .retain(retain)
                .send();
        if (!away) {
            sent.orTimeout(20, TimeUnit.SECONDS).join();
        }
    }

    /** Hears on {@code filter} too. */
    void listen(String filter) throws Exception {
        client.subscribeWith()
                .topicFilter(filter)
                .qos(MqttQos.AT_LEAST_ONCE)
                .send()
                .get(20, TimeUnit.SECONDS);
    }

    /** Sends any text to any topic. */
    void send(String topic, String payload, MqttQos qos) {
        client.publishWith()
                .topic(topic)
                .qos(qos)
                .payload(payload.getBytes(UTF_8))
                .send()
                .orTimeout(20, TimeUnit.SECONDS)
                .join();
    }

    /** Says that the broker is gone, so that what is pushed is not waited for and goes out when it is back. */
    void brokerIsAway(boolean away) {
        this.away = away;
    }

    void pending(UpgradeTrigger trigger) {
        pending.put(trigger.module(), data(trigger));
    }

    void answerWith(int code) {
        answerCode = code;
    }

    void answerNothing() {
        answers = false;
    }

    void answerAgain() {
        answers = true;
    }

    List<Heard> heard() {
        return heard;
    }

    List<Heard> heard(String topic) {
        return heard.stream().filter(message -> message.topic.equals(topic)).toList();
    }

    List<String> versions() {
        return heard(topics.inform()).stream()
                .map(message -> message.params().path("module").asText("default") + "="
                        + message.params().path("version").asText())
                .toList();
    }

    List<String> steps() {
        return heard(topics.progress()).stream()
                .map(message -> message.params().path("step").asText())
                .toList();
    }

    List<String> questions() {
        return heard(topics.query()).stream()
                .map(message -> message.params().path("module").asText("default"))
                .toList();
    }

    @Override
    public void close() {
        client.disconnect();
    }

    private void hear(Mqtt3Publish publish) {
        String payload = new String(publish.getPayloadAsBytes(), UTF_8);
        String topic = publish.getTopic().toString();
        heard.add(new Heard(topic, payload, publish.getQos()));
        if (answers && topic.equals(topics.query())) {
            try {
                JsonNode question = JSON.readTree(payload);
                ObjectNode answer = JSON.createObjectNode()
                        .put("id", question.path("id").asText())
                        .put("code", answerCode);
                String module = question.path("params").path("module").asText("default");
                answer.set("data", pending.getOrDefault(module, JSON.createObjectNode()));
                client.publishWith()
                        .topic(topics.queryReply())
                        .qos(MqttQos.AT_MOST_ONCE)
                        .payload(answer.toString().getBytes(UTF_8))
                        .send();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static JsonNode data(UpgradeTrigger trigger) {
        Artifact artifact = trigger.artifact();
        Digest digest = artifact.digest().orElseThrow();
        boolean md5 = digest.algorithm() == Digest.Algorithm.MD5;
        ObjectNode data = JSON.createObjectNode()
                .put("size", artifact.size())
                .put("sign", digest.hex())
                .put("version", trigger.version())
                .put("signMethod", md5 ? "Md5" : "Sha256");
        if (artifact.location().isOpaque()) {
            String[] stream = artifact.location().getSchemeSpecificPart().split("/");
            data.put("dProtocol", "mqtt")
                    .put("streamId", Long.parseLong(stream[0]))
                    .put("streamFileId", Long.parseLong(stream[1]));
        } else {
            data.put("url", artifact.location().toString());
        }
        if (md5) {
            data.put("md5", digest.hex());
        }
        if (!trigger.module().equals(UpgradeTrigger.DEFAULT_MODULE)) {
            data.put("module", trigger.module());
        }
        return data;
    }
}
