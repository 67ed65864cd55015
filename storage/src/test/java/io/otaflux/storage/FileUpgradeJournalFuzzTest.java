package io.otaflux.storage;

import static io.otaflux.testkit.UpgradeJournalContract.entries;
import static io.otaflux.testkit.UpgradeJournalContract.entry;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeJournal.State;
import io.otaflux.testkit.Corpus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;

/**
 * Whatever bytes are where the journal was, it opens with what is intact of them, takes an entry, and is whole from then
 * on; or it is of a later version, and says so. An input that begins with an exclamation mark is a journal of which every
 * line bears the right checksum, since no fuzzer guesses one.
 */
class FileUpgradeJournalFuzzTest {

    private static final UpgradeJournal.Entry ENTRY = entry("fresh", "2.0.0", State.ADMITTED, null);

    @Corpus
    void holds(byte[] input) throws IOException {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) throws IOException {
        Path directory = Files.createTempDirectory("journal");
        Logger log = (Logger) LoggerFactory.getLogger(FileUpgradeJournal.class);
        log.setLevel(Level.ERROR);
        try {
            check(directory.resolve("journal"), input.length > 0 && input[0] == '!' ? sealed(input) : input);
        } finally {
            log.setLevel(null);
            try (Stream<Path> files = Files.list(directory)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(directory);
        }
    }

    private static byte[] sealed(byte[] input) {
        return Stream.of(new String(input, 1, input.length - 1, ISO_8859_1).split("\n"))
                .map(Escaped::sealed)
                .collect(Collectors.joining())
                .getBytes(ISO_8859_1);
    }

    private static void check(Path file, byte[] content) throws IOException {
        Files.write(file, content);
        List<UpgradeJournal.Entry> intact;
        FileUpgradeJournal journal;
        try {
            journal = open(file);
        } catch (StorageException e) {
            assertThat(e.reason()).isEqualTo(Reason.CORRUPT);
            assertThat(new String(content, ISO_8859_1)).contains("otaflux-journal ");
            return;
        }
        try {
            intact = new ArrayList<>(entries(journal));
            assertThat(intact).hasSizeLessThanOrEqualTo(content.length / 64);
            journal.put(ENTRY).block();
        } finally {
            journal.close();
        }
        FileUpgradeJournal again = open(file);
        try {
            assertThat(again.damagedLines()).isZero();
            if (intact.stream()
                    .noneMatch(old -> old.trigger().key().equals(ENTRY.trigger().key()))) {
                intact.add(ENTRY);
                assertThat(entries(again)).isEqualTo(intact);
            } else {
                assertThat(entries(again)).hasSameSizeAs(intact).contains(ENTRY);
            }
        } finally {
            again.close();
        }
    }

    private static FileUpgradeJournal open(Path file) {
        return FileUpgradeJournal.open(file, new UnsyncedDisk(), Runnable::run);
    }
}
