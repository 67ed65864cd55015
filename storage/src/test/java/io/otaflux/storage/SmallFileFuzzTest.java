package io.otaflux.storage;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.StorageException;
import io.otaflux.testkit.Corpus;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;

/**
 * Whatever stands in one of the small files (a part's checkpoint, the digests of an artifact, the state of slots): it is
 * read as what was written, or done without, or a storage error; and what counts on it works. An input is the line without
 * its checksum.
 */
class SmallFileFuzzTest {

    private static final Artifact ARTIFACT =
            new Artifact("a", URI.create("https://example.org/a"), 100, List.of(Digest.sha256("ab".repeat(32))));

    @Corpus
    void holds(byte[] input) throws IOException {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) throws IOException {
        Path directory = Files.createTempDirectory("small");
        Logger log = (Logger) LoggerFactory.getLogger(SmallFile.class.getPackageName());
        log.setLevel(Level.ERROR);
        try {
            String text = new String(input, ISO_8859_1);
            read(directory.resolve("file"), text);
            checkpoint(directory.resolve("store"), text);
            slots(directory.resolve("slots"), text);
        } finally {
            log.setLevel(null);
            delete(directory);
        }
    }

    private static void read(Path file, String text) throws IOException {
        String kind = text.split(" ", 2)[0];
        Files.writeString(file, Escaped.sealed(text), ISO_8859_1);
        Optional<Map<String, String>> values = SmallFile.read(file, kind);
        if (values.isPresent() && values.get().keySet().stream().allMatch(name -> name.matches("[a-z]+"))) {
            SmallFile.write(new UnsyncedDisk(), file, kind, values.get());
            assertThat(SmallFile.read(file, kind)).isEqualTo(values);
        }
        Files.writeString(file, text, ISO_8859_1);
        assertThat(SmallFile.read(file, "")).isEmpty();
    }

    private static void checkpoint(Path directory, String text) throws IOException {
        Files.createDirectory(directory);
        String name = FileArtifactStore.keyOf(ARTIFACT);
        Files.write(directory.resolve(name + FileArtifactStore.PART), new byte[100]);
        Files.writeString(
                directory.resolve(name + FileArtifactStore.CHECKPOINT),
                Escaped.sealed("checkpoint " + text),
                ISO_8859_1);
        FileArtifactStore store =
                FileArtifactStore.builder(directory).disk(new UnsyncedDisk()).build();
        try {
            ArtifactStore.Writer writer = store.open(ARTIFACT).block();
            assertThat(writer.offset()).isBetween(0L, 100L);
            writer.close().block();
        } finally {
            store.close().block();
        }
    }

    private static void slots(Path directory, String text) throws IOException {
        Files.createDirectory(directory);
        Files.writeString(directory.resolve("state"), Escaped.sealed("slots " + text), ISO_8859_1);
        SlotInstaller slots =
                SlotInstaller.builder(directory).disk(new UnsyncedDisk()).build();
        try {
            SlotInstaller.Boot boot = slots.boot().block();
            if (boot != null) {
                assertThat(boot.slot().getParent()).isEqualTo(directory);
            }
        } catch (StorageException e) {
            assertThat(e).hasMessageContaining("slots");
        }
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> {
                try {
                    Files.delete(file);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        }
    }
}
