package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.otaflux.DeviceId;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AliyunDeviceBuilderTest {

    @Test
    void aRegionIsTheProductsHostWithAPublicCertificate() {
        assertThat(device(builder -> builder.region("cn-shanghai")))
                .hasToString("AliyunDevice[a1B2/dev at a1B2.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883 (TLS)]");
    }

    @Test
    void anInstanceHasItsOwnHost() {
        assertThat(device(builder -> builder.instanceId("iot-060a0001")))
                .hasToString("AliyunDevice[a1B2/dev at iot-060a0001.mqtt.iothub.aliyuncs.com:1883 (TLS)]");
    }

    @Test
    void someInstancesHaveTheUnifiedHost() {
        assertThat(device(builder -> builder.unifiedInstanceId("iot-060a0001")))
                .hasToString("AliyunDevice[a1B2/dev at iot-060a0001.iot-as-mqtt.unify.aliyuncs.com:1883 (TLS)]");
    }

    @Test
    void aDeviceWithACertificateHasTheHostForThose(@TempDir Path directory) throws Exception {
        Authority.Server device = Authority.create(directory).client("device");
        AliyunDevice.Builder certified = AliyunDevice.builder()
                .certificate(device.certificate(), device.key())
                .credentials(new Credentials.Certified(new DeviceId("a1B2", "dev")));

        assertThat(certified.region("cn-shanghai").build())
                .hasToString("AliyunDevice[a1B2/dev at x509.itls.cn-shanghai.aliyuncs.com:1883 (TLS)]");
    }

    @Test
    void aCertificateAndItsIdentityGoTogether(@TempDir Path directory) throws Exception {
        Authority.Server device = Authority.create(directory).client("device");
        Credentials identity = new Credentials.Certified(new DeviceId("a1B2", "dev"));

        assertRefused(builder -> builder.region("x").credentials(identity), "certificate: none");
        assertRefused(
                builder -> builder.region("x").certificate(device.certificate(), device.key()), "certificate: given");
        assertRefused(
                builder -> builder.host("x")
                        .plainTcp()
                        .credentials(identity)
                        .certificate(device.certificate(), device.key()),
                "certificate: given (expected: none with plain TCP)");
        assertRefused(builder -> builder.certificate(device.key(), device.key()), "certificate: " + device.key());
        assertRefused(
                builder -> builder.certificate(directory.resolve("absent.pem"), device.key()),
                "certificate: " + directory.resolve("absent.pem"));
    }

    @Test
    void anotherHostDefaultsToTlsAndItsPort() {
        assertThat(device(builder -> builder.host("broker.example.com")))
                .hasToString("AliyunDevice[a1B2/dev at broker.example.com:8883 (TLS)]");
        assertThat(device(builder -> builder.host("broker.example.com").plainTcp()))
                .hasToString("AliyunDevice[a1B2/dev at broker.example.com:1883 (plain TCP)]");
        assertThat(device(builder -> builder.host("127.0.0.1").port(7)))
                .hasToString("AliyunDevice[a1B2/dev at 127.0.0.1:7 (TLS)]");
    }

    @Test
    void thePlatformsOwnAuthorityGoesWithItsOwnPort(@TempDir Path directory) throws Exception {
        Path authority = Authority.create(directory).certificate();

        assertThat(device(builder -> builder.region("cn-shanghai").trust(authority)))
                .hasToString("AliyunDevice[a1B2/dev at a1B2.iot-as-mqtt.cn-shanghai.aliyuncs.com:8883 (TLS)]");
    }

    @Test
    void whatIsPrintedHasNoSecret() {
        assertThat(device(builder -> builder.region("cn-shanghai")).toString()).doesNotContain("CANARY");
    }

    @ParameterizedTest
    @ValueSource(ints = {29, 0, -1, 1201})
    void aKeepAliveIsThirtySecondsToTwentyMinutes(int seconds) {
        assertRefused(builder -> builder.region("x").keepAlive(Duration.ofSeconds(seconds)), "keep alive");
    }

    @ParameterizedTest
    @ValueSource(ints = {30, 60, 1200})
    void theBoundsOfTheKeepAliveAreAllowed(int seconds) {
        assertThat(device(builder -> builder.region("x").keepAlive(Duration.ofSeconds(seconds))))
                .isNotNull();
    }

    @Test
    void thereIsOnePlatform() {
        assertRefused(builder -> builder, "platform");
        assertRefused(builder -> builder.region("x").host("y"), "platform");
        assertRefused(builder -> builder.unifiedInstanceId("x").host("y"), "platform");
        assertRefused(builder -> builder.region("x").instanceId("y"), "platform");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a b", "a/b", "a\nb", "evil.example.com/"})
    void namesInTheHostAreNames(String value) {
        assertRefused(builder -> builder.region(value), "region");
        assertRefused(builder -> builder.instanceId(value), "instance id");
        assertRefused(builder -> builder.host(value), "host");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a|b", "a b", "ü", "0123456789012345678901234567890123456789012345678901234567890123x"})
    void aClientIdIsShortAndHasNoBar(String clientId) {
        assertRefused(builder -> builder.region("x").clientId(clientId), "client id");
    }

    @Test
    void otherValuesAreChecked(@TempDir Path directory) throws Exception {
        Path nothing = Files.writeString(directory.resolve("nothing.pem"), "");
        assertRefused(builder -> builder.region("x").port(65536), "port");
        assertRefused(builder -> builder.region("x").timeout(Duration.ZERO), "timeout");
        assertRefused(builder -> builder.region("x").stuckAfter(Duration.ZERO), "stuck after");
        assertRefused(builder -> builder.region("x").splay(Duration.ofMillis(-1)), "splay");
        assertRefused(builder -> builder.region("x").networkTimeout(Duration.ofMillis(-1)), "network timeout");
        assertRefused(builder -> builder.region("x").reconnect(Duration.ofSeconds(2), Duration.ofSeconds(1)), "first");
        assertRefused(builder -> builder.region("x").trust(directory.resolve("absent.pem")), "trust");
        assertRefused(builder -> builder.region("x").trust(nothing), "trust");
        assertRefused(builder -> builder.region("x").trust(nothing).plainTcp(), "trust");
        assertRefused(builder -> builder.region("x").credentials("pk", "a/b", "s"), "name");
        assertRefused(builder -> builder.region("x").credentials("pk", "dev", ""), "device secret");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AliyunDevice.builder().region("x").build())
                .withMessageContaining("credentials");
    }

    private static AliyunDevice device(UnaryOperator<AliyunDevice.Builder> how) {
        return how.apply(AliyunDevice.builder().credentials("a1B2", "dev", "CANARY"))
                .build();
    }

    private static void assertRefused(UnaryOperator<AliyunDevice.Builder> how, String what) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> device(how))
                .withMessageContaining(what)
                .withMessageNotContaining("CANARY");
    }
}
