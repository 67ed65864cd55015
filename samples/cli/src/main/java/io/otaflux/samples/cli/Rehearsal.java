package io.otaflux.samples.cli;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What the launcher has a virtual machine remember of its start: the download of a file, one that is refused, and one over
 * TLS as far as that goes without a certificate.
 */
final class Rehearsal {

    private static final int SIZE = 100_000;

    private Rehearsal() {}

    public static void main(String[] arguments) throws IOException, NoSuchAlgorithmException {
        Logging.configureHere();
        byte[] content = new byte[SIZE];
        String digest =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        Path directory = Files.createTempDirectory("otaflux-rehearsal-");
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/file", exchange -> {
            exchange.sendResponseHeaders(200, content.length);
            try (exchange) {
                exchange.getResponseBody().write(content);
            }
        });
        server.start();
        String host = "://127.0.0.1:" + server.getAddress().getPort();
        String file = directory.resolve("file").toString();
        try {
            expect(ExitCode.OK, "download", "http" + host + "/file", "-o", file, "--allow-http", "--sha256", digest);
            expect(ExitCode.UNAVAILABLE, "download", "http" + host, "-o", file, "--allow-http", "--sha256", digest);
            // Nobody shakes hands here. Whether that is found out or waited for does not matter.
            Otaflux.run("download", "https" + host + "/file", "-o", file, "--retries", "0", "--timeout", "1s");
        } finally {
            server.stop(0);
            Trees.delete(directory);
        }
        System.exit(ExitCode.OK);
    }

    private static void expect(int exitCode, String... arguments) {
        int actual = Otaflux.run(arguments);
        if (actual != exitCode) {
            throw new IllegalStateException(
                    String.join(" ", arguments) + ": " + actual + " (expected: " + exitCode + ")");
        }
    }
}
