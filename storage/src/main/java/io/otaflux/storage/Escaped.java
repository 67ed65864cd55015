package io.otaflux.storage;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** Any text as a run of visible ASCII characters without separators, and lines that know when they are damaged. */
final class Escaped {

    private static final String PLAIN = "._~:/@+()-";
    private static final int CHECKSUM = 8;

    private static final boolean[] IS_PLAIN = new boolean[128];

    static {
        for (char c = 0; c < IS_PLAIN.length; c++) {
            IS_PLAIN[c] =
                    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || PLAIN.indexOf(c) >= 0;
        }
    }

    private Escaped() {}

    /** Replaces every byte of the UTF-8 form that is neither letter, digit nor one of {@code ._~:/@+()-} by {@code %XX}. */
    static String escape(String text) {
        if (isPlain(text, text.length())) {
            return text;
        }
        StringBuilder escaped = new StringBuilder(text.length() + 16);
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            if (isPlain(b)) {
                escaped.append((char) b);
            } else {
                escaped.append('%');
                HexFormat.of().toHexDigits(escaped, b);
            }
        }
        return escaped.toString();
    }

    /** @throws IllegalArgumentException when this is not what {@link #escape} makes */
    static String unescape(String escaped) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(escaped.length());
        for (int i = 0; i < escaped.length(); i++) {
            char c = escaped.charAt(i);
            if (c == '%' && i + 2 < escaped.length()) {
                bytes.write(HexFormat.fromHexDigits(escaped, i + 1, i + 3));
                i += 2;
            } else if (c < 128 && isPlain((byte) c)) {
                bytes.write(c);
            } else {
                throw new IllegalArgumentException("unexpected character " + (int) c + " at " + i);
            }
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    /** Tells whether the first {@code end} characters are escaped as they are. */
    static boolean isPlain(String text, int end) {
        for (int i = 0; i < end; i++) {
            char c = text.charAt(i);
            if (c >= IS_PLAIN.length || !IS_PLAIN[c]) {
                return false;
            }
        }
        return true;
    }

    private static boolean isPlain(byte b) {
        return b >= 0 && IS_PLAIN[b];
    }

    /** {@code text}, which has no line end in it, as a line that begins with its own CRC-32C. */
    static String sealed(String text) {
        return checksum(text) + " " + text + "\n";
    }

    /** The text of a sealed line, without its line end; null when the line is damaged. */
    static @Nullable String unsealed(String line) {
        if (line.length() <= CHECKSUM || line.charAt(CHECKSUM) != ' ') {
            return null;
        }
        String text = line.substring(CHECKSUM + 1);
        return checksum(text).equals(line.substring(0, CHECKSUM)) ? text : null;
    }

    private static String checksum(String text) {
        CRC32C crc = new CRC32C();
        crc.update(text.getBytes(StandardCharsets.ISO_8859_1));
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }
}
