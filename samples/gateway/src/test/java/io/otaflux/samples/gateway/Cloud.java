package io.otaflux.samples.gateway;

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
import io.otaflux.DeviceId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The platform's end of the conversation, as bytes on a broker: it sends what a test tells it to, right or wrong. */
final class Cloud implements AutoCloseable {

    static final DeviceId DEVICE = new DeviceId("a1B2c3D4e5F", "gateway-7");

    private static final String PATH = DEVICE.product() + "/" + DEVICE.name();
    private static final String QUERY = "/sys/" + PATH + "/thing/ota/firmware/get";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** One message as it arrived. */
    record Heard(String topic, String payload) {

        JsonNode params() {
            return parse(payload).path("params");
        }

        String module() {
            return params().path("module").asText("default");
        }
    }

    private final Mqtt3AsyncClient client;
    private final List<Heard> heard = new CopyOnWriteArrayList<>();
    private final Map<String, ObjectNode> pending = new ConcurrentHashMap<>();

    Cloud(int port) {
        client = MqttClient.builder()
                .useMqttVersion3()
                .identifier("cloud")
                .serverHost("127.0.0.1")
                .serverPort(port)
                .automaticReconnect()
                .initialDelay(20, TimeUnit.MILLISECONDS)
                .maxDelay(100, TimeUnit.MILLISECONDS)
                .applyAutomaticReconnect()
                .buildAsync();
        client.publishes(MqttGlobalPublishFilter.ALL, this::hear);
        client.connectWith()
                .cleanSession(false)
                .send()
                .orTimeout(20, TimeUnit.SECONDS)
                .join();
        for (String filter : List.of("/ota/device/inform/+/+", "/ota/device/progress/+/+", QUERY)) {
            client.subscribeWith()
                    .topicFilter(filter)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .send()
                    .orTimeout(20, TimeUnit.SECONDS)
                    .join();
        }
    }

    /** The {@code data} of a push about a payload. */
    static ObjectNode data(String module, String version, URI url, Payload payload) {
        ObjectNode data = JSON.createObjectNode()
                .put("size", payload.size())
                .put("sign", payload.sha256())
                .put("signMethod", "Sha256")
                .put("version", version)
                .put("url", url.toString());
        if (!module.equals("default")) {
            data.put("module", module);
        }
        return data;
    }

    /** Pushes an upgrade, which then is also the answer to a query. */
    void push(ObjectNode data) {
        push(data, data);
    }

    /** Pushes an upgrade, and answers something else when it is asked. */
    void push(ObjectNode data, ObjectNode answer) {
        awaitDevice();
        pending.put(answer.path("module").asText("default"), answer.deepCopy());
        send(message(data)).join();
    }

    /** Pushes any text. */
    void push(String payload) {
        awaitDevice();
        send(payload).join();
    }

    /**
     * Waits until a device has said what it runs, and has asked what it has missed: before, the broker knows nobody to keep
     * a message for.
     */
    private void awaitDevice() {
        await("a device")
                .atMost(Gateway.PATIENCE)
                .pollInterval(Duration.ofMillis(10))
                .until(() -> heard.stream().anyMatch(message -> message.topic.equals(QUERY)));
    }

    /** Sends it that many times, as fast as the broker takes it. */
    void push(ObjectNode data, int times) {
        String payload = message(data);
        CompletableFuture.allOf(
                        Stream.generate(() -> send(payload)).limit(times).toArray(CompletableFuture[]::new))
                .join();
    }

    private CompletableFuture<Mqtt3Publish> send(String payload) {
        return client.publishWith()
                .topic("/ota/device/upgrade/" + PATH)
                .qos(MqttQos.AT_LEAST_ONCE)
                .payload(payload.getBytes(UTF_8))
                .send()
                .orTimeout(20, TimeUnit.SECONDS);
    }

    private static String message(ObjectNode data) {
        ObjectNode message = JSON.createObjectNode().put("code", "1000").put("id", System.currentTimeMillis());
        message.set("data", data);
        return message.put("message", "success").toString();
    }

    /** Everything that the device said. */
    List<Heard> heard() {
        return heard;
    }

    /** The versions that were reported, as {@code module=version}. */
    List<String> versions() {
        return heard.stream()
                .filter(message -> message.topic.startsWith("/ota/device/inform/"))
                .map(message -> message.module() + "="
                        + message.params().path("version").asText())
                .toList();
    }

    /** The steps that were reported, as {@code module=step}. */
    List<String> steps() {
        return heard.stream()
                .filter(message -> message.topic.startsWith("/ota/device/progress/"))
                .map(message ->
                        message.module() + "=" + message.params().path("step").asText())
                .toList();
    }

    @Override
    public void close() {
        client.disconnect()
                .orTimeout(5, TimeUnit.SECONDS)
                .exceptionally(alreadyGone -> null)
                .join();
    }

    private void hear(Mqtt3Publish publish) {
        Heard message = new Heard(publish.getTopic().toString(), new String(publish.getPayloadAsBytes(), UTF_8));
        heard.add(message);
        if (message.params().path("step").asInt() < 0) {
            // What failed is over until it is pushed again.
            pending.remove(message.module());
        }
        if (message.topic.equals(QUERY)) {
            ObjectNode answer = JSON.createObjectNode()
                    .put("id", parse(message.payload).path("id").asText())
                    .put("code", 200);
            answer.set("data", pending.getOrDefault(message.module(), JSON.createObjectNode()));
            client.publishWith()
                    .topic(QUERY + "_reply")
                    .payload(answer.toString().getBytes(UTF_8))
                    .send();
        }
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
