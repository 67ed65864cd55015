package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.InstallException;
import io.otaflux.testkit.Corpus;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Whatever an archive is: it is refused, or what comes out is files and directories below the target, and not too many. */
class ArchiveFuzzTest {

    private static final Archive.Limits LIMITS = new Archive.Limits(64 * 1024, 32);

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        try {
            Path directory = Files.createTempDirectory("otaflux-fuzz-");
            try {
                Path archive = Files.write(directory.resolve("archive"), input);
                Path target = Files.createDirectory(directory.resolve("target"));
                try {
                    Archive.unpack(Disk.REAL, archive, target, LIMITS);
                } catch (InstallException refused) {
                    assertThat(refused.getMessage()).hasSizeLessThan(400).matches("[\\x20-\\x7e…]*");
                }
                try (Stream<Path> left = Files.list(directory)) {
                    assertThat(left).containsExactlyInAnyOrder(archive, target);
                }
                assertHarmless(target);
            } finally {
                Disk.REAL.deleteTree(directory);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void assertHarmless(Path target) throws IOException {
        long bytes = 0;
        long entries = 0;
        try (Stream<Path> all = Files.walk(target)) {
            for (Path path : all.toList()) {
                assertThat(Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
                                || Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS))
                        .isTrue();
                bytes += Files.isRegularFile(path) ? Files.size(path) : 0;
                entries++;
            }
        }
        assertThat(bytes).isLessThanOrEqualTo(LIMITS.bytes());
        assertThat(entries).as("each entry with all directories above it").isLessThan(32L * 65);
    }
}
