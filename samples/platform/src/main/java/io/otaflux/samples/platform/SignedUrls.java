package io.otaflux.samples.platform;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Download URLs that need no login and end by themselves: {@code /artifacts/{sha256}?expires={seconds}&signature={hex}}, where
 * the signature is an HMAC-SHA256 over the path and the time.
 */
final class SignedUrls {

    static final String PATH = "/artifacts/";

    private static final String HMAC = "HmacSHA256";

    private final SecretKeySpec key;
    private final Duration lifetime;

    SignedUrls(String secret, Duration lifetime) {
        this.key = new SecretKeySpec(secret.getBytes(StandardCharsets.US_ASCII), HMAC);
        this.lifetime = lifetime;
    }

    /** A URL for a file that is good from now on for the lifetime. */
    URI sign(URI base, String sha256, Instant now) {
        String path = PATH + sha256;
        long expires = now.plus(lifetime).getEpochSecond();
        String signature = HexFormat.of().formatHex(hmac(path, Long.toString(expires)));
        String prefix = base.toString().endsWith("/")
                ? base.toString().substring(0, base.toString().length() - 1)
                : base.toString();
        return URI.create(prefix + path + "?expires=" + expires + "&signature=" + signature);
    }

    /** Whether this platform signed a path and its time has not passed. */
    boolean accepts(String path, Map<String, String> query, Instant now) {
        String expires = query.getOrDefault("expires", "");
        try {
            byte[] presented = HexFormat.of().parseHex(query.getOrDefault("signature", ""));
            return MessageDigest.isEqual(hmac(path, expires), presented)
                    && now.getEpochSecond() < Long.parseLong(expires);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private byte[] hmac(String path, String expires) {
        try {
            Mac mac = Mac.getInstance(HMAC);
            mac.init(key);
            return mac.doFinal((path + "\n" + expires).getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has " + HMAC, e);
        }
    }
}
