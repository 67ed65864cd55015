package io.otaflux.benchmarks.compare;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import javax.net.ssl.HttpsURLConnection;

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
                    Fetch.context(Fetch.trust(Path.of(args[4]))).getSocketFactory());
        }
        Repetitions.of(
                () -> download(URI.create(args[0]), args[1], Integer.parseInt(args[2]), target),
                () -> Fetch.discard(target, args[1]));
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
