package io.otaflux.transport.aliyun;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;

/** Certificates and keys from PEM files, as TLS wants them. */
final class Pem {

    private static final Pattern KEY =
            Pattern.compile("-----BEGIN (RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END (RSA )?PRIVATE KEY-----");

    /** What stands before a bare RSA key to make it one of PKCS#8: version 0, and the algorithm's number. */
    private static final byte[] RSA = HexFormat.of().parseHex("020100300d06092a864886f70d0101010500");

    private Pem() {}

    /** @throws IllegalArgumentException when {@code file} has no certificate or cannot be read */
    static TrustManagerFactory authorities(Path file) {
        try {
            KeyStore keys = empty();
            int number = 0;
            for (Certificate certificate : certificates("trust", file)) {
                keys.setCertificateEntry("authority-" + number++, certificate);
            }
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(keys);
            return trust;
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalArgumentException("trust: " + file + " cannot be read: " + e.getMessage(), e);
        }
    }

    /**
     * @param chain the device's certificate, then those that lead to the authority
     * @param key its key, PKCS#8 or that of RSA by itself, not encrypted
     * @throws IllegalArgumentException when one of them cannot be read, or they do not belong together
     */
    static KeyManagerFactory identity(Path chain, Path key) {
        try {
            Certificate[] certificates = certificates("certificate", chain).toArray(Certificate[]::new);
            PrivateKey privateKey = key(key, certificates[0].getPublicKey().getAlgorithm());
            KeyStore keys = empty();
            keys.setKeyEntry("device", privateKey, new char[0], certificates);
            KeyManagerFactory identity = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            identity.init(keys, new char[0]);
            return identity;
        } catch (IOException | GeneralSecurityException e) {
            // Of the cause only its kind: it may quote the key.
            throw new IllegalArgumentException("certificate: " + chain + " with key " + key + " cannot be used ("
                    + e.getClass().getSimpleName() + ")");
        }
    }

    private static Collection<? extends Certificate> certificates(String what, Path file)
            throws IOException, GeneralSecurityException {
        try (InputStream pem = Files.newInputStream(file)) {
            Collection<? extends Certificate> certificates =
                    CertificateFactory.getInstance("X.509").generateCertificates(pem);
            if (certificates.isEmpty()) {
                throw new IllegalArgumentException(what + ": " + file + " has no certificate");
            }
            return certificates;
        }
    }

    private static PrivateKey key(Path file, String algorithm) throws IOException, GeneralSecurityException {
        Matcher pem = KEY.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
        if (!pem.find()) {
            throw new IllegalArgumentException(
                    "key: " + file + " has no PEM key (expected: PRIVATE KEY, not encrypted)");
        }
        try {
            byte[] bytes = Base64.getMimeDecoder().decode(pem.group(2));
            byte[] encoded = pem.group(1) == null ? bytes : sequence(RSA, element(0x04, bytes));
            return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
        } catch (InvalidKeySpecException | IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "key: " + file + " is none of " + algorithm + ", which its certificate is for");
        }
    }

    private static byte[] sequence(byte[]... parts) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            content.writeBytes(part);
        }
        return element(0x30, content.toByteArray());
    }

    private static byte[] element(int tag, byte[] content) {
        ByteArrayOutputStream element = new ByteArrayOutputStream();
        element.write(tag);
        element.write(0x82);
        element.write(content.length >> 8);
        element.write(content.length);
        element.writeBytes(content);
        return element.toByteArray();
    }

    private static KeyStore empty() throws IOException, GeneralSecurityException {
        KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null, null);
        return keys;
    }
}
