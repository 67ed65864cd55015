package io.otaflux.samples.platform;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.jspecify.annotations.Nullable;

/**
 * How the broker listens with TLS; all files are PEM.
 *
 * @param port the port, or 0 for any free one
 * @param certificate its certificate, with those that lead to the authority
 * @param key the certificate's key, PKCS #8
 * @param clientAuthorities the authorities of devices' certificates, or null if devices have none
 */
record TlsSettings(
        int port, Path certificate, Path key, @Nullable Path clientAuthorities) {

    /** Writes down where the certificate and the key are, in the form in which the broker wants to read it. */
    Path describe(Path directory) throws IOException {
        for (Path file : new Path[] {certificate, key, clientAuthorities == null ? certificate : clientAuthorities}) {
            if (!Files.isReadable(file)) {
                throw new IOException("cannot read " + file);
            }
        }
        Properties sources = new Properties();
        sources.setProperty("source.key", key.toAbsolutePath().toString());
        sources.setProperty("source.cert", certificate.toAbsolutePath().toString());
        Files.createDirectories(directory);
        Path file = directory.resolve("tls.pemcfg").toAbsolutePath();
        try (var out = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
            sources.store(out, null);
        }
        return file;
    }
}
