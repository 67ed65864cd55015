package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.DeviceId;
import io.otaflux.testkit.Canaries;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LoginTest {

    private static final Secret SECRET = new Secret("secret");

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    14b198324fe55e1d3c88f2e705e201ee",
        "HMAC_SHA1,   fafd82a3d602b37fb0fa8b7892f24a477f851a14",
        "HMAC_SHA256, 6074a46a91b1ebb2cc4ea42790ad0e80202c9843859fc292e57c4eb19fad9e57"
    })
    void signsTheDocumentsExampleWithTimestamp(SignMethod method, String expected) {
        assertThat(Login.sign(new DeviceId("pk", "device"), SECRET, "12345", method, "789")
                        .value())
                .isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    2ce7304ec0ddd548eb1492d65ac0b334",
        "HMAC_SHA1,   3504e4df7ce4766d30f796ee973c9ce7fc5425cb",
        "HMAC_SHA256, c8cb3dcb7159682438e5fd9a9c34f398e41bb8edb6f222795e307bafee151090"
    })
    void signsTheDocumentsExampleWithoutTimestamp(SignMethod method, String expected) {
        assertThat(Login.sign(new DeviceId("pk", "device"), SECRET, "12345", method, null)
                        .value())
                .isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    DC5F939EA6A398E38C4DB8A783A6834E",
        "HMAC_SHA1,   8C2581219C9A994FD977988A55880E0CA98B9147",
        "HMAC_SHA256, 541A5C5714D167F7888741BA9435E53B8E4B3B074D0D65CA2F6523798B0F9FFE"
    })
    void signsLikeTheVendorsCSdk(SignMethod method, String expected) {
        DeviceId device = new DeviceId("a1B2c3D4e5F", "dev01");

        Login login = Login.of(device, SECRET, "a1B2c3D4e5F.dev01", method, true);

        assertThat(login.password().value()).isEqualToIgnoringCase(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    ed9dc7baf84a9740a3ceb6f1f26bfb4f",
        "HMAC_SHA1,   f9cebe2044ea375cff1a46f4dc05eb15ff9870ee",
        "HMAC_SHA256, e9403e3a615fad72d1dd1fe90c225cbec4ba81a03e5474d91a72844d2218954f"
    })
    void signsLikeTheGoSdk(SignMethod method, String expected) {
        assertThat(method.sign(new Secret("thinkgos"), "thinkgos").value()).isEqualTo(expected);
    }

    @Test
    void saysHowItIsSignedAndWhetherThereIsTls() {
        DeviceId device = new DeviceId("pk", "dev");

        assertThat(Login.of(device, SECRET, "id", SignMethod.HMAC_SHA256, true).clientIdentifier())
                .isEqualTo("id|securemode=2,signmethod=hmacsha256,timestamp=2524608000000|");
        assertThat(Login.of(device, SECRET, "id", SignMethod.HMAC_SHA1, false).clientIdentifier())
                .isEqualTo("id|securemode=3,signmethod=hmacsha1,timestamp=2524608000000|");
        assertThat(Login.of(device, SECRET, "id", SignMethod.HMAC_MD5, false).userName())
                .isEqualTo("dev&pk");
    }

    @Test
    void noRecordShowsASecret() {
        assertThat(Canaries.assertNoRecordShowsAny(Login.class)).contains("Secret", "Login", "Skipped", "SubDevice");
    }

    @Test
    void printsNoSecret() {
        Login login = Login.of(new DeviceId("pk", "dev"), SECRET, "id", SignMethod.HMAC_SHA256, true);

        assertThat(login.toString()).doesNotContain(login.password().value());
        assertThat(SECRET.toString()).isEqualTo("***");
    }
}
