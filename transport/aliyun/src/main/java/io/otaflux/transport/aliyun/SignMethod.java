package io.otaflux.transport.aliyun;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import java.util.Locale;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** How a device proves that it knows its secret. All three are keyed hashes; the platforms accept any of them. */
public enum SignMethod {
    HMAC_MD5("hmacmd5", "HmacMD5"),
    HMAC_SHA1("hmacsha1", "HmacSHA1"),
    HMAC_SHA256("hmacsha256", "HmacSHA256");

    private final String wireName;
    private final String jcaName;

    SignMethod(String wireName, String jcaName) {
        this.wireName = wireName;
        this.jcaName = jcaName;
    }

    /** The name in the client identifier's {@code signmethod}. */
    String wireName() {
        return wireName;
    }

    /** The name in the requests of a gateway, which spell it otherwise: {@code hmacSha256}. */
    String gatewayName() {
        return "h" + jcaName.substring(1, 4) + jcaName.charAt(4)
                + jcaName.substring(5).toLowerCase(Locale.ROOT);
    }

    /** The signature of {@code content}, in lower-case hexadecimal. */
    Secret sign(Secret key, String content) {
        try {
            Mac mac = Mac.getInstance(jcaName);
            mac.init(new SecretKeySpec(key.value().getBytes(StandardCharsets.UTF_8), jcaName));
            return new Secret(HexFormat.of().formatHex(mac.doFinal(content.getBytes(StandardCharsets.UTF_8))));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(jcaName + " is part of every Java platform this library runs on", e);
        }
    }
}
