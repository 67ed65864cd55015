package io.otaflux.storage;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LinesTest {

    private final Lines lines = new Lines();

    @Test
    void linesAreSealedAsTheyAreRead() {
        Random random = new Random(7);
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < 2_000; i++) {
            String name = "name" + i;
            String value = random.ints(random.nextInt(40), 0, 0x2_000)
                    .mapToObj(Character::toString)
                    .reduce("", String::concat);
            String expected = Escaped.sealed(name + "=" + Escaped.escape(value) + "|" + i);

            byte[] line = lines.begin()
                    .append(name)
                    .append('=')
                    .escape(value)
                    .append('|')
                    .append((long) i)
                    .end();

            assertThat(new String(line, ISO_8859_1)).isEqualTo(expected);
            assertThat(Lines.text(line)).isEqualTo(Escaped.unsealed(expected.substring(0, expected.length() - 1)));
            all.append(expected);
        }
        assertThat(ISO_8859_1.decode(lines.all()).toString()).isEqualTo(all.toString());
    }

    @Test
    void whatWasClearedIsGone() {
        lines.begin().append("x".repeat(3_000_000)).end();
        lines.clear();

        byte[] line = lines.begin().append("put").end();

        assertThat(ISO_8859_1.decode(lines.all()).toString()).isEqualTo(new String(line, ISO_8859_1));
    }

    @Test
    void theBeginningOfATextIsEscapedToo() {
        byte[] plain = lines.begin().escape("https://h/a?token", 11).end();
        byte[] other = lines.begin().escape("https://h/a b?token", 13).end();

        assertThat(Lines.text(plain)).isEqualTo("https://h/a");
        assertThat(Lines.text(other)).isEqualTo("https://h/a%20b");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 9, 10, 99, 100, 1_234_567_890_123L, Long.MAX_VALUE, -1, Long.MIN_VALUE})
    void numbersAreDecimal(long number) {
        byte[] line = lines.begin().append(number).end();

        assertThat(Lines.text(line)).isEqualTo(Long.toString(number));
    }
}
