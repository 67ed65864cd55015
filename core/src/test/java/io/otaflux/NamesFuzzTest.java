package io.otaflux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.Mutant;
import java.nio.file.Path;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Whatever a platform calls something: a name that is accepted is one harmless file name, topic level and argument. */
class NamesFuzzTest {

    private static final Path STORE = Path.of("/var/lib/ota");

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        for (Names kind : Names.values()) {
            check(input, name -> kind.check("name", name));
        }
    }

    @Test
    void theCorpusNoticesAPolicyThatOnlyRefusesSeparators() {
        Mutant.assertCaught(
                "the allow-list of names",
                () -> Corpus.Inputs.of(NamesFuzzTest.class)
                        .forEach(input -> check(input, name -> {
                            if (name.indexOf('/') >= 0 || name.indexOf('\0') >= 0) {
                                throw new IllegalArgumentException("a separator");
                            }
                            return name;
                        })));
    }

    private static void check(byte[] input, UnaryOperator<String> policy) {
        String name = new String(input, UTF_8);
        try {
            assertThat(policy.apply(name)).isEqualTo(name);
        } catch (IllegalArgumentException e) {
            assertThat(e.getMessage()).hasSizeLessThan(300).matches("[\\x20-\\x7e…]*");
            return;
        }
        assertThat(name).hasSizeBetween(1, 128).matches("[\\x20-\\x7e]+");
        assertThat(name)
                .doesNotContain("/", "\\", "#", "$", "%", "\"", "'")
                .doesNotStartWith("-")
                .doesNotStartWith(".");
        Path inside = STORE.resolve(name);
        assertThat(inside.normalize()).isEqualTo(inside);
        assertThat(inside.getParent()).isEqualTo(STORE);
    }
}
