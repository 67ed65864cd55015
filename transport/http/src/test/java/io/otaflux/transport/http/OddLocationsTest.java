package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.whole;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Locations over which parsers disagree. What is asked for, if anything, is the host that {@link URI} sees: a name server
 * writes down which name it is asked for, and knows none.
 */
class OddLocationsTest {

    private final ScriptedNames names = new ScriptedNames();
    private final HttpArtifactSource source = HttpArtifactSource.builder()
            .allowHttp(true)
            .client(client -> client.resolver(names))
            .build();

    @AfterEach
    void close() {
        source.close().block(PATIENCE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://example.org\\@evil.example/a",
                "https:\\\\example.org\\a",
                "https://example.org\\.evil.example/a",
                "https://example.org:80\\@evil.example/",
                "https://exa mple.org/a",
                "https://example.org/a b",
                " https://example.org/a",
                "https://example.org/a ",
                "https://example.org/\ta",
                "https://example.org/a\r\nX-Token: b",
                "https://example.org\0.evil.example/a",
                "https://example.org/a\u007f",
                "https://",
                "https://[::1/a",
                "https://[example.org]/a",
                "https://[127.0.0.1]/a",
                "https://[::ffff:127.0.0.1.]/a",
                "https://[::1%]/a",
                "https://<example.org>/a",
                "https://example.org/%",
                "https://example.org/a?q=%zz",
                "https://example.org/a#b#c"
            })
    void someAreNoUri(String text) {
        assertThatThrownBy(() -> new URI(text)).isInstanceOf(URISyntaxException.class);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "https://user@example.org/a                  | user-info",
                "https://user:CANARY@example.org/a           | user-info",
                "https://example.org:CANARY@evil.example/a   | user-info",
                "https://example.org%40evil.example/a        | no host",
                "https://@example.org/a                      | user-info",
                "https://example.org/a#@evil.example/        | a fragment",
                "https://example.org#@evil.example/          | a fragment",
                "https://evil.example#.example.org/          | a fragment",
                "https://example.org?@evil.example/#         | a fragment",
                "https:///a                                  | no host",
                "https://:443/a                              | no host",
                "https:example.org/a                         | no host",
                "https:/example.org/a                        | no host",
                "//example.org/a                             | scheme",
                "example.org/a                               | scheme",
                "javascript:alert(1)                         | scheme",
                "https://example.org:0/a                     | port 0",
                "https://example.org:65536/a                 | port 65536",
                "https://example.org:-1/a                    | no host",
                "https://example.org:4294967739/a            | no host",
                "https://example.org:443:80/a                | no host",
                "https://example.org:0x1bb/a                 | no host",
                "https://bücher.example/a                    | no host",
                "https://example。org/a                      | no host",
                "https://１２７.0.0.1/a                      | no host",
                "https://①②⑦.0.0.1/a                        | no host",
                "https://%6c%6f%63%61lhost/a                 | no host",
                "https://%31%32%37.0.0.1/a                   | no host",
                "https://127.0.0.1%2f@example.org/a          | user-info",
                "https://exam_ple.org/a                      | no host",
                "https://-example.org/a                      | no host",
                "https://*.example.org/a                     | no host",
                "https://example..org/a                      | no host",
                "https://.example.org/a                      | no host",
                "https://example.org./a                      | a dot after the host",
                "https://localhost./a                        | a dot after the host",
                "https://127.0.0.1./a                        | no host",
                "https://2130706433/a                        | can be read in several ways",
                "https://0x7f000001/a                        | can be read in several ways",
                "https://0x7f.0.0.1/a                        | no host",
                "https://017700000001/a                      | can be read in several ways",
                "https://127.1/a                             | no host",
                "https://127.0.1/a                           | no host",
                "https://0177.0.0.1/a                        | can be read in several ways",
                "https://010.0.0.1/a                         | can be read in several ways",
                "https://127.000.000.001/a                   | can be read in several ways",
                "https://1.2.3.4.5/a                         | no host",
                "https://256.1.1.1/a                         | no host",
                "https://example.127/a                       | no host",
                "https://127.0.0.1/a                         | loopback",
                "https://0.0.0.0/a                           | unspecified",
                "http://169.254.169.254/latest/meta-data     | link-local",
                "https://[::1]/a                             | loopback",
                "https://[0:0:0:0:0:0:0:1]/a                 | loopback",
                "https://[::]/a                              | unspecified",
                "https://[::ffff:127.0.0.1]/a                | loopback",
                "https://[::FFFF:7f00:1]/a                   | loopback",
                "https://[::127.0.0.1]/a                     | loopback",
                "https://[64:ff9b::7f00:1]/a                 | loopback",
                "https://[64:ff9b::127.0.0.1]/a              | can be read in several ways",
                "https://[fe80::1%25eth0]/a                  | an address with a zone",
                "https://[fe80::1%eth0]/a                    | an address with a zone",
                "https://[fd00::1]/a                         | unique local"
            })
    void someAreRefusedBeforeAnythingIsAsked(String text, String why) {
        OtaException refusal = failure(source, whole(URI.create(text), 1));

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(refusal.isTransient()).isFalse();
        assertThat(refusal).hasMessageContaining(why).hasMessageNotContaining("CANARY");
        assertThat(names.asked()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "https://example.org                           | example.org",
                "https://example.org:/a                        | example.org",
                "HTTPS://EXAMPLE.ORG/a                         | EXAMPLE.ORG",
                "https://example.org?@evil.example/            | example.org",
                "https://example.org?u=http://evil.example/    | example.org",
                "https://example.org/@evil.example/            | example.org",
                "https://example.org//evil.example/            | example.org",
                "https://example.org/..//evil.example:80@x     | example.org",
                "https://xn--bcher-kva.example/a               | xn--bcher-kva.example",
                "https://127.0.0.1.evil.example/a              | 127.0.0.1.evil.example",
                "https://example.org:8443/a;b=c:d@e            | example.org",
                "https://7-zip.example/a                       | 7-zip.example",
                "https://localhost/a                           | localhost"
            })
    void ofOthersTheHostIsAskedThatTheParserSaw(String text, String host) {
        OtaException failure = failure(source, whole(URI.create(text), 1));

        assertThat(failure.reason()).isEqualTo(Reason.CONNECTION_LOST);
        assertThat(failure).hasMessageContaining("host name not found");
        assertThat(names.asked()).isEqualTo(List.of(host));
    }
}
