package io.otaflux.storage;

import io.netty.buffer.Unpooled;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Locations as they may be written down. */
final class Locations {

    private Locations() {}

    /** {@code location} without user-info, query and fragment: what is left names the artifact and opens nothing. */
    static URI withoutCredentials(URI location) {
        return URI.create(bare(location));
    }

    /** Tells whether {@link #withoutCredentials} is another one. */
    static boolean hasCredentials(URI location) {
        int end = bareEnd(location);
        String text = location.toString();
        return end < 0 ? !assembled(location).equals(text) : end < text.length();
    }

    /** The text of {@link #withoutCredentials}. */
    static String bare(URI location) {
        int end = bareEnd(location);
        return end < 0 ? assembled(location) : location.toString().substring(0, end);
    }

    /**
     * How much of the text of {@code location} is {@link #bare}: nearly always what is before the query. Negative where it is no
     * beginning of the text.
     */
    static int bareEnd(URI location) {
        String authority = location.getRawAuthority();
        if (location.getScheme() == null || authority == null || authority.indexOf('@') >= 0) {
            return -1;
        }
        String text = location.toString();
        int end = 0;
        while (end < text.length() && text.charAt(end) != '?' && text.charAt(end) != '#') {
            end++;
        }
        return end;
    }

    private static String assembled(URI location) {
        StringBuilder bare = new StringBuilder();
        if (location.getScheme() != null) {
            bare.append(location.getScheme()).append(':');
        }
        if (location.isOpaque()) {
            String specific = location.getRawSchemeSpecificPart();
            int query = specific.indexOf('?');
            bare.append(query < 0 ? specific : specific.substring(0, query));
        } else {
            String authority = location.getRawAuthority();
            String party = authority == null ? "" : authority.substring(authority.lastIndexOf('@') + 1);
            String path = location.getRawPath();
            if (!party.isEmpty() || path.startsWith("//")) {
                // A path that begins like an authority must not become one.
                bare.append("//").append(party);
            }
            bare.append(path);
        }
        if (location.getScheme() != null
                && bare.length() == location.getScheme().length() + 1) {
            // A scheme with nothing behind it is no URI.
            bare.append('/');
        }
        return bare.toString();
    }

    /** What is left of {@code location} without its credentials, as a name for a file: the SHA-256 in hexadecimal. */
    static String fingerprint(URI location) {
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.SHA_256));
        hasher.update(
                Unpooled.wrappedBuffer(withoutCredentials(location).toString().getBytes(StandardCharsets.UTF_8)));
        return hasher.finish().get(0).hex();
    }
}
