package io.otaflux.samples.platform;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * Checks the login of a device that has a secret of its own.
 *
 * <pre>
 * clientId : &lt;id&gt;|k=v,k=v,…|      username : deviceName&amp;productKey
 * password : hex( HMAC( deviceSecret, "clientId" id "deviceName" … "productKey" … [ "timestamp" … ] ) )
 * </pre>
 *
 * <p>Only what is before the first bar is signed. {@code signmethod} is {@code hmacmd5}, {@code hmacsha1} or
 * {@code hmacsha256}, and {@code hmacmd5} when absent, as Alibaba's older documents have it; {@code timestamp} is signed if it
 * is there and, as on the real platform, not checked for freshness; other parameters, and a comma too many, are ignored.
 */
final class DeviceAuthenticator {

    private static final Map<String, String> ALGORITHMS =
            Map.of("hmacmd5", "HmacMD5", "hmacsha1", "HmacSHA1", "hmacsha256", "HmacSHA256");
    private static final String NO_SECRET = DurableFiles.randomHex(16);

    private final Function<DeviceKey, @Nullable String> secrets;

    /** @param secrets a device's secret, or null if there is no such device; asked on any thread */
    DeviceAuthenticator(Function<DeviceKey, @Nullable String> secrets) {
        this.secrets = secrets;
    }

    /** The device that a CONNECT proves to come from, or empty if it proves nothing. */
    Optional<DeviceKey> authenticate(@Nullable String clientId, @Nullable String username, @Nullable String password) {
        if (clientId == null || username == null || password == null) {
            return Optional.empty();
        }
        Optional<DeviceKey> claimed = device(username);
        if (claimed.isEmpty()) {
            return Optional.empty();
        }
        DeviceKey device = claimed.get();
        String method = parameters(clientId).getOrDefault("signmethod", "hmacmd5");
        return isSigned(method, secrets.apply(device), signedText(clientId, device), password)
                ? claimed
                : Optional.empty();
    }

    /**
     * Whether a signature, in hex of any case, is the HMAC of a text.
     *
     * @param method {@code hmacmd5}, {@code hmacsha1} or {@code hmacsha256} in any case
     * @param secret the key, or null for one that nobody has: it costs the same work as a wrong one, so that timing does not
     *     tell which devices exist
     */
    static boolean isSigned(String method, @Nullable String secret, String text, String signature) {
        String algorithm = ALGORITHMS.get(method.toLowerCase(Locale.ROOT));
        byte[] presented = unhex(signature);
        if (algorithm == null || presented == null) {
            return false;
        }
        byte[] expected = hmac(algorithm, secret == null ? NO_SECRET : secret, text);
        return MessageDigest.isEqual(expected, presented) && secret != null;
    }

    static boolean isMethod(String method) {
        return ALGORITHMS.containsKey(method.toLowerCase(Locale.ROOT));
    }

    /** Whether a session asks to be sent its topics without subscribing to them. */
    static boolean wantsImplicitSubscriptions(String clientId) {
        return "1".equals(parameters(clientId).get("_ss"));
    }

    /** The device that a user name claims to be; not proof of anything. */
    static Optional<DeviceKey> device(String username) {
        int separator = username.indexOf('&');
        if (separator < 0) {
            return Optional.empty();
        }
        String deviceName = username.substring(0, separator);
        String productKey = username.substring(separator + 1);
        return Limits.isName(deviceName) && Limits.isName(productKey)
                ? Optional.of(new DeviceKey(productKey, deviceName))
                : Optional.empty();
    }

    private static String signedText(String clientId, DeviceKey device) {
        int bar = clientId.indexOf('|');
        String id = bar < 0 ? clientId : clientId.substring(0, bar);
        String timestamp = parameters(clientId).get("timestamp");
        return "clientId" + id + "deviceName" + device.deviceName() + "productKey" + device.productKey()
                + (timestamp == null ? "" : "timestamp" + timestamp);
    }

    private static Map<String, String> parameters(String clientId) {
        Map<String, String> parameters = new HashMap<>();
        int bar = clientId.indexOf('|');
        if (bar < 0) {
            return parameters;
        }
        int end = clientId.indexOf('|', bar + 1);
        String text = clientId.substring(bar + 1, end < 0 ? clientId.length() : end);
        for (String parameter : text.split(",", -1)) {
            int equals = parameter.indexOf('=');
            if (equals > 0) {
                parameters.put(parameter.substring(0, equals), parameter.substring(equals + 1));
            }
        }
        return parameters;
    }

    private static byte @Nullable [] unhex(String text) {
        try {
            return HexFormat.of().parseHex(text);
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    private static byte[] hmac(String algorithm, String secret, String text) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), algorithm));
            return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has " + algorithm, e);
        }
    }
}
