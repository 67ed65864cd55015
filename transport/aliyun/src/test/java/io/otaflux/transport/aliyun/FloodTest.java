package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.ArtifactStoreContract;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
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
        flood(3_000, Duration.ofMinutes(2));
    }

    @Test
    @Tag("faults")
    void aMillionPushesFitInto64MebibytesOfHeap() throws Exception {
        System.err.println("figure: " + flood(1_000_000, Duration.ofMinutes(15)));
    }

    @Test
    @Tag("faults")
    void aMessageThatDoesNotFitIntoMemoryCostsOneConnection() throws Exception {
        AtomicBoolean first = new AtomicBoolean(true);
        try (FloodingBroker broker = FloodingBroker.sending(
                1,
                2,
                n -> first.getAndSet(false)
                        ? new byte[80_000_000]
                        : push("m0", 0).getBytes(UTF_8))) {
            run(broker, 1, 0, Duration.ofMinutes(2));

            assertThat(broker.connections()).isEqualTo(2);
            System.err.println(
                    "figure: one message of 80 MB for a heap of 64 MiB: 1 connection lost, next push installed");
        }
    }

    private String flood(int pushes, Duration patience) throws Exception {
        try (FloodingBroker broker = FloodingBroker.sending(
                pushes, 100, n -> push("m" + n % MODULES, n / MODULES).getBytes(UTF_8))) {
            long start = System.nanoTime();
            String said = run(broker, MODULES, pushes / MODULES - 1, patience);
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

    private static String push(String module, int version) {
        return "{\"data\":{\"module\":\"" + module + "\",\"version\":\"" + version + "\",\"size\":"
                + FloodedProgram.CONTENT.length + ",\"signMethod\":\"Sha256\",\"sign\":\""
                + ArtifactStoreContract.sha256(FloodedProgram.CONTENT).hex() + "\",\"url\":\"" + FloodedProgram.LOCATION
                + "?token=1\"}}";
    }

    /** Runs the program until it ends by itself, and returns what it said. */
    private String run(FloodingBroker broker, int modules, int last, Duration patience) throws Exception {
        Path output = directory.resolve("output");
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx64m",
                        "-XX:+ExitOnOutOfMemoryError",
                        "-cp",
                        System.getProperty("java.class.path"),
                        FloodedProgram.class.getName(),
                        Integer.toString(broker.port()),
                        Integer.toString(modules),
                        Integer.toString(last))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            boolean ended = process.waitFor(patience.toSeconds(), TimeUnit.SECONDS);
            assertThat(ended).as(Files.readString(output)).isTrue();
            assertThat(process.exitValue()).as(Files.readString(output)).isZero();
            return Files.readString(output);
        } finally {
            process.destroyForcibly();
        }
    }
}
