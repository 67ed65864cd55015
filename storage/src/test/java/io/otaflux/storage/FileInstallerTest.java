package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaException;
import io.otaflux.StorageException;
import io.otaflux.Verified;
import io.otaflux.testkit.InstallerContract;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

class FileInstallerTest implements InstallerContract {

    @TempDir
    Path directory;

    private StoreFixture store;
    private Path app;
    private FileInstaller installer;

    @BeforeEach
    void open() throws IOException {
        store = new StoreFixture(directory.resolve("store"));
        app = Files.createDirectory(directory.resolve("opt")).resolve("app.jar");
        installer = FileInstaller.to(app);
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
        try {
            return Files.exists(app) ? Optional.of(Files.readAllBytes(app)) : Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void thePreviousFileIsKeptAndRollingBackBringsItBack() {
        install("1", "one");
        install("2", "two");
        assertThat(app.resolveSibling("app.jar.previous")).hasContent("one");

        installer.rollBack().as(StepVerifier::create).expectComplete().verify(SOON);

        assertThat(app).hasContent("one");
        installer
                .rollBack()
                .as(StepVerifier::create)
                .expectErrorSatisfies(error ->
                        assertThat(error).isInstanceOf(InstallException.class).hasMessageContaining("no previous file"))
                .verify(SOON);
    }

    @Test
    void aRepetitionDoesNotLoseThePreviousFile() {
        install("1", "one");
        install("2", "two");

        install("2", "two");

        assertThat(app).hasContent("two");
        assertThat(app.resolveSibling("app.jar.previous")).hasContent("one");
    }

    @Test
    void thePermissionsOfTheOldFileAreKept() throws IOException {
        Files.writeString(app, "old");
        Files.setPosixFilePermissions(app, PosixFilePermissions.fromString("rwxr-x--x"));

        install("2", "two");

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(app)))
                .isEqualTo("rwxr-x--x");
    }

    @Test
    void nothingElseIsLeftInTheDirectory() throws IOException {
        Files.writeString(app.resolveSibling(".app.jar.123.otaflux"), "left by a crash");

        install("1", "one");
        install("2", "two");

        try (var files = Files.list(app.getParent())) {
            assertThat(files).containsExactlyInAnyOrder(app, app.resolveSibling("app.jar.previous"));
        }
    }

    @Test
    void nothingIsLeftWhereACrashCameAfterThePreviousFileWasKept() throws IOException {
        Files.writeString(app, "one");
        Files.createLink(app.resolveSibling("app.jar.previous"), app);

        install("2", "two");

        try (var files = Files.list(app.getParent())) {
            assertThat(files).containsExactlyInAnyOrder(app, app.resolveSibling("app.jar.previous"));
        }
        assertThat(app.resolveSibling("app.jar.previous")).hasContent("one");
    }

    @Test
    void anInstallationThatIsStillEndingAndTheNextOneDoNotDisturbEachOther() {
        Verified first = verification().upgrade("app", "1", bytes("one"));
        Sinks.Empty<Void> go = Sinks.empty();
        verification().reads(bytes -> bytes.concatWith(go.asMono().then(Mono.empty())));
        Mono<Installer.Effect> ending = installer.install(first).cache();
        Disposable subscription = ending.subscribe();
        await().until(() -> app.getParent().toFile().list().length > 0);
        verification().reads(UnaryOperator.identity());

        install("2", "two");
        assertThat(app).hasContent("two");
        go.tryEmitEmpty();

        assertThat(ending.block(SOON)).isEqualTo(Installer.Effect.IMMEDIATE);
        assertThat(app).hasContent("one");
        subscription.dispose();
    }

    @Test
    void severalFilesAreRefused() {
        Verified upgrade = verification().upgrade("app", "2", bytes("one"), bytes("two"));

        installer
                .install(upgrade)
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(InstallException.class)
                        .hasMessageContaining("2 files (expected: 1)"))
                .verify(SOON);
    }

    @Test
    void aDirectoryThatIsMissingIsAnErrorOfTheInstallation() {
        FileInstaller.to(directory.resolve("missing").resolve("app.jar"))
                .install(verification().upgrade("app", "2", bytes("two")))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(
                                StorageException.class,
                                failure -> assertThat(failure.stage()).isEqualTo(OtaException.Stage.INSTALL)))
                .verify(SOON);
    }

    @Test
    void aRestartIsAwaitedOnlyByTheProcessThatInstalled() {
        FileInstaller later = installer.effect(Installer.Effect.AFTER_RESTART);
        Verified upgrade = verification().upgrade("app", "2", bytes("two"));
        assertThat(later.awaitsRestart(upgrade.trigger())).isFalse();

        later.install(upgrade)
                .as(StepVerifier::create)
                .expectNext(Installer.Effect.AFTER_RESTART)
                .expectComplete()
                .verify(SOON);

        assertThat(later.awaitsRestart(upgrade.trigger())).isTrue();
        assertThat(FileInstaller.to(app).effect(Installer.Effect.AFTER_RESTART).awaitsRestart(upgrade.trigger()))
                .as("asked by the next process")
                .isFalse();
    }

    @Test
    void aCrashAtAnyPointLeavesTheOldOrTheNewFile() throws IOException {
        Verified upgrade = verification().upgrade("app", "2", bytes("two"));
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            Files.writeString(app, "one");
            CrashingDisk disk = new CrashingDisk(points);
            installer.disk(disk).install(upgrade).onErrorComplete().block(SOON);
            crashed = disk.crashed();

            assertThat(app).as("after a crash at change " + points).content().isIn("one", "two");
            install("2", "two");
            assertThat(app).hasContent("two");
            assertThat(app.resolveSibling("app.jar.previous")).hasContent("one");
            Files.delete(app.resolveSibling("app.jar.previous"));
        }
        assertThat(points).as("changes of the medium that were tried").isGreaterThan(5);
    }

    @Test
    void theNewFileIsDurableBeforeItTakesThePlaceOfTheOldOne() throws IOException {
        Files.writeString(app, "one");
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);

        installer
                .disk(disk)
                .install(verification().upgrade("app", "2", bytes("two")))
                .block(SOON);

        assertThat(disk.changes())
                .containsSubsequence(
                        "create .app.jar.N.otaflux",
                        "write",
                        "sync",
                        "rename app.jar.previous",
                        "rename app.jar",
                        "sync opt")
                .endsWith("sync opt");
    }

    private void install(String version, String content) {
        installer
                .install(verification().upgrade("app", version, bytes(content)))
                .as(StepVerifier::create)
                .expectNext(Installer.Effect.IMMEDIATE)
                .expectComplete()
                .verify(SOON);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
