package io.otaflux.samples.cli;

import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * A certificate authority of a test's own and the one server that it vouches for, 127.0.0.1, as PEM files.
 *
 * @param pem the authority
 * @param certificate the server's certificate
 * @param key the server's key
 */
record Authority(Path pem, Path certificate, Path key) {

    private static final X500Name AUTHORITY = new X500Name("CN=Test Authority");

    static Authority in(Path directory) throws IOException {
        try {
            KeyPair own = newKeys();
            KeyPair server = newKeys();
            GeneralName loopback = new GeneralName(GeneralName.iPAddress, "127.0.0.1");
            return new Authority(
                    write(
                            directory.resolve("authority.pem"),
                            sign(
                                    own,
                                    AUTHORITY,
                                    own.getPublic(),
                                    Extension.basicConstraints,
                                    new BasicConstraints(true))),
                    write(
                            directory.resolve("server.pem"),
                            sign(
                                    own,
                                    new X500Name("CN=server"),
                                    server.getPublic(),
                                    Extension.subjectAlternativeName,
                                    new GeneralNames(loopback))),
                    write(
                            directory.resolve("server.key"),
                            new JcaPKCS8Generator(server.getPrivate(), null).generate()));
        } catch (GeneralSecurityException | OperatorCreationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static KeyPair newKeys() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(256);
        return generator.generateKeyPair();
    }

    private static X509CertificateHolder sign(
            KeyPair authority, X500Name subject, PublicKey key, ASN1ObjectIdentifier extension, ASN1Encodable value)
            throws IOException, OperatorCreationException {
        Instant now = Instant.now();
        return new JcaX509v3CertificateBuilder(
                        AUTHORITY,
                        BigInteger.valueOf(System.nanoTime()),
                        Date.from(now.minus(Duration.ofDays(1))),
                        Date.from(now.plus(Duration.ofDays(1))),
                        subject,
                        key)
                .addExtension(extension, true, value)
                .build(new JcaContentSignerBuilder("SHA256withECDSA").build(authority.getPrivate()));
    }

    private static Path write(Path file, Object pem) throws IOException {
        StringWriter text = new StringWriter();
        try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
            writer.writeObject(pem);
        }
        return Files.writeString(file, text.toString());
    }
}
