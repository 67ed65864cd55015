package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.artifact;
import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.chunks;
import static io.otaflux.testkit.ArtifactStoreContract.digest;
import static io.otaflux.testkit.ArtifactStoreContract.hasher;
import static io.otaflux.testkit.ArtifactStoreContract.read;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static io.otaflux.testkit.ArtifactStoreContract.writing;
import static io.otaflux.testkit.UpgradeJournalContract.entries;
import static io.otaflux.testkit.UpgradeJournalContract.entry;
import static io.otaflux.testkit.UpgradeJournalContract.put;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeJournal.State;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import io.otaflux.storage.CrashingDisk.Loss;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.reactivestreams.Publisher;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Every byte flipped and every truncation of every small file: a clean start with what is intact, never a loop of crashes. */
class DamageTest {

    private static final Duration SOON = ArtifactStoreContract.SOON;
    private static final Logger LOG = (Logger) LoggerFactory.getLogger(DamageTest.class.getPackageName());

    /** Nothing is cut off here, so that nothing has to be synchronised. */
    private static final Disk DISK = Loss.NOTHING.next();

    @TempDir
    Path directory;

    private final AtomicInteger warnings = new AtomicInteger();
    private final AppenderBase<ILoggingEvent> counter = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            if (event.getLevel() == Level.WARN) {
                warnings.incrementAndGet();
            }
        }
    };

    @BeforeEach
    void count() {
        counter.start();
        LOG.setAdditive(false);
        LOG.addAppender(counter);
    }

    @AfterEach
    void tearDown() {
        LOG.detachAppender(counter);
        LOG.setAdditive(true);
    }

    /** A new file each time, since a file system may write an old one to the medium when it is cut off. */
    private static void replace(Path file, byte[] bytes) throws IOException {
        Files.deleteIfExists(file);
        Files.write(file, bytes);
    }

    /** Looks at one damaged version of a file. */
    private interface Look {
        void at(byte[] damaged, String how) throws IOException;
    }

    /** @return how many versions there were */
    private static int damage(byte[] intact, Look look) throws IOException {
        int versions = 0;
        for (int position = 0; position < intact.length; position++) {
            // Another bit each time, and now and then the end of a line.
            int flip = position % 9 < 8 ? 1 << position % 9 : intact[position] ^ '\n';
            if ((byte) flip != 0) {
                byte[] damaged = intact.clone();
                damaged[position] ^= (byte) flip;
                look.at(damaged, "byte " + position + " flipped by " + flip);
                versions++;
            }
            look.at(Arrays.copyOf(intact, position), "cut off at " + position);
            versions++;
        }
        return versions;
    }

    private static final List<UpgradeJournal.Entry> ENTRIES = List.of(
            entry("m0", "1", State.ADMITTED, null),
            entry("m1", "1", State.INSTALLED, null),
            entry("m2", "1", State.FAILED, "a detail with\nline ends"),
            entry("m3", "1", State.SUCCEEDED, null),
            entry("m4", "1", State.CANCELLED, "withdrawn"),
            entry("m5", "1", State.AWAITING_RESTART, null));

    /** Whether a line has the right checksum whatever becomes of it, as if nobody looked at it. */
    private void damageJournal(boolean checksumsFollow) throws IOException {
        Path file = directory.resolve("journal-" + checksumsFollow);
        FileUpgradeJournal whole = FileUpgradeJournal.open(file, DISK, Runnable::run);
        ENTRIES.forEach(one -> put(whole, one));
        whole.close();
        byte[] intact = Files.readAllBytes(file);
        int[] lineOf = new int[intact.length];
        for (int i = 1; i < intact.length; i++) {
            lineOf[i] = lineOf[i - 1] + (intact[i - 1] == '\n' ? 1 : 0);
        }
        UpgradeJournal.Entry next = entry("next", "1", State.ADMITTED, null);
        AtomicInteger versions = new AtomicInteger();
        damage(intact, (damaged, how) -> {
            versions.incrementAndGet();
            replace(file, checksumsFollow ? resealed(damaged) : damaged);
            int before = warnings.get();

            FileUpgradeJournal journal = FileUpgradeJournal.open(file, DISK, Runnable::run);
            List<UpgradeJournal.Entry> kept = entries(journal);
            put(journal, next);
            journal.close();

            // Line 0 is the header; entry n is in line n + 1. What was written before the damage is kept.
            int line = lineOf[Math.max(0, Arrays.mismatch(intact, damaged))];
            assertThat(ENTRIES).as(how).containsAll(kept);
            assertThat(kept).as(how).containsAll(ENTRIES.subList(0, Math.max(0, line - 1)));
            boolean wholeLines = damaged.length > 0 && damaged[damaged.length - 1] == '\n';
            if (damaged.length == intact.length || !wholeLines) {
                assertThat(warnings.get()).as("%s: logged", how).isEqualTo(before + 1);
            }
            FileUpgradeJournal healed = FileUpgradeJournal.open(file, DISK, Runnable::run);
            assertThat(healed.damagedLines()).as(how).isZero();
            assertThat(entries(healed)).as(how).containsAll(kept).contains(next).hasSize(kept.size() + 1);
            healed.close();
        });
        System.err.println("figure: damaged journals: " + versions + " versions of " + intact.length
                + " bytes with 6 entries, 0 failed starts, 0 invented entries");
    }

    private static byte[] resealed(byte[] damaged) {
        StringBuilder text = new StringBuilder();
        for (String line : new String(damaged, StandardCharsets.ISO_8859_1).split("\n")) {
            text.append(line.length() > 9 ? Escaped.sealed(line.substring(9)) : line + "\n");
        }
        return text.toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    @Test
    void aJournalDamagedAnywhereKeepsWhatCameBeforeAndTakesTheNextChange() throws IOException {
        damageJournal(false);
    }

    @Test
    void aJournalThatDoesNotLookAtChecksumsIsCaught() {
        Mutant.assertCaught("the checksum of a journal's lines", () -> damageJournal(true));
    }

    @Test
    void aCheckpointDamagedAnywhereCostsTheTransferAtMost() throws IOException {
        byte[] content = bytes(30_000, 1);
        Path home = directory.resolve("store");
        FileArtifactStore store = store(home);
        writing(
                store,
                artifact("firmware", content),
                writer -> writer.begin(0, content.length, "\"v1\"")
                        .thenMany(writer.append(chunks(content, 0, 20_000, 10_000), hasher()))
                        .then());
        Path part = home.resolve(FileArtifactStore.keyOf(artifact("firmware", content)) + FileArtifactStore.PART);
        Path checkpoint = Path.of(part.toString().replace(FileArtifactStore.PART, FileArtifactStore.CHECKPOINT));
        byte[] intact = Files.readAllBytes(checkpoint);
        AtomicInteger versions = new AtomicInteger();
        Look look = (damaged, how) -> {
            // A store looks for files where it knows that there are some.
            writing(
                    store,
                    artifact("firmware", content),
                    writer -> writer.begin(0, content.length, null)
                            .thenMany(writer.append(chunks(content, 0, 1_000, 1_000), hasher()))
                            .then());
            replace(part, Arrays.copyOf(content, 20_000));
            replace(checkpoint, damaged);
            AtomicLong offset = new AtomicLong();
            Hasher hasher = hasher();
            writing(store, artifact("firmware", content), writer -> {
                offset.set(writer.offset());
                return writer.replay(hasher);
            });
            assertThat(hasher.finish()).as(how).containsExactly(sha256(Arrays.copyOf(content, (int) offset.get())));
            versions.incrementAndGet();
        };
        damage(intact, (damaged, how) -> {
            int before = warnings.get();
            look.at(damaged, how);
            assertThat(warnings.get()).as("%s: logged", how).isEqualTo(before + 1);
        });
        damage(intact, (damaged, how) -> look.at(resealed(damaged), how + ", with the right checksum"));
        ArtifactStoreContract.close(store);
        System.err.println("figure: damaged checkpoints: " + versions + " versions, 0 failed transfers");
    }

    @Test
    void aListOfDigestsDamagedAnywhereLeavesTheArtifactUnderItsName() throws IOException {
        byte[] content = bytes(3_000, 2);
        Digest md5 = digest(Digest.Algorithm.MD5, content);
        Path home = directory.resolve("store");
        FileArtifactStore store = store(home);
        writing(
                store,
                artifact("firmware", content),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(chunks(content, 0, 3_000, 3_000), hasher()))
                        .then(writer.commit(List.of(sha256(content), md5)))
                        .doOnNext(ArtifactStore.Stored::release)
                        .then());
        ArtifactStoreContract.close(store);
        Path list = home.resolve("sha256-" + sha256(content).hex() + ".digests");
        byte[] intact = Files.readAllBytes(list);
        AtomicInteger looks = new AtomicInteger();
        Look look = (damaged, how) -> {
            replace(list, damaged);
            if (looks.getAndIncrement() % 5 > 0) {
                // Opening a store takes its time.
                SmallFile.read(list, "digests");
                return;
            }
            FileArtifactStore next = store(home);
            assertThat(read(ArtifactStoreContract.find(next, sha256(content)))).isEqualTo(content);
            ArtifactStoreContract.close(next);
        };
        damage(intact, (damaged, how) -> {
            int before = warnings.get();
            look.at(damaged, how);
            assertThat(warnings.get()).as("%s: logged", how).isEqualTo(before + 1);
        });
        damage(intact, (damaged, how) -> look.at(resealed(damaged), how));
    }

    @Test
    void aStateOfSlotsDamagedAnywhereLeavesTheLinkedSlotInUse() throws IOException {
        Path home = directory.resolve("firmware");
        try (StoreFixture fixture = new StoreFixture(directory.resolve("store"))) {
            SlotInstaller slots = slots(home);
            for (String version : List.of("1", "2")) {
                Verified upgrade = fixture.verification()
                        .upgrade("default", version, ("version " + version).getBytes(StandardCharsets.UTF_8));
                slots.install(upgrade)
                        .then(slots.boot())
                        .then(slots.confirm(upgrade.trigger()))
                        .block(SOON);
            }
        }
        Path state = home.resolve("state");
        byte[] intact = Files.readAllBytes(state);
        damage(intact, (damaged, how) -> {
            replace(state, damaged);
            int before = warnings.get();
            SlotInstaller.Boot boot = slots(home).boot().block(SOON);
            assertThat(boot).as(how).isNotNull();
            assertThat(boot.slot().resolve("app.bin")).as(how).hasContent("version 2");
            assertThat(warnings.get()).as("%s: logged", how).isGreaterThan(before);
        });
        damage(intact, (damaged, how) -> {
            replace(state, resealed(damaged));
            Files.deleteIfExists(home.resolve("current"));
            Files.createSymbolicLink(home.resolve("current"), Path.of("b"));
            for (int start = 0; start < 2; start++) {
                SlotInstaller.Boot boot = slots(home).boot().block(SOON);
                assertThat(boot == null || Files.isDirectory(boot.slot()))
                        .as("%s, with the right checksum", how)
                        .isTrue();
            }
        });
    }

    @Test
    void aByteThatRottedBetweenTwoProcessesIsFoundAndAllIsFetchedAnew() throws IOException {
        byte[] content = bytes(50_000, 3);
        Artifact artifact = artifact("firmware", content);
        Path home = directory.resolve("store");
        for (int position = 0; position < 30_000; position += 4_999) {
            FileArtifactStore first = store(home);
            writing(
                    first,
                    artifact,
                    writer -> writer.begin(0, content.length, "\"v1\"")
                            .thenMany(writer.append(chunks(content, 0, 30_000, 10_000), hasher()))
                            .then());
            ArtifactStoreContract.close(first);
            Path part = home.resolve(FileArtifactStore.keyOf(artifact) + FileArtifactStore.PART);
            byte[] rotten = Files.readAllBytes(part);
            rotten[position] ^= (byte) (1 << position % 8);
            Files.write(part, rotten);

            FileArtifactStore second = store(home);
            List<Long> asked = new CopyOnWriteArrayList<>();
            OtaClient client = OtaClient.builder(UpgradeChannel.none(new DeviceId("product", "device")))
                    .source(ranges(content, asked))
                    .store(second)
                    .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                    .build();
            UpgradeTrigger trigger = new UpgradeTrigger(new DeviceId("product", "device"), "app", "2", artifact);
            assertThat(client.download(trigger).flatMap(client::verify).block(SOON))
                    .isNotNull();

            assertThat(asked).as("offsets asked for").containsExactly(30_000L, 0L);
            assertThat(read(ArtifactStoreContract.find(second, sha256(content))))
                    .isEqualTo(content);
            second.find(List.of(sha256(content)))
                    .flatMap(ArtifactStore.Stored::evict)
                    .block(SOON);
            ArtifactStoreContract.close(second);
        }
    }

    private static ArtifactSource ranges(byte[] content, List<Long> asked) {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return Flux.defer(() -> {
                    asked.add(request.offset());
                    return consumer.apply(new Content(
                            request.offset(),
                            content.length,
                            "\"v1\"",
                            chunks(content, (int) request.offset(), content.length, 10_000)));
                });
            }
        };
    }

    private static FileArtifactStore store(Path home) {
        return FileArtifactStore.builder(home).disk(DISK).build();
    }

    private static SlotInstaller slots(Path home) {
        return SlotInstaller.builder(home).disk(DISK).build();
    }
}
