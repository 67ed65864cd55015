package io.otaflux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;

/** Whatever a journal kept of a failure, it is a failure that can be told, and is kept in the same words again. */
class JournaledExceptionFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        OtaException failure = JournaledException.read(new String(input, UTF_8));
        assertThat(failure.getMessage()).isNotNull();
        OtaException again = JournaledException.read(JournaledException.write(failure));
        assertThat(again.stage()).isEqualTo(failure.stage());
        assertThat(again.reason()).isEqualTo(failure.reason());
        assertThat(again.getMessage()).isEqualTo(failure.getMessage());
    }
}
