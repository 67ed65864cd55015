package io.otaflux.samples.gateway;

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
