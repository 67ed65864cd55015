package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** The JSON of the protocol: what the device sends, and the outermost layer of what it gets. */
final class Messages {

    /** Payloads above this are not read: the platform's own limit for a message. */
    static final int MAX_BYTES = 256 * 1024;

    private static final ObjectMapper JSON = new ObjectMapper(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxDocumentLength(MAX_BYTES)
                            .maxNestingDepth(32)
                            .maxNumberLength(32)
                            .maxNameLength(1024)
                            .build())
                    .build())
            // Two fields of one name are two readings of one message; whoever sends that means no good.
            .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    /** What is inside of something else has more behind it. */
    private static final ObjectReader PARTS =
            JSON.readerFor(JsonNode.class).without(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private Messages() {}

    /** The report of a running version. */
    static byte[] inform(String id, String module, String version) {
        ObjectNode message = JSON.createObjectNode().put("id", id);
        putModule(message.putObject("params").put("version", version), module);
        return bytes(message);
    }

    /** The report of how far an upgrade is; the step is a string on the wire. */
    static byte[] progress(String id, String module, Step step) {
        ObjectNode message = JSON.createObjectNode().put("id", id);
        putModule(
                message.putObject("params")
                        .put("step", Integer.toString(step.value()))
                        .put("desc", step.description()),
                module);
        return bytes(message);
    }

    /** The question for a module's pending upgrade. */
    static byte[] query(String id, String module) {
        ObjectNode message = JSON.createObjectNode().put("id", id).put("version", "1.0");
        putModule(message.putObject("params"), module);
        return bytes(message.put("method", "thing.ota.firmware.get"));
    }

    /** The question of 2018 for the pending upgrade of the firmware. */
    static byte[] legacyQuery(String id, @Nullable String version) {
        ObjectNode message = JSON.createObjectNode().put("id", Long.parseLong(id));
        ObjectNode params = message.putObject("params");
        if (version != null) {
            params.put("version", version);
        }
        return bytes(message);
    }

    /** The question for the remote configuration. */
    static byte[] configurationQuery(String id) {
        return request(
                id,
                "thing.config.get",
                JSON.createObjectNode().put("configScope", "product").put("getType", "file"));
    }

    /** The question what time it is. */
    static byte[] time(long sent) {
        return bytes(JSON.createObjectNode().put("deviceSendTime", Long.toString(sent)));
    }

    /**
     * The time that an answer to {@link #time} tells, in milliseconds since 1970, if it is the answer to that question.
     *
     * @param sent when it was asked, and {@code received} when it was answered, both by the clock here
     */
    static OptionalLong readTime(String payload, long sent, long received) throws MalformedMessage {
        JsonNode root = read(payload.getBytes(StandardCharsets.UTF_8));
        if (root.path("deviceSendTime").asLong(-1) != sent) {
            return OptionalLong.empty();
        }
        long arrived = root.path("serverRecvTime").asLong(-1);
        long left = root.path("serverSendTime").asLong(-1);
        if (arrived < 0 || left < 0) {
            throw new MalformedMessage("serverRecvTime, serverSendTime: missing");
        }
        return OptionalLong.of((arrived + left + received - sent) / 2);
    }

    /** Any other request. */
    static byte[] request(String id, String method, JsonNode params) {
        ObjectNode message = JSON.createObjectNode().put("id", id).put("version", "1.0");
        message.set("params", params);
        return bytes(message.put("method", method));
    }

    /** The answer to a request of the platform's: it was received. */
    static byte[] reply(String id) {
        ObjectNode message = JSON.createObjectNode().put("id", id).put("code", 200);
        message.putObject("data");
        return bytes(message.put("message", "success"));
    }

    /** The request for {@code size} bytes of a file. */
    static byte[] download(String id, long streamId, long fileId, long offset, int size) {
        ObjectNode message = JSON.createObjectNode().put("id", id).put("version", "1.0");
        ObjectNode params = message.putObject("params");
        params.putObject("fileInfo").put("streamId", streamId).put("fileId", fileId);
        params.putObject("fileBlock").put("size", size).put("offset", offset);
        return bytes(message);
    }

    /**
     * Reads a payload that must be one JSON object. Zero bytes behind it are what some C programs send, and are ignored.
     *
     * @throws MalformedMessage when it is anything else
     */
    static JsonNode read(byte[] payload) throws MalformedMessage {
        int length = length(payload.length, payload);
        try {
            JsonNode root = JSON.readTree(payload, 0, length);
            if (root == null || !root.isObject()) {
                throw new MalformedMessage(length + " bytes that are no JSON object");
            }
            return root;
        } catch (IOException e) {
            throw unreadable(e, length);
        }
    }

    /**
     * Reads the {@code data} of such a payload, which must be an object, and of the rest no more than that it is JSON.
     *
     * @param size how much of {@code payload} there is
     */
    static Fields readData(byte[] payload, int size) throws MalformedMessage {
        int length = length(size, payload);
        try (JsonParser parser = JSON.createParser(payload, 0, length)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                // Anything else is wrong in one of several ways.
                read(Arrays.copyOf(payload, length));
            }
            Fields data = Fields.read("data", parser, PARTS);
            if (parser.nextToken() != null) {
                throw new MalformedMessage("more than one JSON object in " + length + " bytes");
            }
            return data;
        } catch (IOException e) {
            throw unreadable(e, length);
        }
    }

    private static int length(int size, byte[] payload) throws MalformedMessage {
        if (size > MAX_BYTES) {
            throw new MalformedMessage(size + " bytes (expected: at most " + MAX_BYTES + ")");
        }
        int length = size;
        while (length > 0 && payload[length - 1] == 0) {
            length--;
        }
        return length;
    }

    private static MalformedMessage unreadable(IOException e, int length) {
        // Not e's message: it quotes the payload, which may hold a signed URL.
        return e instanceof JsonProcessingException wrong
                ? new MalformedMessage("no JSON at byte "
                        + (wrong.getLocation() == null ? 0 : wrong.getLocation().getByteOffset()) + " of " + length
                        + " (" + e.getClass().getSimpleName() + ")")
                : new MalformedMessage("unreadable (" + e.getClass().getSimpleName() + ")");
    }

    private static void putModule(ObjectNode params, String module) {
        if (!module.equals(UpgradeTrigger.DEFAULT_MODULE)) {
            params.put("module", module);
        }
    }

    private static byte[] bytes(ObjectNode message) {
        return message.toString().getBytes(StandardCharsets.UTF_8);
    }
}
