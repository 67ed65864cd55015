package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.artifact;
import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.chunks;
import static io.otaflux.testkit.ArtifactStoreContract.find;
import static io.otaflux.testkit.ArtifactStoreContract.hasher;
import static io.otaflux.testkit.ArtifactStoreContract.offset;
import static io.otaflux.testkit.ArtifactStoreContract.read;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static io.otaflux.testkit.ArtifactStoreContract.writing;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Hasher;
import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.UpgradeJournalContract;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

class FileArtifactStoreFaultTest {

    private static final Duration SOON = ArtifactStoreContract.SOON;

    @TempDir
    Path directory;

    private final List<ArtifactStore> opened = new ArrayList<>();

    private FileArtifactStore open() {
        return open(FileArtifactStore.builder(store()));
    }

    private FileArtifactStore open(FileArtifactStore.Builder builder) {
        FileArtifactStore store = builder.build();
        opened.add(store);
        return store;
    }

    private Path store() {
        return directory.resolve("store");
    }

    private static void close(ArtifactStore store) {
        ArtifactStoreContract.close(store);
    }

    @AfterEach
    void closeAll() {
        opened.forEach(store -> store.close().onErrorComplete().block(SOON));
    }

    /** Leaves a part of {@code content} of {@code length} bytes behind. */
    private void leavePart(byte[] content, int length) {
        FileArtifactStore store = open();
        writing(
                store,
                artifact("firmware", content),
                writer -> writer.begin(0, content.length, "\"v1\"")
                        .thenMany(writer.append(chunks(content, 0, length, 10_000), hasher()))
                        .then());
        close(store);
    }

    private Path file(String suffix) throws IOException {
        try (var files = Files.list(store())) {
            return files.filter(file -> file.getFileName().toString().endsWith(suffix))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** What the next process finds when the machine has been booted in between. */
    private static final Disk REBOOTED = new Disk() {
        @Override
        String boot() {
            return "the next one";
        }
    };

    /** Leaves a part of 60,000 bytes behind as a process does that is killed after a checkpoint at 20,000. */
    private void leaveKilled(Artifact artifact, byte[] content) {
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
        FileArtifactStore store = open(FileArtifactStore.builder(store())
                .checkpointInterval(Duration.ofHours(1))
                .disk(disk));
        Disposable running = Flux.usingWhen(
                        store.open(artifact),
                        writer -> writer.begin(0, content.length, "\"v1\"")
                                .thenMany(writer.append(chunks(content, 0, 20_000, 10_000), hasher()))
                                .thenMany(Flux.defer(() -> writer.append(
                                        chunks(content, 20_000, 60_000, 10_000).concatWith(Flux.never()), hasher()))),
                        ArtifactStore.Writer::close)
                .subscribe();
        awaitLength(store(), artifact, 60_000);
        disk.crash();
        running.dispose();
        store.close().onErrorComplete().block(SOON);
    }

    private static void awaitLength(Path store, Artifact artifact, long length) {
        Path part = store.resolve(FileArtifactStore.keyOf(artifact) + FileArtifactStore.PART);
        Awaitility.await().atMost(SOON).until(() -> Files.exists(part) && Files.size(part) == length);
    }

    @Test
    void allThatWasWrittenCountsAfterAKill() throws IOException {
        byte[] content = bytes(100_000, 1);
        leaveKilled(artifact("firmware", content), content);
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);

        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(disk));
        Hasher hasher = hasher();
        writing(store, artifact("firmware", content), writer -> {
            assertThat(writer.offset()).isEqualTo(60_000);
            assertThat(writer.validator()).isEqualTo("\"v1\"");
            return writer.replay(hasher);
        });

        assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(content, 60_000)));
        assertThat(disk.changes())
                .as("it is synchronised before it counts")
                .containsSubsequence(
                        "open " + nameOf(content) + ".part", "sync", "rename " + nameOf(content) + ".checkpoint");
    }

    @Test
    void aKillBeforeTheFirstCheckpointLosesNothing() {
        byte[] content = bytes(100_000, 29);
        Artifact artifact = artifact("firmware", content);
        for (int written = 1; written <= 3; written++) {
            Path at = directory.resolve("killed-" + written);
            CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
            FileArtifactStore store = open(FileArtifactStore.builder(at)
                    .checkpointBytes(1 << 20)
                    .checkpointInterval(Duration.ofHours(1))
                    .disk(disk));
            int buffers = written;
            Disposable running = Flux.usingWhen(
                            store.open(artifact),
                            writer -> writer.begin(0, content.length, null)
                                    .thenMany(writer.append(
                                            chunks(content, 0, buffers * 10_000, 10_000)
                                                    .concatWith(Flux.never()),
                                            hasher())),
                            ArtifactStore.Writer::close)
                    .subscribe();
            awaitLength(at, artifact, buffers * 10_000L);
            disk.crash();
            running.dispose();
            store.close().onErrorComplete().block(SOON);

            assertThat(offset(open(FileArtifactStore.builder(at)), artifact)).isEqualTo(buffers * 10_000L);
        }
    }

    @Test
    void aPartIsCutBackToItsCheckpointAfterABoot() {
        byte[] content = bytes(100_000, 30);
        leaveKilled(artifact("firmware", content), content);

        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(REBOOTED));
        assertThat(offset(store, artifact("firmware", content))).isEqualTo(20_000);
    }

    @Test
    void aPartIsCutBackToItsCheckpointWhereBootsCannotBeToldApart() throws IOException {
        byte[] content = bytes(100_000, 31);
        Disk without = new Disk() {
            @Override
            String boot() {
                return "";
            }
        };
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(without));
        writing(
                store,
                artifact("firmware", content),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(chunks(content, 0, 20_000, 10_000), hasher()))
                        .then());
        close(store);
        Files.write(file(".part"), bytes(5_000, 2), StandardOpenOption.APPEND);

        assertThat(offset(open(FileArtifactStore.builder(store()).disk(without)), artifact("firmware", content)))
                .isEqualTo(20_000);
    }

    @Test
    void aPartThatNoDigestWillProveIsCutBackToItsCheckpoint() {
        byte[] content = bytes(100_000, 32);
        leaveKilled(artifact("firmware"), content);

        assertThat(offset(open(), artifact("firmware"))).isEqualTo(20_000);
    }

    @Test
    void aPartLongerThanTheArtifactIsCutBackToItsCheckpoint() throws IOException {
        byte[] content = bytes(100_000, 33);
        leavePart(content, 60_000);
        Files.write(file(".part"), bytes(50_000, 2), StandardOpenOption.APPEND);

        assertOffset(content, 60_000);
    }

    @Test
    void aPartWhoseRestCannotBeSynchronisedIsThrownAway() {
        byte[] content = bytes(100_000, 34);
        Artifact artifact = artifact("firmware", content);
        leaveKilled(artifact, content);
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(new Disk() {
            @Override
            void sync(FileChannel channel) throws IOException {
                throw new SyncFailedException(new IOException("Input/output error"));
            }
        }));

        store.open(artifact)
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(StorageException.class)
                        .hasMessageContaining("Input/output error"))
                .verify(SOON);
        assertThat(store().resolve(nameOf(content) + ".part")).doesNotExist();
        assertThat(offset(store, artifact)).isZero();
    }

    /** Cancels an append, goes on with content of another name, and is killed; then looks at what counts. */
    private void cancelThenChange(CrashingDisk disk, Path at) {
        byte[] content = bytes(100_000, 35);
        Artifact artifact = artifact("firmware", content);
        FileArtifactStore store = open(FileArtifactStore.builder(at)
                .checkpointInterval(Duration.ofHours(1))
                .disk(disk));
        ArtifactStore.Writer writer = ArtifactStoreContract.block(store.open(artifact));
        writer.begin(0, content.length, "\"v1\"")
                .thenMany(writer.append(chunks(content, 0, 20_000, 10_000), hasher()))
                .blockLast(SOON);
        Disposable cancelled = writer.append(
                        chunks(content, 20_000, 60_000, 10_000).concatWith(Flux.never()), hasher())
                .subscribe();
        awaitLength(at, artifact, 60_000);
        cancelled.dispose();
        writer.begin(20_000, content.length, "\"v2\"").block(SOON);
        disk.crash();
        store.close().onErrorComplete().block(SOON);

        FileArtifactStore next = open(FileArtifactStore.builder(at));
        writing(
                next,
                artifact,
                found -> Mono.fromRunnable(() -> {
                    assertThat(found.validator()).isEqualTo("\"v2\"");
                    assertThat(found.offset())
                            .as("bytes of the content that is called so")
                            .isEqualTo(20_000);
                }));
    }

    @Test
    void whatACancelledAppendLeftIsNotTakenForOtherContent() {
        cancelThenChange(new CrashingDisk(Integer.MAX_VALUE), directory.resolve("real"));
        Mutant.assertCaught(
                "cutting off what was cancelled before the checkpoint of other content",
                () -> cancelThenChange(
                        new CrashingDisk(Integer.MAX_VALUE) {
                            @Override
                            void truncate(FileChannel channel, long size) {
                                // Left out.
                            }
                        },
                        directory.resolve("mutant")));
    }

    @Test
    void aPartShorterThanItsCheckpointCountsForItsLength() throws IOException {
        byte[] content = bytes(100_000, 3);
        leavePart(content, 60_000);
        try (FileChannel part = FileChannel.open(file(".part"), StandardOpenOption.WRITE)) {
            part.truncate(45_678);
        }

        assertOffset(content, 45_678);
        // The checkpoint that counted too much must not count what is written from here on.
        Files.write(file(".part"), new byte[50_000], StandardOpenOption.APPEND);
        assertThat(offset(open(FileArtifactStore.builder(store()).disk(REBOOTED)), artifact("firmware", content)))
                .isEqualTo(45_678);
    }

    @Test
    void aPartWithADamagedCheckpointCountsForNothing() throws IOException {
        byte[] content = bytes(100_000, 4);
        leavePart(content, 60_000);
        byte[] checkpoint = Files.readAllBytes(file(".checkpoint"));
        for (int position = 0; position < checkpoint.length; position++) {
            byte[] damaged = checkpoint.clone();
            damaged[position] ^= 1;
            Files.write(file(".checkpoint"), damaged);
            byte[] part = Files.readAllBytes(file(".part"));

            FileArtifactStore store = open();
            assertThat(offset(store, artifact("firmware", content)))
                    .as("byte %d of the checkpoint flipped", position)
                    .isZero();
            close(store);

            Files.write(store().resolve(nameOf(content) + ".part"), part);
            Files.write(store().resolve(nameOf(content) + ".checkpoint"), checkpoint);
        }
    }

    @Test
    void aPartWithACheckpointThatMakesNoSenseCountsForNothing() throws IOException {
        byte[] content = bytes(100_000, 4);
        for (String offset : List.of("offset=-1", "offset=x", "offset=9223372036854775808", "offset", "")) {
            leavePart(content, 60_000);
            Files.writeString(file(".checkpoint"), Escaped.sealed("checkpoint " + offset));

            assertOffset(content, 0);
        }
    }

    @Test
    void aPartWithoutACheckpointCountsForNothing() throws IOException {
        byte[] content = bytes(100_000, 5);
        leavePart(content, 60_000);
        Files.delete(file(".checkpoint"));

        assertOffset(content, 0);
    }

    @Test
    void aBitThatRottedInAPartIsFoundByTheDigest() throws IOException {
        byte[] content = bytes(100_000, 6);
        leavePart(content, 60_000);
        byte[] part = Files.readAllBytes(file(".part"));
        part[30_000] ^= 4;
        Files.write(file(".part"), part);
        Hasher hasher = hasher();

        writing(
                open(),
                artifact("firmware", content),
                writer -> writer.replay(hasher)
                        .then(Mono.defer(() -> writer.begin(writer.offset(), content.length, "\"v1\"")))
                        .thenMany(Flux.defer(() -> writer.append(chunks(content, 60_000, 100_000, 10_000), hasher)))
                        .then());

        assertThat(hasher.finish()).doesNotContain(sha256(content));
    }

    @Test
    void whatACrashLeftIsTidiedUp() throws IOException {
        byte[] content = bytes(1_000, 7);
        leavePart(content, 1_000);
        Files.writeString(store().resolve("journal.tmp"), "half");
        Files.writeString(store().resolve("sha256-" + "0".repeat(64) + ".checkpoint"), "orphan");
        Files.writeString(store().resolve("sha256-" + "0".repeat(64) + ".digests"), "orphan");
        Files.writeString(store().resolve("notes.txt"), "somebody else's");

        close(open());

        try (var files = Files.list(store())) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder(
                            "lock", "notes.txt", nameOf(content) + ".part", nameOf(content) + ".checkpoint");
        }
    }

    @Test
    void aSymbolicLinkInPlaceOfAStoreFileIsRefused() throws IOException {
        byte[] content = bytes(1_000, 8);
        close(open());
        Path victim = Files.writeString(directory.resolve("victim"), "precious");
        for (String planted : List.of(
                nameOf(content),
                nameOf(content) + ".part",
                nameOf(content) + ".checkpoint",
                nameOf(content) + ".digests",
                "journal",
                "lock")) {
            Path link = store().resolve(planted);
            Files.deleteIfExists(link);
            Files.createSymbolicLink(link, victim);

            assertThatThrownBy(this::open)
                    .as(planted)
                    .isInstanceOf(StorageException.class)
                    .hasMessageContaining(planted);

            assertThat(victim).hasContent("precious");
            Files.delete(link);
        }
    }

    /** Plants a link where a part is going to be, and lets it be written to. */
    private void writeThroughALink(Path at, Disk disk) throws IOException {
        byte[] content = bytes(1_000, 8);
        Path victim = Files.writeString(directory.resolve("victim"), "precious");
        FileArtifactStore store = open(FileArtifactStore.builder(at).disk(disk));
        Files.createSymbolicLink(store.directory().resolve(nameOf(content) + ".part"), victim);

        Throwable failure = store.open(artifact("firmware", content))
                .flatMap(writer -> ArtifactStoreContract.append(writer, content).then(writer.close()))
                .<Throwable>then(Mono.empty())
                .onErrorResume(Mono::just)
                .block(SOON);

        assertThat(victim).hasBinaryContent("precious".getBytes(StandardCharsets.UTF_8));
        assertThat(failure).isInstanceOf(StorageException.class);
    }

    @Test
    void aLinkThatIsPlantedLaterIsNotFollowed() throws IOException {
        writeThroughALink(directory.resolve("real"), Disk.REAL);
        Mutant.assertCaught(
                "refusing symbolic links",
                () -> writeThroughALink(directory.resolve("mutant"), new Disk() {
                    @Override
                    FileChannel open(Path file) throws IOException {
                        return FileChannel.open(
                                file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
                    }
                }));
    }

    @Test
    void aLinkInPlaceOfATemporaryFileGivesWay() throws IOException {
        byte[] content = bytes(1_000, 36);
        FileArtifactStore store = open();
        Path victim = Files.writeString(directory.resolve("victim"), "precious");
        for (String planted : List.of(nameOf(content) + ".checkpoint.tmp", "journal.tmp")) {
            Files.createSymbolicLink(store.directory().resolve(planted), victim);
        }

        ArtifactStoreContract.store(store, artifact("firmware", content), content);
        UpgradeJournalContract.put(
                store.journal(), UpgradeJournalContract.entry("app", "1", UpgradeJournal.State.ADMITTED, null));

        assertThat(victim).hasContent("precious");
    }

    /** A medium that loses once what it was to keep; the kernel shows it as if it were there no more. */
    private static class LosingDisk extends Disk {

        private boolean lost;

        @Override
        void sync(FileChannel channel) throws IOException {
            if (!lost && channel.size() > 1_000) {
                lost = true;
                channel.write(ByteBuffer.allocate(1_000), channel.size() - 1_000);
                throw new SyncFailedException(new IOException("Input/output error"));
            }
            super.sync(channel);
        }
    }

    private void fetchTwice(Path at, Disk disk) {
        byte[] content = bytes(100_000, 37);
        FileArtifactStore store = open(FileArtifactStore.builder(at).disk(disk));
        Hasher hasher = hasher();
        for (int attempt = 0; attempt < 2; attempt++) {
            Mono.usingWhen(
                            store.open(artifact("firmware", content)),
                            writer -> Mono.fromRunnable(hasher::reset)
                                    .then(writer.replay(hasher))
                                    .then(Mono.defer(() -> writer.begin(writer.offset(), content.length, null)))
                                    .thenMany(Flux.defer(() -> writer.append(
                                            chunks(content, (int) writer.offset(), content.length, 10_000), hasher)))
                                    .then(Mono.defer(() -> writer.commit(hasher.finish()))),
                            ArtifactStore.Writer::close)
                    .onErrorComplete()
                    .block(SOON);
        }
        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
    }

    @Test
    void aFailedSynchronisationIsNotTriedAgain() {
        fetchTwice(directory.resolve("real"), new LosingDisk());
        Mutant.assertCaught(
                "giving up after a failed synchronisation",
                () -> fetchTwice(directory.resolve("mutant"), new LosingDisk() {
                    @Override
                    void sync(FileChannel channel) throws IOException {
                        try {
                            super.sync(channel);
                        } catch (SyncFailedException e) {
                            super.sync(channel);
                        }
                    }
                }));
    }

    @Test
    void anInterruptCostsNoByteThatWasDurable() {
        byte[] content = bytes(100_000, 38);
        Artifact artifact = artifact("firmware", content);
        FileArtifactStore store = open(
                FileArtifactStore.builder(store()).checkpointBytes(10_000).checkpointInterval(Duration.ofHours(1)));

        Flux.usingWhen(
                        store.open(artifact),
                        writer -> writer.begin(0, content.length, null)
                                .thenMany(writer.append(chunks(content, 0, content.length, 10_000), hasher()))
                                .doOnNext(offset -> {
                                    if (offset == 30_000) {
                                        // By somebody who does not know whose thread this is.
                                        Thread.currentThread().interrupt();
                                    }
                                }),
                        ArtifactStore.Writer::close)
                .as(StepVerifier::create)
                .thenConsumeWhile(offset -> true)
                .expectError(StorageException.class)
                .verify(SOON);

        Hasher hasher = hasher();
        writing(store, artifact, writer -> {
            assertThat(writer.offset()).isGreaterThanOrEqualTo(30_000);
            return writer.replay(hasher);
        });
        int offset = (int) hasher.bytes();
        assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(content, offset)));
        ArtifactStoreContract.store(store, artifact, content);
        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
    }

    @Test
    void aNewDirectoryIsForItsOwnerAlone() throws IOException {
        open();

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(store())))
                .isEqualTo("rwx------");
    }

    @Test
    void aDirectoryThatCannotBeMadeIsToldByName() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "no directory");

        assertThatThrownBy(() -> FileArtifactStore.in(file.resolve("store")))
                .isInstanceOf(StorageException.class)
                .hasMessageContaining(file.resolve("store").toString());
    }

    @Test
    void aSecondStoreInTheSameProcessIsRefusedAndDoesNotBreakTheLock() throws Exception {
        FileArtifactStore first = open();

        assertThatThrownBy(this::open)
                .isInstanceOfSatisfying(
                        StorageException.class, e -> assertThat(e.reason()).isEqualTo(Reason.STORE_LOCKED))
                .hasMessageContaining(store().toString());

        try (StoreProcess other = StoreProcess.holding(store())) {
            assertThat(other.line()).as("another process after that").isEqualTo("STORE_LOCKED");
        }
        close(first);
        close(open());
    }

    @Test
    void aStoreThatAnotherProcessUsesIsRefusedUntilThatProcessDies() throws Exception {
        try (StoreProcess other = StoreProcess.holding(store())) {
            assertThat(other.line()).isEqualTo("open");

            assertThatThrownBy(this::open)
                    .isInstanceOfSatisfying(
                            StorageException.class, e -> assertThat(e.reason()).isEqualTo(Reason.STORE_LOCKED))
                    .hasMessageContaining(store().toString())
                    .hasMessageContaining("another process");
        }

        close(open());
    }

    @Test
    void aKilledProcessIsContinuedFromItsLastByte() throws Exception {
        byte[] content = bytes(StoreProcess.SIZE, StoreProcess.SEED);
        Random random = new Random(System.nanoTime());
        long durable = 0;
        for (int round = 0; round < 4; round++) {
            long told = durable;
            try (StoreProcess process = StoreProcess.appending(store())) {
                assertThat(process.line()).isEqualTo("open");
                for (int lines = 2 + random.nextInt(6); lines > 0; lines--) {
                    told = Long.parseLong(process.line());
                }
            }
            long written = Files.size(file(".part"));
            FileArtifactStore store = open();
            Hasher hasher = hasher();
            AtomicLong offset = new AtomicLong();
            writing(store, artifact("firmware", content), writer -> {
                offset.set(writer.offset());
                assertThat(offset).as("all that it had written").hasValue(written);
                assertThat(writer.validator()).isEqualTo("\"v1\"");
                return writer.replay(hasher);
            });
            close(store);

            assertThat(offset.get()).as("at least what it had called durable").isGreaterThanOrEqualTo(told);
            assertThat(hasher.bytes()).isEqualTo(offset.get());
            assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(content, (int) offset.get())));
            durable = offset.get();
        }
        assertThat(durable).isBetween(4L << 20, (long) StoreProcess.SIZE);
    }

    @Test
    void everyStepIsDurableBeforeTheNextOneCountsOnIt() {
        byte[] content = bytes(10_000, 9);
        String name = nameOf(content);
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
        FileArtifactStore store =
                open(FileArtifactStore.builder(store()).checkpointBytes(100_000).disk(disk));
        int before = disk.changes().size();

        ArtifactStoreContract.store(store, artifact("firmware", content), content);

        assertThat(disk.changes().subList(before, disk.changes().size()))
                .containsExactly(
                        "open " + name + ".part",
                        "delete " + name + ".checkpoint.tmp",
                        "create " + name + ".checkpoint.tmp",
                        "write",
                        "rename " + name + ".checkpoint",
                        "write",
                        "sync",
                        "delete " + name + ".checkpoint.tmp",
                        "create " + name + ".checkpoint.tmp",
                        "write",
                        "sync",
                        "rename " + name + ".checkpoint",
                        "sync store",
                        "rename " + name,
                        "sync store",
                        "delete " + name + ".checkpoint");
    }

    @Test
    void aSmallArtifactTakesOneFileAndTwoSynchronisations() {
        byte[] content = bytes(10_000, 31);
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(disk));
        int before = disk.changes().size();

        ArtifactStoreContract.store(store, artifact("firmware", content), content);

        String name = nameOf(content);
        assertThat(disk.changes().subList(before, disk.changes().size()))
                .containsExactly("open " + name + ".part", "write", "sync", "rename " + name, "sync store");
    }

    @Test
    void aSmallArtifactBeginsOnTheThreadThatAsksAndTouchesTheDiskOnTheStores() {
        List<String> touching = new CopyOnWriteArrayList<>();
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE) {
            @Override
            FileChannel open(Path file) throws IOException {
                touching.add(Thread.currentThread().getName());
                return super.open(file);
            }
        };
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(disk));
        // The first one has a look at the medium.
        ArtifactStoreContract.store(store, artifact("first", bytes(1_000, 41)), bytes(1_000, 41));
        byte[] content = bytes(10_000, 42);
        int before = disk.changes().size();
        touching.clear();

        ArtifactStore.Writer writer =
                Objects.requireNonNull(store.open(artifact("second", content)).block(SOON));
        AtomicReference<Thread> began = new AtomicReference<>();
        writer.begin(0, content.length, null)
                .doOnSuccess(done -> began.set(Thread.currentThread()))
                .block(SOON);
        assertThat(began).hasValue(Thread.currentThread());
        assertThat(disk.changes()).hasSize(before);

        writer.append(chunks(content, 0, content.length, content.length), hasher())
                .blockLast(SOON);
        writer.close().block(SOON);
        assertThat(touching).singleElement().asString().startsWith("otaflux-store-");
    }

    @Test
    void aSmallArtifactOfWhichNothingCameLeavesNothing() throws IOException {
        FileArtifactStore store = open();
        for (int i = 0; i < 2; i++) {
            writing(
                    store,
                    artifact("nothing"),
                    writer -> writer.begin(0, 10_000, "\"v1\"")
                            .thenMany(writer.append(Flux.empty(), hasher()))
                            .then());
        }
        assertThat(Files.exists(partOf(store, "nothing"))).isFalse();
    }

    @Test
    void whatSmallArtifactsArePromisedStaysWithinTheQuota() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).quota(1_000_000));
        List<ArtifactStore.Writer> writers = new ArrayList<>();
        int refused = 0;
        for (int i = 0; i < 25; i++) {
            ArtifactStore.Writer writer =
                    Objects.requireNonNull(store.open(artifact("small-" + i)).block(SOON));
            writers.add(writer);
            refused += Objects.requireNonNull(writer.begin(0, 50_000, null)
                    .thenReturn(0)
                    .onErrorReturn(StorageException.class, 1)
                    .block(SOON));
        }
        writers.forEach(writer -> writer.close().block(SOON));
        assertThat(refused).isEqualTo(5);
    }

    @Test
    void aSmallArtifactThatIsUnderWayForLongerThanTheIntervalHasACheckpoint() {
        byte[] content = bytes(100_000, 32);
        Artifact artifact = artifact("firmware", content);
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
        FileArtifactStore store = open(FileArtifactStore.builder(store())
                .checkpointInterval(Duration.ofMillis(1))
                .disk(disk));
        AtomicLong durable = new AtomicLong();
        Disposable running = Flux.usingWhen(
                        store.open(artifact),
                        writer -> writer.begin(0, content.length, "\"v1\"")
                                .thenMany(writer.append(
                                        chunks(content, 0, 50_000, 10_000).concatWith(Flux.never()), hasher()))
                                .doOnNext(durable::set),
                        ArtifactStore.Writer::close)
                .subscribe();
        Awaitility.await().atMost(SOON).until(() -> durable.get() == 50_000);
        disk.crash();
        running.dispose();
        store.close().onErrorComplete().block(SOON);

        assertThat(offset(open(FileArtifactStore.builder(store()).disk(REBOOTED)), artifact))
                .isEqualTo(50_000);
    }

    @Test
    void beginningAnewForgetsTheCheckpointBeforeTheBytes() {
        byte[] content = bytes(10_000, 10);
        leavePart(content, 10_000);
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(disk));
        writing(store, artifact("firmware", content), writer -> writer.begin(0, content.length, "\"v2\""));

        assertThat(disk.changes())
                .containsSubsequence("delete " + nameOf(content) + ".checkpoint", "sync store", "truncate");
    }

    @Test
    void aCrashAtAnyPointLosesNothingThatWasDurable() throws IOException {
        byte[] content = bytes(40_000, 11);
        byte[] other = bytes(40_000, 12);
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            Path at = directory.resolve("crash-" + points);
            CrashingDisk disk = new CrashingDisk(points);
            AtomicLong durable = new AtomicLong();
            AtomicBoolean committed = new AtomicBoolean();
            crashing(at, disk, other, content, durable, committed);
            crashed = disk.crashed();

            FileArtifactStore store = open(FileArtifactStore.builder(at));
            Artifact artifact = artifact("firmware", content);
            ArtifactStore.Stored found = store.find(List.of(sha256(content))).block(SOON);
            if (found != null) {
                assertThat(read(found)).as("crash at change " + points).isEqualTo(content);
            } else {
                assertThat(committed).as("crash at change " + points).isFalse();
                Hasher hasher = hasher();
                AtomicLong offset = new AtomicLong();
                writing(store, artifact, writer -> {
                    offset.set(writer.offset());
                    boolean second = "\"v2\"".equals(writer.validator());
                    return writer.replay(hasher).then(Mono.fromRunnable(() -> {
                        assertThat(writer.offset()).isEqualTo(hasher.bytes());
                        assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(second ? content : other, (int)
                                writer.offset())));
                    }));
                });
                assertThat(offset.get()).as("crash at change " + points).isGreaterThanOrEqualTo(durable.get());
            }
            ArtifactStoreContract.store(store, artifact, content);
            assertThat(read(find(store, sha256(content)))).isEqualTo(content);
            close(store);
        }
        assertThat(points).as("changes of the medium that were tried").isGreaterThan(30);
    }

    /** A life with everything in it: some of other content, then the right one from the start in two halves, then commit. */
    private static void crashing(
            Path at, Disk disk, byte[] other, byte[] content, AtomicLong durable, AtomicBoolean committed) {
        FileArtifactStore store;
        try {
            store = FileArtifactStore.builder(at)
                    .disk(disk)
                    .checkpointBytes(15_000)
                    .build();
        } catch (StorageException e) {
            return;
        }
        Artifact artifact = artifact("firmware", content);
        Hasher hasher = hasher();
        Mono.usingWhen(
                        store.open(artifact),
                        writer -> writer.begin(0, Artifact.UNKNOWN_SIZE, "\"v1\"")
                                .thenMany(writer.append(chunks(other, 0, 20_000, 5_000), hasher()))
                                .doOnNext(durable::set)
                                .then(Mono.defer(() -> {
                                    durable.set(0);
                                    return writer.begin(0, content.length, "\"v2\"");
                                }))
                                .thenMany(writer.append(chunks(content, 0, 20_000, 5_000), hasher))
                                .doOnNext(durable::set)
                                .then(),
                        ArtifactStore.Writer::close)
                .then(Mono.usingWhen(
                        store.open(artifact),
                        writer -> writer.begin(20_000, content.length, "\"v2\"")
                                .thenMany(
                                        Flux.defer(() -> writer.append(chunks(content, 20_000, 40_000, 5_000), hasher)))
                                .doOnNext(durable::set)
                                .then(Mono.defer(() -> writer.commit(hasher.finish())))
                                .doOnNext(stored -> committed.set(true))
                                .then(),
                        ArtifactStore.Writer::close))
                .onErrorComplete()
                .block(SOON);
        store.close().onErrorComplete().block(SOON);
    }

    @Test
    void aPartWhoseSynchronisationFailedIsThrownAway() throws IOException {
        byte[] content = bytes(100_000, 13);
        leavePart(content, 20_000);
        AtomicInteger syncs = new AtomicInteger();
        FileArtifactStore store =
                open(FileArtifactStore.builder(store()).checkpointBytes(30_000).disk(new Disk() {
                    @Override
                    void sync(FileChannel channel) throws IOException {
                        syncs.incrementAndGet();
                        throw new SyncFailedException(new IOException("Input/output error"));
                    }
                }));
        BufferLedger ledger = new BufferLedger();

        Mono.usingWhen(
                        store.open(artifact("firmware", content)),
                        writer -> writer.begin(20_000, content.length, "\"v1\"")
                                .thenMany(Flux.defer(() -> writer.append(
                                        chunks(content, 20_000, 100_000, 10_000).map(ledger::track), hasher())))
                                .onErrorResume(failure -> {
                                    assertThat(writer.offset()).isZero();
                                    return writer.begin(0, content.length, null)
                                            .onErrorMap(again -> {
                                                assertThat(again).isSameAs(failure);
                                                return failure;
                                            })
                                            .thenMany(Flux.error(failure));
                                })
                                .then(),
                        ArtifactStore.Writer::close)
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(
                                StorageException.class,
                                e -> assertThat(e.reason()).isEqualTo(Reason.IO_FAILED))
                        .hasMessageContaining("Input/output error"))
                .verify(SOON);

        assertThat(syncs).as("synchronisations that were tried").hasValue(1);
        ledger.assertNoLeaks();
        assertThat(store().resolve(nameOf(content) + ".part")).doesNotExist();
        assertThat(offset(store, artifact("firmware", content))).isZero();
    }

    @Test
    void aFailedWriteKeepsWhatCameBefore() {
        byte[] content = bytes(100_000, 14);
        AtomicBoolean full = new AtomicBoolean(true);
        FileArtifactStore store = open(FileArtifactStore.builder(store()).disk(new Disk() {
            @Override
            void write(FileChannel channel, ByteBuf bytes) throws IOException {
                if (channel.position() >= 50_000 && full.get()) {
                    // Half of a buffer still fitted.
                    super.write(channel, bytes.slice(bytes.readerIndex(), bytes.readableBytes() / 2));
                    throw new IOException("No space left on device");
                }
                super.write(channel, bytes);
            }
        }));
        BufferLedger ledger = new BufferLedger();
        Hasher hasher = hasher();

        writing(
                store,
                artifact("firmware", content),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(
                                chunks(content, 0, content.length, 10_000).map(ledger::track), hasher))
                        .then()
                        .onErrorResume(failure -> {
                            assertThat(failure)
                                    .isInstanceOfSatisfying(
                                            StorageException.class,
                                            e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE));
                            assertThat(writer.offset()).isEqualTo(50_000).isEqualTo(hasher.bytes());
                            full.set(false);
                            return writer.begin(50_000, content.length, null)
                                    .thenMany(writer.append(chunks(content, 50_000, content.length, 10_000), hasher))
                                    .then(Mono.defer(() -> writer.commit(hasher.finish())))
                                    .then();
                        }));

        ledger.assertNoLeaks();
        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
    }

    @Test
    void aFullDiskIsNoSpaceAndTheTransferGoesOnWhenThereIsRoom() throws Exception {
        Path small = Files.createDirectory(directory.resolve("small"));
        boolean mounted = run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small.toString());
        if (!mounted) {
            System.err.println("SKIPPED aFullDiskIsNoSpace…: needs root to mount a small tmpfs");
        }
        assumeTrue(mounted, "needs root to mount a small tmpfs");
        try {
            byte[] content = bytes(600_000, 15);
            FileArtifactStore store =
                    open(FileArtifactStore.builder(small.resolve("store")).freeSpaceReserve(0));
            Path ballast = small.resolve("ballast");
            writing(
                    store,
                    artifact("firmware", content),
                    writer -> writer.begin(0, content.length, null)
                            .doOnSuccess(begun -> fill(ballast))
                            .thenMany(writer.append(chunks(content, 0, content.length, 10_000), hasher()))
                            .then()
                            .onErrorResume(failure -> {
                                assertThat(failure)
                                        .isInstanceOfSatisfying(
                                                StorageException.class,
                                                e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE));
                                return Mono.empty();
                            }));
            Files.delete(ballast);

            ArtifactStoreContract.store(store, artifact("firmware", content), content);

            assertThat(read(find(store, sha256(content)))).isEqualTo(content);
            store.open(artifact("large"))
                    .flatMap(writer -> writer.begin(0, 2_000_000, null).then(writer.close()))
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error).hasMessageContaining("needs 2000000 bytes"))
                    .verify(SOON);
            assertThat(find(store, sha256(content)).size())
                    .as("nothing was thrown out in vain")
                    .isEqualTo(600_000);
            close(store);
        } finally {
            run("umount", small.toString());
        }
    }

    private static void fill(Path ballast) {
        try {
            byte[] block = new byte[4096];
            try (var out = Files.newOutputStream(ballast)) {
                for (int i = 0; i < 256; i++) {
                    out.write(block);
                }
            }
        } catch (IOException full) {
            assertThat(full).hasMessageContaining("No space left");
        }
    }

    private static boolean run(String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    @Test
    void theOldestUnusedArtifactGoesWhenTheQuotaIsReached() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).quota(100_000));
        byte[] first = bytes(40_000, 16);
        byte[] second = bytes(40_000, 17);
        byte[] third = bytes(40_000, 18);
        ArtifactStoreContract.store(store, artifact("first"), first);
        ArtifactStoreContract.store(store, artifact("second"), second);
        awaitNextMillisecond();
        find(store, sha256(first)).release();

        ArtifactStoreContract.store(store, artifact("third"), third);

        assertThat(isStored(store, second)).as("unused for longest").isFalse();
        assertThat(isStored(store, first)).isTrue();
        assertThat(isStored(store, third)).isTrue();
    }

    @Test
    void whatIsReferencedStaysAndTheNewArtifactIsRefused() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).quota(100_000));
        byte[] used = bytes(60_000, 19);
        byte[] unused = bytes(30_000, 20);
        ArtifactStoreContract.store(store, artifact("used"), used);
        ArtifactStoreContract.store(store, artifact("unused"), unused);
        ArtifactStore.Stored reference = find(store, sha256(used));

        writing(
                store,
                artifact("large"),
                writer -> writer.begin(0, 50_000, null).onErrorResume(error -> {
                    assertThat(error)
                            .isInstanceOfSatisfying(
                                    StorageException.class,
                                    e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE))
                            .hasMessageContaining("large: needs 50000 bytes")
                            .hasMessageContaining("40000 are available (quota 100000 bytes)");
                    return Mono.empty();
                }));
        assertThat(isStored(store, unused)).as("nothing was thrown out in vain").isTrue();

        reference.release();
        writing(store, artifact("large"), writer -> writer.begin(0, 50_000, null));
    }

    @Test
    void partsThatNobodyWritesGoLast() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).quota(100_000));
        byte[] committed = bytes(30_000, 21);
        writing(store, artifact("part"), writer -> ArtifactStoreContract.append(writer, bytes(30_000, 22)));
        ArtifactStoreContract.store(store, artifact("committed"), committed);

        writing(
                store,
                artifact("one"),
                writer -> writer.begin(0, 60_000, null).then(Mono.defer(() -> {
                    assertThat(isStored(store, committed)).isFalse();
                    return Mono.fromRunnable(() ->
                            assertThat(Files.exists(partOf(store, "part"))).isTrue());
                })));
        writing(
                store,
                artifact("two"),
                writer -> writer.begin(0, 90_000, null)
                        .then(Mono.fromRunnable(() ->
                                assertThat(Files.exists(partOf(store, "part"))).isFalse())));
    }

    private static Path partOf(FileArtifactStore store, String name) {
        return store.directory().resolve(FileArtifactStore.keyOf(artifact(name)) + ".part");
    }

    @Test
    void anArtifactOfUnknownSizeIsStoppedAtTheQuota() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).quota(100_000));
        byte[] content = bytes(200_000, 23);
        BufferLedger ledger = new BufferLedger();

        writing(
                store,
                artifact("endless"),
                writer -> writer.begin(0, Artifact.UNKNOWN_SIZE, null)
                        .thenMany(writer.append(
                                chunks(content, 0, content.length, 10_000).map(ledger::track), hasher()))
                        .then()
                        .onErrorResume(error -> {
                            assertThat(error)
                                    .isInstanceOfSatisfying(
                                            StorageException.class,
                                            e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE));
                            assertThat(writer.offset()).isEqualTo(100_000);
                            return Mono.empty();
                        }));
        ledger.assertNoLeaks();
    }

    @Test
    void aSourceThatStallsHasItsBytesMadeDurableInTime() {
        FileArtifactStore store = open(FileArtifactStore.builder(store()).checkpointInterval(Duration.ofMillis(50)));
        byte[] content = bytes(10_000, 24);
        List<Long> offsets = new CopyOnWriteArrayList<>();
        Disposable stalled = Flux.usingWhen(
                        store.open(artifact("firmware")),
                        writer -> writer.begin(0, 100_000, null)
                                .thenMany(writer.append(
                                        chunks(content, 0, content.length, 1_000)
                                                .concatWith(Flux.never()),
                                        hasher())),
                        ArtifactStore.Writer::close)
                .subscribe(offsets::add);

        Awaitility.await().atMost(SOON).until(() -> offsets.contains(10_000L));
        stalled.dispose();
    }

    @Test
    void checkpointsAreNotMadePerBuffer() {
        AtomicInteger syncs = new AtomicInteger();
        FileArtifactStore store = open(FileArtifactStore.builder(store())
                .checkpointBytes(1 << 20)
                .checkpointInterval(Duration.ofMinutes(1))
                .disk(new Disk() {
                    @Override
                    void sync(FileChannel channel) throws IOException {
                        syncs.incrementAndGet();
                        super.sync(channel);
                    }
                }));
        byte[] content = bytes(4 << 20, 25);

        writing(
                store,
                artifact("firmware"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(chunks(content, 0, content.length, 8_192), hasher()))
                        .collectList()
                        .doOnNext(
                                offsets -> assertThat(offsets).containsExactly(1L << 20, 2L << 20, 3L << 20, 4L << 20))
                        .then());

        assertThat(syncs).as("of the part and of the checkpoint, four times").hasValue(8);
    }

    @Test
    void moreWritersThanThreadsAllComeToTheirEnd() {
        FileArtifactStore store = open();
        byte[] content = bytes(300_000, 26);

        Flux.range(0, 40)
                .flatMap(
                        i -> Flux.usingWhen(
                                store.open(artifact("artifact-" + i)),
                                writer -> writer.begin(0, content.length, null)
                                        .thenMany(writer.append(
                                                i % 2 == 0 ? Flux.never() : chunks(content, 0, content.length, 1_000),
                                                hasher()))
                                        .take(Duration.ofSeconds(i % 2 == 0 ? 2 : 20)),
                                ArtifactStore.Writer::close),
                        40)
                .filter(offset -> offset == content.length)
                .count()
                .as(StepVerifier::create)
                .expectNext(20L)
                .expectComplete()
                .verify(SOON);
    }

    @Test
    void anArtifactMovesToAnotherFileSystem() throws IOException {
        Path memory = Path.of("/dev/shm");
        boolean another =
                Files.isWritable(memory) && !Files.getFileStore(memory).equals(Files.getFileStore(directory));
        if (!another) {
            System.err.println("SKIPPED anArtifactMovesToAnotherFileSystem: /dev/shm is no other file system");
        }
        assumeTrue(another, "/dev/shm is no other file system");
        FileArtifactStore store = open();
        byte[] content = bytes(700_000, 27);
        ArtifactStoreContract.store(store, artifact("firmware"), content);
        Path there = Files.createTempDirectory(memory, "otaflux");
        try {
            find(store, sha256(content))
                    .moveTo(there.resolve("app.bin"))
                    .as(StepVerifier::create)
                    .expectComplete()
                    .verify(SOON);

            assertThat(there.resolve("app.bin")).hasBinaryContent(content);
            assertThat(isStored(store, content)).isFalse();
            assertThat(store().resolve(nameOf(content))).doesNotExist();
        } finally {
            Files.deleteIfExists(there.resolve("app.bin"));
            Files.delete(there);
        }
    }

    @Test
    void aDamagedArtifactIsReplacedByAnIntactOne() throws IOException {
        byte[] content = bytes(10_000, 28);
        FileArtifactStore store = open();
        ArtifactStoreContract.store(store, artifact("firmware"), content);
        close(store);
        Files.write(store().resolve(nameOf(content)), Arrays.copyOf(content, 9_000));

        FileArtifactStore reopened = open();
        ArtifactStoreContract.store(reopened, artifact("firmware"), content);

        assertThat(read(find(reopened, sha256(content)))).isEqualTo(content);
    }

    @Test
    void aClosedStoreSaysSo() {
        FileArtifactStore store = open();
        close(store);

        store.open(artifact("firmware"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error ->
                        assertThat(error).isInstanceOf(StorageException.class).hasMessageContaining("is closed"))
                .verify(SOON);
        store.find(List.of(sha256(new byte[0])))
                .as(StepVerifier::create)
                .expectError(StorageException.class)
                .verify(SOON);
    }

    @Test
    void programsThatConfigureNoStoreFindThisOne() {
        ArtifactStore.Provider provider =
                ServiceLoader.load(ArtifactStore.Provider.class).iterator().next();

        ArtifactStore store = provider.open(store());
        opened.add(store);

        assertThat(store).isInstanceOf(FileArtifactStore.class);
    }

    private void assertOffset(byte[] content, long expected) {
        FileArtifactStore store = open();
        Hasher hasher = hasher();
        writing(store, artifact("firmware", content), writer -> {
            assertThat(writer.offset()).isEqualTo(expected);
            return writer.replay(hasher);
        });
        close(store);
        assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(content, (int) expected)));
    }

    private static boolean isStored(ArtifactStore store, byte[] content) {
        return store.find(List.of(sha256(content)))
                .doOnNext(ArtifactStore.Stored::release)
                .hasElement()
                .blockOptional(SOON)
                .orElseThrow();
    }

    private static String nameOf(byte[] content) {
        return "sha256-" + sha256(content).hex();
    }

    private static void awaitNextMillisecond() {
        long now = System.currentTimeMillis();
        Awaitility.await().pollInterval(Duration.ofMillis(1)).until(() -> System.currentTimeMillis() > now);
    }
}
