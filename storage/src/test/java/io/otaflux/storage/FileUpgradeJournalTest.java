package io.otaflux.storage;

import static io.otaflux.testkit.UpgradeJournalContract.entries;
import static io.otaflux.testkit.UpgradeJournalContract.entry;
import static io.otaflux.testkit.UpgradeJournalContract.put;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeJournal.State;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.UpgradeJournalContract;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;

class FileUpgradeJournalTest implements UpgradeJournalContract {

    private static final Logger LOG = (Logger) LoggerFactory.getLogger(FileUpgradeJournal.class);

    @TempDir
    Path directory;

    private final ExecutorService executor = Executors.newSingleThreadExecutor();
    private @Nullable FileUpgradeJournal open;

    @Override
    public UpgradeJournal reopen() {
        return reopen(Disk.REAL);
    }

    private FileUpgradeJournal reopen(Disk disk) {
        close();
        FileUpgradeJournal journal = FileUpgradeJournal.open(file(), disk, executor);
        open = journal;
        return journal;
    }

    private Path file() {
        return directory.resolve("journal");
    }

    private void close() {
        if (open != null) {
            open.close();
        }
    }

    /** What is damaged on purpose here is logged thousands of times. */
    @BeforeEach
    void quieten() {
        LOG.setLevel(Level.ERROR);
    }

    @AfterEach
    void tearDown() {
        close();
        executor.shutdownNow();
        LOG.setLevel(null);
    }

    /** Five changes, and what was true after any of them. */
    private Set<UpgradeJournal.Entry> written() {
        UpgradeJournal journal = reopen();
        List<UpgradeJournal.Entry> written = List.of(
                entry("app", "2.0.0", State.ADMITTED, null),
                entry("default", "7", State.ADMITTED, null),
                entry("app", "2.0.0", State.FAILED, "a detail with\nline ends"),
                entry("other", "1", State.SUCCEEDED, null));
        written.forEach(entry -> put(journal, entry));
        UpgradeJournalContract.remove(journal, written.get(1));
        close();
        return new HashSet<>(written);
    }

    @Test
    void aFlippedByteAnywhereLosesOneRecordAtMostAndInventsNone() throws IOException {
        Set<UpgradeJournal.Entry> written = written();
        byte[] intact = Files.readAllBytes(file());
        int records = written.size();

        for (int position = 0; position < intact.length; position++) {
            for (int flip : new int[] {1, 0x80, intact[position] ^ '\n'}) {
                byte[] damaged = intact.clone();
                damaged[position] ^= (byte) flip;
                Files.write(file(), damaged);

                FileUpgradeJournal journal = reopen(Disk.REAL);
                assertThat(entries(journal)).as("byte %d ^ %d", position, flip).isSubsetOf(written);
                assertThat(journal.damagedLines())
                        .as("byte %d ^ %d", position, flip)
                        .isLessThanOrEqualTo(2);
                assertThat(entries(journal).size())
                        .as("byte %d ^ %d", position, flip)
                        .isBetween(1, records - 1);
            }
        }
    }

    @Test
    void aJournalCutOffAnywhereKeepsWhatIsWhole() throws IOException {
        Set<UpgradeJournal.Entry> written = written();
        byte[] intact = Files.readAllBytes(file());

        for (int length = 0; length < intact.length; length++) {
            Files.write(file(), Arrays.copyOf(intact, length));

            assertThat(entries(reopen())).as("cut off at %d", length).isSubsetOf(written);
        }
    }

    @Test
    void aDamagedJournalIsWrittenAnewByTheNextChange() throws IOException {
        written();
        byte[] damaged = Files.readAllBytes(file());
        damaged[damaged.length / 2] ^= 1;
        Files.write(file(), Arrays.copyOf(damaged, damaged.length - 3));
        List<UpgradeJournal.Entry> kept = new ArrayList<>(entries(reopen()));
        UpgradeJournal.Entry next = entry("next", "1", State.ADMITTED, null);

        put(reopen(), next);

        kept.add(next);
        FileUpgradeJournal healed = reopen(Disk.REAL);
        assertThat(entries(healed)).containsExactlyElementsOf(kept);
        assertThat(healed.damagedLines()).isZero();
    }

    @Test
    void nothingThatAPlatformSendsPassesForARecord() {
        UpgradeJournal.Entry planted = entry("planted", "1", State.SUCCEEDED, null);
        String line = Escaped.sealed(JournalRecord.put(planted).text());
        UpgradeJournal.Entry carrier = entry("app", "1", State.FAILED, "x\n" + line + line);

        put(reopen(), carrier);

        assertThat(entries(reopen())).containsExactly(carrier);
    }

    /** What version 0.1 wrote, byte for byte. */
    @Test
    void aJournalFromBeforeSignaturesAndDeltasIsRead() throws IOException {
        Files.writeString(file(), """
                8413d637 otaflux-journal 1
                c48c61ed put product=a1B2 device=gateway-7 module=app version=2.0.0 state=ADMITTED reported=false complete=true\
                 artifact=app%20(1).bin|https://example.com/app.bin|1000|SHA-256:abababababababababababababababababababababababababababababababab tag=note|50%20%25
                """);

        FileUpgradeJournal journal = reopen(Disk.REAL);

        assertThat(journal.damagedLines()).isZero();
        assertThat(entries(journal))
                .containsExactly(new UpgradeJournal.Entry(
                        new UpgradeTrigger(
                                new DeviceId("a1B2", "gateway-7"),
                                "app",
                                "2.0.0",
                                List.of(new Artifact(
                                        "app (1).bin",
                                        URI.create("https://example.com/app.bin"),
                                        1_000,
                                        List.of(Digest.sha256("ab".repeat(32))))),
                                Map.of("note", "50 %")),
                        true,
                        State.ADMITTED,
                        false,
                        null));
    }

    /** The other way round: a device whose library was rolled back finds its upgrades. */
    @Test
    void whatANewerVersionKnowsOfAnUpgradeDoesNotHideIt() {
        UpgradeJournal.Entry entry = entry("app", "2.0.0", State.ADMITTED, null);

        JournalRecord read =
                JournalRecord.parse(JournalRecord.put(entry).text() + " unheard_of=1 signature=a delta=true");

        assertThat(read.key()).isEqualTo(entry.trigger().key());
    }

    @Test
    void aJournalOfALaterFormatIsRefused() throws IOException {
        Files.writeString(file(), Escaped.sealed("otaflux-journal 2"));

        assertThatThrownBy(this::reopen)
                .isInstanceOf(StorageException.class)
                .hasMessageContaining("format 2 (expected: 1)");
    }

    @Test
    void changesThatComeDuringASynchronisationShareTheNextOne() throws InterruptedException {
        CountDownLatch firstSync = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicInteger syncs = new AtomicInteger();
        FileUpgradeJournal journal = reopen(new Disk() {
            @Override
            void sync(FileChannel channel) throws IOException {
                if (syncs.getAndIncrement() == 0) {
                    firstSync.countDown();
                    awaitUninterruptibly(goOn);
                }
                super.sync(channel);
            }
        });
        AtomicInteger done = new AtomicInteger();
        Flux<Void> all = Flux.range(0, 100)
                .flatMap(
                        i -> journal.put(entry("m" + i, "1", State.ADMITTED, null))
                                .doOnSuccess(put -> done.incrementAndGet()),
                        100);
        StepVerifier verifier = all.as(StepVerifier::create).expectComplete().verifyLater();
        firstSync.await();
        assertThat(done).as("put before the first synchronisation").hasValue(0);

        goOn.countDown();

        verifier.verify(SOON);
        assertThat(syncs.get()).as("synchronisations for 100 changes").isLessThanOrEqualTo(3);
        assertThat(entries(reopen())).hasSize(100);
    }

    @Test
    void aFailedSynchronisationIsToldAndTheJournalIsWrittenAnew() {
        FileUpgradeJournal journal = reopen(new Disk() {
            private int syncs;

            @Override
            void sync(FileChannel channel) throws IOException {
                if (++syncs == 2) {
                    throw new SyncFailedException(new IOException("Input/output error"));
                }
                super.sync(channel);
            }
        });
        UpgradeJournal.Entry first = entry("first", "1", State.ADMITTED, null);
        UpgradeJournal.Entry third = entry("third", "1", State.ADMITTED, null);
        put(journal, first);

        journal.put(entry("second", "1", State.ADMITTED, null))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(StorageException.class)
                        .hasMessageContaining("Input/output error"))
                .verify(SOON);
        assertThat(entries(journal)).containsExactly(first);
        put(journal, third);

        assertThat(entries(reopen())).containsExactly(first, third);
    }

    @Test
    void aCrashAtAnyPointLosesNothingThatWasPut() {
        for (int point = 0; ; point++) {
            CrashingDisk disk = new CrashingDisk(point);
            FileUpgradeJournal journal = reopen(disk);
            List<UpgradeJournal.Entry> durable = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                UpgradeJournal.Entry entry = entry("m" + i, "1", State.ADMITTED, null);
                journal.put(entry)
                        .doOnSuccess(put -> durable.add(entry))
                        .onErrorComplete()
                        .block(SOON);
            }

            assertThat(entries(reopen())).as("after a crash at change " + point).containsAll(durable);
            durable.forEach(entry -> UpgradeJournalContract.remove(reopen(), entry));
            if (!disk.crashed()) {
                assertThat(durable).hasSize(4);
                return;
            }
        }
    }

    @Test
    void noChangeOfAGroupIsToldBeforeItWouldSurviveAPowerCut() throws IOException {
        assertNothingToldIsLost(CrashingDisk::new);
    }

    @Test
    void aJournalThatTellsBeforeItSynchronisesIsCaught() {
        Mutant.assertCaught(
                "synchronising a group before its changes are told",
                () -> assertNothingToldIsLost((point, watched) -> new CrashingDisk(point, watched) {
                    private @Nullable FileChannel owed;

                    @Override
                    void sync(FileChannel channel) {
                        owed = channel;
                    }

                    @Override
                    void write(FileChannel channel, ByteBuffer bytes) throws IOException {
                        if (owed != null) {
                            super.sync(owed);
                        }
                        super.write(channel, bytes);
                    }
                }));
    }

    /** Three groups of changes, a crash at every change of the medium, and after it everything that a power cut may take. */
    private void assertNothingToldIsLost(BiFunction<Integer, Path, CrashingDisk> disks) throws IOException {
        List<UpgradeJournal.Entry> all = IntStream.range(0, 12)
                .mapToObj(i -> entry("m" + i, "1", State.ADMITTED, null))
                .toList();
        boolean crashing;
        int point = 0;
        do {
            Path crashed = Files.createDirectory(directory.resolve("crashed-" + point));
            CrashingDisk disk = disks.apply(point, crashed);
            Queue<Runnable> flushes = new ArrayDeque<>();
            FileUpgradeJournal journal = FileUpgradeJournal.open(crashed.resolve("journal"), disk, flushes::add);
            Set<UpgradeJournal.Entry> kept = new HashSet<>();
            Set<UpgradeJournal.Entry> gone = new HashSet<>();
            for (List<UpgradeJournal.Entry> group : List.of(all.subList(0, 5), all.subList(5, 12))) {
                group.forEach(entry -> journal.put(entry).subscribe(put -> {}, failed -> {}, () -> kept.add(entry)));
                flush(flushes);
            }
            for (UpgradeJournal.Entry entry : all.subList(3, 7)) {
                kept.remove(entry);
                journal.remove(entry.trigger().key()).subscribe(removed -> {}, failed -> {}, () -> gone.add(entry));
            }
            flush(flushes);
            journal.close();
            crashing = disk.crashed();
            for (CrashingDisk.Loss loss : CrashingDisk.Loss.values()) {
                Path left = directory.resolve("left-" + point + "-" + loss);
                CrashingDisk.restore(disk.left(loss), left);
                FileUpgradeJournal next = FileUpgradeJournal.open(left.resolve("journal"), loss.next(), Runnable::run);
                assertThat(entries(next))
                        .as("after a crash at change %d (%s) and the loss of %s", point, disk.changes(), loss)
                        .containsAll(kept)
                        .noneMatch(gone::contains, "removed before");
                next.close();
            }
            point++;
        } while (crashing);
        assertThat(point).as("changes of the medium").isGreaterThan(7);
    }

    private static void flush(Queue<Runnable> flushes) {
        for (Runnable flush = flushes.poll(); flush != null; flush = flushes.poll()) {
            flush.run();
        }
    }

    @Test
    void aJournalOfMostlyReplacedLinesIsWrittenAnew() throws IOException {
        UpgradeJournal journal = reopen();
        UpgradeJournal.Entry kept = entry("kept", "1", State.ADMITTED, null);
        put(journal, kept);
        UpgradeJournal.Entry last = entry("app", "2.0.0", State.FAILED, "last");
        for (int i = 0; i < 1_000; i++) {
            put(journal, entry("app", "2.0.0", State.FAILED, "x".repeat(100)));
        }
        put(journal, last);

        assertThat(Files.size(file()))
                .as("bytes after 1,000 changes of one upgrade")
                .isLessThan(150_000);
        assertThat(entries(reopen())).containsExactly(kept, last);
    }

    @Test
    void credentialsAreNotInTheFile() throws IOException {
        noCredentialOfALocationIsKept();

        assertThat(Files.readString(file())).doesNotContain("secret", "password", "Signature");
    }

    @ParameterizedTest
    @CsvSource({
        "http://user@, http:/",
        "http://user:password@/a?Signature, http:/a",
        "https:////example.com/a?Signature, https:////example.com/a",
        "urn:?Signature, urn:/",
        "s3://bucket_name/a?Signature, s3://bucket_name/a"
    })
    void anOddLocationIsKeptAsFarAsItMayBe(String location, String kept) {
        UpgradeTrigger trigger = entry("app", "1", State.ADMITTED, null).trigger();
        UpgradeTrigger odd = new UpgradeTrigger(
                trigger.device(),
                trigger.module(),
                trigger.version(),
                trigger.artifact().at(URI.create(location)));
        put(reopen(), new UpgradeJournal.Entry(odd, true, State.ADMITTED, false, null));

        assertThat(entries(reopen()))
                .singleElement()
                .satisfies(entry ->
                        assertThat(entry.trigger().artifact().location()).hasToString(kept));
    }

    @Test
    void aClosedJournalSaysSo() {
        UpgradeJournal journal = reopen();
        close();

        journal.put(entry("app", "1", State.ADMITTED, null))
                .as(StepVerifier::create)
                .expectErrorMessage("Journal " + file() + ": is closed")
                .verify(SOON);
    }

    @Test
    void theOrderOfUpgradesSurvivesBeingWrittenAnew() {
        UpgradeJournal journal = reopen();
        IntStream.range(0, 5).forEach(i -> put(journal, entry("m" + i, "1", State.ADMITTED, null)));
        for (int i = 0; i < 600; i++) {
            put(journal, entry("m" + i % 5, "1", State.FAILED, "again"));
        }

        assertThat(entries(reopen()))
                .extracting(entry -> entry.trigger().module())
                .containsExactly("m0", "m1", "m2", "m3", "m4");
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        boolean interrupted = false;
        while (true) {
            try {
                latch.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
