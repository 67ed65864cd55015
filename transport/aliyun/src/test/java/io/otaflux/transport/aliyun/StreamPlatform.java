package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import io.otaflux.testkit.MosquittoBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/**
 * The platform's side of downloads over MQTT: files by the number of their stream, and replies that go wrong in the way that
 * a test decides. It makes frames by its own means and checks with its own table, not with what is tested.
 */
final class StreamPlatform {

    private static final ObjectMapper JSON = new ObjectMapper();

    /** What was asked for. */
    record Asked(String id, long streamId, long fileId, long offset, int size) {}

    /** Turns the right reply into what goes out; {@code number} counts the requests from 1. */
    interface Fault {

        List<byte[]> apply(int number, Asked asked, byte[] reply);
    }

    private final Map<Long, byte[]> files = new ConcurrentHashMap<>();
    private final List<Asked> asked = new CopyOnWriteArrayList<>();
    private volatile Fault fault = (number, request, reply) -> List.of(reply);

    void serve(long streamId, byte[] content) {
        files.put(streamId, content.clone());
    }

    void remove(long streamId) {
        files.remove(streamId);
    }

    void fault(Fault fault) {
        this.fault = fault;
    }

    List<Asked> asked() {
        return asked;
    }

    /** What goes out when {@code request} comes in. */
    List<byte[]> answer(byte[] request) {
        Asked question = read(request);
        asked.add(question);
        byte[] content = files.get(question.streamId());
        byte[] reply = content == null
                ? error(question.id(), 404)
                : block(
                        question.id(),
                        question.offset(),
                        Arrays.copyOfRange(content, (int) Math.min(question.offset(), content.length), (int)
                                Math.min(question.offset() + question.size(), content.length)),
                        content.length);
        return fault.apply(asked.size(), question, reply);
    }

    /** Plays it on a real broker, to whichever device asks. */
    AutoCloseable on(MosquittoBroker broker) throws Exception {
        Mqtt3AsyncClient client = MqttClient.builder()
                .useMqttVersion3()
                .identifier("streams")
                .serverHost("127.0.0.1")
                .serverPort(broker.port())
                .buildAsync();
        client.connectWith().send().get(20, TimeUnit.SECONDS);
        client.subscribeWith()
                .topicFilter("/sys/+/+/thing/file/download")
                .qos(MqttQos.AT_LEAST_ONCE)
                .callback(request -> answer(request.getPayloadAsBytes())
                        .forEach(reply -> client.publishWith()
                                .topic(request.getTopic() + "_reply")
                                .qos(MqttQos.AT_MOST_ONCE)
                                .payload(reply)
                                .send()))
                .send()
                .get(20, TimeUnit.SECONDS);
        return client::disconnect;
    }

    static byte[] block(String id, long offset, byte[] data, long fileLength) {
        ObjectNode header = JSON.createObjectNode().put("code", 200);
        header.putObject("data")
                .put("bOffset", offset)
                .put("fileLength", fileLength)
                .put("bSize", data.length);
        return frame(header.put("id", id).put("message", "success").toString(), data, crc(data));
    }

    /** A frame without data and without a check. */
    static byte[] error(String id, int code) {
        byte[] json = JSON.createObjectNode()
                .put("code", code)
                .put("id", id)
                .put("msg", "CANARY-message")
                .toString()
                .getBytes(UTF_8);
        return ByteBuffer.allocate(2 + json.length)
                .putShort((short) json.length)
                .put(json)
                .array();
    }

    static byte[] frame(String header, byte[] data, int crc) {
        byte[] json = header.getBytes(UTF_8);
        return ByteBuffer.allocate(4 + json.length + data.length)
                .putShort((short) json.length)
                .put(json)
                .put(data)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) crc)
                .array();
    }

    /** By the definition: polynomial x^16 + x^15 + x^2 + 1, reflected in and out, from 0. */
    static int crc(byte[] bytes) {
        int register = 0;
        for (byte octet : bytes) {
            register ^= Integer.reverse(octet & 0xFF) >>> 16;
            for (int bit = 0; bit < 8; bit++) {
                boolean carry = (register & 0x8000) != 0;
                register = (register << 1) & 0xFFFF;
                if (carry) {
                    register ^= 0x8005;
                }
            }
        }
        return Integer.reverse(register) >>> 16;
    }

    private static Asked read(byte[] request) {
        try {
            JsonNode root = JSON.readTree(request);
            JsonNode params = root.path("params");
            JsonNode file = params.path("fileInfo");
            JsonNode block = params.path("fileBlock");
            return new Asked(
                    root.path("id").asText(),
                    file.path("streamId").asLong(),
                    file.path("fileId").asLong(),
                    block.path("offset").asLong(),
                    block.path("size").asInt());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
