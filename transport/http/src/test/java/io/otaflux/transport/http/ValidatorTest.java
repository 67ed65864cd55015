package io.otaflux.transport.http;

import static io.otaflux.transport.http.VerdictTest.headers;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ValidatorTest {

    private static final String DATE = "Date: Mon, 02 Mar 2026 10:00:00 GMT";

    @ParameterizedTest
    @ValueSource(strings = {"\"abc\"", "\"\"", "abc", "d41d8cd98f00b204e9800998ecf8427e", "\"a b\"", "\"\u00e9\""})
    void aStrongTagIsTakenAsItStands(String tag) {
        assertThat(Validator.of(headers("ETag: " + tag, DATE, "Last-Modified: Sun, 01 Mar 2026 10:00:00 GMT")))
                .isEqualTo(tag);
    }

    @Test
    void aWeakTagIsNoValidatorButADateBesideItIs() {
        assertThat(Validator.of(headers("ETag: W/\"abc\""))).isNull();
        assertThat(Validator.of(headers("ETag: W/\"abc\"", DATE, "Last-Modified: Sun, 01 Mar 2026 10:00:00 GMT")))
                .isEqualTo("Sun, 01 Mar 2026 10:00:00 GMT");
    }

    @Test
    void aDateIsAValidatorFromOneMinuteOn() {
        assertThat(Validator.of(headers(DATE, "Last-Modified: Mon, 02 Mar 2026 09:59:00 GMT")))
                .isEqualTo("Mon, 02 Mar 2026 09:59:00 GMT");
        assertThat(Validator.of(headers(DATE, "Last-Modified: Mon, 02 Mar 2026 09:59:01 GMT")))
                .isNull();
        assertThat(Validator.of(headers(DATE, "Last-Modified: Mon, 02 Mar 2026 11:00:00 GMT")))
                .isNull();
        assertThat(Validator.of(headers("Last-Modified: Mon, 02 Mar 2026 09:59:00 GMT")))
                .isNull();
        assertThat(Validator.of(headers(DATE, "Last-Modified: yesterday"))).isNull();
    }

    @Test
    void twoTagsAreNone() {
        assertThat(Validator.of(headers("ETag: \"a\"", "ETag: \"b\""))).isNull();
    }

    @Test
    void silenceContradictsNothing() {
        assertThat(Validator.contradicts("\"a\"", headers("Last-Modified: Mon, 02 Mar 2026 09:59:00 GMT")))
                .isFalse();
        assertThat(Validator.contradicts("Mon, 02 Mar 2026 09:59:00 GMT", headers("ETag: \"a\"")))
                .isFalse();
        assertThat(Validator.contradicts("\"a\"", headers("ETag: \"a\""))).isFalse();
        assertThat(Validator.contradicts("\"a\"", headers("ETag: \"b\""))).isTrue();
    }
}
