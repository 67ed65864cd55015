package io.otaflux.benchmarks.compare;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.HexFormat;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * What a program of today does that wants no library: a blocking loop over {@link HttpURLConnection} that hashes and writes
 * and synchronises at the end.
 *
 * <p>Arguments: location, its SHA-256, the size of the buffer, a directory, and for https the PEM file of the authority to
 * trust.
 */
public final class HttpUrlConnectionLoop {

    private HttpUrlConnectionLoop() {}

    public static void main(String... args) throws Exception {
        Path target = Path.of(args[3]).resolve("loop.bin");
        if (args.length > 4) {
            HttpsURLConnection.setDefaultSSLSocketFactory(
                    trusting(Path.of(args[4])).getSocketFactory());
        }
        Repetitions.of(
                () -> download(URI.create(args[0]), args[1], Integer.parseInt(args[2]), target),
                () -> Files.delete(target));
    }

    private static SSLContext trusting(Path pem) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream certificate = new FileInputStream(pem.toFile())) {
            store.setCertificateEntry(
                    "authority", CertificateFactory.getInstance("X.509").generateCertificate(certificate));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    private static void download(URI location, String expected, int size, Path target) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] buffer = new byte[size];
        HttpURLConnection connection = (HttpURLConnection) location.toURL().openConnection();
        try (InputStream in = connection.getInputStream();
                FileOutputStream out = new FileOutputStream(target.toFile())) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
                out.write(buffer, 0, n);
            }
            out.getFD().sync();
        }
        if (!HexFormat.of().formatHex(digest.digest()).equals(expected)) {
            throw new IOException("wrong bytes");
        }
    }
}
