package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.NginxServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The smallest program as anybody would start it: with TLS, as a process of its own. */
@RequiresServers
class TwelveLinesTest {

    private static final String PASSWORD = "changeit";

    @TempDir
    Path directory;

    @Test
    void twelveLinesKeepAJarUpToDate() throws Exception {
        Path keys = directory.resolve("keys.p12");
        Path certificate = directory.resolve("certificate.pem");
        Path key = directory.resolve("key.pem");
        makeKeys(keys, certificate, key);
        int plainPort = freePort();
        Payload payload = Payload.of(500_000, 101);

        try (MosquittoBroker broker = MosquittoBroker.configure()
                        .tls(certificate, key)
                        .line("listener " + plainPort + " 127.0.0.1")
                        .start();
                NginxServer nginx =
                        NginxServer.startTls(Files.createDirectory(directory.resolve("nginx")), certificate, key);
                Cloud cloud = new Cloud(plainPort)) {
            URI url = nginx.put("app.jar", payload.bytes());
            Path home = Files.createDirectory(directory.resolve("home"));
            Path output = directory.resolve("output");
            Process program = start(keys, broker.port(), home, output);
            try {
                cloud.push(Cloud.data("app", "2.0.0", url, payload));
                await("the new version")
                        .atMost(Gateway.PATIENCE)
                        .until(() -> cloud.versions().contains("app=2.0.0"));

                assertThat(home.resolve("app.jar")).hasBinaryContent(payload.bytes());
                assertThat(cloud.versions()).containsExactly("app=1.0.0", "app=2.0.0");
                await("the last event")
                        .atMost(Gateway.PATIENCE)
                        .until(() -> Files.readString(output).contains("Succeeded"));
            } finally {
                program.destroyForcibly().waitFor(20, TimeUnit.SECONDS);
            }
        }
    }

    private static Process start(Path keys, int port, Path home, Path output) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Djavax.net.ssl.trustStore=" + keys,
                        "-Djavax.net.ssl.trustStorePassword=" + PASSWORD,
                        "-Dlogback.configurationFile="
                                + Path.of(System.getProperty("basedir", ""))
                                        .toAbsolutePath()
                                        .resolve("src/main/resources/logback.xml"),
                        "-cp",
                        System.getProperty("java.class.path"),
                        TwelveLines.class.getName(),
                        "localhost",
                        Integer.toString(port),
                        Cloud.DEVICE.product(),
                        Cloud.DEVICE.name(),
                        "1.0.0",
                        home.toString(),
                        "127.0.0.0/8")
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().put("DEVICE_SECRET", Secrets.DEVICE_SECRET);
        return builder.start();
    }

    /** A certificate for this machine that is its own authority, as a key store and as the PEM files that servers read. */
    private static void makeKeys(Path store, Path certificate, Path key)
            throws IOException, InterruptedException, GeneralSecurityException {
        Process keytool = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "keytool")
                                .toString(),
                        "-genkeypair",
                        "-keystore",
                        store.toString(),
                        "-storepass",
                        PASSWORD,
                        "-alias",
                        "server",
                        "-keyalg",
                        "EC",
                        "-dname",
                        "CN=localhost",
                        "-ext",
                        "SAN=dns:localhost,ip:127.0.0.1")
                .inheritIO()
                .start();
        assertThat(keytool.waitFor(20, TimeUnit.SECONDS)).isTrue();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD.toCharArray());
        }
        writePem(certificate, "CERTIFICATE", keys.getCertificate("server").getEncoded());
        writePem(
                key,
                "PRIVATE KEY",
                keys.getKey("server", PASSWORD.toCharArray()).getEncoded());
        keys.setCertificateEntry("authority", keys.getCertificate("server"));
        try (var out = Files.newOutputStream(store)) {
            keys.store(out, PASSWORD.toCharArray());
        }
    }

    private static void writePem(Path file, String what, byte[] der) throws IOException {
        Files.write(
                file,
                List.of(
                        "-----BEGIN " + what + "-----",
                        Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der),
                        "-----END " + what + "-----"));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
