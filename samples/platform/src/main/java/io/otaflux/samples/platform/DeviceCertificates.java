package io.otaflux.samples.platform;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.util.HexFormat;

/** What certificates are told apart by. */
final class DeviceCertificates {

    private DeviceCertificates() {}

    /** SHA-256 of the certificate as it is on the wire, lower-case hex: what {@code openssl x509 -fingerprint -sha256} says. */
    static String fingerprint(X509Certificate certificate) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded()));
        } catch (CertificateEncodingException | NoSuchAlgorithmException e) {
            throw new IllegalStateException("a certificate that was received can be written again", e);
        }
    }
}
