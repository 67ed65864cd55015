package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

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
        if (payload.length > MAX_BYTES) {
            throw new MalformedMessage(payload.length + " bytes (expected: at most " + MAX_BYTES + ")");
        }
        int length = payload.length;
        while (length > 0 && payload[length - 1] == 0) {
            length--;
        }
        try {
            JsonNode root = JSON.readTree(payload, 0, length);
            if (root == null || !root.isObject()) {
                throw new MalformedMessage(length + " bytes that are no JSON object");
            }
            return root;
        } catch (JsonProcessingException e) {
            // Not e's message: it quotes the payload, which may hold a signed URL.
            throw new MalformedMessage("no JSON at byte "
                    + (e.getLocation() == null ? 0 : e.getLocation().getByteOffset()) + " of " + length + " ("
                    + e.getClass().getSimpleName() + ")");
        } catch (IOException e) {
            throw new MalformedMessage("unreadable (" + e.getClass().getSimpleName() + ")");
        }
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
