package io.otaflux.transport.aliyun;

import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/**
 * Where the platform is.
 *
 * @param trust who vouches for it; null for the certificate authorities of the Java platform. Of no use without TLS
 * @param identity by what the device proves who it is; null where it has no certificate. Of no use without TLS
 */
record Endpoint(
        String host,
        int port,
        boolean tls,
        @Nullable TrustManagerFactory trust,
        @Nullable KeyManagerFactory identity) {

    /**
     * Looks the host up, blocking. Each attempt takes the next of its addresses, so that one dead address does not keep
     * the device away.
     */
    InetSocketAddress resolve(int attempt) throws UnknownHostException {
        InetAddress[] addresses = InetAddress.getAllByName(host);
        return new InetSocketAddress(addresses[Math.floorMod(attempt, addresses.length)], port);
    }

    /** Tells whether there is nothing to look up, so that {@link #resolve} does not block. */
    boolean isAddress() {
        return NetUtil.isValidIpV4Address(host) || NetUtil.isValidIpV6Address(host);
    }

    @Override
    public String toString() {
        return host + ":" + port + (tls ? " (TLS)" : " (plain TCP)");
    }
}
