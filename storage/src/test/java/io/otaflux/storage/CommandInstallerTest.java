package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.Verified;
import io.otaflux.testkit.InstallerContract;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

@DisabledOnOs(OS.WINDOWS)
class CommandInstallerTest implements InstallerContract {

    @TempDir
    Path directory;

    private StoreFixture store;
    private Path work;
    private Path target;

    @BeforeEach
    void open() throws IOException {
        store = new StoreFixture(directory.resolve("store"));
        work = Files.createDirectory(directory.resolve("work"));
        target = directory.resolve("installed");
    }

    @AfterEach
    void close() throws IOException {
        store.close();
        Awaitility.await().atMost(SOON).untilAsserted(() -> {
            try (var left = Files.list(work)) {
                assertThat(left).as("private directories that were left").isEmpty();
            }
        });
    }

    @Override
    public Installer installer() {
        return shell("cp \"$OTAFLUX_FILE\" \"$TARGET.new\" && mv \"$TARGET.new\" \"$TARGET\"")
                .build();
    }

    @Override
    public Verification verification() {
        return store.verification();
    }

    @Override
    public Optional<byte[]> installed() {
        try {
            return Files.exists(target) ? Optional.of(Files.readAllBytes(target)) : Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private CommandInstaller.Builder shell(String script) {
        return CommandInstaller.builder("/bin/sh", "-c", script)
                .environment("TARGET", target.toString())
                .workDirectory(work);
    }

    @Test
    void theProgramFindsEverythingInItsEnvironmentAndNothingElse() throws IOException {
        Verified upgrade = verification().upgrade("app", "2.0", bytes("first"), bytes("second"));

        install(
                shell("env > \"$TARGET\"; cat \"$OTAFLUX_FILE_2\" >> \"$TARGET\"")
                        .build(),
                upgrade);

        List<String> lines = Files.readAllLines(target);
        assertThat(lines)
                .contains(
                        "OTAFLUX_FILES=2",
                        "OTAFLUX_DELTA=0",
                        "OTAFLUX_PRODUCT=product",
                        "OTAFLUX_DEVICE=device",
                        "OTAFLUX_MODULE=app",
                        "OTAFLUX_VERSION=2.0",
                        "OTAFLUX_NAME=app.bin",
                        "OTAFLUX_SIZE=5",
                        "OTAFLUX_DIGEST=" + upgrade.file().digest(),
                        "second");
        assertThat(lines)
                .filteredOn(line -> line.contains("="))
                .map(line -> line.substring(0, line.indexOf('=')))
                .allMatch(name -> name.startsWith("OTAFLUX_")
                        || List.of(
                                        "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TARGET", "PWD", "SHLVL", "_",
                                        "OLDPWD")
                                .contains(name));
    }

    @Test
    void theFilesAreForTheirOwnerAlone() throws IOException {
        install(
                shell(
                                "stat -c %a \"$OTAFLUX_DIRECTORY\" > \"$TARGET\"; pwd >> \"$TARGET\"; echo \"$OTAFLUX_DIRECTORY\" >> \"$TARGET\"")
                        .build(),
                verification().upgrade("app", "2.0", bytes("two")));

        List<String> lines = Files.readAllLines(target);
        assertThat(lines.get(0)).isEqualTo("700");
        assertThat(lines.get(1)).isEqualTo(lines.get(2));
    }

    @Test
    void anExitCodeIsAnErrorWithTheEndOfTheOutput() {
        CommandInstaller failing = shell(
                        "i=0; while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i+1)); done; printf 'no \\033[1mflash\\n' >&2; exit 7")
                .build();

        failing.install(verification().upgrade("app", "2.0", bytes("two")))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(InstallException.class)
                        .hasMessageContaining("exit code 7")
                        .hasMessageEndingWith("line 1999 | no ?[1mflash")
                        .hasMessageNotContaining("line 1000 ")
                        .extracting(message -> message.getMessage().length())
                        .satisfies(length -> assertThat(length).isLessThan(5_000)))
                .verify(SOON);
    }

    @Test
    void aProgramThatIsNotThereIsAnError() {
        CommandInstaller.builder(directory.resolve("missing").toString())
                .workDirectory(work)
                .build()
                .install(verification().upgrade("app", "2.0", bytes("two")))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error ->
                        assertThat(error).isInstanceOf(InstallException.class).hasMessageContaining("could not be run"))
                .verify(SOON);
    }

    @Test
    void aProgramThatHangsIsEndedWithItsChildren() throws IOException {
        CommandInstaller hanging = shell("sleep 600 & echo $! > \"$TARGET\"; echo waiting; wait")
                .timeLimit(Duration.ofMillis(500))
                .build();

        hanging.install(verification().upgrade("app", "2.0", bytes("two")))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(InstallException.class)
                        .hasMessageContaining("did not finish within PT0.5S")
                        .hasMessageContaining("waiting"))
                .verify(SOON);

        assertGone(Long.parseLong(Files.readString(target).strip()));
    }

    @Test
    void aProgramThatIgnoresTheRequestIsMadeToEnd() throws IOException {
        CommandInstaller stubborn = shell("trap '' TERM; echo $$ > \"$TARGET\"; while true; do sleep 1; done")
                .timeLimit(Duration.ofMillis(500))
                .build();

        stubborn.install(verification().upgrade("app", "2.0", bytes("two")))
                .as(StepVerifier::create)
                .expectError(InstallException.class)
                .verify(SOON);

        assertGone(Long.parseLong(Files.readString(target).strip()));
    }

    @Test
    void cancellationEndsTheProgram() throws IOException {
        Disposable installing = shell("echo $$ > \"$TARGET\"; exec sleep 600")
                .build()
                .install(verification().upgrade("app", "2.0", bytes("two")))
                .subscribe();
        Awaitility.await().atMost(SOON).until(() -> Files.exists(target) && Files.size(target) > 1);

        installing.dispose();

        assertGone(Long.parseLong(Files.readString(target).strip()));
    }

    private static void assertGone(long pid) {
        Awaitility.await()
                .atMost(SOON)
                .until(() ->
                        ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty());
    }

    private static void install(Installer installer, Verified upgrade) {
        installer
                .install(upgrade)
                .as(StepVerifier::create)
                .expectNext(Installer.Effect.IMMEDIATE)
                .expectComplete()
                .verify(SOON);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
