package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.artifact;
import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.chunks;
import static io.otaflux.testkit.ArtifactStoreContract.digest;
import static io.otaflux.testkit.ArtifactStoreContract.find;
import static io.otaflux.testkit.ArtifactStoreContract.hasher;
import static io.otaflux.testkit.ArtifactStoreContract.read;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static io.otaflux.testkit.ArtifactStoreContract.writing;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeJournal.State;
import io.otaflux.Verified;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.UpgradeJournalContract;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Everything that changes the medium, step by step in one directory: a journal, transfers that break and go on, a commit, a
 * move, an eviction; a file that is installed and rolled back; slots that are installed, started, confirmed and given up. A
 * step that has failed may be repeated, and must then succeed.
 */
final class WholeLife {

    private static final Duration SOON = ArtifactStoreContract.SOON;
    private static final Duration LATER = Duration.ofMinutes(2);

    private static final byte[] OTHER = bytes(40_000, 1);
    private static final byte[] CONTENT = bytes(40_000, 2);
    private static final byte[] MOVED = bytes(3_000, 3);
    private static final byte[] EVICTED = bytes(3_000, 4);
    private static final Artifact FIRMWARE = artifact("firmware", CONTENT);
    private static final Digest MD5 = digest(Digest.Algorithm.MD5, CONTENT);

    /** One more than needed, because a start that failed counts, and is repeated here. */
    private static final int STARTS = 2;

    private static final String APP = "app.bin";
    private static final List<String> VERSIONS = List.of("none", "one", "two");

    /** What is done to the journal; null for the removal of m1. */
    private static final List<UpgradeJournal.@Nullable Entry> CHANGES = Arrays.asList(
            UpgradeJournalContract.entry("m0", "1", State.ADMITTED, null),
            UpgradeJournalContract.entry("m1", "1", State.ADMITTED, null),
            UpgradeJournalContract.entry("m0", "1", State.INSTALLED, null),
            null,
            UpgradeJournalContract.entry("m2", "1", State.FAILED, "a detail"));

    /** Something to do. */
    interface Work {
        void run() throws IOException;
    }

    /**
     * @param name what it is
     * @param work does it
     */
    record Step(String name, Work work) {}

    private final Path home;
    private final Disk disk;
    private final List<Step> steps = new ArrayList<>();
    private @Nullable FileArtifactStore store;
    private @Nullable SlotInstaller slots;
    private @Nullable Verification verification;

    /** @param home an empty directory */
    WholeLife(Path home, Disk disk) throws IOException {
        this.home = home;
        this.disk = disk;
        Files.createDirectory(home.resolve("opt"));
        step("open the store", () -> {
            store = FileArtifactStore.builder(home.resolve("store"))
                    .disk(disk)
                    .checkpointBytes(15_000)
                    .checkpointInterval(Duration.ofHours(1))
                    .freeSpaceReserve(0)
                    .build();
            verification = new Verification(store);
        });
        for (int i = 0; i < CHANGES.size(); i++) {
            UpgradeJournal.Entry entry = CHANGES.get(i);
            step("journal " + (i + 1), () -> change(entry).block(LATER));
        }
        step("break off", this::breakOff);
        step("go on and commit", () -> fetch(store(), true));
        step("store what is to be moved", () -> ArtifactStoreContract.store(store(), artifact("moved"), MOVED));
        step("move", () -> take(MOVED, found -> found.moveTo(home.resolve("opt/moved.bin"))));
        step("store what is to be evicted", () -> ArtifactStoreContract.store(store(), artifact("evicted"), EVICTED));
        step("evict", () -> take(EVICTED, ArtifactStore.Stored::evict));
        FileInstaller file = FileInstaller.to(home.resolve("opt").resolve(APP)).disk(disk);
        step("file 1", () -> file.install(upgrade(1)).block(LATER));
        step("file 2", () -> file.install(upgrade(2)).block(LATER));
        step("file 3", () -> {
            if (!content(home.resolve("opt").resolve(APP)).equals("one")) {
                file.rollBack().block(LATER);
            }
        });
        step("open the slots", () -> slots = slots(home, disk));
        step("slots install 1", () -> slots().install(upgrade(1)).block(LATER));
        step("slots boot 1", () -> slots().boot().block(LATER));
        step("slots confirm 1", () -> slots().confirm(upgrade(1).trigger()).block(LATER));
        step("slots install 2", () -> slots().install(upgrade(2)).block(LATER));
        for (int i = 1; i <= STARTS; i++) {
            step("slots boot 2, attempt " + i, () -> slots().boot().block(LATER));
        }
        step("slots roll back", () -> slots().boot().block(LATER));
        step("close the store", () -> store().close().block(LATER));
    }

    private void step(String name, Work work) {
        steps.add(new Step(name, work));
    }

    List<Step> steps() {
        return steps;
    }

    /** Does everything, and says after each step that it is done. */
    void live(Consumer<String> done) throws IOException {
        for (Step step : steps) {
            step.work.run();
            done.accept(step.name);
        }
    }

    private static SlotInstaller slots(Path home, Disk disk) {
        return SlotInstaller.builder(home.resolve("firmware"))
                .disk(disk)
                .starts(STARTS)
                .build();
    }

    private FileArtifactStore store() {
        return Objects.requireNonNull(store);
    }

    private SlotInstaller slots() {
        return Objects.requireNonNull(slots);
    }

    private Verified upgrade(int version) {
        return Objects.requireNonNull(verification)
                .upgrade(
                        "default",
                        Integer.toString(version),
                        VERSIONS.get(version).getBytes(StandardCharsets.UTF_8));
    }

    private Mono<Void> change(UpgradeJournal.@Nullable Entry entry) {
        return entry == null
                ? store().journal()
                        .remove(Objects.requireNonNull(CHANGES.get(1)).trigger().key())
                : store().journal().put(entry);
    }

    /** A transfer whose content changes and which then breaks off. */
    private void breakOff() {
        Mono.usingWhen(
                        store().open(FIRMWARE),
                        writer -> writer.begin(0, CONTENT.length, "\"v1\"")
                                .thenMany(writer.append(chunks(OTHER, 0, 20_000, 5_000), hasher()))
                                .then(writer.begin(0, CONTENT.length, "\"v2\""))
                                .thenMany(writer.append(chunks(CONTENT, 0, 20_000, 5_000), hasher()))
                                .then(),
                        ArtifactStore.Writer::close)
                .block(LATER);
    }

    /** Goes on with what is there, if that is of the right content, and commits. */
    private static void fetch(FileArtifactStore store, boolean twoDigests) {
        Hasher hasher = hasher();
        List<Digest> digests = new ArrayList<>(twoDigests ? List.of(MD5) : List.of());
        Mono.usingWhen(
                        store.open(FIRMWARE),
                        writer -> Mono.defer(() ->
                                        "\"v2\"".equals(writer.validator()) ? writer.replay(hasher) : writer.discard())
                                .then(Mono.defer(() -> writer.begin(writer.offset(), CONTENT.length, "\"v2\"")))
                                .thenMany(Flux.defer(() -> writer.append(
                                        chunks(CONTENT, (int) writer.offset(), CONTENT.length, 5_000), hasher)))
                                .then(Mono.defer(() -> {
                                    digests.addAll(hasher.finish());
                                    return writer.commit(digests);
                                }))
                                .doOnNext(ArtifactStore.Stored::release)
                                .then(),
                        ArtifactStore.Writer::close)
                .block(LATER);
    }

    private interface Use {
        Mono<Void> of(ArtifactStore.Stored found);
    }

    private void take(byte[] content, Use use) {
        store().find(List.of(sha256(content)))
                .flatMap(found -> use.of(found).doFinally(end -> found.release()))
                .block(LATER);
    }

    private static String content(Path file) throws IOException {
        return Files.exists(file) ? Files.readString(file) : "none";
    }

    /** What was left over by work that failed and was told to have failed. */
    List<String> leftovers() throws IOException {
        try (Stream<Path> files = Files.walk(home)) {
            return files.map(file -> home.relativize(file).toString())
                    .filter(name -> name.matches(".*(\\.tmp|\\.otaflux|/\\.new-[^/]*)"))
                    .toList();
        }
    }

    /** Opens with another process's eyes what is in {@code home} after the steps {@code done}, and perhaps some of the next. */
    static void check(Path home, List<String> done) throws IOException {
        FileArtifactStore store = FileArtifactStore.in(home.resolve("store"));
        try {
            checkStore(store, done);
            checkMoved(store, home, done);
            checkFile(store, home, done);
            checkSlots(home, done);
        } finally {
            store.close().block(SOON);
        }
        try (Stream<Path> files = Files.list(home.resolve("store"))) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .as("temporary files in the store")
                    .noneMatch(name -> name.endsWith(SmallFile.TEMPORARY));
        }
    }

    private static int count(List<String> done, String prefix) {
        return (int) done.stream().filter(step -> step.startsWith(prefix)).count();
    }

    private static void checkStore(FileArtifactStore store, List<String> done) throws IOException {
        int changes = count(done, "journal ");
        assertThat(UpgradeJournalContract.entries(store.journal()))
                .as("journal after %d changes", changes)
                .isIn(List.of(journalAfter(changes), journalAfter(Math.min(CHANGES.size(), changes + 1))));
        try (Stream<Path> files = Files.list(store.directory())) {
            for (Path file : files.filter(path -> path.getFileName().toString().matches("sha256-[0-9a-f]{64}"))
                    .toList()) {
                assertThat(file.getFileName())
                        .hasToString(
                                "sha256-" + sha256(Files.readAllBytes(file)).hex());
            }
        }
        ArtifactStore.Stored found = store.find(List.of(sha256(CONTENT))).block(SOON);
        if (found == null) {
            assertThat(done).as("lost a committed artifact").doesNotContain("go on and commit");
            checkPart(store, done.contains("break off") ? 20_000 : 0);
            fetch(store, false);
        } else {
            found.release();
        }
        assertThat(read(find(store, sha256(CONTENT)))).isEqualTo(CONTENT);
        if (done.contains("go on and commit")) {
            assertThat(find(store, MD5).digest()).isEqualTo(sha256(CONTENT));
        }
    }

    private static List<UpgradeJournal.Entry> journalAfter(int changes) {
        Map<String, UpgradeJournal.Entry> entries = new LinkedHashMap<>();
        for (UpgradeJournal.Entry entry : CHANGES.subList(0, changes)) {
            if (entry == null) {
                entries.remove("m1");
            } else {
                entries.put(entry.trigger().module(), entry);
            }
        }
        return List.copyOf(entries.values());
    }

    private static void checkPart(FileArtifactStore store, int atLeast) {
        Hasher hasher = hasher();
        AtomicLong offset = new AtomicLong();
        AtomicBoolean second = new AtomicBoolean();
        writing(store, FIRMWARE, writer -> {
            offset.set(writer.offset());
            second.set("\"v2\"".equals(writer.validator()));
            return writer.replay(hasher);
        });
        assertThat(offset.get()).as("bytes of the part").isGreaterThanOrEqualTo(atLeast);
        assertThat(hasher.finish())
                .as("what counts of the part, %d bytes", offset.get())
                .containsExactly(sha256(Arrays.copyOf(second.get() ? CONTENT : OTHER, (int) offset.get())));
    }

    private static void checkMoved(FileArtifactStore store, Path home, List<String> done) {
        Path target = home.resolve("opt/moved.bin");
        if (Files.exists(target)) {
            assertThat(target).hasBinaryContent(MOVED);
        } else {
            assertThat(done).as("lost what was moved").doesNotContain("move");
            if (done.contains("store what is to be moved")) {
                assertThat(read(find(store, sha256(MOVED)))).isEqualTo(MOVED);
            }
        }
        if (done.contains("evict")) {
            assertThat(store.find(List.of(sha256(EVICTED))).block(SOON)).isNull();
        } else if (done.contains("store what is to be evicted")) {
            ArtifactStore.Stored kept = store.find(List.of(sha256(EVICTED))).block(SOON);
            assertThat(kept == null || Arrays.equals(read(kept), EVICTED)).isTrue();
        }
    }

    private static void checkFile(FileArtifactStore store, Path home, List<String> done) throws IOException {
        Path app = home.resolve("opt").resolve(APP);
        List<String> contents = List.of("none", "one", "two", "one");
        int installed = count(done, "file ");
        assertThat(content(app)).isIn(contents.get(installed), contents.get(Math.min(3, installed + 1)));
        Verified next = new Verification(store).upgrade("default", "4", "four".getBytes(StandardCharsets.UTF_8));
        FileInstaller.to(app).install(next).block(SOON);
        assertThat(content(app)).isEqualTo("four");
        try (Stream<Path> files = Files.list(app.getParent())) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .isSubsetOf(APP, APP + ".previous", "moved.bin");
        }
    }

    private static void checkSlots(Path home, List<String> done) throws IOException {
        SlotInstaller slots = slots(home, Disk.REAL);
        for (int i = 0; i < STARTS; i++) {
            checkRuns(home, slots.boot().block(SOON));
        }
        SlotInstaller.Boot settled = slots.boot().block(SOON);
        checkRuns(home, settled);
        int confirmed = count(done, "slots confirm ");
        assertThat(settled == null ? "none" : VERSIONS.get(Integer.parseInt(settled.version())))
                .as("what runs in the end")
                .isIn(VERSIONS.get(confirmed), VERSIONS.get(1));
    }

    private static void checkRuns(Path home, SlotInstaller.@Nullable Boot boot) throws IOException {
        Path current = home.resolve("firmware/current");
        if (boot == null) {
            assertThat(current).doesNotExist();
        } else {
            assertThat(current.toRealPath()).isEqualTo(boot.slot());
            assertThat(content(boot.slot().resolve(APP))).isEqualTo(VERSIONS.get(Integer.parseInt(boot.version())));
        }
    }
}
