package io.otaflux;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The hash of an artifact. It proves that the bytes are the ones the platform named (integrity); it says nothing about
 * who made them (origin).
 *
 * @param algorithm how it was computed
 * @param hex the value in hexadecimal; any case is accepted and lower case is kept
 */
public record Digest(Algorithm algorithm, String hex) {

    /** @throws IllegalArgumentException when {@code hex} is not exactly as long as the algorithm's value, or not hexadecimal */
    public Digest {
        if (hex.length() != algorithm.bytes * 2) {
            throw new IllegalArgumentException(
                    algorithm + " digest: " + hex.length() + " characters (expected: " + algorithm.bytes * 2 + ")");
        }
        for (int i = 0; i < hex.length(); i++) {
            if (!HexFormat.isHexDigit(hex.charAt(i))) {
                // Not which one: it may be a control character, and the message goes to logs and to the platform.
                throw new IllegalArgumentException(
                        algorithm + " digest: character " + (i + 1) + " (expected: hexadecimal digits)");
            }
        }
        hex = hex.toLowerCase(Locale.ROOT);
    }

    public static Digest md5(String hex) {
        return new Digest(Algorithm.MD5, hex);
    }

    public static Digest sha256(String hex) {
        return new Digest(Algorithm.SHA_256, hex);
    }

    static Digest of(Algorithm algorithm, byte[] value) {
        return new Digest(algorithm, HexFormat.of().formatHex(value));
    }

    /** Tells whether both are the same value of the same algorithm, in a time that does not depend on where they differ. */
    public boolean matches(Digest other) {
        return algorithm == other.algorithm
                && MessageDigest.isEqual(
                        HexFormat.of().parseHex(hex), HexFormat.of().parseHex(other.hex));
    }

    // Written out: the compiler's are put together at their first use, which a short process pays for.
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Digest that && algorithm == that.algorithm && hex.equals(that.hex);
    }

    @Override
    public int hashCode() {
        return 31 * algorithm.hashCode() + hex.hashCode();
    }

    @Override
    public String toString() {
        return algorithm + ":" + hex;
    }

    /** The algorithms that platforms use, weakest first: the order of strength is the natural one. */
    public enum Algorithm {
        MD5("MD5", 16, false),
        SHA_1("SHA-1", 20, false),
        SHA_256("SHA-256", 32, true),
        SHA_512("SHA-512", 64, true);

        private static final List<Algorithm> ALL = List.of(values());

        private final String jcaName;
        private final String plainName;
        private final int bytes;
        private final boolean collisionResistant;

        Algorithm(String jcaName, int bytes, boolean collisionResistant) {
            this.jcaName = jcaName;
            this.plainName = jcaName.replace("-", "");
            this.bytes = bytes;
            this.collisionResistant = collisionResistant;
        }

        /**
         * Reads an algorithm's name as platforms write it: {@code MD5}, {@code Md5}, {@code sha256}, {@code SHA-256}.
         *
         * @throws IllegalArgumentException when there is no such algorithm here
         */
        public static Algorithm named(String name) {
            for (Algorithm algorithm : ALL) {
                if (algorithm.plainName.equalsIgnoreCase(name)) {
                    return algorithm;
                }
            }
            String letters = name.replace("-", "").replace("_", "").toUpperCase(Locale.ROOT);
            for (Algorithm algorithm : ALL) {
                if (algorithm.plainName.equals(letters)) {
                    return algorithm;
                }
            }
            throw new IllegalArgumentException("digest algorithm: " + letters.length()
                    + " characters that are none of MD5, SHA-1, SHA-256, SHA-512");
        }

        /** The length of a value, in bytes. */
        public int bytes() {
            return bytes;
        }

        /**
         * Tells whether nobody can make two artifacts with the same value. Where it is false, a match still shows that
         * nothing broke on the way.
         */
        public boolean isCollisionResistant() {
            return collisionResistant;
        }

        MessageDigest newMessageDigest() {
            try {
                return MessageDigest.getInstance(jcaName);
            } catch (NoSuchAlgorithmException e) {
                throw new AssertionError(jcaName + " is part of every Java platform this library runs on", e);
            }
        }

        @Override
        public String toString() {
            return jcaName;
        }
    }
}
