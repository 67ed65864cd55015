package io.otaflux.storage;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.Mutant;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Whatever a text is, it comes back from its escaped form; whatever is on the disk, it is such a form or refused. */
class EscapedFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        checkEscape(input, Escaped::escape);
        checkUnescape(new String(input, ISO_8859_1));
        checkSeal(new String(input, ISO_8859_1));
    }

    @Test
    void theCorpusNoticesThatAPercentSignIsNotEscaped() {
        Mutant.assertCaught(
                "the escape of the escape",
                () -> Corpus.Inputs.of(EscapedFuzzTest.class)
                        .forEach(input ->
                                checkEscape(input, text -> Escaped.escape(text).replace("%25", "%"))));
    }

    private static void checkEscape(byte[] input, UnaryOperator<String> escape) {
        String text = new String(input, UTF_8);
        String escaped = escape.apply(text);
        assertThat(escaped).matches("[A-Za-z0-9._~:/@+()%-]*");
        try {
            assertThat(Escaped.unescape(escaped)).isEqualTo(text);
        } catch (IllegalArgumentException e) {
            throw new AssertionError("does not come back: " + escaped, e);
        }
    }

    private static void checkUnescape(String escaped) {
        String text;
        try {
            text = Escaped.unescape(escaped);
        } catch (IllegalArgumentException e) {
            return;
        }
        assertThat(Escaped.unescape(Escaped.escape(text))).isEqualTo(text);
    }

    private static void checkSeal(String line) {
        String text = Escaped.unsealed(line);
        if (text != null) {
            assertThat(Escaped.sealed(text)).isEqualTo(line + "\n");
        }
        String sealed = Escaped.sealed(line);
        assertThat(Escaped.unsealed(sealed.substring(0, sealed.length() - 1))).isEqualTo(line);
    }
}
