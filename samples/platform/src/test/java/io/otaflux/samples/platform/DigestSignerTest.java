package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DigestSignerTest {

    private static final byte[] DIGEST = digest("firmware");

    @TempDir
    private Path directory;

    @Test
    void theSignatureIsOverTheBinaryDigestAndHoldsForTheExportedKey() throws Exception {
        String signature = new DigestSigner(directory, null).sign(HexFormat.of().formatHex(DIGEST));

        assertThat(verifies(exported(), DIGEST, signature)).isTrue();
        assertThat(verifies(exported(), digest("other"), signature)).isFalse();
        assertThat(verifies(
                        exported(), HexFormat.of().formatHex(DIGEST).getBytes(StandardCharsets.US_ASCII), signature))
                .as("not over the text")
                .isFalse();
        assertThat(Base64.getDecoder().decode(signature)).hasSize(256);
    }

    @Test
    void aKeyIsMadeWhenItIsNeededForItsOwnerAloneAndKept() throws Exception {
        DigestSigner signer = new DigestSigner(directory, null);
        assertThat(directory).isEmptyDirectory();

        String signature = signer.sign(HexFormat.of().formatHex(DIGEST));

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory.resolve("signing-key.pem"))))
                .isEqualTo("rw-------");
        assertThat(new DigestSigner(directory, null).sign(HexFormat.of().formatHex(DIGEST)))
                .isEqualTo(signature);
    }

    @Test
    void ownKeyIsUsedAndItsPublicKeyExported() throws Exception {
        KeyPair pair = pair("RSA", 3072);
        Path key = pem("PRIVATE KEY", pair.getPrivate().getEncoded());

        String signature = new DigestSigner(directory, key).sign(HexFormat.of().formatHex(DIGEST));

        assertThat(exported()).isEqualTo(pair.getPublic());
        assertThat(verifies(pair.getPublic(), DIGEST, signature)).isTrue();
        assertThat(directory.resolve("signing-key.pem")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "CANARY",
                "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nCANARY\n-----END ENCRYPTED PRIVATE KEY-----",
                "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----"
            })
    void whatIsNoKeyIsRefusedWithoutBeingShown(String text) throws Exception {
        Path key = Files.writeString(directory.resolve("key"), text);

        assertThatThrownBy(() -> new DigestSigner(directory, key))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("PKCS #8")
                .hasNoCause()
                .message()
                .doesNotContain("CANARY");
    }

    @Test
    void aShortKeyAndOneForOtherThingsAreRefused() throws Exception {
        Path tooShort = pem("PRIVATE KEY", pair("RSA", 1024).getPrivate().getEncoded());
        assertThatThrownBy(() -> new DigestSigner(directory, tooShort)).hasMessageContaining("2048 bits");
        Path curve = pem("PRIVATE KEY", pair("EC", 256).getPrivate().getEncoded());
        assertThatThrownBy(() -> new DigestSigner(directory, curve)).hasMessageContaining("RSA key");
        assertThatThrownBy(() -> new DigestSigner(directory, directory.resolve("none")))
                .isInstanceOf(IOException.class);
    }

    private PublicKey exported() throws Exception {
        String pem = Files.readString(directory.resolve("signing-key.pub.pem"));
        String body = pem.replaceAll("-----[A-Z ]+-----", "");
        return KeyFactory.getInstance("RSA")
                .generatePublic(new X509EncodedKeySpec(Base64.getMimeDecoder().decode(body)));
    }

    private Path pem(String what, byte[] encoded) throws IOException {
        return Files.writeString(
                directory.resolve("own.pem"),
                "-----BEGIN " + what + "-----\n" + Base64.getMimeEncoder().encodeToString(encoded) + "\n-----END "
                        + what + "-----\n");
    }

    private static KeyPair pair(String algorithm, int bits) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
        generator.initialize(bits);
        return generator.generateKeyPair();
    }

    private static boolean verifies(PublicKey key, byte[] message, String signature) throws Exception {
        Signature verifier = Signature.getInstance("SHA256withRSA");
        verifier.initVerify(key);
        verifier.update(message);
        return verifier.verify(Base64.getDecoder().decode(signature));
    }

    private static byte[] digest(String text) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
