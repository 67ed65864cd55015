package io.otaflux.transport.http;

import java.net.URI;
import java.util.Locale;
import java.util.Objects;

/** Scheme, host and port: what has to be equal for two locations to be the same party (RFC 6454). */
record Origin(String scheme, String host, int port) {

    static Origin of(URI uri) {
        String scheme = Objects.requireNonNull(uri.getScheme(), "scheme").toLowerCase(Locale.ROOT);
        String host = Objects.requireNonNull(uri.getHost(), "host").toLowerCase(Locale.ROOT);
        int port = uri.getPort() != -1 ? uri.getPort() : scheme.equals("https") ? 443 : 80;
        return new Origin(scheme, host, port);
    }

    @Override
    public String toString() {
        return scheme + "://" + host + ":" + port;
    }
}
