package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.otaflux.testkit.Canaries;
import io.otaflux.testkit.Mutant;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which values are let in, and what of them is shown. */
class VocabularyTest {

    private static final URI SIGNED = URI.create("https://user:CANARY@files.example.com/app?token=CANARY");
    private static final DeviceId DEVICE = new DeviceId("sensor", "s1");
    private static final Digest MD5 = Digest.md5("0".repeat(32));
    private static final Digest SHA_256 = Digest.sha256("0".repeat(64));

    @ParameterizedTest
    @ValueSource(
            strings = {"a", "A1_-.:@z", "_x", "0", "a234567890123456789012345678901234567890123456789012345678901234"})
    void aDeviceMayBeCalled(String name) {
        assertThatCode(() -> new DeviceId(name, name)).doesNotThrowAnyException();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                ".",
                "..",
                "-a",
                "a/b",
                "a\\b",
                "a b",
                "a\n",
                "a\0",
                "+",
                "#",
                "a+",
                "\u00e9",
                "a2345678901234567890123456789012345678901234567890123456789012345"
            })
    void aDeviceMayNotBeCalled(String name) {
        assertThatIllegalArgumentException().isThrownBy(() -> new DeviceId(name, "a"));
        assertThatIllegalArgumentException().isThrownBy(() -> new DeviceId("a", name));
        assertThatIllegalArgumentException().isThrownBy(() -> trigger(name, "2"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> trigger("app", name.equals("a+") ? "a b" : name))
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n", "\0"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "1.0.0", "2.0.0-rc.1+build_7", "V1"})
    void aVersionMayBeCalled(String version) {
        assertThatCode(() -> trigger("app", version)).doesNotThrowAnyException();
    }

    @ParameterizedTest
    @ValueSource(strings = {"app.bin", "app (1).bin", "a@2x", "a+b"})
    void anArtifactMayBeCalled(String name) {
        assertThatCode(() -> new Artifact(name, SIGNED, 0, List.of())).doesNotThrowAnyException();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "../a", "/a", "a/b", ".a", " a", "a\t"})
    void anArtifactMayNotBeCalled(String name) {
        assertThatIllegalArgumentException().isThrownBy(() -> new Artifact(name, SIGNED, 0, List.of()));
    }

    @Test
    void sizesAreNotNegativeAndAlgorithmsNotDoubled() {
        assertThatCode(() -> new Artifact("a", SIGNED, Artifact.UNKNOWN_SIZE, List.of(MD5, SHA_256)))
                .doesNotThrowAnyException();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Artifact("a", SIGNED, -2, List.of()))
                .withMessageContaining("-2");
        assertThatIllegalArgumentException().isThrownBy(() -> new Artifact("a", SIGNED, 0, List.of(MD5, MD5)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new UpgradeTrigger(DEVICE, "app", "2", List.of(), Map.of()))
                .withMessageContaining("artifacts");
    }

    @Test
    void theStrongestDigestNamesAnArtifact() {
        assertThat(new Artifact("a", SIGNED, 0, List.of(SHA_256, MD5)).digest()).contains(SHA_256);
        assertThat(new Artifact("a", SIGNED, 0, List.of()).digest()).isEmpty();
    }

    @Test
    void aFreshLocationIsTheSameUpgradeAndAnotherDigestIsNot() {
        UpgradeTrigger trigger = trigger("app", "2");
        Artifact elsewhere = trigger.artifact().at(URI.create("https://other.example.com/"));

        assertThat(new UpgradeTrigger(DEVICE, "app", "2", elsewhere).key()).isEqualTo(trigger.key());
        assertThat(new UpgradeTrigger(DEVICE, "app", "2", new Artifact("a", SIGNED, 10, List.of(MD5))).key())
                .isNotEqualTo(trigger.key());
        assertThat(trigger("app", "3").key()).isNotEqualTo(trigger.key());
    }

    @Test
    void aSignatureAndBeingADeltaMakeNoOtherUpgrade() {
        Artifact signed = new Artifact("a", SIGNED, 10, List.of(SHA_256), "c2lnbmVk");

        assertThat(new UpgradeTrigger(DEVICE, "app", "2", List.of(signed), Map.of(), true).key())
                .isEqualTo(trigger("app", "2").key());
        assertThat(signed.at(URI.create("https://other.example.com/")).signature())
                .isEqualTo("c2lnbmVk");
    }

    @Test
    void anUpgradeLargerThanALongIsNone() {
        Artifact half = new Artifact("a", SIGNED, Long.MAX_VALUE / 2 + 1, List.of());

        assertThat(new UpgradeTrigger(DEVICE, "app", "2", half).size()).isEqualTo(half.size());
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new UpgradeTrigger(DEVICE, "app", "2", List.of(half, half), Map.of()))
                .withMessageStartingWith("artifacts: larger together");
    }

    @Test
    void theSizeOfAnUpgradeIsThatOfAllItsArtifacts() {
        Artifact ten = new Artifact("a", SIGNED, 10, List.of());
        Artifact unknown = new Artifact("b", SIGNED, Artifact.UNKNOWN_SIZE, List.of());

        assertThat(new UpgradeTrigger(DEVICE, "app", "2", List.of(ten, ten), Map.of()).size())
                .isEqualTo(20);
        assertThat(new UpgradeTrigger(DEVICE, "app", "2", List.of(ten, unknown), Map.of()).size())
                .isEqualTo(Artifact.UNKNOWN_SIZE);
    }

    @Test
    void whatIsShownHasNoCredential() {
        UpgradeTrigger trigger = new UpgradeTrigger(
                DEVICE, "app", "2", List.of(new Artifact("a", SIGNED, 10, List.of(SHA_256))), Map.of("tag", "CANARY"));

        assertThat(List.of(
                        trigger,
                        trigger.artifact(),
                        trigger.key(),
                        new ArtifactSource.Request(trigger.artifact(), 0, null),
                        new UpgradeJournal.Entry(trigger, true, UpgradeJournal.State.ADMITTED, false, null),
                        new UpgradeEvent.Admitted(trigger),
                        new UpgradeEvent.Received(trigger, 1, 10)))
                .allSatisfy(value -> assertThat(value.toString())
                        .doesNotContain("CANARY", "token", "files.example.com")
                        .contains("a"));
    }

    @Test
    void noRecordShowsACredential() {
        assertThat(Canaries.assertNoRecordShowsAny(Artifact.class))
                .contains("Artifact", "UpgradeTrigger", "Request", "Entry", "Admitted", "Failed");
    }

    private record Careless(URI location) {}

    @Test
    void aRecordThatShowsACredentialIsNoticed() {
        Mutant.assertCaught(
                "a toString without the location", () -> Canaries.assertNoRecordShowsAny(VocabularyTest.class));
    }

    @Test
    void percentsAreWholeAndNeverTooMany() {
        UpgradeTrigger trigger = trigger("app", "2");

        assertThat(new UpgradeEvent.Received(trigger, 0, 0).percent()).isEqualTo(100);
        assertThat(new UpgradeEvent.Received(trigger, 999, 1_000).percent()).isEqualTo(99);
        assertThat(new UpgradeEvent.Received(trigger, 1_000, 1_000).percent()).isEqualTo(100);
        assertThat(new UpgradeEvent.Received(trigger, 5, Artifact.UNKNOWN_SIZE).percent())
                .isZero();
    }

    @Test
    void aBackoffStaysWithinItsBoundsWhateverTheyAre() {
        for (Backoff backoff : List.of(
                new Backoff(Duration.ofNanos(1), Duration.ofSeconds(1), 1),
                new Backoff(Duration.ofMillis(7), Duration.ofMillis(9), 1),
                new Backoff(Duration.ofDays(200), Duration.ofDays(400), 1),
                new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(Long.MAX_VALUE), 1))) {
            for (int retry = 1; retry <= 200; retry++) {
                assertThat(backoff.delay(retry)).isBetween(Duration.ZERO, backoff.max());
            }
        }
        Backoff slow = new Backoff(Duration.ofDays(200), Duration.ofDays(400), 1);
        assertThat(List.of(slow.delay(1), slow.delay(2), slow.delay(3), slow.delay(4), slow.delay(5)))
                .as("not all of five are in the first thousandth by chance")
                .anyMatch(delay -> delay.compareTo(Duration.ofHours(9)) > 0);
        Backoff fine = new Backoff(Duration.ofNanos(100), Duration.ofSeconds(1), 1);
        assertThat(fine.delay(1)).isLessThanOrEqualTo(Duration.ofNanos(100));
    }

    @Test
    void aBackoffGivesTheSourceTheTimeItAsksFor() {
        Backoff backoff = new Backoff(Duration.ofMillis(1), Duration.ofSeconds(10), 1);

        assertThat(backoff.pause(1, Duration.ofSeconds(3))).isBetween(Duration.ofSeconds(3), Duration.ofSeconds(6));
        assertThat(backoff.pause(1, Duration.ofDays(3))).isBetween(Duration.ofSeconds(10), Duration.ofSeconds(20));
        assertThat(backoff.pause(1, Duration.ofDays(-3))).isLessThanOrEqualTo(Duration.ofMillis(1));
        assertThat(backoff.pause(1, Duration.ZERO)).isLessThanOrEqualTo(Duration.ofMillis(1));
        assertThat(backoff.pause(1, null)).isLessThanOrEqualTo(Duration.ofMillis(1));
    }

    @Test
    void limitsThatMakeNoSenseAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Backoff(Duration.ZERO, Duration.ofSeconds(1), 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Backoff(Duration.ofSeconds(2), Duration.ofSeconds(1), 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(1), -1));
        assertThatIllegalArgumentException().isThrownBy(() -> new Throughput(-1, Duration.ofSeconds(1)));
        assertThatIllegalArgumentException().isThrownBy(() -> new Throughput(0, Duration.ZERO));
    }

    private static UpgradeTrigger trigger(String module, String version) {
        return new UpgradeTrigger(DEVICE, module, version, new Artifact("a", SIGNED, 10, List.of(SHA_256)));
    }
}
