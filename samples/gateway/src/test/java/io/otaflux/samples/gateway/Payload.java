package io.otaflux.samples.gateway;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Random;

/** Bytes to be brought to a device. */
record Payload(byte[] bytes) {

    /** Random bytes, always the same ones for the same seed and size. */
    static Payload of(int size, long seed) {
        byte[] bytes = new byte[size];
        new Random(seed).nextBytes(bytes);
        return new Payload(bytes);
    }

    /** A program, as it were: its first line is its version, and the rest always the same for that. */
    static Payload image(String version, int size) {
        Payload image = of(size, version.hashCode());
        byte[] line = (version + "\n").getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(line, 0, image.bytes, 0, line.length);
        return image;
    }

    /** Which version an {@linkplain #image image} is, by its first line. */
    static String versionOf(Path image) throws IOException {
        try (BufferedReader reader = new BufferedReader(
                new InputStreamReader(Files.newInputStream(image), StandardCharsets.ISO_8859_1), 64)) {
            return String.valueOf(reader.readLine());
        }
    }

    long size() {
        return bytes.length;
    }

    String sha256() {
        return HexFormat.of().formatHex(digester().digest(bytes));
    }

    static MessageDigest digester() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
