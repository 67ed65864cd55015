package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class DownloadSignalTest {

    private static final byte[] CONTENT = DownloadCommandTest.content(6 << 20);
    private static final String SHA256 = DownloadCommandTest.hex("SHA-256", CONTENT);
    private static final String SECRET = "CANARY-77aa";

    @TempDir
    private Path directory;

    @Test
    void ctrlCIs130AndTheSameCommandFetchesOnlyTheRest() throws IOException {
        Cli.Outcome stopped = stopHalfWayAndFinish(Cli.Child::interrupt);

        assertThat(stopped.exitCode()).isEqualTo(130);
        assertThat(stopped.err()).hasSize(1).first().asString().contains("the same command");
    }

    @Test
    void sigtermIs143AndTheSameCommandFetchesOnlyTheRest() throws IOException {
        Cli.Outcome stopped = stopHalfWayAndFinish(Cli.Child::terminate);

        assertThat(stopped.exitCode()).isEqualTo(143);
    }

    @Test
    void afterAKillTheSameCommandFetchesOnlyTheRest() throws IOException {
        Cli.Outcome stopped = stopHalfWayAndFinish(Cli.Child::kill);

        assertThat(stopped.exitCode()).isEqualTo(137);
    }

    private Cli.Outcome stopHalfWayAndFinish(Consumer<Cli.Child> signal) throws IOException {
        Path home = Files.createDirectory(directory.resolve("nginx"));
        Path out = Files.createDirectory(directory.resolve("out"));
        Path file = out.resolve("file");
        try (NginxServer nginx = NginxServer.start(home, "limit_rate 1m;")) {
            nginx.put("file.bin", CONTENT);
            Object[] command = {
                "download",
                nginx.uri("file.bin?token=" + SECRET),
                "-o",
                file,
                "--allow-http",
                "--sha256",
                SHA256,
                "--json"
            };
            Cli.Outcome stopped;
            try (Cli.Child child = Cli.start(command)) {
                await().atMost(Duration.ofSeconds(30))
                        .until(() -> child.out().stream()
                                        .filter(line -> line.contains("\"received\""))
                                        .count()
                                >= 2);
                signal.accept(child);
                stopped = child.await();
            }
            assertThat(file).doesNotExist();
            assertThat(out.resolve(".file.otaflux")).isDirectory();
            assertThat(stopped.all()).doesNotContain(SECRET);
            long kept = durable(stopped.out());

            Cli.Outcome finished = Cli.run(command);

            assertThat(finished.exitCode()).as("%s", finished).isZero();
            assertThat(file).hasBinaryContent(CONTENT);
            assertThat(out.resolve(".file.otaflux")).doesNotExist();
            List<String> answers = Files.readAllLines(home.resolve("access.log"));
            String rest = answers.get(answers.size() - 1);
            assertThat(rest).contains("\" 206 ");
            assertThat(Long.parseLong(rest.replaceFirst(".*\" 206 (\\d+) .*", "$1")))
                    .isLessThanOrEqualTo(CONTENT.length - kept);
            return stopped;
        }
    }

    /** What the last event said to be durable. */
    private static long durable(List<String> events) {
        return events.stream()
                .filter(line -> line.contains("\"received\"") && line.endsWith("}"))
                .mapToLong(line -> Long.parseLong(line.replaceFirst(".*\"bytes\":(\\d+).*", "$1")))
                .max()
                .orElse(0);
    }
}
