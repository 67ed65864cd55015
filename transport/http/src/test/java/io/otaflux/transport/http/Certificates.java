package io.otaflux.transport.http;

import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.concurrent.atomic.AtomicLong;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.CertIOException;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.jspecify.annotations.Nullable;

/** An authority of a test's own, and certificates that it issues. */
final class Certificates {

    private static final AtomicLong SERIAL = new AtomicLong(1);

    private final Path directory;
    private final String name;
    private final KeyPair keys;
    private final X509Certificate certificate;

    private Certificates(Path directory, String name) {
        this.directory = directory;
        this.name = name;
        this.keys = newKeys();
        this.certificate = build("CN=" + name, keys, "CN=" + name, keys, null, true, Instant.now(), Duration.ofDays(1));
    }

    static Certificates authority(Path directory, String name) {
        return new Certificates(directory, name);
    }

    X509Certificate certificate() {
        return certificate;
    }

    /** The authority's certificate in a PEM file. */
    Path pem() {
        return write(name + ".pem", certificate);
    }

    /** A key store in which the authority is the one that is trusted. */
    Path trustStore(String password) {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setCertificateEntry(name, certificate);
            Path file = directory.resolve(name + ".p12");
            try (var out = Files.newOutputStream(file)) {
                store.store(out, password.toCharArray());
            }
            return file;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A certificate for {@code host}, valid now. */
    Issued issue(String host) {
        return issue(host, host, Instant.now().minus(Duration.ofHours(1)), Duration.ofDays(1));
    }

    /**
     * A certificate.
     *
     * @param commonName what its subject is called
     * @param host which host it is for
     */
    Issued issue(String commonName, String host, Instant from, Duration validity) {
        KeyPair subject = newKeys();
        X509Certificate issued = build("CN=" + name, keys, "CN=" + commonName, subject, host, false, from, validity);
        return write(issued, subject);
    }

    /** A certificate for {@code host} that has signed itself. */
    Issued selfSigned(String host) {
        KeyPair own = newKeys();
        X509Certificate issued = build(
                "CN=" + host,
                own,
                "CN=" + host,
                own,
                host,
                false,
                Instant.now().minus(Duration.ofHours(1)),
                Duration.ofDays(1));
        return write(issued, own);
    }

    private Issued write(X509Certificate issued, KeyPair subject) {
        try {
            String file = "cert-" + issued.getSerialNumber();
            return new Issued(
                    write(file + ".pem", issued),
                    write(file + ".key", new JcaPKCS8Generator(subject.getPrivate(), null).generate()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path write(String file, Object pem) {
        StringWriter text = new StringWriter();
        try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
            writer.writeObject(pem);
            writer.flush();
            return Files.writeString(directory.resolve(file), text.toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static KeyPair newKeys() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(256);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static X509Certificate build(
            String issuer,
            KeyPair issuerKeys,
            String subject,
            KeyPair subjectKeys,
            @Nullable String host,
            boolean authority,
            Instant from,
            Duration validity) {
        try {
            JcaX509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
                    new X500Name(issuer),
                    BigInteger.valueOf(SERIAL.getAndIncrement()),
                    Date.from(authority ? from.minus(Duration.ofDays(1)) : from),
                    Date.from(from.plus(validity)),
                    new X500Name(subject),
                    subjectKeys.getPublic());
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(authority));
            if (host != null) {
                builder.addExtension(
                        Extension.subjectAlternativeName,
                        false,
                        new GeneralNames(new GeneralName(GeneralName.dNSName, host)));
            }
            return new JcaX509CertificateConverter()
                    .getCertificate(builder.build(
                            new JcaContentSignerBuilder("SHA256withECDSA").build(issuerKeys.getPrivate())));
        } catch (GeneralSecurityException | OperatorCreationException | CertIOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A certificate and its key, in PEM files. */
    record Issued(Path certificate, Path key) {}
}
