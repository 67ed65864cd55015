package io.otaflux.transport.http;

import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.URI;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Scheme, host and port: what has to be equal for two locations to be the same party (RFC 6454). */
record Origin(String scheme, String host, int port) {

    /** @throws IllegalArgumentException when {@code uri} has no scheme or no host */
    static Origin of(URI uri) {
        if (uri.getScheme() == null || uri.getHost() == null) {
            throw new IllegalArgumentException("origin: no scheme or no host (expected: https://example.org)");
        }
        String scheme = uri.getScheme().toLowerCase(Locale.ROOT);
        String host = canonical(uri.getHost());
        int port = uri.getPort() != -1 ? uri.getPort() : scheme.equals("https") ? 443 : 80;
        return new Origin(scheme, host, port);
    }

    /** One spelling of a host: a name in lower case, an address as Netty writes it, without brackets. */
    static String canonical(String host) {
        InetAddress literal = Networks.literal(host);
        return literal == null ? host.toLowerCase(Locale.ROOT) : NetUtil.toAddressString(literal);
    }

    // Written out: the compiler's are put together at their first use, which a short process pays for.
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Origin that
                && scheme.equals(that.scheme)
                && host.equals(that.host)
                && port == that.port;
    }

    @Override
    public int hashCode() {
        return 31 * (31 * scheme.hashCode() + host.hashCode()) + port;
    }

    @Override
    public String toString() {
        return scheme + "://" + host + ":" + port;
    }
}
