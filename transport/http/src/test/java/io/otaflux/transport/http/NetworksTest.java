package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NetworksTest {

    private final Networks internet = new Networks(List.of());

    @ParameterizedTest
    @CsvSource({
        "0.0.0.0, unspecified",
        "0.255.255.255, unspecified",
        "10.0.0.1, private",
        "10.255.255.255, private",
        "100.64.0.0, of a carrier's NAT",
        "100.127.255.255, of a carrier's NAT",
        "127.0.0.1, loopback",
        "127.255.255.254, loopback",
        "169.254.0.1, link-local",
        "169.254.169.254, link-local",
        "172.16.0.1, private",
        "172.31.255.255, private",
        "192.0.0.8, reserved",
        "192.0.2.1, for documentation",
        "192.88.99.1, 6to4",
        "192.168.255.255, private",
        "198.19.255.255, for benchmarks",
        "198.51.100.7, for documentation",
        "203.0.113.7, for documentation",
        "224.0.0.1, multicast",
        "239.255.255.255, multicast",
        "240.0.0.1, reserved",
        "255.255.255.255, broadcast",
        "::, unspecified",
        "::1, loopback",
        "::7f00:1, reserved",
        "::ffff:127.0.0.1, loopback",
        "::ffff:169.254.169.254, link-local",
        "::ffff:a00:1, private",
        "64:ff9b::7f00:1, loopback",
        "64:ff9b::a9fe:a9fe, link-local",
        "64:ff9b:1::1, of a local NAT64",
        "100::1, reserved",
        "2001::1, Teredo",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2, Teredo",
        "2001:1ff::1, reserved",
        "2001:db8::1, for documentation",
        "2002:7f00:1::, 6to4",
        "3fff:fff::1, for documentation",
        "4000::1, reserved",
        "5f00::1, reserved",
        "fc00::1, unique local",
        "fd12:3456:789a::1, unique local",
        "fe80::1, link-local",
        "febf::1, link-local",
        "fec0::1, site-local",
        "ff02::1, multicast"
    })
    void addressesThatAreNotOfTheInternetAreRefused(String address, String kind) {
        assertThat(objection(internet, address)).contains("which is " + kind + " and not allowed here");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "1.1.1.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "::ffff:93.184.216.34",
                "64:ff9b::5db8:d822",
                "2001:200::1",
                "2001:4860:4860::8888",
                "2003::1",
                "2606:2800:220:1:248:1893:25c8:1946",
                "3ffe::1"
            })
    void addressesOfTheInternetAreNot(String address) {
        assertThat(objection(internet, address)).isNull();
    }

    @Test
    void anObjectionNamesTheAddressAndTheNetwork() {
        assertThat(objection(internet, "192.168.7.9"))
                .isEqualTo("192.168.7.9 is in 192.168.0.0/16, which is private and not allowed here");
    }

    @Test
    void aMappedAddressThatTheJdkLeavesAsItIsIsJudgedByTheOneInside() throws UnknownHostException {
        byte[] bytes = new byte[16];
        bytes[10] = -1;
        bytes[11] = -1;
        bytes[12] = 127;
        bytes[15] = 1;
        Inet6Address mapped = Inet6Address.getByAddress(null, bytes, -1);

        assertThat(internet.objection(mapped)).contains("loopback");
        assertThat(new Networks(List.of("127.0.0.1")).objection(mapped)).isNull();
    }

    @ParameterizedTest
    @CsvSource({
        "192.168.0.0/16, 192.168.255.255, 10.0.0.1",
        "192.168.7.0/24, 192.168.7.1, 192.168.8.1",
        "192.168.7.9, 192.168.7.9, 192.168.7.10",
        "192.168.7.9/16, 192.168.0.1, 10.0.0.1",
        "fd00::/8, fd12::1, fc00::1",
        "::1, ::1, ::2",
        "127.0.0.0/8, ::ffff:127.0.0.1, ::1",
        "0.0.0.0/0, 10.0.0.1, fd00::1",
        "::/0, fd00::1, 10.0.0.1",
        "64:ff9b::/96, 64:ff9b::a00:1, 10.0.0.1",
        "10.0.0.0/8, 10.0.0.1, 64:ff9b::a00:1"
    })
    void aNetworkCanBeAllowed(String network, String inside, String outside) {
        Networks allowing = new Networks(List.of(network));

        assertThat(objection(allowing, inside)).isNull();
        assertThat(objection(allowing, outside)).isNotNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "/",
                "/8",
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                "10.0.0.0/+8",
                "10.0.0.0/8/8",
                "10.0.0.0/255.0.0.0",
                "10/8",
                "fd00::/129",
                "fd00::/99999999999",
                "localhost/8",
                "example.org",
                "10.0.0.0 /8",
                "*"
            })
    void whatIsNoNetworkCannotBeAllowed(String network) {
        assertThatThrownBy(() -> HttpArtifactSource.builder().allowNetworks("10.0.0.0/8", network))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("network: \"" + network + "\"");
    }

    private static @Nullable String objection(Networks networks, String address) {
        InetAddress literal = Objects.requireNonNull(Networks.literal(address), address);
        return networks.objection(literal);
    }
}
