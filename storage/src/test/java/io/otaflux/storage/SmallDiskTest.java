package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.artifact;
import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.find;
import static io.otaflux.testkit.ArtifactStoreContract.read;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.Verified;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.UpgradeJournalContract;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import reactor.test.StepVerifier;

/** File systems that are really small, or really for reading only. Needs root. */
@Tag("faults")
class SmallDiskTest {

    private static final Duration SOON = ArtifactStoreContract.SOON;

    @TempDir
    Path directory;

    private Path small;

    @BeforeEach
    void mount(TestInfo test) throws Exception {
        small = Files.createDirectory(directory.resolve("small"));
        boolean mounted = run("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "tmpfs", small.toString());
        if (!mounted) {
            System.err.println("SKIPPED " + test.getDisplayName() + ": needs root to mount a small tmpfs");
        }
        assumeTrue(mounted, "needs root to mount a small tmpfs");
    }

    @AfterEach
    void unmount() throws Exception {
        run("umount", small.toString());
    }

    private static boolean run(String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    private FileArtifactStore open() {
        return FileArtifactStore.builder(small.resolve("store"))
                .freeSpaceReserve(0)
                .build();
    }

    /** Creates files until no more can be created. */
    private List<Path> takeAllInodes() throws IOException {
        List<Path> taken = new ArrayList<>();
        while (true) {
            try {
                taken.add(Files.createFile(small.resolve("file-" + taken.size())));
            } catch (IOException full) {
                assertThat(full).hasMessageContaining("No space left");
                return taken;
            }
        }
    }

    @Test
    void aMediumWithoutRoomForAnotherFileIsNoSpaceUntilThereIsRoom() throws IOException {
        byte[] content = bytes(10_000, 1);
        byte[] old = bytes(10_000, 2);
        FileArtifactStore store = open();
        ArtifactStoreContract.store(store, artifact("old", old), old);
        UpgradeJournal.Entry entry = UpgradeJournalContract.entry("app", "1", UpgradeJournal.State.ADMITTED, null);
        List<Path> taken = takeAllInodes();

        assertThatThrownBy(() -> store.journal().put(entry).block(SOON))
                .isInstanceOfSatisfying(
                        StorageException.class, e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE));
        assertThatThrownBy(() -> ArtifactStoreContract.store(store, artifact("new", content), content))
                .isInstanceOfSatisfying(
                        StorageException.class, e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE));
        assertThat(read(find(store, sha256(old)))).as("what was there").isEqualTo(old);
        for (Path file : taken) {
            Files.delete(file);
        }

        UpgradeJournalContract.put(store.journal(), entry);
        ArtifactStoreContract.store(store, artifact("new", content), content);
        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
        ArtifactStoreContract.close(store);
    }

    @Test
    void anInstallationThatDoesNotFitLeavesTheOldFileAndGivesItsSpaceBack() throws IOException {
        Path app = Files.writeString(small.resolve("app.bin"), "old");
        byte[] large = bytes(2 << 20, 3);
        try (StoreFixture elsewhere = new StoreFixture(directory.resolve("store"))) {
            long before = Files.getFileStore(small).getUsableSpace();

            FileInstaller.to(app)
                    .install(elsewhere.verification().upgrade("app", "2", large))
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error)
                            .isInstanceOfSatisfying(
                                    StorageException.class,
                                    e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE)))
                    .verify(SOON);
            assertThat(app).hasContent("old");
            assertThat(Files.getFileStore(small).getUsableSpace()).isEqualTo(before);

            SlotInstaller slots = SlotInstaller.in(small.resolve("firmware"));
            slots.install(elsewhere.verification().upgrade("default", "2", large))
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error)
                            .isInstanceOfSatisfying(
                                    StorageException.class,
                                    e -> assertThat(e.reason()).isEqualTo(Reason.NO_SPACE)))
                    .verify(SOON);
            assertThat(Files.getFileStore(small).getUsableSpace()).isGreaterThanOrEqualTo(before - 4 * 4096);

            // What fits, comes from the other file system: nothing is renamed from one to the other.
            Verified fits = elsewhere.verification().upgrade("app", "3", "new".getBytes(StandardCharsets.UTF_8));
            FileInstaller.to(app).install(fits).block(SOON);
            assertThat(app).hasContent("new");
            assertThat(small.resolve("app.bin.previous")).hasContent("old");
        }
    }

    @Test
    void aMediumThatIsForReadingOnlyIsToldAndTheStoreOpensWhenItIsNotAnyMore() throws Exception {
        byte[] content = bytes(10_000, 4);
        FileArtifactStore store = open();
        ArtifactStoreContract.store(store, artifact("firmware", content), content);
        ArtifactStoreContract.close(store);
        assertThat(run("mount", "-o", "remount,ro", small.toString())).isTrue();

        assertThatThrownBy(this::open)
                .isInstanceOfSatisfying(
                        StorageException.class, e -> assertThat(e.reason()).isEqualTo(Reason.IO_FAILED))
                .hasMessageContaining(small.resolve("store").toString());

        assertThat(run("mount", "-o", "remount,rw", small.toString())).isTrue();
        FileArtifactStore again = open();
        assertThat(read(find(again, sha256(content)))).isEqualTo(content);
        ArtifactStoreContract.close(again);
    }
}
