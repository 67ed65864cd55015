package io.otaflux.samples.platform;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Signs digests for devices that want to know where a file comes from: RSA over SHA-256, PKCS #1 v1.5, over the bytes of the
 * digest and not over its hexadecimal text (AliOS Things).
 *
 * <p>The key is somebody's own, or one that is made when the first package is to be signed: {@code signing-key.pem}, for its
 * owner alone, and {@code signing-key.pub.pem}, which devices are given.
 */
final class DigestSigner {

    private static final int MODULUS_BITS = 2048;
    private static final String OWN_KEY = "signing-key.pem";
    private static final String PUBLIC_KEY = "signing-key.pub.pem";
    private static final Pattern PEM =
            Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");

    private final Path directory;
    private @Nullable RSAPrivateCrtKey key;

    /**
     * @param directory where a key that is made is kept, and the public key of any
     * @param given somebody's own key, or null
     * @throws IOException if the key that is given, or was made before, cannot be used
     */
    DigestSigner(Path directory, @Nullable Path given) throws IOException {
        this.directory = directory;
        Path own = directory.resolve(OWN_KEY);
        if (given != null) {
            key = read(given);
            export(key);
        } else if (Files.exists(own)) {
            key = read(own);
        }
    }

    /** Signs the digest of a file. Blocks while a key is made; not for event loops. */
    synchronized String sign(String hexDigest) throws IOException {
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(key());
            signature.update(HexFormat.of().parseHex(hexDigest));
            return Base64.getEncoder().encodeToString(signature.sign());
        } catch (GeneralSecurityException e) {
            throw new IOException("the digest could not be signed", e);
        }
    }

    private PrivateKey key() throws IOException, GeneralSecurityException {
        RSAPrivateCrtKey known = key;
        if (known == null) {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(MODULUS_BITS);
            known = (RSAPrivateCrtKey) generator.generateKeyPair().getPrivate();
            DurableFiles.writePrivate(directory, OWN_KEY, pem("PRIVATE KEY", known.getEncoded()));
            export(known);
            key = known;
        }
        return known;
    }

    private void export(RSAPrivateCrtKey of) throws IOException {
        try {
            PublicKey shown = KeyFactory.getInstance("RSA")
                    .generatePublic(new RSAPublicKeySpec(of.getModulus(), of.getPublicExponent()));
            Files.writeString(
                    directory.resolve(PUBLIC_KEY), pem("PUBLIC KEY", shown.getEncoded()), StandardCharsets.US_ASCII);
        } catch (GeneralSecurityException e) {
            throw new IOException("the public key could not be made", e);
        }
    }

    private static RSAPrivateCrtKey read(Path file) throws IOException {
        String wanted = file + " is no unencrypted RSA key in PKCS #8 (-----BEGIN PRIVATE KEY-----) of at least "
                + MODULUS_BITS + " bits";
        Matcher pem = PEM.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
        if (!pem.find()) {
            throw new IOException(wanted);
        }
        try {
            byte[] encoded = Base64.getMimeDecoder().decode(pem.group(1));
            if (KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(encoded))
                            instanceof RSAPrivateCrtKey crt
                    && crt.getModulus().bitLength() >= MODULUS_BITS) {
                return crt;
            }
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            // Neither the text nor the cause is shown: both may have something of the key in them.
            throw new IOException(wanted + " (" + e.getClass().getSimpleName() + ")");
        }
        throw new IOException(wanted);
    }

    private static String pem(String what, byte[] encoded) {
        return "-----BEGIN " + what + "-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(encoded) + "\n-----END " + what
                + "-----\n";
    }
}
