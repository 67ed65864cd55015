package io.otaflux.transport.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.handler.codec.DateFormatter;
import io.otaflux.testkit.Corpus;
import java.time.Instant;
import java.util.Date;

/** Whatever stands where a date belongs, it is taken for an instant that HTTP can express, or for nothing. */
class HttpDateFuzzTest {

    private static final Instant YEAR_0 = Instant.parse("0000-01-01T00:00:00Z");
    private static final Instant YEAR_10000 = Instant.parse("+10000-01-01T00:00:00Z");

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        Instant instant = HttpDate.parse(new String(input, ISO_8859_1));
        if (instant != null) {
            assertThat(instant).isBetween(YEAR_0, YEAR_10000);
            assertThat(instant.getNano()).isZero();
            assertThat(HttpDate.parse(DateFormatter.format(Date.from(instant)))).isEqualTo(instant);
        }
    }
}
