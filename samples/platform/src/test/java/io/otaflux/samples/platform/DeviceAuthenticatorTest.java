package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeviceAuthenticatorTest {

    private static final DeviceKey DEVICE = new DeviceKey("pk", "device");
    private static final DeviceKey C_SDK_DEVICE = new DeviceKey("a1B2c3D4e5F", "dev01");
    private static final String MD5_WITHOUT_TIMESTAMP = "2ce7304ec0ddd548eb1492d65ac0b334";

    private final DeviceAuthenticator authenticator =
            new DeviceAuthenticator(Map.of(DEVICE, "secret", C_SDK_DEVICE, "secret")::get);

    /** The SHA-1 one is printed in the vendor's document; the others follow from the documented algorithm. */
    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacmd5, 14b198324fe55e1d3c88f2e705e201ee",
        "hmacsha1, FAFD82A3D602B37FB0FA8B7892F24A477F851A14",
        "hmacsha256, 6074a46a91b1ebb2cc4ea42790ad0e80202c9843859fc292e57c4eb19fad9e57"
    })
    void theDocumentsExampleIsAccepted(String method, String password) {
        String clientId = "12345|securemode=2,signmethod=" + method + ",timestamp=789|";

        assertThat(authenticator.authenticate(clientId, "device&pk", password)).contains(DEVICE);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "hmacmd5, 2ce7304ec0ddd548eb1492d65ac0b334",
        "hmacsha1, 3504e4df7ce4766d30f796ee973c9ce7fc5425cb",
        "hmacsha256, c8cb3dcb7159682438e5fd9a9c34f398e41bb8edb6f222795e307bafee151090"
    })
    void aTimestampIsOptional(String method, String password) {
        String clientId = "12345|securemode=2,signmethod=" + method + "|";

        assertThat(authenticator.authenticate(clientId, "device&pk", password)).contains(DEVICE);
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

        assertThat(authenticator.authenticate(clientId, "dev01&a1B2c3D4e5F", password))
                .contains(C_SDK_DEVICE);
    }

    @Test
    void hexDigitsMayHaveEitherCase() {
        for (String password : new String[] {MD5_WITHOUT_TIMESTAMP, MD5_WITHOUT_TIMESTAMP.toUpperCase(Locale.ROOT)}) {
            assertThat(authenticator.authenticate("12345|signmethod=hmacmd5|", "device&pk", password))
                    .contains(DEVICE);
        }
    }

    @ParameterizedTest
    @CsvSource({"12345", "12345||", "12345|securemode=3|", "'12345|a=b,,=,c|'", "12345|securemode=3"})
    void theMethodIsMd5WhenNoneIsNamed(String clientId) {
        assertThat(authenticator.authenticate(clientId, "device&pk", MD5_WITHOUT_TIMESTAMP))
                .contains(DEVICE);
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
        assertThat(authenticator.authenticate(clientId, username, password))
                .as(why)
                .isEmpty();
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
