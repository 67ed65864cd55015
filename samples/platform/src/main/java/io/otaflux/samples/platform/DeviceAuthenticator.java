package io.otaflux.samples.platform;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * Checks the login of a device, in each of the ways that the protocol has.
 *
 * <pre>
 * clientId : &lt;id&gt;|k=v,k=v,…|      username : deviceName&amp;productKey
 * password : hex( HMAC( deviceSecret, "clientId" id "deviceName" … "productKey" … [ "timestamp" … ] ) )
 * </pre>
 *
 * <p>Only what is before the first bar is signed. {@code signmethod} is {@code hmacmd5}, {@code hmacsha1} or
 * {@code hmacsha256}, and {@code hmacmd5} when absent, as Alibaba's older documents have it; {@code timestamp} is signed if it
 * is there and, as on the real platform, not checked for freshness; other parameters, and a comma too many, are ignored.
 *
 * <p>{@code authType=register} and {@code regnwl} are registrations, signed with the product's secret, and no logins;
 * {@code connwl} has a token for a password that such a registration gave out. Where a certificate was presented that belongs
 * to a device, user name and password may be empty. A user name without {@code &} is the {@code iotId} of an authentication
 * over HTTP, its password the token that came with it.
 */
final class DeviceAuthenticator {

    private static final Map<String, String> ALGORITHMS =
            Map.of("hmacmd5", "HmacMD5", "hmacsha1", "HmacSHA1", "hmacsha256", "HmacSHA256");
    private static final String NO_SECRET = DurableFiles.randomHex(16);

    private final Credentials credentials;

    DeviceAuthenticator(Credentials credentials) {
        this.credentials = credentials;
    }

    /** What logins are checked against; asked on any thread. What is not there, or shut out, is null. */
    interface Credentials {

        @Nullable
        String secret(DeviceKey device);

        @Nullable
        String token(DeviceKey device);

        @Nullable
        DeviceKey ofCertificate(String fingerprint);

        /** The device that authenticated over HTTP and was given these. */
        @Nullable
        DeviceKey ofToken(String iotId, String iotToken);

        /**
         * Registers a device; blocks until what it is given is durable.
         *
         * @return the payload for the device, or null if it may not register
         */
        byte @Nullable [] register(Registration.Claim claim);
    }

    /** What a CONNECT says. */
    record Attempt(
            @Nullable String clientId,
            @Nullable String username,
            @Nullable String password,
            @Nullable String fingerprint) {

        @Override
        public String toString() {
            return "Attempt[" + username + "]";
        }
    }

    /**
     * What a CONNECT was let in as.
     *
     * @param device the device, or, for a registration, who it says it is
     * @param isRegistration whether it is to be given its credentials and nothing else
     * @param topic where it is told something as soon as it is in, or null
     * @param payload what it is told there
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Admission(
            DeviceKey device,
            boolean isRegistration,
            @Nullable String topic,
            byte @Nullable [] payload) {

        static Admission of(DeviceKey device) {
            return new Admission(device, false, null, null);
        }

        @Override
        public String toString() {
            return "Admission[" + device + ", isRegistration=" + isRegistration + "]";
        }
    }

    /** What a CONNECT proves, or empty if it proves nothing. */
    Optional<Admission> authenticate(Attempt attempt) {
        String clientId = attempt.clientId() == null ? "" : attempt.clientId();
        String username = attempt.username() == null ? "" : attempt.username();
        String password = attempt.password() == null ? "" : attempt.password();
        Optional<DeviceKey> claimed = device(username);
        if (password.isEmpty()) {
            return byCertificate(attempt.fingerprint(), claimed);
        }
        if (claimed.isEmpty()) {
            return Optional.ofNullable(credentials.ofToken(username, password)).map(Admission::of);
        }
        DeviceKey device = claimed.get();
        Map<String, String> parameters = parameters(clientId);
        String method = parameters.getOrDefault("signmethod", "hmacmd5");
        String authType = parameters.getOrDefault("authType", "");
        switch (authType) {
            case "register", "regnwl" -> {
                byte[] payload = credentials.register(new Registration.Claim(
                        device, parameters.get("random"), method, password, authType.equals("regnwl")));
                return payload == null
                        ? Optional.empty()
                        : Optional.of(new Admission(device, true, "/ext/" + authType, payload));
            }
            case "connwl" -> {
                String token = credentials.token(device);
                boolean isToken = isSame(token == null ? NO_SECRET : token, password) && token != null;
                return isToken ? Optional.of(Admission.of(device)) : Optional.empty();
            }
            default -> {
                return isSigned(method, credentials.secret(device), signedText(clientId, device), password)
                        ? Optional.of(Admission.of(device))
                        : Optional.empty();
            }
        }
    }

    /** A device that does not know who it is yet is told so on its first login. */
    private Optional<Admission> byCertificate(@Nullable String fingerprint, Optional<DeviceKey> claimed) {
        DeviceKey owner = fingerprint == null ? null : credentials.ofCertificate(fingerprint);
        if (owner == null || !claimed.map(owner::equals).orElse(true)) {
            return Optional.empty();
        }
        return Optional.of(new Admission(owner, false, "/ext/auth/identity/response", DeviceMessages.identity(owner)));
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

    static boolean isSame(String expected, String presented) {
        return MessageDigest.isEqual(
                expected.getBytes(StandardCharsets.UTF_8), presented.getBytes(StandardCharsets.UTF_8));
    }

    /** Whether a session asks to be sent its topics without subscribing to them. */
    static boolean wantsImplicitSubscriptions(String clientId) {
        return "1".equals(parameters(clientId).get("_ss"));
    }

    /** Whether a client id says that its connection is for a registration only. */
    static boolean isRegistration(String clientId) {
        String authType = parameters(clientId).getOrDefault("authType", "");
        return authType.equals("register") || authType.equals("regnwl");
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
        return signedText(id, device, timestamp);
    }

    /** What a device signs with its own secret. */
    static String signedText(String clientId, DeviceKey device, @Nullable String timestamp) {
        return "clientId" + clientId + "deviceName" + device.deviceName() + "productKey" + device.productKey()
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
