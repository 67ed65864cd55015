package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.artifact;
import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.chunks;
import static io.otaflux.testkit.ArtifactStoreContract.hasher;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static io.otaflux.testkit.ArtifactStoreContract.writing;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.Verified;
import io.otaflux.storage.CrashingDisk.Loss;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.UpgradeJournalContract;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Cuts the power at every change of the medium, takes away what was not synchronised by then in each of several ways, and looks
 * at what the next process makes of the rest. The same with one guard left out at a time must fail.
 */
class PowerCutTest {

    private static final Duration SOON = ArtifactStoreContract.SOON;
    private static final Logger LOG = (Logger) LoggerFactory.getLogger(PowerCutTest.class.getPackageName());
    private static final String APP = "app.bin";

    /** Makes the disk of one life: it crashes after so many changes, and watches that directory. */
    private interface Disks extends BiFunction<Integer, Path, CrashingDisk> {}

    private final AtomicInteger lives = new AtomicInteger();
    private int states;

    @TempDir
    Path directory;

    /** What is damaged on purpose here is logged hundreds of times. */
    @BeforeEach
    void quieten() {
        LOG.setLevel(Level.ERROR);
    }

    @AfterEach
    void tearDown() {
        LOG.setLevel(null);
    }

    /** What {@link #crashEverywhere} does and looks at. */
    private interface Life {

        /** Lives on a disk that crashes. */
        void live(Path home, Disk disk);

        /** Looks at what is left of that. */
        void check(Path home, Disk disk) throws IOException;
    }

    /** @return how many crashes there were */
    private int crashEverywhere(Disks disks, BiFunction<CrashingDisk, Path, Life> lifeOn) throws IOException {
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            Path home = Files.createDirectory(directory.resolve("life-" + lives.incrementAndGet()));
            CrashingDisk disk = disks.apply(points, home);
            Life life = lifeOn.apply(disk, home);
            life.live(home, disk);
            crashed = disk.crashed();
            Set<Object> seen = new HashSet<>();
            for (Loss loss : Loss.values()) {
                Map<String, Object> left = disk.left(loss);
                if (!seen.add(List.of(loss.next().boot(), left))) {
                    continue;
                }
                Path copy = home.resolveSibling(home.getFileName() + "-" + loss);
                CrashingDisk.restore(left, copy);
                states++;
                try {
                    life.check(copy, loss.next());
                } catch (RuntimeException e) {
                    throw new AssertionError("change " + points + ", lost: " + loss, e);
                } catch (AssertionError e) {
                    throw new AssertionError("change " + points + ", lost: " + loss + ": " + e.getMessage(), e);
                }
            }
        }
        return points;
    }

    private static Disks unchanged() {
        return CrashingDisk::new;
    }

    // The store: some of other content, then the right one in two lives of a writer, then commit and eviction.

    private static final byte[] OTHER = bytes(40_000, 1);
    private static final byte[] CONTENT = bytes(40_000, 2);
    private static final Artifact FIRMWARE = artifact("firmware", CONTENT);

    private static final class StoreLife implements Life {

        private final AtomicLong durable = new AtomicLong();
        private final AtomicBoolean committed = new AtomicBoolean();
        private final AtomicBoolean evicted = new AtomicBoolean();

        @Override
        public void live(Path home, Disk disk) {
            FileArtifactStore store;
            try {
                store = FileArtifactStore.builder(home.resolve("store"))
                        .disk(disk)
                        .checkpointBytes(15_000)
                        .build();
            } catch (StorageException e) {
                return;
            }
            Hasher hasher = hasher();
            Mono.usingWhen(
                            store.open(FIRMWARE),
                            writer -> writer.begin(0, CONTENT.length, "\"v1\"")
                                    .thenMany(writer.append(chunks(OTHER, 0, 20_000, 5_000), hasher()))
                                    .doOnNext(durable::set)
                                    .then(Mono.defer(() -> {
                                        durable.set(0);
                                        return writer.begin(0, CONTENT.length, "\"v2\"");
                                    }))
                                    .thenMany(writer.append(chunks(CONTENT, 0, 20_000, 5_000), hasher))
                                    .doOnNext(durable::set)
                                    .then(),
                            ArtifactStore.Writer::close)
                    .then(Mono.usingWhen(
                            store.open(FIRMWARE),
                            writer -> writer.begin(20_000, CONTENT.length, "\"v2\"")
                                    .thenMany(Flux.defer(
                                            () -> writer.append(chunks(CONTENT, 20_000, 40_000, 5_000), hasher)))
                                    .doOnNext(durable::set)
                                    .then(Mono.defer(() -> writer.commit(digests(hasher)))),
                            ArtifactStore.Writer::close))
                    .doOnNext(stored -> committed.set(true))
                    .flatMap(stored -> {
                        evicted.set(true);
                        return stored.evict();
                    })
                    .onErrorComplete()
                    .block(SOON);
            store.close().onErrorComplete().block(SOON);
        }

        private static List<Digest> digests(Hasher hasher) {
            List<Digest> all = new ArrayList<>(hasher.finish());
            all.add(ArtifactStoreContract.digest(Digest.Algorithm.MD5, CONTENT));
            return all;
        }

        @Override
        public void check(Path home, Disk disk) {
            FileArtifactStore store =
                    FileArtifactStore.builder(home.resolve("store")).disk(disk).build();
            ArtifactStore.Stored found = store.find(List.of(sha256(CONTENT))).block(SOON);
            if (found != null) {
                assertThat(ArtifactStoreContract.read(found))
                        .as("committed bytes")
                        .isEqualTo(CONTENT);
                found.release();
            } else {
                assertThat(committed.get() && !evicted.get())
                        .as("a committed artifact is lost")
                        .isFalse();
                if (!evicted.get()) {
                    checkPart(store);
                }
            }
            ArtifactStoreContract.store(store, FIRMWARE, CONTENT);
            assertThat(ArtifactStoreContract.read(ArtifactStoreContract.find(store, sha256(CONTENT))))
                    .isEqualTo(CONTENT);
            store.close().block(SOON);
        }

        private void checkPart(FileArtifactStore store) {
            Hasher hasher = hasher();
            AtomicLong offset = new AtomicLong();
            AtomicBoolean second = new AtomicBoolean();
            writing(store, FIRMWARE, writer -> {
                offset.set(writer.offset());
                second.set("\"v2\"".equals(writer.validator()));
                return writer.replay(hasher);
            });
            assertThat(offset.get()).as("durable bytes").isGreaterThanOrEqualTo(durable.get());
            assertThat(hasher.finish())
                    .as("what counts of the part, %d bytes", offset.get())
                    .containsExactly(sha256(Arrays.copyOf(second.get() ? CONTENT : OTHER, (int) offset.get())));
        }
    }

    private int cutTheStore(Disks disks) throws IOException {
        return crashEverywhere(disks, (disk, home) -> new StoreLife());
    }

    @Test
    void aPowerCutAtAnyPointLosesNothingOfTheStoreThatWasDurable() throws IOException {
        int points = cutTheStore(unchanged());

        assertThat(points).as("changes of the medium that were tried").isGreaterThan(50);
        System.err.println("figure: power cuts of a store, simulated: " + points + " points, " + states
                + " states of the medium, 0 bad ones");
    }

    @Test
    void aStoreThatLeavesOutAGuardIsCaught() {
        mutant("synchronising bytes before the checkpoint that counts them", this::cutTheStore, NoSync::new);
        mutant("synchronising the directory", this::cutTheStore, NoDirectorySync::new);
        mutant("synchronising before the rename", this::cutTheStore, RenameFirst::new);
        mutant("removing the checkpoint before its bytes", this::cutTheStore, KeepsCheckpoints::new);
        mutant("telling a power cut from a kill", this::cutTheStore, SameBoot::new);
    }

    private interface Harness {
        int run(Disks disks) throws IOException;
    }

    private static void mutant(String guard, Harness harness, Disks disks) {
        Mutant.assertCaught(guard, () -> harness.run(disks));
    }

    // Small artifacts that are committed together.

    /** More than the threads of a store, of which one is busy synchronising the directory while the others rename. */
    private static final int TOGETHER = 6;

    private static byte[] small(int number) {
        return bytes(1_000, 100 + number);
    }

    /** Its first synchronisation of the store's directory ends when everything else has been renamed. */
    private static class GroupingDisk extends CrashingDisk {

        private final CountDownLatch renamed = new CountDownLatch(TOGETHER);
        private final AtomicBoolean synchronised = new AtomicBoolean();

        GroupingDisk(int point, Path watched) {
            super(point, watched);
        }

        @Override
        void rename(Path source, Path target) throws IOException {
            try {
                super.rename(source, target);
            } finally {
                renamed.countDown();
            }
        }

        @Override
        void syncDirectory(Path synced) throws IOException {
            super.syncDirectory(synced);
            if (synced.endsWith("store") && !synchronised.getAndSet(true)) {
                awaitOthers();
            }
        }

        /** Those whose part could not even be written will never rename it. */
        private void awaitOthers() {
            try {
                while (!crashed() && !renamed.await(5, TimeUnit.MILLISECONDS)) {
                    // Some are still on their way.
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static final class GroupLife implements Life {

        private final Set<Integer> committed = ConcurrentHashMap.newKeySet();

        @Override
        public void live(Path home, Disk disk) {
            FileArtifactStore store;
            try {
                store = FileArtifactStore.builder(home.resolve("store"))
                        .disk(disk)
                        .build();
            } catch (StorageException e) {
                return;
            }
            Flux.range(0, TOGETHER)
                    .flatMap(number -> commit(store, number)
                            .doOnNext(stored -> committed.add(number))
                            .onErrorComplete())
                    .blockLast(SOON);
            store.close().onErrorComplete().block(SOON);
        }

        private static Mono<ArtifactStore.Stored> commit(FileArtifactStore store, int number) {
            byte[] content = small(number);
            return Mono.usingWhen(
                    store.open(artifact("small-" + number, content)),
                    writer -> {
                        Hasher hasher = hasher();
                        return writer.begin(0, content.length, null)
                                .thenMany(writer.append(chunks(content, 0, content.length, 500), hasher))
                                .then(Mono.defer(() -> writer.commit(hasher.finish())));
                    },
                    ArtifactStore.Writer::close);
        }

        @Override
        public void check(Path home, Disk disk) {
            FileArtifactStore store =
                    FileArtifactStore.builder(home.resolve("store")).disk(disk).build();
            for (int number = 0; number < TOGETHER; number++) {
                ArtifactStore.Stored found =
                        store.find(List.of(sha256(small(number)))).block(SOON);
                if (found == null) {
                    assertThat(committed).as("a committed artifact is lost").doesNotContain(number);
                } else {
                    assertThat(ArtifactStoreContract.read(found)).isEqualTo(small(number));
                }
            }
            store.close().block(SOON);
        }
    }

    private int cutTheGroup(Disks disks) throws IOException {
        return crashEverywhere(disks, (disk, home) -> new GroupLife());
    }

    @Test
    void aPowerCutAtAnyPointLosesNothingThatWasCommittedTogether() throws IOException {
        assertThat(cutTheGroup(GroupingDisk::new)).isGreaterThan(20);
    }

    @Test
    void aStoreThatLeavesOutAGuardOfThoseWhoCommitTogetherIsCaught() {
        mutant(
                "synchronising the directory for those who were renamed during a synchronisation",
                this::cutTheGroup,
                OneDirectorySync::new);
        mutant("synchronising small artifacts", this::cutTheGroup, NoSync::new);
    }

    // The journal.

    private static final List<UpgradeJournal.Entry> ENTRIES = List.of(
            UpgradeJournalContract.entry("m0", "1", UpgradeJournal.State.ADMITTED, null),
            UpgradeJournalContract.entry("m1", "1", UpgradeJournal.State.ADMITTED, null),
            UpgradeJournalContract.entry("m0", "1", UpgradeJournal.State.INSTALLED, null),
            UpgradeJournalContract.entry("m2", "1", UpgradeJournal.State.FAILED, "a detail"),
            UpgradeJournalContract.entry("m1", "1", UpgradeJournal.State.SUCCEEDED, null));

    private static final class JournalLife implements Life {

        private final ExecutorService executor;
        private final AtomicInteger put = new AtomicInteger();

        JournalLife(ExecutorService executor) {
            this.executor = executor;
        }

        @Override
        public void live(Path home, Disk disk) {
            FileUpgradeJournal journal;
            try {
                journal = FileUpgradeJournal.open(home.resolve("journal"), disk, executor);
            } catch (StorageException e) {
                return;
            }
            Flux.fromIterable(ENTRIES)
                    .skip(1)
                    .concatMap(entry -> journal.put(entry).doOnSuccess(done -> put.incrementAndGet()))
                    .onErrorComplete()
                    .blockLast(SOON);
            journal.close();
        }

        @Override
        public void check(Path home, Disk disk) {
            FileUpgradeJournal journal = FileUpgradeJournal.open(home.resolve("journal"), disk, executor);
            List<List<UpgradeJournal.Entry>> old =
                    List.of(after(1 + put.get()), after(Math.min(ENTRIES.size(), 2 + put.get())));
            assertThat(UpgradeJournalContract.entries(journal)).isIn(old);
            journal.close();
        }

        /** With a torn line, so that the first change writes the journal anew. */
        static void begin(Path file, ExecutorService executor) {
            FileUpgradeJournal journal = FileUpgradeJournal.open(file, Loss.NOTHING.next(), executor);
            UpgradeJournalContract.put(journal, ENTRIES.get(0));
            journal.close();
            write(file, read(file) + "torn");
        }

        private static List<UpgradeJournal.Entry> after(int puts) {
            Map<String, UpgradeJournal.Entry> entries = new LinkedHashMap<>();
            ENTRIES.subList(0, puts)
                    .forEach(entry -> entries.put(entry.trigger().module(), entry));
            return List.copyOf(entries.values());
        }
    }

    private int cutTheJournal(Disks disks) throws IOException {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try {
            return crashEverywhere(
                    (point, home) -> {
                        JournalLife.begin(home.resolve("journal"), executor);
                        return disks.apply(point, home);
                    },
                    (disk, home) -> new JournalLife(executor));
        } finally {
            executor.shutdown();
        }
    }

    @Test
    void aPowerCutAtAnyPointLosesNothingThatWasPutIntoTheJournal() throws IOException {
        assertThat(cutTheJournal(unchanged())).isGreaterThan(10);
    }

    @Test
    void aJournalThatLeavesOutAGuardIsCaught() {
        mutant("synchronising the journal", this::cutTheJournal, NoSync::new);
        mutant("synchronising the journal's directory", this::cutTheJournal, NoDirectorySync::new);
        mutant("synchronising the new journal before it is renamed", this::cutTheJournal, RenameFirst::new);
    }

    // The installers.

    private static final Map<String, String> VERSIONS = Map.of("1", "one", "2", "two", "3", "three");

    private static final class FileLife implements Life {

        private final Verified upgrade;
        private final AtomicBoolean installed = new AtomicBoolean();

        FileLife(Verified upgrade, Path home) {
            this.upgrade = upgrade;
        }

        @Override
        public void live(Path home, Disk disk) {
            FileInstaller.to(home.resolve(APP))
                    .disk(disk)
                    .install(upgrade)
                    .doOnSuccess(done -> installed.set(true))
                    .onErrorComplete()
                    .block(SOON);
        }

        @Override
        public void check(Path home, Disk disk) {
            Path app = home.resolve(APP);
            assertThat(app).content().isIn("one", "two");
            if (installed.get()) {
                assertThat(app).content().isEqualTo("two");
                assertThat(home.resolve(APP + ".previous")).content().isEqualTo("one");
            }
            FileInstaller.to(app).disk(disk).install(upgrade).block(SOON);
            assertThat(app).content().isEqualTo("two");
        }
    }

    private int cutAFile(Disks disks) throws IOException {
        try (StoreFixture store = fixture()) {
            Verified upgrade = upgrade(store, "2");
            return crashEverywhere(
                    (point, home) -> {
                        write(home.resolve(APP), "one");
                        return disks.apply(point, home);
                    },
                    (disk, home) -> new FileLife(upgrade, home));
        }
    }

    @Test
    void aPowerCutAtAnyPointLeavesTheOldOrTheNewFile() throws IOException {
        assertThat(cutAFile(unchanged())).isGreaterThan(5);
    }

    @Test
    void aFileInstallerThatLeavesOutAGuardIsCaught() {
        mutant("synchronising the new file", this::cutAFile, NoSync::new);
        mutant("synchronising the directory of the file", this::cutAFile, NoDirectorySync::new);
        mutant("synchronising the new file before it is renamed", this::cutAFile, RenameFirst::new);
    }

    /** From version 1 by way of 2, which is confirmed, to 3, which never is. */
    private static final class SlotLife implements Life {

        private final List<Verified> upgrades;
        private volatile String confirmed = "1";
        private final AtomicBoolean confirming = new AtomicBoolean();

        SlotLife(List<Verified> upgrades) {
            this.upgrades = upgrades;
        }

        @Override
        public void live(Path home, Disk disk) {
            SlotInstaller slots =
                    SlotInstaller.builder(home).disk(disk).starts(1).build();
            Verified two = upgrades.get(1);
            slots.install(two)
                    .then(slots.boot())
                    .then(Mono.defer(() -> {
                        confirming.set(true);
                        return slots.confirm(two.trigger());
                    }))
                    .then(Mono.fromRunnable(() -> {
                        confirmed = "2";
                        confirming.set(false);
                    }))
                    .then(slots.install(upgrades.get(2)))
                    .then(slots.boot())
                    .then(slots.boot())
                    .onErrorComplete()
                    .block(SOON);
        }

        @Override
        public void check(Path home, Disk disk) throws IOException {
            SlotInstaller slots =
                    SlotInstaller.builder(home).disk(disk).starts(1).build();
            SlotInstaller.Boot boot = slots.boot().block(SOON);
            assertThat(boot).as("something to run").isNotNull();
            check(home, boot);
            SlotInstaller.Boot settled = slots.boot().block(SOON);
            assertThat(settled).as("something to run after a roll back").isNotNull();
            check(home, settled);
            assertThat(settled.version()).as("what is confirmed").isIn(confirmed, confirming.get() ? "2" : confirmed);
        }

        private static void check(Path home, SlotInstaller.Boot boot) throws IOException {
            assertThat(boot.slot().resolve(APP)).content().isEqualTo(VERSIONS.get(boot.version()));
            assertThat(home.resolve("current").toRealPath()).isEqualTo(boot.slot());
        }
    }

    private int cutTheSlots(Disks disks) throws IOException {
        try (StoreFixture store = fixture()) {
            List<Verified> upgrades = List.of(upgrade(store, "1"), upgrade(store, "2"), upgrade(store, "3"));
            return crashEverywhere(
                    (point, home) -> {
                        SlotInstaller slots = SlotInstaller.builder(home)
                                .disk(Loss.NOTHING.next())
                                .build();
                        slots.install(upgrades.get(0))
                                .then(slots.boot())
                                .then(slots.confirm(upgrades.get(0).trigger()))
                                .block(SOON);
                        return disks.apply(point, home);
                    },
                    (disk, home) -> new SlotLife(upgrades));
        }
    }

    @Test
    void aPowerCutAtAnyPointLeavesExactlyOneVersionToRun() throws IOException {
        assertThat(cutTheSlots(unchanged())).isGreaterThan(40);
    }

    @Test
    void aSlotInstallerThatLeavesOutAGuardIsCaught() {
        mutant("synchronising what is in a slot", this::cutTheSlots, NoSync::new);
        mutant("synchronising the directory of the slots", this::cutTheSlots, NoDirectorySync::new);
        mutant("synchronising the state before it is renamed", this::cutTheSlots, RenameFirst::new);
    }

    private StoreFixture fixture() {
        return new StoreFixture(directory.resolve("fixture-" + lives.incrementAndGet()));
    }

    private static Verified upgrade(StoreFixture store, String version) {
        return store.verification()
                .upgrade("default", version, VERSIONS.get(version).getBytes(StandardCharsets.UTF_8));
    }

    private static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // One guard less each.

    private static final class NoSync extends CrashingDisk {

        NoSync(int point, Path watched) {
            super(point, watched);
        }

        @Override
        void sync(FileChannel channel) {
            // Left out.
        }
    }

    private static final class NoDirectorySync extends CrashingDisk {

        NoDirectorySync(int point, Path watched) {
            super(point, watched);
        }

        @Override
        void syncDirectory(Path synced) {
            // Left out.
        }
    }

    /** Takes everybody who was renamed during a synchronisation for one whom it covered. */
    private static final class OneDirectorySync extends GroupingDisk {

        private final AtomicBoolean synchronised = new AtomicBoolean();

        OneDirectorySync(int point, Path watched) {
            super(point, watched);
        }

        @Override
        void syncDirectory(Path synced) throws IOException {
            if (!synced.endsWith("store") || !synchronised.getAndSet(true)) {
                super.syncDirectory(synced);
            }
        }
    }

    /** Synchronises new files when they have been renamed. */
    private static final class RenameFirst extends CrashingDisk {

        private final Map<FileChannel, Boolean> fresh = new IdentityHashMap<>();

        RenameFirst(int point, Path watched) {
            super(point, watched);
        }

        @Override
        synchronized FileChannel create(Path file) throws IOException {
            FileChannel channel = super.create(file);
            fresh.put(channel, true);
            return channel;
        }

        @Override
        synchronized void sync(FileChannel channel) throws IOException {
            if (!fresh.containsKey(channel)) {
                super.sync(channel);
            }
        }

        @Override
        synchronized void rename(Path source, Path target) throws IOException {
            super.rename(source, target);
            if (Files.isRegularFile(target)) {
                try (FileChannel channel = open(target)) {
                    super.sync(channel);
                }
            }
            fresh.clear();
        }
    }

    private static final class KeepsCheckpoints extends CrashingDisk {

        KeepsCheckpoints(int point, Path watched) {
            super(point, watched);
        }

        @Override
        boolean delete(Path path) throws IOException {
            return !path.toString().endsWith(FileArtifactStore.CHECKPOINT) && super.delete(path);
        }
    }

    /** Has the same boot before and after the power cut. */
    private static final class SameBoot extends CrashingDisk {

        SameBoot(int point, Path watched) {
            super(point, watched);
        }

        @Override
        String boot() {
            return Loss.BYTES.next().boot();
        }
    }
}
