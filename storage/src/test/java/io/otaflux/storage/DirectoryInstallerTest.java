package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.StorageException;
import io.otaflux.Verified;
import io.otaflux.callback.Unpacker;
import io.otaflux.testkit.InstallerContract;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

@DisabledOnOs(OS.WINDOWS)
class DirectoryInstallerTest implements InstallerContract {

    @TempDir
    Path directory;

    private StoreFixture store;
    private Path app;
    private DirectoryInstaller installer;

    @BeforeEach
    void open() throws IOException {
        store = new StoreFixture(directory.resolve("store"));
        app = Files.createDirectory(directory.resolve("opt")).resolve("app");
        installer = DirectoryInstaller.to(app);
    }

    @AfterEach
    void close() {
        store.close();
    }

    @Override
    public Installer installer() {
        return installer;
    }

    @Override
    public Verification verification() {
        return store.verification();
    }

    @Override
    public Optional<byte[]> installed() {
        Path file = app.resolve("app.bin");
        try {
            return Files.exists(file) ? Optional.of(Files.readAllBytes(file)) : Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void severalFilesAreReplacedTogetherAndTheOldOnesAreKept() throws IOException {
        install(installer, upgrade("1", "one", "two"));
        install(installer, upgrade("2", "three"));

        assertThat(ArchiveTest.contents(app)).containsExactly(Map.entry("app.bin", "three"));
        assertThat(ArchiveTest.contents(app.resolveSibling("app.previous")))
                .containsExactly(Map.entry("app-1.bin", "two"), Map.entry("app.bin", "one"));

        installer.rollBack().block(SOON);
        assertThat(ArchiveTest.contents(app)).hasSize(2);

        install(installer, upgrade("3", "four"));
        install(installer, upgrade("4", "five"));
        assertThat(names(app.resolveSibling(".app.otaflux")))
                .as("versions that are kept")
                .hasSize(2);
    }

    @Test
    void aRepetitionDoesNotLoseThePreviousDirectory() {
        install(installer, upgrade("1", "one"));
        install(installer, upgrade("2", "two"));

        install(installer, upgrade("2", "two"));
        install(DirectoryInstaller.to(app), upgrade("2", "two"));

        assertThat(ArchiveTest.contents(app.resolveSibling("app.previous"))).containsValue("one");
    }

    @Test
    void whatIsInAnArchiveIsInstalled() {
        byte[] archive = Archives.gzip(Archives.tar(Map.of("main.py", "print(2)", "lib/x.py", "x")));

        install(installer.unpacking(), store.verification().upgrade("app", "2", archive));

        assertThat(ArchiveTest.contents(app))
                .containsExactly(Map.entry("lib/x.py", "x"), Map.entry("main.py", "print(2)"));
    }

    @Test
    void anArchiveThatIsRefusedLeavesTheOldDirectoryAndNothingElse() throws IOException {
        install(installer, upgrade("1", "one"));
        for (byte[] archive : List.of(
                Archives.zip(Map.of("../evil", "x")),
                bytes("no archive"),
                Archives.zip(Map.of("a", "x".repeat(101))))) {
            installer
                    .unpacking(100, 10)
                    .install(store.verification().upgrade("app", "2", archive))
                    .as(StepVerifier::create)
                    .expectError(InstallException.class)
                    .verify(SOON);
        }

        assertThat(ArchiveTest.contents(app)).containsValue("one");
        assertThat(names(app.resolveSibling(".app.otaflux"))).hasSize(1);
        assertThat(app.resolveSibling("evil")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aCrashAtAnyPointLeavesTheOldOrTheNewDirectory(boolean unpacking) throws IOException {
        byte[] archive = Archives.zip(Map.of("app.bin", "two", "lib/x", "x"));
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            app = Files.createDirectory(directory.resolve("crash-" + points)).resolve("app");
            install(DirectoryInstaller.to(app), upgrade("0", "zero"));
            install(DirectoryInstaller.to(app), upgrade("1", "one"));
            CrashingDisk disk = new CrashingDisk(points);
            crashed = crash(disk, unpacking, archive);

            assertThat(installed())
                    .as("after a crash at change " + points)
                    .hasValueSatisfying(content -> assertThat(new String(content, StandardCharsets.UTF_8))
                            .isIn("one", "two"));
            DirectoryInstaller next = DirectoryInstaller.to(app);
            install(next, upgrade("2", "two"));
            assertThat(installed()).hasValue(bytes("two"));
            assertThat(names(app.getParent())).hasSize(3);
            assertThat(names(app.resolveSibling(".app.otaflux"))).hasSize(2);
        }
        assertThat(points).as("changes of the medium that were tried").isGreaterThan(8);
    }

    /** The one case with two steps: nothing replaces a directory by a link in one. */
    @Test
    void aDirectoryThatSomebodyMadeIsReplacedAndComesBackAfterACrashInBetween() throws IOException {
        madeElsewhereSurvives(true);

        Mutant.assertCaught("the repair", () -> madeElsewhereSurvives(false));
    }

    private void madeElsewhereSurvives(boolean repaired) throws IOException {
        int missing = 0;
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            app = Files.createDirectory(directory.resolve("made-" + repaired + points))
                    .resolve("app");
            Files.writeString(Files.createDirectory(app).resolve("app.bin"), "one");
            CrashingDisk disk = new CrashingDisk(points);
            crashed = crash(disk, false, new byte[0]);
            missing += Files.exists(app, LinkOption.NOFOLLOW_LINKS) ? 0 : 1;
            if (repaired) {
                DirectoryInstaller.to(app);
            }
            assertThat(app.resolve("app.bin"))
                    .as("after a crash at change " + points)
                    .exists()
                    .content()
                    .isIn("one", "two");
            install(DirectoryInstaller.to(app), upgrade("2", "two"));
            assertThat(ArchiveTest.contents(app.resolveSibling("app.previous"))).containsValue("one");
        }
        assertThat(missing).as("crashes between the two steps").isBetween(1, 4);
    }

    private boolean crash(CrashingDisk disk, boolean unpacking, byte[] archive) {
        Mono.defer(() -> unpacking
                        ? DirectoryInstaller.to(app, disk)
                                .unpacking()
                                .install(store.verification().upgrade("app", "2", archive))
                        : DirectoryInstaller.to(app, disk).install(upgrade("2", "two")))
                .onErrorComplete()
                .block(SOON);
        return disk.crashed();
    }

    @Test
    void aDirectoryThatSomebodyMadeIsBackWhenTheLinkCannotTakeItsPlace() throws IOException {
        Files.writeString(Files.createDirectory(app).resolve("app.bin"), "one");
        Disk full = new Disk() {
            private int links;

            @Override
            void symbolicLink(Path link, Path target) throws IOException {
                if (++links == 2) {
                    throw new IOException("No space left on device");
                }
                super.symbolicLink(link, target);
            }
        };
        DirectoryInstaller installing = DirectoryInstaller.to(app, full);

        installing
                .install(upgrade("2", "two"))
                .as(StepVerifier::create)
                .expectError(StorageException.class)
                .verify(SOON);

        assertThat(app.resolve("app.bin")).hasContent("one");
        install(installing, upgrade("2", "two"));
        assertThat(app.resolve("app.bin")).hasContent("two");
        assertThat(app.resolveSibling("app.previous").resolve("app.bin")).hasContent("one");
    }

    @Test
    void whatIsNoDirectoryIsNotReplaced() throws IOException {
        Files.writeString(app, "a file");

        installer
                .install(upgrade("2", "two"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error ->
                        assertThat(error).isInstanceOf(InstallException.class).hasMessageContaining("no directory"))
                .verify(SOON);
        Files.delete(app);
        Files.createSymbolicLink(app, Files.createDirectory(directory.resolve("theirs")));
        installer
                .install(upgrade("2", "two"))
                .as(StepVerifier::create)
                .expectError(InstallException.class)
                .verify(SOON);

        assertThat(directory.resolve("theirs")).isEmptyDirectory();
    }

    @Test
    void nothingToRollBackToIsAnError() {
        installer
                .rollBack()
                .as(StepVerifier::create)
                .expectError(InstallException.class)
                .verify(SOON);
    }

    @Test
    void aRestartIsAwaitedByTheProcessThatInstalled() {
        DirectoryInstaller later = installer.effect(Installer.Effect.AFTER_RESTART);
        Verified upgrade = upgrade("2", "two");
        assertThat(later.awaitsRestart(upgrade.trigger())).isFalse();

        assertThat(later.install(upgrade).block(SOON)).isEqualTo(Installer.Effect.AFTER_RESTART);

        assertThat(later.awaitsRestart(upgrade.trigger())).isTrue();
    }

    @Test
    void callbackProgramsFindItAsTheirUnpacker() throws IOException {
        Unpacker unpacker = ServiceLoader.load(Unpacker.class).findFirst().orElseThrow();
        Path archive = Files.write(directory.resolve("app.zip"), Archives.zip(Map.of("main.py", "1")));
        Path bad = Files.write(directory.resolve("bad.zip"), Archives.zip(Map.of("a", "1", "../evil", "1")));

        unpacker.unpack(archive, app).block(SOON);
        unpacker.unpack(bad, app)
                .as(StepVerifier::create)
                .expectError(InstallException.class)
                .verify(SOON);

        assertThat(ArchiveTest.contents(app)).containsExactly(Map.entry("main.py", "1"));
        assertThat(names(app.resolveSibling(".app.otaflux"))).hasSize(1);
        assertThat(archive).exists();
    }

    private Verified upgrade(String version, String... files) {
        return store.verification()
                .upgrade(
                        "app",
                        version,
                        Stream.of(files).map(DirectoryInstallerTest::bytes).toArray(byte[][]::new));
    }

    private static void install(Installer installer, Verified upgrade) {
        installer
                .install(upgrade)
                .as(StepVerifier::create)
                .expectNext(Installer.Effect.IMMEDIATE)
                .expectComplete()
                .verify(SOON);
    }

    private static List<String> names(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
