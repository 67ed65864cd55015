package io.otaflux.storage;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.testkit.Corpus;
import java.net.URI;

/** Whatever an intact line of the journal says, it is a record that is written and read back the same, or refused. */
class JournalRecordFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        JournalRecord record;
        try {
            record = JournalRecord.parse(new String(input, ISO_8859_1));
        } catch (IllegalArgumentException e) {
            return;
        }
        String text = record.text();
        assertThat(text).matches("[\\x20-\\x7e]+");
        assertThat(JournalRecord.parse(text)).isEqualTo(record);
        if (record.entry() != null) {
            assertThat(record.entry().trigger().key()).isEqualTo(record.key());
            assertThat(record.entry().trigger().size()).isGreaterThanOrEqualTo(Artifact.UNKNOWN_SIZE);
            for (Artifact artifact : record.entry().trigger().artifacts()) {
                URI location = artifact.location();
                assertThat(location.getRawUserInfo()).isNull();
                assertThat(location.getRawQuery()).isNull();
                assertThat(location.getRawFragment()).isNull();
            }
        }
    }
}
