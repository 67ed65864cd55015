package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.DigestMismatchException;
import io.otaflux.Installer;
import io.otaflux.Verified;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

/** Another process writes to the verified file while it is being installed: what is installed is what was verified. */
@Tag("faults")
@RequiresProgram(value = "python3", debianPackage = "python3")
class TamperingTest {

    private static final int TRIES = 500;
    private static final int SIZE = 1_000_000;
    private static final Duration SOON = Duration.ofSeconds(60);

    /** Turns a byte of the file over and, a moment later, back; begins after so many microseconds. */
    private static final String TAMPER = """
            import os, random, sys, time
            for line in sys.stdin:
                path, delay = line.split()
                try:
                    file = os.open(path, os.O_RDWR)
                except FileNotFoundError:
                    print('gone', flush=True)
                    continue
                time.sleep(int(delay) / 1e6)
                at = random.randrange(os.fstat(file).st_size)
                right = os.pread(file, 1, at)
                os.pwrite(file, bytes([right[0] ^ 255]), at)
                print('changed', flush=True)
                time.sleep(random.random() / 500)
                os.pwrite(file, right, at)
                os.close(file)
                print('back', flush=True)
            """;

    @TempDir
    Path directory;

    private final Random random = new Random();
    private StoreFixture store;
    private Process other;
    private PrintStream orders;
    private BufferedReader answers;

    @BeforeEach
    void open() throws IOException {
        store = new StoreFixture(directory.resolve("store"));
        other = new ProcessBuilder("python3", "-u", "-c", TAMPER)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        orders = new PrintStream(other.getOutputStream(), true, StandardCharsets.UTF_8);
        answers = new BufferedReader(new InputStreamReader(other.getInputStream(), StandardCharsets.UTF_8));
    }

    @AfterEach
    void close() {
        other.destroyForcibly().onExit().join();
        store.close();
    }

    @Test
    void whatIsInstalledIsTheOldFileOrWhatWasVerified() throws IOException {
        int refused = tamper(FileInstaller.to(directory.resolve("app.bin")), TRIES);

        assertThat(refused).as("tries that were in time").isBetween(1, TRIES - 1);
        System.err.printf(
                "figure: verified file rewritten by another process: %d tries, %d installed as verified, %d refused,"
                        + " 0 installed otherwise%n",
                TRIES, TRIES - refused, refused);
    }

    @Test
    void whoCopiesWithoutHashingInstallsSomethingElse() {
        Path app = directory.resolve("app.bin");

        Mutant.assertCaught(
                "hashing the bytes that are installed",
                () -> tamper(verified -> Mono.fromCallable(() -> copyUnseen(verified, app)), TRIES));
    }

    /** Answers how many installations were refused. */
    private int tamper(Installer installer, int tries) throws IOException {
        Path app = directory.resolve("app.bin");
        byte[] old = ArtifactStoreContract.bytes(SIZE, 0);
        Files.write(app, old);
        int refused = 0;
        for (int version = 1; version <= tries; version++) {
            byte[] content = ArtifactStoreContract.bytes(SIZE, version);
            Verified verified = store.verification().upgrade("app", Integer.toString(version), content);
            orders.println(stored(verified) + " " + random.nextInt(4_000));
            boolean installed = installs(installer, verified);
            byte[] present = Files.readAllBytes(app);
            String answer = answers.readLine();
            if (answer.equals("changed")) {
                answer = answers.readLine();
            }
            assertThat(answer).isIn("gone", "back");

            assertThat(Arrays.equals(present, installed ? content : old))
                    .as("version %d, %s, is whole", version, installed ? "installed" : "refused")
                    .isTrue();
            if (installed) {
                old = content;
            } else {
                refused++;
            }
        }
        return refused;
    }

    private static boolean installs(Installer installer, Verified verified) {
        return Boolean.TRUE.equals(installer
                .install(verified)
                .thenReturn(true)
                .onErrorReturn(DigestMismatchException.class, false)
                .block(SOON));
    }

    private Path stored(Verified verified) {
        return directory
                .resolve("store")
                .resolve("sha256-" + verified.file().digest().hex());
    }

    /** An installer as it must not be: it takes what has the name of what was verified. */
    private Installer.Effect copyUnseen(Verified verified, Path app) throws IOException {
        Path copy = Files.copy(stored(verified), directory.resolve("copy"), StandardCopyOption.REPLACE_EXISTING);
        Files.move(copy, app, StandardCopyOption.ATOMIC_MOVE);
        return Installer.Effect.IMMEDIATE;
    }
}
