package io.otaflux.storage;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import java.net.URI;
import java.net.URISyntaxException;

/** Whatever a location is, what is written down of it opens nothing and still names the same host and path. */
class StoredLocationsFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        URI location;
        try {
            location = new URI(new String(input, UTF_8));
        } catch (URISyntaxException e) {
            return;
        }
        URI bare = Locations.withoutCredentials(location);
        assertThat(bare.getRawUserInfo()).isNull();
        assertThat(bare.getRawQuery()).isNull();
        assertThat(bare.getRawFragment()).isNull();
        assertThat(bare.toString()).doesNotContain("?", "#");
        assertThat(String.valueOf(bare.getRawAuthority())).doesNotContain("@");
        assertThat(bare.getScheme()).isEqualTo(location.getScheme());
        if (location.getHost() != null) {
            assertThat(bare.getHost()).isEqualTo(location.getHost());
            assertThat(bare.getPort()).isEqualTo(location.getPort());
            assertThat(bare.getRawPath()).isEqualTo(location.getRawPath());
        } else if (location.getRawAuthority() == null) {
            assertThat(bare.getRawAuthority()).isNull();
        }
        assertThat(Locations.withoutCredentials(bare)).isEqualTo(bare);
        assertThat(Locations.fingerprint(location)).isEqualTo(Locations.fingerprint(bare));
    }
}
