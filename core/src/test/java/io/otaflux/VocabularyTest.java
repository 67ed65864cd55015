package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.Unpooled;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The values of the vocabulary: what they accept, how they compare, and what they do not tell. */
class VocabularyTest {

    private static final DeviceId DEVICE = new DeviceId("product", "device");
    private static final URI LOCATION = URI.create("https://user:canary@files.example.com/a?Signature=canary");

    @ParameterizedTest
    @CsvSource({
        "MD5, MD5",
        "Md5, MD5",
        "md5, MD5",
        "SHA1, SHA_1",
        "sha-1, SHA_1",
        "SHA256, SHA_256",
        "Sha256, SHA_256",
        "SHA-256, SHA_256",
        "sha_256, SHA_256",
        "sha512, SHA_512"
    })
    void algorithmsAreReadAsPlatformsWriteThem(String name, Digest.Algorithm algorithm) {
        assertThat(Digest.Algorithm.named(name)).isEqualTo(algorithm);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "null", "SHA", "SHA3-256", "crc32", "MD5 "})
    void otherAlgorithmsAreRefused(String name) {
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.Algorithm.named(name));
    }

    @ParameterizedTest
    @EnumSource(Digest.Algorithm.class)
    void digestsCompareInAnyCase(Digest.Algorithm algorithm) {
        byte[] value = algorithm.newMessageDigest().digest(new byte[] {1, 2, 3});
        Digest lower = Digest.of(algorithm, value);
        Digest upper = new Digest(algorithm, lower.hex().toUpperCase(Locale.ROOT));
        value[value.length - 1] ^= 1;

        assertThat(upper).isEqualTo(lower);
        assertThat(upper.matches(lower)).isTrue();
        assertThat(Digest.of(algorithm, value).matches(lower)).isFalse();
    }

    @Test
    void aDigestOfTheWrongLengthOrAlphabetIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Digest.md5("00".repeat(15)))
                .withMessageContaining("30 characters (expected: 32)");
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.sha256("00".repeat(16)));
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.md5("0g".repeat(16)));
        assertThatIllegalArgumentException().isThrownBy(() -> Digest.md5(" 0".repeat(16)));
    }

    @Test
    void digestsOfDifferentAlgorithmsNeverMatch() {
        assertThat(new Digest(Digest.Algorithm.SHA_1, "00".repeat(20)).matches(Digest.sha256("00".repeat(32))))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "MD5, 900150983cd24fb0d6963f7d28e17f72",
        "SHA_1, a9993e364706816aba3e25717850c26c9cd0d89d",
        "SHA_256, ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    })
    void theHasherComputesThePublishedVectors(Digest.Algorithm algorithm, String hex) {
        Hasher hasher = new Hasher(Set.of(algorithm));
        hasher.update(Unpooled.copiedBuffer("abc", StandardCharsets.US_ASCII));

        assertThat(hasher.finish()).containsExactly(new Digest(algorithm, hex));
    }

    @Test
    void severalAlgorithmsAreComputedInOnePass() {
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.values()));
        hasher.update(Unpooled.copiedBuffer("abc", StandardCharsets.US_ASCII));

        assertThat(hasher.finish())
                .extracting(Digest::algorithm)
                .as("weakest first")
                .containsExactly(Digest.Algorithm.values());
        assertThat(hasher.bytes()).as("it starts over").isZero();
    }

    @Test
    void buffersOfAnyKindAreLeftAsTheyWere() {
        ByteBuf direct = Unpooled.directBuffer().writeBytes(new byte[] {9, 'a', 'b', 'c'});
        direct.readByte();
        CompositeByteBuf composite = Unpooled.compositeBuffer()
                .addComponent(true, Unpooled.copiedBuffer("a", StandardCharsets.US_ASCII))
                .addComponent(true, Unpooled.copiedBuffer("bc", StandardCharsets.US_ASCII));
        Hasher one = new Hasher(Set.of(Digest.Algorithm.MD5));
        Hasher two = new Hasher(Set.of(Digest.Algorithm.MD5));

        one.update(direct);
        two.update(composite);

        assertThat(one.finish())
                .isEqualTo(two.finish())
                .containsExactly(Digest.md5("900150983cd24fb0d6963f7d28e17f72"));
        for (ByteBuf buffer : List.of(direct, composite)) {
            assertThat(buffer.readableBytes()).isEqualTo(3);
            assertThat(buffer.refCnt()).isEqualTo(1);
            buffer.release();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "..", ".hidden", "-rf", "a/b", "../../etc/passwd", "a b", "a\u0000", "a\n", "ä", "a\\b"})
    void namesThatCouldLeadAstrayAreRefused(String name) {
        Artifact artifact = new Artifact("a", LOCATION, 1, List.of());

        assertThatIllegalArgumentException().isThrownBy(() -> new UpgradeTrigger(DEVICE, name, "1", artifact));
        assertThatIllegalArgumentException().isThrownBy(() -> new UpgradeTrigger(DEVICE, "app", name, artifact));
        assertThatIllegalArgumentException().isThrownBy(() -> new DeviceId(name, "device"));
        assertThatIllegalArgumentException().isThrownBy(() -> new DeviceId("product", name));
    }

    @Test
    void whatIsWrongWithANameIsShownWithoutControlCharacters() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new DeviceId("product", "a\u001b[31mred"))
                .withMessageContaining("a?[31mred")
                .withMessageNotContaining("\u001b");
    }

    @Test
    void anArtifactChecksItsValues() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Artifact("a", LOCATION, -2, List.of()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Artifact(
                        "a", LOCATION, 1, List.of(Digest.md5("00".repeat(16)), Digest.md5("11".repeat(16)))));
        assertThat(new Artifact("a", LOCATION, 1, List.of(Digest.sha256("00".repeat(32)), Digest.md5("11".repeat(16))))
                        .digest())
                .as("the strongest")
                .contains(Digest.sha256("00".repeat(32)));
    }

    @Test
    void theKeyOfAnUpgradeDoesNotDependOnWhereItsBytesAre() {
        Artifact artifact = new Artifact("a", LOCATION, 1, List.of(Digest.md5("00".repeat(16))));
        UpgradeTrigger here = new UpgradeTrigger(DEVICE, "app", "2", artifact);
        UpgradeTrigger there =
                new UpgradeTrigger(DEVICE, "app", "2", artifact.at(URI.create("https://elsewhere.example.com/b")));

        assertThat(there.key()).isEqualTo(here.key());
        assertThat(new UpgradeTrigger(DEVICE, "app", "3", artifact).key()).isNotEqualTo(here.key());
        assertThat(new UpgradeTrigger(
                                DEVICE,
                                "app",
                                "2",
                                new Artifact("a", LOCATION, 1, List.of(Digest.md5("11".repeat(16)))))
                        .key())
                .isNotEqualTo(here.key());
    }

    @Test
    void nothingTellsALocation() {
        Artifact artifact = new Artifact("a", LOCATION, 1, List.of());
        UpgradeTrigger trigger = new UpgradeTrigger(DEVICE, "app", "2", List.of(artifact), Map.of());

        assertThat(List.of(artifact, trigger, trigger.key(), new UpgradeEvent.Admitted(trigger))
                        .toString())
                .doesNotContain("canary");
    }

    @Test
    void theSizeOfAnUpgradeIsTheSumOrUnknown() {
        Artifact small = new Artifact("a", LOCATION, 3, List.of());
        Artifact unknown = new Artifact("b", LOCATION, Artifact.UNKNOWN_SIZE, List.of());

        assertThat(new UpgradeTrigger(DEVICE, "app", "2", List.of(small, small), Map.of()).size())
                .isEqualTo(6);
        assertThat(new UpgradeTrigger(DEVICE, "app", "2", List.of(small, unknown), Map.of()).size())
                .isEqualTo(Artifact.UNKNOWN_SIZE);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new UpgradeTrigger(DEVICE, "app", "2", List.of(), Map.of()));
    }

    @ParameterizedTest
    @CsvSource({
        "0, 100, 0",
        "99, 100, 99",
        "999, 1000, 99",
        "100, 100, 100",
        "5, -1, 0",
        "0, 0, 100",
        "4611686018427, 4611686018428, 99"
    })
    void aHundredPercentMeansComplete(long bytes, long size, int percent) {
        UpgradeTrigger trigger = new UpgradeTrigger(DEVICE, "app", "2", new Artifact("a", LOCATION, 1, List.of()));

        assertThat(new UpgradeEvent.Received(trigger, bytes, size).percent()).isEqualTo(percent);
    }
}
