package io.otaflux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import java.util.Locale;

/**
 * Whatever stands where a digest belongs, it is one whole value or refused in printable words. An input is the name of an
 * algorithm, a colon and the value.
 */
class DigestFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        String text = new String(input, UTF_8);
        int colon = text.indexOf(':');
        String hex = text.substring(colon + 1);
        for (Digest.Algorithm algorithm : Digest.Algorithm.values()) {
            check(algorithm, hex);
        }
        try {
            Digest.Algorithm.named(text.substring(0, Math.max(0, colon)));
        } catch (IllegalArgumentException e) {
            assertPrintable(e);
        }
    }

    private static void check(Digest.Algorithm algorithm, String hex) {
        Digest digest;
        try {
            digest = new Digest(algorithm, hex);
        } catch (IllegalArgumentException e) {
            assertPrintable(e);
            return;
        }
        assertThat(digest.hex())
                .hasSize(2 * algorithm.bytes())
                .matches("[0-9a-f]+")
                .isEqualToIgnoringCase(hex);
        assertThat(digest.matches(new Digest(algorithm, hex.toUpperCase(Locale.ROOT))))
                .isTrue();
        char other = digest.hex().charAt(0) == '0' ? '1' : '0';
        assertThat(digest.matches(new Digest(algorithm, other + digest.hex().substring(1))))
                .isFalse();
        String text = digest.toString();
        assertThat(Digest.Algorithm.named(text.substring(0, text.indexOf(':')))).isEqualTo(algorithm);
    }

    private static void assertPrintable(IllegalArgumentException e) {
        assertThat(e.getMessage()).hasSizeLessThan(300).matches("[\\x20-\\x7e]*");
    }
}
