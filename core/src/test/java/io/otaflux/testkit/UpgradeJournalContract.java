package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;

/** What every {@link UpgradeJournal} must do. */
public interface UpgradeJournalContract {

    /** How long a test waits for something that should come at once. */
    Duration SOON = Duration.ofSeconds(30);

    /** The journal as a restarted process finds it: empty at first, later what the one before it, closed by then, had durable. */
    UpgradeJournal reopen();

    @Test
    default void aNewJournalIsEmpty() {
        assertThat(entries(reopen())).isEmpty();
    }

    @Test
    default void whatWasPutIsThereAfterARestart() {
        UpgradeJournal journal = reopen();
        UpgradeJournal.Entry entry = entry("app", "2.0.0", UpgradeJournal.State.ADMITTED, null);

        put(journal, entry);

        assertThat(entries(journal)).containsExactly(entry);
        assertThat(entries(reopen())).containsExactly(entry);
    }

    @Test
    default void everyFieldIsKept() {
        UpgradeTrigger trigger = new UpgradeTrigger(
                new DeviceId("a1B2", "gateway-7"),
                "app",
                "2.0.0+build.7",
                List.of(
                        new Artifact(
                                "app (1).bin",
                                URI.create("https://example.com:8443/a%20b/app.bin"),
                                1L << 40,
                                List.of(Digest.md5("00".repeat(16)), Digest.sha256("ff".repeat(32))),
                                "bm90IGEgc2lnbmF0dXJl+/=="),
                        new Artifact("second", URI.create("mqtt:stream/7"), Artifact.UNKNOWN_SIZE, List.of()),
                        new Artifact("third", URI.create("mqtt:stream/8"), 0, List.of(), "what | is = no Base64\n")),
                Map.of("note", "line one\nline two = 50 % | \u00e9\u4e16\ud83d\ude80 \u0000", "", "", "k=v", "-"),
                true);
        UpgradeJournal.Entry entry = new UpgradeJournal.Entry(
                trigger, true, UpgradeJournal.State.FAILED, true, "expected 1 but was 2\r\n\t(\"why\")");

        put(reopen(), entry);

        assertThat(entries(reopen())).containsExactly(entry);
    }

    @Test
    default void aLaterEntryOfTheSameUpgradeReplacesTheEarlierOneInItsPlace() {
        UpgradeJournal journal = reopen();
        put(journal, entry("app", "2.0.0", UpgradeJournal.State.ADMITTED, null));
        put(journal, entry("default", "7", UpgradeJournal.State.ADMITTED, null));

        put(journal, entry("app", "2.0.0", UpgradeJournal.State.FAILED, "because"));

        assertThat(entries(reopen()))
                .containsExactly(
                        entry("app", "2.0.0", UpgradeJournal.State.FAILED, "because"),
                        entry("default", "7", UpgradeJournal.State.ADMITTED, null));
    }

    @Test
    default void whatWasRemovedStaysRemoved() {
        UpgradeJournal journal = reopen();
        UpgradeJournal.Entry gone = entry("app", "2.0.0", UpgradeJournal.State.SUCCEEDED, null);
        UpgradeJournal.Entry kept = entry("app", "3.0.0", UpgradeJournal.State.ADMITTED, null);
        put(journal, gone);
        put(journal, kept);

        remove(journal, gone);
        remove(journal, gone);

        assertThat(entries(journal)).containsExactly(kept);
        assertThat(entries(reopen())).containsExactly(kept);
    }

    @Test
    default void whatWasRemovedAndPutAgainComesLast() {
        UpgradeJournal journal = reopen();
        UpgradeJournal.Entry first = entry("app", "2.0.0", UpgradeJournal.State.ADMITTED, null);
        UpgradeJournal.Entry second = entry("app", "3.0.0", UpgradeJournal.State.ADMITTED, null);
        put(journal, first);
        put(journal, second);
        remove(journal, first);
        put(journal, first);

        assertThat(entries(reopen())).containsExactly(second, first);
    }

    @Test
    default void noCredentialOfALocationIsKept() {
        UpgradeJournal journal = reopen();
        URI signed = URI.create("https://user:password@example.com:8443/a/b.bin?Signature=secret&Expires=1");
        UpgradeTrigger trigger = new UpgradeTrigger(
                new DeviceId("product", "device"), "app", "2.0.0", new Artifact("b.bin", signed, 7, List.of()));

        put(journal, new UpgradeJournal.Entry(trigger, true, UpgradeJournal.State.ADMITTED, false, null));

        UpgradeJournal.Entry read = entries(reopen()).get(0);
        assertThat(read.trigger().artifact().location()).isEqualTo(URI.create("https://example.com:8443/a/b.bin"));
        assertThat(read.locationsComplete()).isFalse();
        assertThat(read.trigger().key()).isEqualTo(trigger.key());
    }

    @Test
    default void whatLostItsCredentialBeforeIsStillIncomplete() {
        UpgradeJournal.Entry incomplete = new UpgradeJournal.Entry(
                entry("app", "2.0.0", UpgradeJournal.State.ADMITTED, null).trigger(),
                false,
                UpgradeJournal.State.ADMITTED,
                false,
                null);

        put(reopen(), incomplete);

        assertThat(entries(reopen())).containsExactly(incomplete);
    }

    @Test
    default void manyAtOnceAreAllKept() {
        UpgradeJournal journal = reopen();

        Flux.range(0, 500)
                .flatMap(i -> journal.put(entry("m" + i % 50, "v" + i, UpgradeJournal.State.ADMITTED, null)), 500)
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);

        assertThat(entries(reopen()))
                .containsExactlyInAnyOrderElementsOf(IntStream.range(0, 500)
                        .mapToObj(i -> entry("m" + i % 50, "v" + i, UpgradeJournal.State.ADMITTED, null))
                        .toList());
    }

    @Test
    default void nothingIsPutBeforeSubscription() {
        UpgradeJournal journal = reopen();

        journal.put(entry("app", "2.0.0", UpgradeJournal.State.ADMITTED, null));

        assertThat(entries(journal)).isEmpty();
    }

    /** An entry of one artifact with a digest. */
    static UpgradeJournal.Entry entry(
            String module, String version, UpgradeJournal.State state, @Nullable String detail) {
        Artifact artifact = new Artifact(
                module + ".bin",
                URI.create("https://example.com/" + module + "/" + version),
                1_000,
                List.of(Digest.sha256("ab".repeat(32))));
        return new UpgradeJournal.Entry(
                new UpgradeTrigger(new DeviceId("product", "device"), module, version, artifact),
                true,
                state,
                state.isFinal(),
                detail);
    }

    static void put(UpgradeJournal journal, UpgradeJournal.Entry entry) {
        journal.put(entry).as(StepVerifier::create).expectComplete().verify(SOON);
    }

    static void remove(UpgradeJournal journal, UpgradeJournal.Entry entry) {
        journal.remove(entry.trigger().key())
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
    }

    static List<UpgradeJournal.Entry> entries(UpgradeJournal journal) {
        List<UpgradeJournal.Entry> entries = journal.entries().collectList().block(SOON);
        assertThat(entries).isNotNull();
        return entries;
    }
}
