package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import javax.net.ssl.X509KeyManager;
import org.bouncycastle.openssl.jcajce.JcaMiscPEMGenerator;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PemTest {

    @TempDir
    Path directory;

    private Authority authority;

    @BeforeEach
    void create() throws Exception {
        authority = Authority.create(directory);
    }

    @ParameterizedTest
    @ValueSource(ints = {2048, 4096})
    void readsTheKeyOfRsaInBothOfItsForms(int bits) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(bits);
        KeyPair pair = generator.generateKeyPair();
        Authority.Server device = authority.client("device", pair);
        Path bare = authority.write("bare.key", new JcaMiscPEMGenerator(pair.getPrivate()));

        assertThat(Files.readString(bare)).startsWith("-----BEGIN RSA PRIVATE KEY-----");
        assertThat(key(device.certificate(), bare)).isEqualTo(pair.getPrivate());
        assertThat(Files.readString(device.key())).startsWith("-----BEGIN PRIVATE KEY-----");
        assertThat(key(device.certificate(), device.key())).isEqualTo(pair.getPrivate());
    }

    @Test
    void aChainIsShownWhole() throws Exception {
        Authority.Server device = authority.client("device");
        Path chain = Files.writeString(
                directory.resolve("chain.pem"),
                Files.readString(device.certificate()) + Files.readString(authority.certificate()));

        X509KeyManager keys = (X509KeyManager) Pem.identity(chain, device.key()).getKeyManagers()[0];

        assertThat(keys.getCertificateChain(alias(keys))).hasSize(2);
    }

    @Test
    void aKeyOfAnotherKindThanTheCertificateIsIsRefused() throws Exception {
        Authority.Server device = authority.client("device");
        KeyPair rsa = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        Path other = authority.write("other.key", new JcaPKCS8Generator(rsa.getPrivate(), null));

        assertThatIllegalArgumentException()
                .isThrownBy(() -> Pem.identity(device.certificate(), other))
                .withMessage("key: " + other + " is none of EC, which its certificate is for");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nQ0FOQVJZ\n-----END ENCRYPTED PRIVATE KEY-----",
                "-----BEGIN EC PRIVATE KEY-----\nQ0FOQVJZ\n-----END EC PRIVATE KEY-----",
                "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----",
                "-----BEGIN PRIVATE KEY-----\n=\n-----END PRIVATE KEY-----",
                "CANARY"
            })
    void whatIsNoKeyIsRefusedAndNotQuoted(String text) throws Exception {
        Authority.Server device = authority.client("device");
        Path key = Files.writeString(directory.resolve("bad.key"), text);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> Pem.identity(device.certificate(), key))
                .withMessageContaining(key.toString())
                .withMessageNotContaining("CANARY")
                .withMessageNotContaining("Q0FOQVJZ")
                .withNoCause();
    }

    private static PrivateKey key(Path chain, Path key) {
        X509KeyManager keys = (X509KeyManager) Pem.identity(chain, key).getKeyManagers()[0];
        return keys.getPrivateKey(alias(keys));
    }

    private static String alias(X509KeyManager keys) {
        for (String type : new String[] {"RSA", "EC"}) {
            String[] aliases = keys.getClientAliases(type, null);
            if (aliases != null) {
                return aliases[0];
            }
        }
        throw new AssertionError("no key");
    }
}
