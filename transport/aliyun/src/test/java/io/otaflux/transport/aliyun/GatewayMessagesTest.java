package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The messages of a gateway, byte for byte. The signatures were computed after the protocol's documents by other means. */
class GatewayMessagesTest {

    private static final SubDevice SUB = new SubDevice("pk", "sub", "subsecret");
    private static final String SIGN = "bc836d0d1b578f0745f960a11976da38bc47d722f9ef9fa50974aaad131a118f";

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    4345ed6fdb1ceeeb1bd08ddb1c0836cc",
        "HMAC_SHA1,   497e8d27422408684ed4af6006824f11f85403ee",
        "HMAC_SHA256, 0107f8bb5a8ab61cfa23de9d82851f09c51e8e1e296950e1add47935d88e9a00"
    })
    void aSubDeviceSignsItsClientIdentifier(SignMethod method, String expected) {
        assertThat(Login.sign(SUB.id(), new Secret("subsecret"), "pk.sub", method, "1000")
                        .value())
                .isEqualTo(expected);
    }

    @Test
    void aSubDeviceSignsTheWholeClientIdentifierBarsIncluded() {
        assertThat(Login.sign(
                                SUB.id(),
                                new Secret("subsecret"),
                                "pk.sub|_ss=1,_v=sdk-c-4.1.0|",
                                SignMethod.HMAC_SHA256,
                                Login.TIMESTAMP)
                        .value())
                .isEqualTo("dca8d8f9ece53985ec396f82d16b115e301e359dd08a76de54f1132092d8aa66");
    }

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    81b97175858167a8666290401a6741bd",
        "HMAC_SHA1,   3eafb3b3ec26cf1cd665f32b41a716d0ad65d2b9",
        "HMAC_SHA256, fe3678b060d143bcbe32cf13db0bc4c1fd3d31dae25b8cee4885a9c1d26c0be0"
    })
    void aRegistrationIsSignedByTheSecretOfTheProduct(SignMethod method, String expected) {
        assertThat(GatewayMessages.signRegistration(
                        new DeviceId("ProductKey", "DeviceName"),
                        new Secret("ProductSecret"),
                        "8Ygb7ULYh53B6OA",
                        method))
                .isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"HMAC_MD5, hmacMd5", "HMAC_SHA1, hmacSha1", "HMAC_SHA256, hmacSha256"})
    void aGatewayNamesSignMethodsInItsOwnSpelling(SignMethod method, String expected) {
        assertThat(method.gatewayName()).isEqualTo(expected);
    }

    @Test
    void theTopologyIsExtendedWithSignmethodInLowerCase() {
        assertThat(request("thing.topo.add", GatewayMessages.add(List.of(SUB))))
                .isEqualTo(
                        "{\"id\":\"1\",\"version\":\"1.0\",\"params\":[{\"productKey\":\"pk\",\"deviceName\":\"sub\","
                                + "\"clientId\":\"pk.sub\",\"timestamp\":\"2524608000000\",\"signmethod\":\"hmacSha256\","
                                + "\"sign\":\"" + SIGN + "\"}],\"method\":\"thing.topo.add\"}");
    }

    @Test
    void oneIsLoggedInWithSignMethodInMixedCase() {
        assertThat(request("combine.login", GatewayMessages.login(SUB)))
                .isEqualTo("{\"id\":\"1\",\"version\":\"1.0\",\"params\":{\"productKey\":\"pk\",\"deviceName\":\"sub\","
                        + "\"clientId\":\"pk.sub\",\"timestamp\":\"2524608000000\",\"signMethod\":\"hmacSha256\","
                        + "\"sign\":\"" + SIGN + "\",\"cleanSession\":\"false\"},\"method\":\"combine.login\"}");
    }

    @Test
    void aBatchIsLoggedInWithOneSignMethodForAll() {
        assertThat(request("combine.batch_login", GatewayMessages.batchLogin(List.of(SUB))))
                .isEqualTo(
                        "{\"id\":\"1\",\"version\":\"1.0\",\"params\":{\"signMethod\":\"hmacSha256\",\"deviceList\":["
                                + "{\"productKey\":\"pk\",\"deviceName\":\"sub\",\"clientId\":\"pk.sub\","
                                + "\"timestamp\":\"2524608000000\",\"cleanSession\":\"false\",\"sign\":\"" + SIGN
                                + "\"}]},\"method\":\"combine.batch_login\"}");
    }

    @Test
    void aRegistrationCarriesItsProof() {
        assertThat(GatewayMessages.proxied(
                        new Secret("ProductSecret"),
                        List.of(new DeviceId("ProductKey", "DeviceName")),
                        "8Ygb7ULYh53B6OA"))
                .hasToString("{\"proxieds\":[{\"productKey\":\"ProductKey\",\"deviceName\":\"DeviceName\","
                        + "\"random\":\"8Ygb7ULYh53B6OA\",\"signMethod\":\"hmacSha256\",\"sign\":"
                        + "\"fe3678b060d143bcbe32cf13db0bc4c1fd3d31dae25b8cee4885a9c1d26c0be0\"}]}");
    }

    @Test
    void devicesAreReadFromAListOrAloneAndWhatIsNoneIsLeftOut() throws MalformedMessage {
        assertThat(GatewayMessages.readDevices(
                        json("[{\"productKey\":\"p\",\"deviceName\":\"a\",\"deviceSecret\":\"s\"},"
                                + "{\"productKey\":\"p\"},{\"productKey\":\"p\",\"deviceName\":\"../x\"},7,null]")))
                .containsExactly(new DeviceId("p", "a"));
        assertThat(GatewayMessages.readDevices(json("{\"productKey\":\"p\",\"deviceName\":\"b\"}")))
                .containsExactly(new DeviceId("p", "b"));
        assertThat(GatewayMessages.readDevices(json("{}"))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "[{\"iotId\":\"i\",\"productKey\":\"p\",\"deviceName\":\"a\",\"deviceSecret\":\"CANARY-1\"},{\"productKey\":\"p\"}]",
                "{\"successes\":[{\"productKey\":\"p\",\"deviceName\":\"a\",\"deviceSecret\":\"CANARY-1\"}],\"failures\":[]}"
            })
    void registeredDevicesAreReadWithTheirSecrets(String data) throws MalformedMessage {
        assertThat(GatewayMessages.readRegistered(json(data))).containsExactly(new SubDevice("p", "a", "CANARY-1"));
        assertThat(GatewayMessages.readRegistered(json("{}"))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "460, BAD_REQUEST",
        "429, TOO_OFTEN",
        "428, TOO_MANY_ONLINE",
        "500, PLATFORM_BUSY",
        "6100, UNKNOWN_DEVICE",
        "6204, DISABLED",
        "522, DISABLED",
        "521, DELETED",
        "6287, BAD_SIGNATURE",
        "401, BAD_SIGNATURE",
        "6401, NOT_IN_TOPOLOGY",
        "6400, TOPOLOGY_FULL",
        "6402, ITSELF",
        "6619, BOUND_ELSEWHERE",
        "427, LOGGED_IN_ELSEWHERE",
        "527, LOGGED_IN_ELSEWHERE",
        "520, NO_SESSION",
        "9999, OTHER",
        "?, OTHER"
    })
    void everyCodeOfThePlatformHasAName(String code, Refusal expected) {
        GatewayException error = GatewayException.answered("thing.topo.add", code);

        assertThat(error.refusal()).isEqualTo(expected);
        assertThat(error).hasMessageContaining("thing.topo.add").hasMessageContaining(code);
        boolean passes = List.of(Refusal.TOO_OFTEN, Refusal.PLATFORM_BUSY, Refusal.NO_SESSION)
                .contains(expected);
        assertThat(error.isTransient()).isEqualTo(passes);
        assertThat(error.reason()).isEqualTo(passes ? Reason.SERVER_BUSY : Reason.CONNECTION_REFUSED);
    }

    @Test
    void aSubDeviceShowsNoSecretAndHasOne() {
        assertThat(new SubDevice("p", "d", "CANARY-secret")).asString().doesNotContain("CANARY");
        assertThatThrownBy(() -> new SubDevice("p", "d", "")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new SubDevice("p", "/", "s")).isInstanceOf(IllegalArgumentException.class);
    }

    private static String request(String method, JsonNode params) {
        return new String(Messages.request("1", method, params), UTF_8);
    }

    /** Any JSON, which on the wire is a field of an object. */
    private static JsonNode json(String value) throws MalformedMessage {
        return Messages.read(("{\"v\":" + value + "}").getBytes(UTF_8)).path("v");
    }
}
