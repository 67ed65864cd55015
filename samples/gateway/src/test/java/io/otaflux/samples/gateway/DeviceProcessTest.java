package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library in a process of its own. */
@RequiresServers
class DeviceProcessTest {

    private static final long GIB = 1L << 30;

    @TempDir
    Path directory;

    @Test
    void aGibibyteFitsThroughSixtyFourMebibytesOfMemory() throws IOException {
        Path file = directory.resolve("nginx/files/large.bin");
        try (Site site = Site.open(directory)) {
            String sha256 = sparse(file);
            ObjectNode data = largeUpgrade(site, file, sha256);
            try (DeviceProcess device = DeviceProcess.start(site, 64 << 20, "-Xmx64m", "-XX:MaxDirectMemorySize=64m")) {
                site.cloud().push(data);

                int exit = device.awaitExit(Duration.ofSeconds(120));
                assertThat(exit).as(device::output).isZero();
                System.err.println("1 GiB in a small process: "
                        + device.output()
                                .lines()
                                .filter(line -> line.startsWith("VmHWM"))
                                .findFirst()
                                .orElse("?"));
            }
            assertThat(site.accesses()).extracting(Site.Access::bytes).containsExactly(GIB);
            assertThat(digest(directory.resolve("app.bin"))).isEqualTo(sha256);
            assertThat(site.cloud().versions()).endsWith("app=2.0.0");
        }
    }

    @Test
    void aProcessThatIsKilledInMidDownloadGoesOnWhereItsDiskIs() throws IOException {
        int size = 12_000_000;
        long checkpoint = 500_000;
        Payload payload = Payload.of(size, 41);
        try (Site site = Site.open(directory, "limit_rate 4m;")) {
            ObjectNode data = site.publish("app", "2.0.0", payload);
            long durable = 0;
            try (DeviceProcess first = DeviceProcess.start(site, checkpoint)) {
                site.cloud().push(data);
                durable = first.awaitBytes(size / 3);
                first.kill();
            }
            long written = lengthOfPart();
            try (DeviceProcess second = DeviceProcess.start(site, checkpoint)) {
                assertThat(second.awaitExit(Duration.ofMinutes(2)))
                        .as(second::output)
                        .isZero();
            }

            assertThat(directory.resolve("app.bin")).hasBinaryContent(payload.bytes());
            assertThat(written).as("written when it was killed").isBetween(durable, (long) size - 1);
            List<Site.Access> accesses = site.accesses();
            assertThat(accesses).extracting(Site.Access::status).containsExactly(200, 206);
            assertThat(accesses.get(1).bytes()).as("bytes asked for again").isEqualTo(size - written);
        }
    }

    @Test
    @Tag("faults")
    void aKilledDownloadOfAGibibyteFetchesNothingTwice() throws IOException {
        Path file = directory.resolve("nginx/files/large.bin");
        // So fast that a lot is written between two checkpoints, and so slow that it is not over before the kill.
        try (Site site = Site.open(directory, "limit_rate 200m;")) {
            ObjectNode data = largeUpgrade(site, file, sparse(file));
            long durable = 0;
            try (DeviceProcess first = DeviceProcess.start(site, 64 << 20)) {
                site.cloud().push(data);
                durable = first.awaitBytes(GIB / 4);
                first.kill();
            }
            long written = lengthOfPart();
            try (DeviceProcess second = DeviceProcess.start(site, 64 << 20)) {
                assertThat(second.awaitExit(Duration.ofMinutes(5)))
                        .as(second::output)
                        .isZero();
            }

            assertThat(written).as("written when it was killed").isBetween(durable, GIB - 1);
            List<Site.Access> accesses = site.accesses();
            assertThat(accesses).extracting(Site.Access::status).containsExactly(200, 206);
            long again = accesses.get(1).bytes() - (GIB - written);
            System.err.println("figure: kill -9 in a download of 1 GiB: " + written + " bytes written, " + durable
                    + " checkpointed, " + again + " fetched again");
            assertThat(again).as("bytes that were written and fetched again").isBetween(0L, 2L << 20);
            assertThat(digest(directory.resolve("app.bin"))).isEqualTo(digest(file));
        }
    }

    private long lengthOfPart() throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            return Files.size(files.filter(file -> file.toString().endsWith(".part"))
                    .findFirst()
                    .orElseThrow());
        }
    }

    private static ObjectNode largeUpgrade(Site site, Path file, String sha256) {
        return new ObjectMapper()
                .createObjectNode()
                .put("module", "app")
                .put("version", "2.0.0")
                .put("size", GIB)
                .put("url", site.nginx().uri(String.valueOf(file.getFileName())).toString())
                .put("signMethod", "Sha256")
                .put("sign", sha256);
    }

    /** A file with something in it here and there, which takes hardly any room. */
    private static String sparse(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (long position = 0; position < GIB; position += 16 << 20) {
                channel.write(ByteBuffer.allocate(8).putLong(0, position + 1), position);
            }
            channel.write(ByteBuffer.allocate(1), GIB - 1);
        }
        return digest(file);
    }

    private static String digest(Path file) throws IOException {
        MessageDigest digest = Payload.digester();
        byte[] buffer = new byte[1 << 20];
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
