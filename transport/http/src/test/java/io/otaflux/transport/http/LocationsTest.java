package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.net.URI;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class LocationsTest {

    private final Locations httpsOnly = locations(false);
    private final Locations httpToo = locations(true);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://example.org/a?Signature=x%2By&Expires=1",
                "HTTPS://Example.org:8443/a",
                "https://[::1]/a",
                "https://127.0.0.1/a"
            })
    void httpsIsAsked(String location) {
        assertThat(httpsOnly.first(artifact(location))).isEqualTo(URI.create(location));
    }

    @Test
    void charactersBeyondAsciiAreSentPercentEncoded() {
        assertThat(httpsOnly.first(artifact("https://example.org/é?q=ü")))
                .hasToString("https://example.org/%C3%A9?q=%C3%BC");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "http://example.org/a",
                "ftp://example.org/a",
                "file:///etc/passwd",
                "jar:file:/a.jar!/b",
                "ws://example.org/a",
                "mailto:a@example.org",
                "/a",
                "a",
                "//example.org/a",
                "https:///a",
                "https:a",
                "https://user@example.org/a",
                "https://user:SECRET@example.org/a",
                "https://@example.org/a",
                "https://example.org/a#fragment",
                "https://example.org/a#",
                "https://example.org:0/a",
                "https://example.org:70000/a",
                "https://exa_mple.org/a",
                "https://bücher.example/a"
            })
    void otherLocationsAreRefused(String location) {
        SourceException refusal = refusal(() -> httpsOnly.first(artifact(location)));

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(refusal.isTransient()).isFalse();
        assertThat(refusal).hasMessageNotContaining("SECRET");
    }

    @Test
    void plainHttpNeedsPermissionAndADigest() {
        Artifact bare = new Artifact("a", URI.create("http://example.org/a"), 1, List.of());

        assertThat(httpToo.first(artifact("http://example.org/a"))).hasToString("http://example.org/a");
        assertThat(refusal(() -> httpToo.first(bare)).reason()).isEqualTo(Reason.NO_DIGEST);
        assertThat(refusal(() -> httpsOnly.first(bare)).reason()).isEqualTo(Reason.LOCATION_REFUSED);
    }

    @ParameterizedTest
    @CsvSource({
        "/b, https://example.org/b",
        "b?x=1, https://example.org/dir/b?x=1",
        "../c, https://example.org/c",
        "?y=2, https://example.org/dir/?y=2",
        "//other.org/d, https://other.org/d",
        "https://other.org:444/e, https://other.org:444/e"
    })
    void redirectsAreResolvedAgainstWhereTheyCameFrom(String location, String expected) {
        URI from = URI.create("https://example.org/dir/a?old=1");
        assertThat(httpsOnly.next(from, location, artifact("https://example.org/dir/a")))
                .hasToString(expected);
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(
            strings = {
                "http://example.org/a",
                "HTTP://example.org/a",
                "ftp://example.org/a",
                "https://user:SECRET@example.org/a",
                "https://example.org/a#b",
                "https://exa mple.org/?SECRET",
                "https://example.org/\u0001?SECRET",
                "https://example.org/\u00e9?SECRET",
                "https://example.org/\\@evil.org?SECRET",
                "https://example.org/%zz?SECRET",
                "https:///a?SECRET",
                "javascript:alert(1)",
                " "
            })
    void redirectsToOtherPlacesAreRefused(@Nullable String location) {
        Artifact artifact = artifact("https://example.org/a?SECRET");
        SourceException refusal = refusal(() -> httpToo.next(artifact.location(), location, artifact));

        assertThat(refusal.reason()).isEqualTo(Reason.REDIRECT_REFUSED);
        assertThat(refusal).hasNoCause().hasMessageNotContaining("SECRET");
    }

    @Test
    void plainHttpMayBeRedirectedToHttpsButAnArtifactWithoutDigestNeverToHttp() {
        URI from = URI.create("http://example.org/a");
        assertThat(httpToo.next(from, "https://example.org/a", artifact("http://example.org/a")))
                .hasToString("https://example.org/a");
        Artifact bare = new Artifact("a", from, 1, List.of());
        assertThat(refusal(() -> httpToo.next(from, "http://other.org/a", bare)).reason())
                .isEqualTo(Reason.NO_DIGEST);
    }

    @Test
    void aDescriptionHasNoSecret() {
        assertThat(Locations.describe(URI.create("https://u:SECRET@example.org:444/path/a.bin?SECRET#SECRET")))
                .isEqualTo("https://example.org:444/path/a.bin");
        assertThat(Locations.describe(URI.create("https://example.org/" + "x".repeat(500))))
                .hasSize(201);
    }

    private static Locations locations(boolean allowHttp) {
        return new Locations(allowHttp, List.of(), new Networks(List.of("127.0.0.0/8", "::1/128")), List.of());
    }

    private static Artifact artifact(String location) {
        return new Artifact("a", URI.create(location), 1, List.of(Digest.sha256("0".repeat(64))));
    }

    private static SourceException refusal(ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        assertThat(thrown).isInstanceOf(SourceException.class);
        return (SourceException) thrown;
    }
}
