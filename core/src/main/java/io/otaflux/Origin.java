package io.otaflux;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.InvalidKeyException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.cert.CertificateFactory;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Whoever holds the private key that belongs to a public one. An artifact is theirs when they signed its digest: a PKCS#1
 * v1.5 signature with SHA-256 over the digest's bytes, so that the digest itself is hashed once more.
 */
final class Origin {

    private static final String ALGORITHM = "SHA256withRSA";

    /** What platforms use; shorter keys have been broken, or will be. */
    private static final int MIN_BITS = 2048;

    /** A key file is a few kilobytes. */
    private static final int MAX_FILE = 64 * 1024;

    private static final Pattern BLOCK =
            Pattern.compile("-----BEGIN ([A-Z0-9 ]{1,40})-----\\s*([A-Za-z0-9+/=\\s]+)-----END \\1-----");

    private final RSAPublicKey key;

    private Origin(RSAPublicKey key) {
        this.key = key;
    }

    /** @throws IllegalArgumentException when {@code key} is no RSA key that is long enough */
    static Origin of(PublicKey key) {
        return of("public key", key);
    }

    private static Origin of(String what, PublicKey key) {
        if (!(key instanceof RSAPublicKey rsa)) {
            throw new IllegalArgumentException(what + ": " + key.getAlgorithm() + " (expected: RSA)");
        }
        int bits = rsa.getModulus().bitLength();
        if (bits < MIN_BITS || rsa.getPublicExponent().bitLength() < 2) {
            throw new IllegalArgumentException(what + ": RSA of " + bits + " bits, exponent of "
                    + rsa.getPublicExponent().bitLength() + " bits (expected: at least " + MIN_BITS + " and 2)");
        }
        Origin origin = new Origin(rsa);
        // Whatever the provider has to load from disk is loaded now, and not on an event loop.
        origin.signed(new byte[1], new byte[bits / 8]);
        return origin;
    }

    /**
     * Reads the key from a PEM file: a public key, or a certificate, of which only the key counts.
     *
     * @throws IllegalArgumentException when the file cannot be read, or has no such key or several
     */
    static Origin read(Path file) {
        String what = "public key " + file;
        String text;
        try (InputStream in = Files.newInputStream(file)) {
            text = new String(in.readNBytes(MAX_FILE), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw new IllegalArgumentException(what + ": cannot be read: " + e, e);
        }
        Matcher blocks = BLOCK.matcher(text);
        if (!blocks.find()) {
            throw new IllegalArgumentException(what + ": no PEM block (expected: PUBLIC KEY or CERTIFICATE)");
        }
        String kind = blocks.group(1);
        String base64 = blocks.group(2).replaceAll("\\s", "");
        if (blocks.find()) {
            throw new IllegalArgumentException(what + ": several PEM blocks (expected: one)");
        }
        byte[] der;
        try {
            der = Base64.getDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(what + ": no Base64 in its PEM block: " + e.getMessage(), e);
        }
        try {
            return of(
                    what,
                    switch (kind) {
                        case "PUBLIC KEY" -> KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der));
                        case "CERTIFICATE" ->
                            CertificateFactory.getInstance("X.509")
                                    .generateCertificate(new ByteArrayInputStream(der))
                                    .getPublicKey();
                        default ->
                            throw new IllegalArgumentException(
                                    what + ": a PEM block " + kind + " (expected: PUBLIC KEY or CERTIFICATE)");
                    });
        } catch (GeneralSecurityException e) {
            throw new IllegalArgumentException(what + ": no RSA key in it: " + e.getMessage(), e);
        }
    }

    /** Why {@code artifact} is not theirs, as far as its digest says; null when it is. */
    @Nullable
    RefusedException judge(Artifact artifact) {
        String signature = artifact.signature();
        Digest digest = artifact.digest().orElse(null);
        if (signature == null || digest == null) {
            return new RefusedException(
                    OtaException.Stage.VERIFY,
                    OtaException.Reason.UNSIGNED,
                    artifact.name() + ": has no " + (signature == null ? "signature" : "digest that could be signed")
                            + " (expected: one of the configured key)");
        }
        byte[] bytes;
        try {
            // Some encoders break lines.
            bytes = Base64.getMimeDecoder().decode(signature);
        } catch (IllegalArgumentException e) {
            return bad(artifact, "is no Base64");
        }
        return signed(HexFormat.of().parseHex(digest.hex()), bytes)
                ? null
                : bad(
                        artifact,
                        "of " + bytes.length + " bytes is not one over " + digest.algorithm()
                                + " by the configured key");
    }

    private static RefusedException bad(Artifact artifact, String why) {
        return new RefusedException(
                OtaException.Stage.VERIFY,
                OtaException.Reason.BAD_SIGNATURE,
                artifact.name() + ": the signature " + why);
    }

    private boolean signed(byte[] message, byte[] signature) {
        try {
            Signature verification = Signature.getInstance(ALGORITHM);
            verification.initVerify(key);
            verification.update(message);
            return verification.verify(signature);
        } catch (SignatureException e) {
            // A wrong length, for one.
            return false;
        } catch (InvalidKeyException e) {
            throw new IllegalArgumentException("public key: " + e.getMessage(), e);
        } catch (GeneralSecurityException e) {
            throw new AssertionError(ALGORITHM + " is part of every Java platform this library runs on", e);
        }
    }
}
