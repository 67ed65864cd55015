package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.Arrays;

/**
 * The reply to a request for a block of a file.
 *
 * <pre>
 * 2 bytes   N, big-endian
 * N bytes   JSON: id, code, and in data bSize, bOffset and fileLength
 * bSize     the bytes of the file
 * 2 bytes   CRC-16/ARC of these bytes, little-endian
 * </pre>
 *
 * Where the code is another one than 200, what is behind the JSON means nothing, and the fields of {@code data} are 0.
 *
 * @param id whose request it answers; empty where it does not say
 * @param isIntact whether length and check are right; if not, there is no data
 * @param data the bytes of the file, on the heap
 */
record BlockFrame(String id, String code, long offset, long fileLength, boolean isIntact, ByteBuf data) {

    static final String OK = "200";

    /** Reads a reply whose data may be damaged, but not its header. */
    static BlockFrame read(byte[] payload) throws MalformedMessage {
        ByteBuf frame = Unpooled.wrappedBuffer(payload);
        int headerLength = frame.readableBytes() < 2 ? Integer.MAX_VALUE : frame.readUnsignedShort();
        if (headerLength > frame.readableBytes()) {
            throw new MalformedMessage("a block of " + payload.length + " bytes that is cut off in its header");
        }
        JsonNode header = Messages.read(Arrays.copyOfRange(payload, 2, 2 + headerLength));
        frame.skipBytes(headerLength);
        String id = header.path("id").asText();
        String code = header.path("code").asText();
        if (!code.equals(OK)) {
            return new BlockFrame(id, code, 0, 0, true, Unpooled.EMPTY_BUFFER);
        }
        JsonNode json = header.path("data");
        long offset = number(json, "bOffset");
        long size = number(json, "bSize");
        long fileLength = number(json, "fileLength");
        if (frame.readableBytes() != size + 2) {
            return new BlockFrame(id, code, offset, fileLength, false, Unpooled.EMPTY_BUFFER);
        }
        ByteBuf data = frame.readSlice((int) size);
        boolean isIntact = frame.readUnsignedShortLE() == crc(data);
        return new BlockFrame(id, code, offset, fileLength, isIntact, isIntact ? data : Unpooled.EMPTY_BUFFER);
    }

    int size() {
        return data.readableBytes();
    }

    /** CRC-16/ARC, also called CRC-16/IBM. */
    static int crc(ByteBuf bytes) {
        int crc = 0;
        for (int i = bytes.readerIndex(); i < bytes.writerIndex(); i++) {
            crc ^= bytes.getUnsignedByte(i);
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : (crc >>> 1) ^ 0xA001;
            }
        }
        return crc;
    }

    private static long number(JsonNode data, String field) throws MalformedMessage {
        String digits = data.path(field).asText();
        if (!digits.matches("[0-9]{1,18}")) {
            throw new MalformedMessage(field + ": missing (expected: a number of bytes)");
        }
        return Long.parseLong(digits);
    }

    @Override
    public String toString() {
        return "BlockFrame[" + code + ", " + offset + "+" + size() + " of " + fileLength + "]";
    }
}
