package io.otaflux.transport.http;

import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.netty.transport.ProxyProvider;

/**
 * A proxy through which all requests go: one that is asked to {@code CONNECT} over HTTP, or a SOCKS 5 one. Host names are
 * resolved by the proxy. TLS runs through it, end to end.
 */
public final class Proxy {

    private final ProxyProvider.Proxy type;
    private final String host;
    private final int port;
    private final @Nullable Supplier<Credentials> credentials;

    private Proxy(ProxyProvider.Proxy type, String host, int port, @Nullable Supplier<Credentials> credentials) {
        if (port < 1 || port > 65_535) {
            throw new IllegalArgumentException("port: " + port + " (expected: 1 to 65535)");
        }
        this.type = type;
        this.host = Objects.requireNonNull(host, "host");
        this.port = port;
        this.credentials = credentials;
    }

    /** A proxy that is asked to {@code CONNECT} over HTTP. */
    public static Proxy http(String host, int port) {
        return new Proxy(ProxyProvider.Proxy.HTTP, host, port, null);
    }

    /** A SOCKS 5 proxy. */
    public static Proxy socks5(String host, int port) {
        return new Proxy(ProxyProvider.Proxy.SOCKS5, host, port, null);
    }

    /**
     * The same proxy with credentials.
     *
     * @param newCredentials asked before each request, on a thread that may block
     */
    public Proxy withCredentials(Supplier<Credentials> newCredentials) {
        return new Proxy(type, host, port, Objects.requireNonNull(newCredentials, "newCredentials"));
    }

    ProxyProvider.Builder configure(ProxyProvider.TypeSpec spec, long connectTimeoutMillis) {
        ProxyProvider.Builder builder =
                spec.type(type).host(host).port(port).connectTimeoutMillis(connectTimeoutMillis);
        if (credentials != null) {
            Credentials now = credentials.get();
            builder.username(now.user()).password(user -> now.password());
        }
        return builder;
    }

    /** Without the credentials. */
    @Override
    public String toString() {
        return "Proxy[" + type + " " + host + ":" + port + "]";
    }

    /** A user and a password. */
    public record Credentials(String user, String password) {

        public Credentials {
            Objects.requireNonNull(user, "user");
            Objects.requireNonNull(password, "password");
        }

        /** Shows neither. */
        @Override
        public String toString() {
            return "Credentials[hidden]";
        }
    }
}
