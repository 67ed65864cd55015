package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.otaflux.Digest.Algorithm;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class DigestTest {

    @ParameterizedTest
    @CsvSource({
        "MD5, 900150983cd24fb0d6963f7d28e17f72",
        "SHA_1, a9993e364706816aba3e25717850c26c9cd0d89d",
        "SHA_256, ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "SHA_512, ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    })
    void theVectorsOfTheStandardsComeOut(Algorithm algorithm, String expected) {
        byte[] value = algorithm.newMessageDigest().digest("abc".getBytes(StandardCharsets.US_ASCII));

        assertThat(Digest.of(algorithm, value).hex()).isEqualTo(expected);
        assertThat(value).hasSize(algorithm.bytes());
    }

    @ParameterizedTest
    @EnumSource
    void hexadecimalOfAnyCaseIsTheSameDigest(Algorithm algorithm) {
        String lower = "0a9bcdef".repeat(16).substring(0, algorithm.bytes() * 2);
        Digest digest = new Digest(algorithm, lower);

        for (String written : new String[] {lower.toUpperCase(Locale.ROOT), lower.replace('c', 'C')}) {
            assertThat(new Digest(algorithm, written)).isEqualTo(digest).hasToString(algorithm + ":" + lower);
            assertThat(new Digest(algorithm, written).matches(digest)).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    void anotherLengthIsNoDigest(Algorithm algorithm) {
        int length = algorithm.bytes() * 2;
        for (int wrong : new int[] {0, 1, length - 2, length - 1, length + 1, length + 2}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> new Digest(algorithm, "a".repeat(wrong)))
                    .withMessageContaining(Integer.toString(wrong))
                    .withMessageContaining(Integer.toString(length));
        }
    }

    @ParameterizedTest
    @ValueSource(chars = {'g', 'G', ' ', '-', '\n', '\0', '\u0130', '\u212a', '\uff11', '\u0661'})
    void anotherAlphabetIsNoDigest(char wrong) {
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.md5("a".repeat(31) + wrong));
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.md5(wrong + "a".repeat(31)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"\u001b", "\uff10", "\u0130", "z"})
    void whatIsNotHexadecimalIsNotQuoted(String wrong) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Digest.md5("a".repeat(31) + wrong))
                .withMessage("MD5 digest: character 32 (expected: hexadecimal digits)");
    }

    @Test
    void oneDifferentBitAnywhereDoesNotMatch() {
        byte[] value = Algorithm.SHA_256.newMessageDigest().digest();
        Digest digest = Digest.of(Algorithm.SHA_256, value);
        for (int bit = 0; bit < value.length * 8; bit++) {
            byte[] other = value.clone();
            other[bit / 8] ^= (byte) (1 << bit % 8);
            assertThat(digest.matches(Digest.of(Algorithm.SHA_256, other))).isFalse();
        }
        assertThat(digest.matches(Digest.of(Algorithm.SHA_256, value.clone()))).isTrue();
        assertThat(Digest.md5("a".repeat(32)).matches(digest)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "MD5, MD5",
        "Md5, MD5",
        "md5, MD5",
        "SHA1, SHA_1",
        "sha-1, SHA_1",
        "SHA256, SHA_256",
        "Sha256, SHA_256",
        "sha-256, SHA_256",
        "SHA_256, SHA_256",
        "SHA512, SHA_512",
        "sha-512, SHA_512"
    })
    void algorithmsAreKnownAsPlatformsWriteThem(String name, Algorithm algorithm) {
        assertThat(Algorithm.named(name)).isEqualTo(algorithm);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "SHA", "SHA384", "SHA3-256", "MD4", "HMACMD5", "md5 ", "canary-secret"})
    void otherAlgorithmsAreRefusedWithoutBeingQuoted(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Algorithm.named(name))
                .withMessageNotContaining("canary-secret");
    }

    @Test
    void onlyTheLongerOnesKeepOutWhoMakesFilesOnPurpose() {
        assertThat(Algorithm.values())
                .isSorted()
                .extracting(Algorithm::isCollisionResistant)
                .containsExactly(false, false, true, true);
    }
}
