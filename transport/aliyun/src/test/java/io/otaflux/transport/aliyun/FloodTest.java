package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.ArtifactStoreContract;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** More pushes than anybody can follow, for a device with a heap of 64 MiB: the newest of each module is what counts. */
class FloodTest {

    private static final int MODULES = 10;

    @TempDir
    Path directory;

    @Test
    void aFloodCostsNoMoreThanItsModules() throws Exception {
        flood(10_000, Duration.ofMinutes(2));
    }

    @Test
    @Tag("faults")
    void aMillionPushesFitInto64MebibytesOfHeap() throws Exception {
        System.err.println("figure: " + flood(1_000_000, Duration.ofMinutes(15)));
    }

    private String flood(int pushes, Duration patience) throws Exception {
        String rest = "\",\"size\":" + FloodedProgram.CONTENT.length + ",\"signMethod\":\"Sha256\",\"sign\":\""
                + ArtifactStoreContract.sha256(FloodedProgram.CONTENT).hex() + "\",\"url\":\"" + FloodedProgram.LOCATION
                + "?token=1\"}}";
        int last = pushes / MODULES - 1;
        try (FloodingBroker broker = FloodingBroker.sending(
                pushes,
                100,
                n -> ("{\"id\":" + n + ",\"data\":{\"module\":\"m" + n % MODULES + "\",\"version\":\"" + n / MODULES
                                + rest)
                        .getBytes(UTF_8))) {
            Path output = directory.resolve("output");
            Process process = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx64m",
                            "-XX:+ExitOnOutOfMemoryError",
                            "-cp",
                            System.getProperty("java.class.path"),
                            FloodedProgram.class.getName(),
                            Integer.toString(broker.port()),
                            Integer.toString(MODULES),
                            Integer.toString(last))
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            long start = System.nanoTime();
            try {
                assertThat(process.waitFor(patience.toSeconds(), TimeUnit.SECONDS))
                        .as(Files.readString(output))
                        .isTrue();
            } finally {
                process.destroyForcibly();
            }
            String said = Files.readString(output);
            assertThat(process.exitValue()).as(said).isZero();
            assertThat(broker.acknowledged()).as(said).isEqualTo(pushes);
            assertThat(broker.connections()).isEqualTo(1);
            return "flood of " + pushes + " pushes in a heap of 64 MiB: all acknowledged, the last version won in all "
                    + MODULES + " modules, "
                    + said.lines()
                            .filter(line -> line.startsWith("ended"))
                            .findFirst()
                            .orElse(said) + ", "
                    + (System.nanoTime() - start) / 1_000_000_000 + " s";
        }
    }
}
