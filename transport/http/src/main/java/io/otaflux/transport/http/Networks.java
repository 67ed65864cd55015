package io.otaflux.transport.http;

import io.netty.handler.ipfilter.IpFilterRuleType;
import io.netty.handler.ipfilter.IpSubnetFilterRule;
import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which addresses may be connected to: those of the public Internet, and those of networks that were allowed.
 *
 * <p>{@link InetAddress} cannot tell: its {@code isSiteLocalAddress} and the like know nothing of unique local addresses, of
 * carriers' networks, or of addresses that have another one inside. So the registries of special-purpose addresses (RFC 6890
 * and what was added since) are here.
 */
final class Networks {

    private static final Pattern PREFIX = Pattern.compile("[0-9]{1,3}");

    /** The first that an address is in names it, so that small networks stand before those around them. */
    private static final List<Network> SPECIAL = List.of(
            special("0.0.0.0/8", "unspecified"),
            special("10.0.0.0/8", "private"),
            special("100.64.0.0/10", "of a carrier's NAT"),
            special("127.0.0.0/8", "loopback"),
            special("169.254.0.0/16", "link-local"),
            special("172.16.0.0/12", "private"),
            special("192.0.0.0/24", "reserved"),
            special("192.0.2.0/24", "for documentation"),
            special("192.88.99.0/24", "6to4"),
            special("192.168.0.0/16", "private"),
            special("198.18.0.0/15", "for benchmarks"),
            special("198.51.100.0/24", "for documentation"),
            special("203.0.113.0/24", "for documentation"),
            special("224.0.0.0/4", "multicast"),
            special("255.255.255.255/32", "broadcast"),
            special("240.0.0.0/4", "reserved"),
            special("::/128", "unspecified"),
            special("::1/128", "loopback"),
            special("64:ff9b:1::/48", "of a local NAT64"),
            special("fc00::/7", "unique local"),
            special("fe80::/10", "link-local"),
            special("fec0::/10", "site-local"),
            special("ff00::/8", "multicast"),
            special("2001::/32", "Teredo"),
            special("2001::/23", "reserved"),
            special("2001:db8::/32", "for documentation"),
            special("2002::/16", "6to4"),
            special("3fff::/20", "for documentation"),
            // Everything but 2000::/3, the global unicast addresses.
            special("::/3", "reserved"),
            special("4000::/2", "reserved"),
            special("8000::/1", "reserved"));

    /** RFC 6052: what a network without IPv4 calls the hosts of the IPv4 Internet. */
    private static final Network NAT64 = special("64:ff9b::/96", "NAT64");

    private final List<Network> allowed;

    /** @throws IllegalArgumentException when one of {@code allowed} is no network */
    Networks(Collection<String> allowed) {
        this.allowed = allowed.stream().map(Networks::parse).toList();
    }

    /** Says why {@code address} may not be connected to; null where it may. */
    @Nullable
    String objection(InetAddress address) {
        InetAddress actual = withoutMapping(address);
        if (allowed.stream().anyMatch(network -> network.has(actual))) {
            return null;
        }
        // One inside the other, as DNS64 makes them, is judged by the one inside: it is where the bytes go.
        InetAddress judged = NAT64.has(actual) ? inner(actual) : actual;
        return SPECIAL.stream()
                .filter(network -> network.has(judged))
                .findFirst()
                .map(network -> NetUtil.toAddressString(address) + " is in " + network.text() + ", which is "
                        + network.kind() + " and not allowed here")
                .orElse(null);
    }

    /**
     * The address that a host is literally, with or without brackets; null where it is a name. This is the parser of Netty,
     * as it is in Reactor Netty and in the resolver: no other one may have an opinion on what a host is.
     */
    static @Nullable InetAddress literal(String host) {
        byte[] bytes = NetUtil.createByteArrayFromIpAddressString(host);
        return bytes == null ? null : address(bytes);
    }

    /** @throws IllegalArgumentException when it is no network */
    private static Network parse(String network) {
        int slash = network.indexOf('/');
        InetAddress address = literal(slash < 0 ? network : network.substring(0, slash));
        String prefix = network.substring(slash + 1);
        if (address == null || (slash >= 0 && !PREFIX.matcher(prefix).matches())) {
            throw notANetwork(network, null);
        }
        try {
            int bits = slash < 0 ? address.getAddress().length * Byte.SIZE : Integer.parseInt(prefix);
            return new Network(new IpSubnetFilterRule(address, bits, IpFilterRuleType.ACCEPT), network, "allowed");
        } catch (IllegalArgumentException e) {
            throw notANetwork(network, e);
        }
    }

    private static IllegalArgumentException notANetwork(String network, @Nullable Exception cause) {
        return new IllegalArgumentException(
                "network: \"" + network + "\" (expected: an address and a prefix, such as 192.168.0.0/16 or fd00::/8)",
                cause);
    }

    private static Network special(String network, String kind) {
        return new Network(parse(network).rule(), network, kind);
    }

    /** An IPv4 address may come in the clothes of an IPv6 one (::ffff:0:0/96), and the socket takes them off. */
    private static InetAddress withoutMapping(InetAddress address) {
        byte[] bytes = address.getAddress();
        boolean mapped = bytes.length == 16
                && bytes[10] == -1
                && bytes[11] == -1
                && Arrays.equals(bytes, 0, 10, new byte[10], 0, 10);
        return mapped ? inner(address) : address;
    }

    private static InetAddress inner(InetAddress address) {
        return address(Arrays.copyOfRange(address.getAddress(), 12, 16));
    }

    private static InetAddress address(byte[] bytes) {
        try {
            return InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("address: " + bytes.length + " bytes (expected: 4 or 16)", e);
        }
    }

    private record Network(IpSubnetFilterRule rule, String text, String kind) {

        boolean has(InetAddress address) {
            return rule.matches(new InetSocketAddress(address, 0));
        }
    }
}
