package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the launcher has a virtual machine remember, with a {@code java} that does nothing but say what it was asked, and
 * that writes an archive when it is to.
 */
class LauncherTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String RECALL = "-XX:SharedArchiveFile=";

    @TempDir
    private Path directory;

    private Path jdk;
    private Checkout checkout;

    @BeforeEach
    void makeACheckout() throws IOException {
        jdk = jdk("jdk", "17.0.1+1");
        checkout = checkout("checkout");
    }

    @Test
    void whatIsMissingIsMadeInPassingAndUsedNextTime() {
        Cli.Outcome first = checkout.launch(Map.of(), "download", "x");

        assertThat(first.exitCode()).isEqualTo(7);
        assertThat(first.out()).noneMatch(argument -> argument.startsWith(RECALL));
        assertThat(first.err()).isEmpty();
        await().atMost(PATIENCE).until(checkout::hasArchive);
        assertThat(recalled("download", "x")).isTrue();
        assertThat(recalled("demo")).isTrue();
        assertThat(rehearsals()).isEqualTo(1);
    }

    @Test
    void anotherJarOrAnotherJdkMakesItAnew() throws IOException {
        remember(checkout);
        Files.writeString(checkout.run().resolve("lib/a.jar"), "changed");

        assertThat(recalled("download")).isFalse();
        await().atMost(PATIENCE).until(() -> recalled("download"));
        assertThat(rehearsals()).isEqualTo(2);

        Files.writeString(jdk.resolve("lib/modules"), "changed");
        assertThat(recalled("download")).isFalse();
        await().atMost(PATIENCE).until(() -> recalled("download"));
        assertThat(rehearsals()).isEqualTo(3);

        Map<String, String> other = Map.of("JAVA_HOME", jdk("other", "25.0.1+1").toString());
        checkout.launch(other, "download");
        await().atMost(PATIENCE)
                .until(() -> checkout.launch(other, "download").out().stream()
                        .anyMatch(argument -> argument.startsWith("-XX:AOTCache=")));
        assertThat(recalled("download")).isTrue();
    }

    @Test
    void aDamagedArchiveIsNotBelieved() {
        damageIsNoticed(checkout);
        Mutant.assertCaught("launcher believes any archive", () -> {
            Checkout credulous = checkout("credulous");
            Path launcher = credulous.launch();
            String text = Files.readString(launcher);
            FileTime modified = Files.getLastModifiedTime(launcher);
            Files.writeString(launcher, text.replace("[[ $is == \"$was\" ]]", "true"));
            Files.setLastModifiedTime(launcher, modified);
            assertThat(Files.readString(launcher)).isNotEqualTo(text);
            damageIsNoticed(credulous);
        });
    }

    private static void damageIsNoticed(Checkout checkout) {
        remember(checkout);
        try {
            Path archive = checkout.archive();
            Files.delete(archive);
            Files.writeString(archive, "trunc");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        assertThat(recalled(checkout, "download")).isFalse();
        await().atMost(PATIENCE).until(() -> recalled(checkout, "download"));
    }

    @Test
    void twoAtOnceMakeOne() throws Exception {
        Path slow = directory.resolve("slow");
        Files.createFile(slow);
        checkout.launch(Map.of("SLOW", slow.toString()), "download");
        await().atMost(PATIENCE).until(() -> rehearsals() == 1 && checkout.isRehearsing());

        for (int i = 0; i < 3; i++) {
            assertThat(checkout.launch(Map.of(), "download").exitCode()).isEqualTo(7);
        }
        assertThat(checkout.hasArchive()).isFalse();
        Files.delete(slow);

        await().atMost(PATIENCE).until(() -> recalled("download"));
        assertThat(Files.readString(checkout.archive())).isEqualTo("begun\nfinished\n");
    }

    @Test
    void aRehearsalThatFailsLeavesNothingAndHarmsNobody() throws IOException {
        Cli.Outcome outcome = checkout.launch(Map.of("FAIL", "true"), "download");

        assertThat(outcome.exitCode()).isEqualTo(7);
        await().atMost(PATIENCE).until(() -> rehearsals() == 1 && !checkout.isRehearsing());
        assertThat(checkout.hasArchive()).isFalse();
        remember(checkout);
    }

    @Test
    void whereNothingCanBeKeptTheCommandRunsAsEver() throws IOException {
        Files.createFile(checkout.start());

        Cli.Outcome outcome = checkout.launch(Map.of(), "download", "x");

        assertThat(outcome.exitCode()).isEqualTo(7);
        assertThat(outcome.out()).contains("io.otaflux.samples.cli.Otaflux", "download", "x");
        assertThat(outcome.err()).isEmpty();
        assertThat(rehearsals()).isZero();
    }

    @Test
    void whoSaysWhatToShareIsNotContradicted() {
        remember(checkout);

        for (String own : List.of("-Xshare:off", RECALL + "/mine", "-XX:AOTCache=/mine")) {
            Cli.Outcome outcome = checkout.launch(Map.of("JAVA_OPTS", own), "download");

            assertThat(outcome.out()).contains(own).doesNotContain(RECALL + archive());
        }
    }

    private Path archive() {
        try {
            return checkout.archive();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void remember(Checkout checkout) {
        checkout.launch(Map.of(), "download");
        await().atMost(PATIENCE).until(checkout::hasArchive);
        assertThat(recalled(checkout, "download")).isTrue();
    }

    private boolean recalled(Object... command) {
        return recalled(checkout, command);
    }

    private static boolean recalled(Checkout checkout, Object... command) {
        Cli.Outcome outcome = checkout.launch(Map.of(), command);
        assertThat(outcome.exitCode()).isEqualTo(7);
        assertThat(outcome.err()).isEmpty();
        return outcome.out().stream().anyMatch(argument -> argument.startsWith(RECALL));
    }

    private long rehearsals() {
        try (Stream<String> lines = Files.lines(jdk.resolve("rehearsals"))) {
            return lines.count();
        } catch (IOException e) {
            return 0;
        }
    }

    private Checkout checkout(String name) throws IOException {
        Checkout made = Checkout.in(Files.createDirectory(directory.resolve(name)), jdk);
        Files.writeString(made.run().resolve("cli.jar"), "cli");
        Files.writeString(made.run().resolve("lib/a.jar"), "a");
        Files.writeString(made.run().resolve("mqtt/b.jar"), "b");
        return made;
    }

    private Path jdk(String name, String version) throws IOException {
        Path home = Files.createDirectory(directory.resolve(name));
        Files.createDirectory(home.resolve("bin"));
        Files.createDirectory(home.resolve("lib"));
        Files.writeString(home.resolve("lib/modules"), version);
        Files.writeString(home.resolve("release"), "JAVA_RUNTIME_VERSION=\"" + version + "\"\n");
        Path java = Files.writeString(home.resolve("bin/java"), """
                #!/usr/bin/env bash
                for argument; do
                    case $argument in
                        -XX:ArchiveClassesAtExit=*|-XX:AOTCacheOutput=*)
                            archive=${argument#*=}
                            echo begun >> "$archive"
                            echo rehearsed >> "$(dirname "$0")/../rehearsals"
                            while [[ -n ${SLOW:-} && -e $SLOW ]]; do read -rt 0.05 <> <(:); done
                            [[ -z ${FAIL:-} ]] || exit 1
                            echo finished >> "$archive"
                            exit 0
                    esac
                done
                printf '%s\\n' "$@"
                exit 7
                """);
        assertThat(java.toFile().setExecutable(true)).isTrue();
        return home;
    }
}
