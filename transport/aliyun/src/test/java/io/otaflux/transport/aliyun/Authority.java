package io.otaflux.transport.aliyun;

import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** A certificate authority for a test. */
record Authority(Path directory, X509Certificate self, PrivateKey key) {

    /** A server's certificate and key, as PEM files. */
    record Server(Path certificate, Path key) {}

    static Authority create(Path directory) throws Exception {
        KeyPair pair = pair();
        X500Name name = new X500Name("CN=Test Authority " + System.nanoTime());
        X509Certificate self = certificate(name, name, pair, pair.getPrivate(), null);
        Authority authority = new Authority(directory, self, pair.getPrivate());
        authority.write("authority.pem", self);
        return authority;
    }

    Path certificate() {
        return directory.resolve("authority.pem");
    }

    Server server(GeneralName... names) throws Exception {
        return issue("server", pair(), names);
    }

    /** The certificate and key of a client of that name. */
    Server client(String name) throws Exception {
        return client(name, pair());
    }

    /** The same with a key of another kind. */
    Server client(String name, KeyPair pair) throws Exception {
        return issue(name, pair, new GeneralName(GeneralName.dNSName, name));
    }

    private Server issue(String name, KeyPair pair, GeneralName... names) throws Exception {
        X509Certificate certificate = certificate(
                new X500Name(self.getSubjectX500Principal().getName()),
                new X500Name("CN=" + name),
                pair,
                key,
                new GeneralNames(names));
        return new Server(
                write(name + ".pem", certificate),
                write(name + ".key", new JcaPKCS8Generator(pair.getPrivate(), null)));
    }

    /** Puts a certificate or a key into a PEM file of its directory. */
    Path write(String name, Object content) throws IOException {
        StringWriter text = new StringWriter();
        try (Writer writer = text;
                JcaPEMWriter pem = new JcaPEMWriter(writer)) {
            pem.writeObject(content);
        }
        return Files.writeString(directory.resolve(name), text.toString());
    }

    private static KeyPair pair() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(256);
        return generator.generateKeyPair();
    }

    private static X509Certificate certificate(
            X500Name issuer, X500Name subject, KeyPair pair, PrivateKey signer, GeneralNames names)
            throws OperatorCreationException, GeneralSecurityException, IOException {
        Instant now = Instant.now();
        JcaX509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
                issuer,
                BigInteger.valueOf(System.nanoTime()),
                Date.from(now.minus(Duration.ofDays(1))),
                Date.from(now.plus(Duration.ofDays(1))),
                subject,
                pair.getPublic());
        if (names == null) {
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(true));
        } else {
            builder.addExtension(Extension.subjectAlternativeName, false, names);
        }
        return new JcaX509CertificateConverter()
                .getCertificate(builder.build(new JcaContentSignerBuilder("SHA256withECDSA").build(signer)));
    }
}
