package io.otaflux.samples.platform;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * Files in blocks over MQTT ({@code thing/file/download}).
 *
 * <pre>
 *   2 bytes   length N of the JSON, big-endian
 *   N bytes   {"code":200,"data":{"bOffset":…,"fileLength":…,"bSize":B},"id":…,"message":"success"}
 *   B bytes   the block
 *   2 bytes   CRC-16/ARC of the block, little-endian
 * </pre>
 *
 * <p>A refusal is the JSON with another code, without a block and a CRC.
 */
final class FileBlocks {

    private static final int MAX_BLOCK = 128 << 10;
    private static final int MAX_TOKEN = 128;
    private static final int OK = 200;
    private static final int BAD_PARAMETERS = 460;
    private static final int FAILED = 500;

    private final PlatformState state;
    private final ArtifactFiles artifacts;

    FileBlocks(PlatformState state, ArtifactFiles artifacts) {
        this.state = state;
        this.artifacts = artifacts;
    }

    /** A block that may be sent. */
    record Block(
            JsonNode id,
            String sha256,
            long fileLength,
            long offset,
            int size,
            @Nullable String token) {}

    /**
     * Finds what a request is about; on the state's thread.
     *
     * @param connection whose connection it came over; the file may be for the device or for one of its sub-devices
     * @throws DeviceRefusedException if there is no such block for it
     */
    Block find(DeviceKey connection, DeviceMessages.Request request) {
        JsonNode params = request.params();
        long streamId = number(params.path("fileInfo"), "streamId");
        long fileId = number(params.path("fileInfo"), "fileId");
        long size = number(params.path("fileBlock"), "size");
        long offset = number(params.path("fileBlock"), "offset");
        String token = DeviceMessages.text(params, "fileToken");
        if (token != null && token.length() > MAX_TOKEN) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "fileToken is longer than " + MAX_TOKEN + " characters");
        }
        FirmwarePackage firmware = state.firmwareOfStream(streamId);
        if (firmware == null
                || firmware.files().size() > 1
                || fileId != DeviceMessages.ONLY_FILE
                || !isFor(firmware.productKey(), connection)) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "no file " + fileId + " of stream " + streamId);
        }
        if (firmware.size() > Limits.MAX_MQTT_BYTES) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "the file size exceeds the limit of 16 MB");
        }
        if (offset < 0 || offset >= firmware.size() || size <= 0) {
            throw new DeviceRefusedException(
                    BAD_PARAMETERS, "no block of " + size + " bytes at " + offset + " of " + firmware.size());
        }
        int granted = (int) Math.min(Math.min(size, MAX_BLOCK), firmware.size() - offset);
        return new Block(request.id(), firmware.sha256(), firmware.size(), offset, granted, token);
    }

    /** The reply with a block's bytes. Blocks; not for event loops. */
    byte[] read(Block block) {
        ByteBuffer bytes = ByteBuffer.allocate(block.size());
        try (FileChannel file = FileChannel.open(artifacts.locate(block.sha256()), StandardOpenOption.READ)) {
            long at = block.offset();
            while (bytes.hasRemaining()) {
                int count = file.read(bytes, at);
                if (count < 0) {
                    return refusal(block.id(), new DeviceRefusedException(FAILED, "the file cannot be read"));
                }
                at += count;
            }
        } catch (IOException | RequestRefusedException e) {
            return refusal(block.id(), new DeviceRefusedException(FAILED, "the file cannot be read"));
        }
        return frame(DeviceMessages.write(answer(block)), bytes.array());
    }

    static byte[] refusal(JsonNode id, DeviceRefusedException refused) {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("code", refused.code());
        root.putObject("data");
        root.set("id", id);
        root.put("message", refused.why());
        byte[] json = DeviceMessages.write(root);
        return ByteBuffer.allocate(Short.BYTES + json.length)
                .putShort((short) json.length)
                .put(json)
                .array();
    }

    static byte[] frame(byte[] json, byte[] block) {
        return ByteBuffer.allocate(Short.BYTES + json.length + block.length + Short.BYTES)
                .putShort((short) json.length)
                .put(json)
                .put(block)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) crc16(block))
                .array();
    }

    /** CRC-16/ARC: polynomial 0x8005 reflected, start 0, no final exclusive or. */
    static int crc16(byte[] bytes) {
        int crc = 0;
        for (byte next : bytes) {
            crc ^= next & 0xff;
            for (int bit = 0; bit < Byte.SIZE; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : (crc >>> 1) ^ 0xa001;
            }
        }
        return crc;
    }

    /** In the order of the fields in which the real platform was seen to write them. */
    static ObjectNode answer(Block block) {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("code", OK);
        ObjectNode data = root.putObject("data");
        data.put("bOffset", block.offset());
        data.put("fileLength", block.fileLength());
        data.put("bSize", block.size());
        if (block.token() != null) {
            data.put("fileToken", block.token());
        }
        root.set("id", block.id());
        root.put("message", "success");
        return root;
    }

    private boolean isFor(String productKey, DeviceKey connection) {
        return connection.productKey().equals(productKey)
                || state.subDevices(connection).stream()
                        .anyMatch(device -> device.productKey().equals(productKey));
    }

    private static long number(JsonNode node, String field) {
        String text = DeviceMessages.text(node, field);
        try {
            return Long.parseLong(text == null ? "" : text.strip());
        } catch (NumberFormatException e) {
            throw new DeviceRefusedException(BAD_PARAMETERS, field + " is missing or not a whole number");
        }
    }
}
