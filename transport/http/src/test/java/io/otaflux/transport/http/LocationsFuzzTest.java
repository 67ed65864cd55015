package io.otaflux.transport.http;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.Mutant;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Whatever a platform or a server names as a location: what is asked has a host on which three parsers agree ({@link URI},
 * {@link URL} and the grammar of RFC 3986), and nothing in it that could mean another one. An input is a location and, on
 * its second line, where that redirects to.
 */
class LocationsFuzzTest {

    /** RFC 3986, appendix B. */
    private static final Pattern RFC_3986 =
            Pattern.compile("(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\\?([^#]*))?(?:#(.*))?");

    private static final List<Digest> DIGESTS = List.of(Digest.sha256("0".repeat(64)));

    /** What is tested: how a location that may be asked is made of one that somebody named. */
    private interface Policy {

        URI first(Artifact artifact);

        URI next(URI from, @Nullable String location, Artifact artifact);
    }

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        for (boolean allowHttp : new boolean[] {false, true}) {
            Locations locations =
                    new Locations(allowHttp, List.of(), new Networks(List.of("0.0.0.0/0", "::/0")), List.of());
            check(input, allowHttp, new Policy() {
                @Override
                public URI first(Artifact artifact) {
                    return locations.first(artifact);
                }

                @Override
                public URI next(URI from, @Nullable String location, Artifact artifact) {
                    return locations.next(from, location, artifact);
                }
            });
        }
    }

    @Test
    void theCorpusNoticesAPolicyThatTakesLocationsAsTheyCome() {
        Mutant.assertCaught(
                "the policy of locations",
                () -> Corpus.Inputs.of(LocationsFuzzTest.class)
                        .forEach(input -> check(input, true, new Policy() {
                            @Override
                            public URI first(Artifact artifact) {
                                return artifact.location();
                            }

                            @Override
                            public URI next(URI from, @Nullable String location, Artifact artifact) {
                                return from.resolve(location.replace('\\', '/'));
                            }
                        })));
    }

    private static void check(byte[] input, boolean allowHttp, Policy policy) {
        String[] lines = new String(input, UTF_8).split("\n", 2);
        URI location;
        try {
            location = new URI(lines[0]);
        } catch (URISyntaxException e) {
            return;
        }
        for (List<Digest> digests : List.of(DIGESTS, List.<Digest>of())) {
            Artifact artifact = new Artifact("a", location, 1, digests);
            URI asked;
            try {
                asked = policy.first(artifact);
            } catch (SourceException e) {
                assertThat(e.reason()).isIn(Reason.LOCATION_REFUSED, Reason.NO_DIGEST);
                assertSays(e);
                continue;
            }
            assertMayBeAsked(asked, allowHttp && !digests.isEmpty());
            assertThat(asked.getHost()).isEqualTo(location.getHost());
            if (lines.length == 2) {
                redirect(asked, lines[1], artifact, allowHttp, policy);
            }
        }
    }

    private static void redirect(URI from, String location, Artifact artifact, boolean allowHttp, Policy policy) {
        URI asked;
        try {
            asked = policy.next(from, location, artifact);
        } catch (SourceException e) {
            assertThat(e.reason()).isIn(Reason.REDIRECT_REFUSED, Reason.NO_DIGEST);
            assertSays(e);
            return;
        }
        assertMayBeAsked(
                asked,
                allowHttp && !artifact.digests().isEmpty() && from.getScheme().equalsIgnoreCase("http"));
        Matcher reference = RFC_3986.matcher(location);
        assertThat(reference.matches()).isTrue();
        if (reference.group(1) == null && reference.group(2) == null) {
            // It names nobody else, so that the same party is asked again.
            assertThat(Origin.of(asked)).isEqualTo(Origin.of(from));
        }
    }

    private static void assertMayBeAsked(URI asked, boolean http) {
        String text = asked.toString();
        assertThat(text.chars()).allMatch(c -> c > ' ' && c < 0x7f && "\"<>\\^`{|}".indexOf(c) < 0);
        String scheme = asked.getScheme().toLowerCase(Locale.ROOT);
        assertThat(scheme).isIn("https", http ? "http" : "https");
        assertThat(asked.getHost()).isNotEmpty();
        assertThat(asked.getRawUserInfo()).isNull();
        assertThat(asked.getRawFragment()).isNull();
        assertThat(asked.getPort()).isBetween(-1, 65_535).isNotZero();

        Matcher grammar = RFC_3986.matcher(text);
        assertThat(grammar.matches()).isTrue();
        assertThat(grammar.group(1)).isEqualTo(asked.getScheme());
        String port = asked.getPort() == -1 ? ":?" : ":0*" + asked.getPort();
        assertThat(grammar.group(2)).matches(Pattern.quote(asked.getHost()) + port);
        assertThat(grammar.group(5)).isNull();
        try {
            URL url = new URL(text);
            assertThat(url.getHost()).isEqualTo(asked.getHost());
            assertThat(url.getPort()).isEqualTo(asked.getPort());
            assertThat(url.getUserInfo()).isNull();
        } catch (MalformedURLException e) {
            throw new AssertionError("URL does not read " + text, e);
        }
        assertThat(Origin.of(asked).port()).isBetween(1, 65_535);
    }

    private static void assertSays(SourceException e) {
        assertThat(e).hasNoCause();
        assertThat(e.getMessage()).doesNotContain("?", "\n", "\r", "\u001b");
    }
}
