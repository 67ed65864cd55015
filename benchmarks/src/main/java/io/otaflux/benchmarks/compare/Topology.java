package io.otaflux.benchmarks.compare;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** A platform that does nothing but let in every device behind a gateway. */
final class Topology implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Mqtt3AsyncClient client;

    Topology(int port) {
        client = MqttClient.builder()
                .useMqttVersion3()
                .identifier("topology")
                .serverHost("127.0.0.1")
                .serverPort(port)
                .buildAsync();
        client.connect().join();
    }

    /** Begins to answer. */
    void open() {
        for (String login : new String[] {"login", "batch_login"}) {
            client.subscribeWith()
                    .topicFilter("/ext/session/+/+/combine/" + login)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .callback(this::answer)
                    .send()
                    .join();
        }
    }

    private void answer(Mqtt3Publish request) {
        try {
            JsonNode asked = JSON.readTree(request.getPayloadAsBytes());
            String answer =
                    "{\"id\":\"" + asked.path("id").asText() + "\",\"code\":200,\"message\":\"success\",\"data\":[]}";
            client.publishWith()
                    .topic(request.getTopic() + "_reply")
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .payload(answer.getBytes(StandardCharsets.UTF_8))
                    .send();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        client.disconnect().join();
    }
}
