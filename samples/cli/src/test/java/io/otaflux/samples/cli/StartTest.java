package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher with real virtual machines, which remember their start. */
@Tag("faults")
class StartTest {

    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final byte[] CONTENT = DownloadCommandTest.content(16 << 10);
    private static final String SHA256 = DownloadCommandTest.hex("SHA-256", CONTENT);

    @TempDir
    private Path directory;

    @ParameterizedTest
    @ValueSource(ints = {17, 25})
    void aDownloadStartsFromMemoryAndSaysNothingMore(int version) throws IOException {
        Checkout checkout = Checkout.in(Files.createDirectory(directory.resolve("checkout")), jdk(version))
                .withTheCommandLine();
        try (FileHost host = FileHost.serving(CONTENT)) {
            assertDownloads(checkout, host);
            await().atMost(PATIENCE).until(checkout::hasArchive);

            assertDownloads(checkout, host);
            Path file = directory.resolve("logged");
            Cli.Outcome logged = checkout.launch(Map.of("JAVA_OPTS", "-Xlog:class+load:stdout"), command(host, file));
            long classes = logged.out().stream()
                    .filter(line -> line.contains(" source: "))
                    .count();
            long remembered = logged.out().stream()
                    .filter(line -> line.contains(" source: shared objects file"))
                    .count();
            System.out.printf("figure: start on JDK %d: %d of %d classes from memory%n", version, remembered, classes);
            assertThat(remembered).isGreaterThan(classes * 9 / 10);
            assertThat(logged.out())
                    .filteredOn(line -> line.contains(" io.otaflux.samples.cli.DownloadCommand source: "))
                    .singleElement()
                    .asString()
                    .contains("shared objects file");

            Cli.Outcome refused = checkout.launch(Map.of(), "dance");
            assertThat(refused.exitCode()).isEqualTo(ExitCode.USAGE);
            assertThat(refused.out()).isEmpty();
            assertThat(refused.err()).hasSize(1);

            // Believed by the launcher, since the state is written anew; the virtual machine has to see for itself.
            Path archive = checkout.archive();
            long size = Files.size(archive);
            for (long kept : List.of(size / 2, 100L, 0L)) {
                forge(checkout, archive, kept);
                assertDownloads(checkout, host);
            }
        }
    }

    /** Cuts the archive and puts noise where its header was, and has the launcher take it for what it made itself. */
    private static void forge(Checkout checkout, Path archive, long kept) throws IOException {
        assertThat(archive.toFile().setWritable(true)).isTrue();
        byte[] noise = new byte[(int) Math.min(kept, 64)];
        new Random(kept).nextBytes(noise);
        try (FileChannel channel = FileChannel.open(archive, StandardOpenOption.WRITE)) {
            channel.truncate(kept);
            channel.write(ByteBuffer.wrap(noise), 0);
        }
        Path state = Path.of(archive + ".state");
        String old = Files.readString(state);
        Process stat = new ProcessBuilder("stat", "-L", "-c", "%n %s %y", archive.toString()).start();
        String now = new String(stat.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        Files.writeString(state, now + old.substring(old.indexOf('\n') + 1));
    }

    private void assertDownloads(Checkout checkout, FileHost host) throws IOException {
        Path file = Files.createTempDirectory(directory, "out").resolve("file");
        Cli.Outcome outcome = checkout.launch(Map.of(), command(host, file));

        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        assertThat(outcome.all()).isBlank();
        assertThat(file).hasBinaryContent(CONTENT);
    }

    private static Object[] command(FileHost host, Path file) {
        return new Object[] {"download", host.url("f"), "-o", file, "--allow-http", "--sha256", SHA256};
    }

    /** The home of a JDK of that version or, for the newest, of a later one. */
    private static Path jdk(int version) throws IOException {
        if (Runtime.version().feature() == version) {
            return Path.of(System.getProperty("java.home"));
        }
        List<Path> homes;
        try (Stream<Path> all =
                Files.isDirectory(Path.of("/usr/lib/jvm")) ? Files.list(Path.of("/usr/lib/jvm")) : Stream.empty()) {
            homes = all.filter(home -> Files.isExecutable(home.resolve("bin/java")))
                    .filter(home -> hasVersion(home, version))
                    .toList();
        }
        assumeTrue(!homes.isEmpty(), "there is no JDK " + version + " in /usr/lib/jvm");
        return homes.get(0);
    }

    private static boolean hasVersion(Path home, int version) {
        try {
            return Files.readString(home.resolve("release")).contains("JAVA_VERSION=\"" + version + ".");
        } catch (IOException e) {
            return false;
        }
    }
}
