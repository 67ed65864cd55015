package io.otaflux.storage;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * Sealed lines as {@link Escaped#sealed} makes them, one behind the other in the bytes that will be written. Nothing is a
 * text in between: of what is journaled at once there may be tens of thousands.
 */
final class Lines {

    private static final int SMALL = 8 * 1024;

    /** What is larger than that is not kept for the next lines. */
    private static final int LARGE = 1024 * 1024;

    /** The checksum and the blank behind it. */
    private static final int SEAL = 9;

    private static final byte[] DIGITS = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private final CRC32C checksum = new CRC32C();
    private byte[] bytes = new byte[SMALL];
    private int length;
    private int start;

    /** Begins a line; {@link #end} ends it. */
    Lines begin() {
        start = length;
        makeRoom(SEAL);
        length += SEAL;
        return this;
    }

    /** @param ascii without line ends */
    Lines append(String ascii) {
        return append(ascii, ascii.length());
    }

    /** The first {@code end} characters of a text. */
    @SuppressWarnings("deprecation") // It drops what is above 255, of which there is none, and makes no copy.
    Lines append(String ascii, int end) {
        makeRoom(end);
        ascii.getBytes(0, end, bytes, length);
        length += end;
        return this;
    }

    /** The first {@code end} characters of any text, {@linkplain Escaped#escape escaped}. */
    Lines escape(String text, int end) {
        return Escaped.isPlain(text, end) ? append(text, end) : escape(text.substring(0, end));
    }

    Lines append(char ascii) {
        makeRoom(1);
        bytes[length++] = (byte) ascii;
        return this;
    }

    Lines append(long number) {
        if (number < 0) {
            return append(Long.toString(number));
        }
        int digits = 1;
        for (long rest = number / 10; rest > 0; rest /= 10) {
            digits++;
        }
        makeRoom(digits);
        long rest = number;
        for (int at = length + digits - 1; at >= length; at--) {
            bytes[at] = DIGITS[(int) (rest % 10)];
            rest /= 10;
        }
        length += digits;
        return this;
    }

    /** Any text, {@linkplain Escaped#escape escaped}. */
    Lines escape(String text) {
        return append(Escaped.escape(text));
    }

    /** Seals the line, and returns it by itself. */
    byte[] end() {
        checksum.reset();
        checksum.update(bytes, start + SEAL, length - start - SEAL);
        int value = (int) checksum.getValue();
        for (int i = 0; i < SEAL - 1; i++) {
            bytes[start + i] = DIGITS[value >>> 28];
            value <<= 4;
        }
        bytes[start + SEAL - 1] = ' ';
        append('\n');
        return Arrays.copyOfRange(bytes, start, length);
    }

    /** All lines. Valid until the next one begins. */
    ByteBuffer all() {
        return ByteBuffer.wrap(bytes, 0, length);
    }

    /** Forgets all lines. */
    void clear() {
        length = 0;
        if (bytes.length > LARGE) {
            bytes = new byte[SMALL];
        }
    }

    /** What a sealed line says, without checking the seal. */
    static String text(byte[] line) {
        return new String(line, SEAL, line.length - SEAL - 1, StandardCharsets.ISO_8859_1);
    }

    private void makeRoom(int more) {
        if (bytes.length - length < more) {
            bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, Math.addExact(length, more)));
        }
    }
}
