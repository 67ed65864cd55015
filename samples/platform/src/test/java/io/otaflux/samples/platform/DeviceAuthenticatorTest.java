package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeviceAuthenticatorTest {

    private static final DeviceKey DEVICE = new DeviceKey("pk", "device");
    private static final DeviceKey C_SDK_DEVICE = new DeviceKey("a1B2c3D4e5F", "dev01");
    private static final String MD5_WITHOUT_TIMESTAMP = "2ce7304ec0ddd548eb1492d65ac0b334";

    private static final String FINGERPRINT = "ab".repeat(32);

    private final DeviceAuthenticator authenticator = new DeviceAuthenticator(new Known());

    /** Two devices with one secret, one of them with a certificate and a token too. */
    private static final class Known implements DeviceAuthenticator.Credentials {

        @Override
        public String secret(DeviceKey device) {
            return Map.of(DEVICE, "secret", C_SDK_DEVICE, "secret").get(device);
        }

        @Override
        public String token(DeviceKey device) {
            return Map.of(DEVICE, "CANARY-token").get(device);
        }

        @Override
        public DeviceKey ofCertificate(String fingerprint) {
            return fingerprint.equals(FINGERPRINT) ? DEVICE : null;
        }

        @Override
        public DeviceKey ofToken(String iotId, String iotToken) {
            return iotId.equals("iot") && iotToken.equals("CANARY-iot") ? DEVICE : null;
        }

        @Override
        public byte[] register(Registration.Claim claim) {
            return claim.unlisted() && "r".equals(claim.random()) ? new byte[] {1} : null;
        }
    }

    private Optional<DeviceKey> authenticate(String clientId, String username, String password) {
        return admit(clientId, username, password, null).map(DeviceAuthenticator.Admission::device);
    }

    private Optional<DeviceAuthenticator.Admission> admit(
            String clientId, String username, String password, String fingerprint) {
        return authenticator.authenticate(new DeviceAuthenticator.Attempt(clientId, username, password, fingerprint));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "the right certificate alone, '', '', abababababababababababababababababababababababababababababababab, true",
        "with the user name of the C client before it knows who it is, '&', '', abababababababababababababababababababababababababababababababab, true",
        "with the right name, device&pk, '', abababababababababababababababababababababababababababababababab, true",
        "with the name of another, dev01&a1B2c3D4e5F, '', abababababababababababababababababababababababababababababababab, false",
        "another certificate, '', '', 00, false",
        "no certificate, device&pk, '', , false"
    })
    void aCertificateIsEnoughForItsDevice(
            String why, String username, String password, String fingerprint, boolean admitted) {
        Optional<DeviceAuthenticator.Admission> admission = admit("|securemode=2|", username, password, fingerprint);
        assertThat(admission.isPresent()).as(why).isEqualTo(admitted);
        admission.ifPresent(it -> {
            assertThat(it.device()).isEqualTo(DEVICE);
            assertThat(it.topic()).isEqualTo("/ext/auth/identity/response");
            assertThat(new String(it.payload(), java.nio.charset.StandardCharsets.UTF_8))
                    .isEqualTo("{\"productKey\":\"pk\",\"deviceName\":\"device\"}");
        });
    }

    @Test
    void aTokenIsEnoughWhereItWasGivenOut() {
        String connwl = "pk.device|authType=connwl,securemode=-2,_ss=1,ext=3,_v=sdk-c-4.2.0|";
        assertThat(authenticate(connwl, "device&pk", "CANARY-token")).contains(DEVICE);
        assertThat(authenticate(connwl, "device&pk", "guess")).isEmpty();
        assertThat(authenticate(connwl, "dev01&a1B2c3D4e5F", "CANARY-token")).isEmpty();
        assertThat(authenticate("x|securemode=-1|", "iot", "CANARY-iot")).contains(DEVICE);
        assertThat(authenticate("x|securemode=-1|", "iot", "guess")).isEmpty();
    }

    @Test
    void aRegistrationIsNoLogin() {
        String clientId = "new.pk|random=r,authType=regnwl,securemode=-2,signmethod=hmacsha256|";
        DeviceAuthenticator.Admission admission =
                admit(clientId, "new&pk", "00", null).orElseThrow();
        assertThat(admission.isRegistration()).isTrue();
        assertThat(admission.topic()).isEqualTo("/ext/regnwl");
        assertThat(admit(clientId.replace("regnwl", "register"), "new&pk", "00", null))
                .isEmpty();
        assertThat(DeviceAuthenticator.isRegistration(clientId)).isTrue();
        assertThat(DeviceAuthenticator.isRegistration("x|authType=connwl|")).isFalse();
    }

    /** The SHA-1 one is printed in the vendor's document; the others follow from the documented algorithm. */
    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacmd5, 14b198324fe55e1d3c88f2e705e201ee",
        "hmacsha1, FAFD82A3D602B37FB0FA8B7892F24A477F851A14",
        "hmacsha256, 6074a46a91b1ebb2cc4ea42790ad0e80202c9843859fc292e57c4eb19fad9e57"
    })
    void theDocumentsExampleIsAccepted(String method, String password) {
        String clientId = "12345|securemode=2,signmethod=" + method + ",timestamp=789|";

        assertThat(authenticate(clientId, "device&pk", password)).contains(DEVICE);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacmd5, 2ce7304ec0ddd548eb1492d65ac0b334",
        "hmacsha1, 3504e4df7ce4766d30f796ee973c9ce7fc5425cb",
        "hmacsha256, c8cb3dcb7159682438e5fd9a9c34f398e41bb8edb6f222795e307bafee151090"
    })
    void aTimestampIsOptional(String method, String password) {
        String clientId = "12345|securemode=2,signmethod=" + method + "|";

        assertThat(authenticate(clientId, "device&pk", password)).contains(DEVICE);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacmd5, DC5F939EA6A398E38C4DB8A783A6834E",
        "hmacsha1, 8C2581219C9A994FD977988A55880E0CA98B9147",
        "hmacsha256, 541A5C5714D167F7888741BA9435E53B8E4B3B074D0D65CA2F6523798B0F9FFE"
    })
    void theClientIdOfTheCSdkWithItsManyParametersAndTrailingCommaIsAccepted(String method, String password) {
        String clientId = "a1B2c3D4e5F.dev01|timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=2,signmethod="
                + method + ",ext=3,|";

        assertThat(authenticate(clientId, "dev01&a1B2c3D4e5F", password)).contains(C_SDK_DEVICE);
    }

    /** Whole client identifiers of the C SDK 3.x and of the SDK for Node.js; the second always signs with SHA-1. */
    @ParameterizedTest
    @CsvSource({
        "'a1B2c3D4e5F.dev01|timestamp=2524608000000,_v=sdk-c-3.2.0,securemode=2,signmethod=hmacsha256,lan=C,gw=0,ext=0|',"
                + " 541A5C5714D167F7888741BA9435E53B8E4B3B074D0D65CA2F6523798B0F9FFE",
        "'a1B2c3D4e5F&dev01|securemode=2,signmethod=hmacsha1,timestamp=1695281536874,lan=NodeJS,_v=1.2.4|',"
                + " 31c5bf3b3b36a369bb5fed32c9811323ec4b5f23"
    })
    void theClientIdsOfOtherSdksAreAccepted(String clientId, String password) {
        assertThat(authenticate(clientId, "dev01&a1B2c3D4e5F", password)).contains(C_SDK_DEVICE);
    }

    /** The vector that the Go SDK's own tests publish. */
    @ParameterizedTest
    @CsvSource({
        "hmacmd5, ed9dc7baf84a9740a3ceb6f1f26bfb4f",
        "hmacsha1, f9cebe2044ea375cff1a46f4dc05eb15ff9870ee",
        "hmacsha256, e9403e3a615fad72d1dd1fe90c225cbec4ba81a03e5474d91a72844d2218954f"
    })
    void theVectorOfTheGoSdkHolds(String method, String signature) {
        assertThat(DeviceAuthenticator.isSigned(method, "thinkgos", "thinkgos", signature))
                .isTrue();
    }

    @Test
    void hexDigitsMayHaveEitherCase() {
        for (String password : new String[] {MD5_WITHOUT_TIMESTAMP, MD5_WITHOUT_TIMESTAMP.toUpperCase(Locale.ROOT)}) {
            assertThat(authenticate("12345|signmethod=hmacmd5|", "device&pk", password))
                    .contains(DEVICE);
        }
    }

    @ParameterizedTest
    @CsvSource({"12345", "12345||", "12345|securemode=3|", "'12345|a=b,,=,c|'", "12345|securemode=3"})
    void theMethodIsMd5WhenNoneIsNamed(String clientId) {
        assertThat(authenticate(clientId, "device&pk", MD5_WITHOUT_TIMESTAMP)).contains(DEVICE);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a wrong password, 12345, device&pk, 00e7304ec0ddd548eb1492d65ac0b334",
        "a shortened password, 12345, device&pk, 2ce7304e",
        "an empty password, 12345, device&pk, ''",
        "a password that is not hex, 12345, device&pk, secret",
        "another client id, 54321, device&pk, 2ce7304ec0ddd548eb1492d65ac0b334",
        "an unsigned timestamp, 12345|timestamp=789|, device&pk, 2ce7304ec0ddd548eb1492d65ac0b334",
        "an unknown method, 12345|signmethod=hmacsm3|, device&pk, 2ce7304ec0ddd548eb1492d65ac0b334",
        "an unknown device, 12345, other&pk, 2ce7304ec0ddd548eb1492d65ac0b334",
        "a user name without a product, 12345, device, 2ce7304ec0ddd548eb1492d65ac0b334",
        "a user name with too many parts, 12345, device&pk&x, 2ce7304ec0ddd548eb1492d65ac0b334",
        "no password, 12345, device&pk,",
        "no user name, 12345,, 2ce7304ec0ddd548eb1492d65ac0b334"
    })
    void whatProvesNothingIsRefused(String why, String clientId, String username, String password) {
        assertThat(authenticate(clientId, username, password)).as(why).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "id|_ss=1|, true",
        "'id|a=b,_ss=1,ext=3,|', true",
        "id|_ss=0|, false",
        "id_ss=1, false",
        "id||_ss=1, false"
    })
    void aSessionAsksForImplicitSubscriptionsByParameter(String clientId, boolean wants) {
        assertThat(DeviceAuthenticator.wantsImplicitSubscriptions(clientId)).isEqualTo(wants);
    }
}
