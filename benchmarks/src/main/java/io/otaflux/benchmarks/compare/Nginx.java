package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A real nginx with two workers that serves the files of one directory on free loopback ports, over HTTP and over HTTPS (TLS
 * 1.3, a certificate of its own). Everything else that it writes stays in a directory beside.
 */
final class Nginx implements AutoCloseable {

    private static final long PATIENCE_MILLIS = 20_000;

    private final Path home;
    private final int port;
    private final int tlsPort;
    private final Process process;

    private Nginx(Path home, int port, int tlsPort, Process process) {
        this.home = home;
        this.port = port;
        this.tlsPort = tlsPort;
        this.process = process;
    }

    /**
     * Starts one.
     *
     * @param home a directory for its configuration, its certificate and its logs
     * @param files the directory that it serves
     * @param directives what else stands in both {@code server} blocks, for example {@code limit_rate 12500k;}
     */
    static Nginx start(Path home, Path files, String... directives) throws IOException, InterruptedException {
        Files.createDirectories(home);
        makeCertificate(home);
        int port;
        int tlsPort;
        try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                ServerSocket two = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = one.getLocalPort();
            tlsPort = two.getLocalPort();
        }
        Files.writeString(
                home.resolve("nginx.conf"),
                configuration(files.toAbsolutePath(), port, tlsPort, String.join("\n", directives)));
        Process process = new ProcessBuilder(
                        Program.NGINX.path().toString(),
                        "-p",
                        home.toAbsolutePath().toString(),
                        "-c",
                        "nginx.conf",
                        "-e",
                        "error.log")
                .redirectErrorStream(true)
                .redirectOutput(home.resolve("nginx.out").toFile())
                .start();
        Nginx nginx = new Nginx(home, port, tlsPort, process);
        nginx.awaitListening();
        return nginx;
    }

    URI http(String file) {
        return URI.create("http://127.0.0.1:" + port + "/" + file);
    }

    URI https(String file) {
        return URI.create("https://localhost:" + tlsPort + "/" + file);
    }

    /** The one that clients have to trust, in PEM. */
    Path certificate() {
        return home.resolve("certificate.pem").toAbsolutePath();
    }

    /** Stops it at once. */
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(PATIENCE_MILLIS, TimeUnit.MILLISECONDS)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    /** Writes {@code certificate.pem}, for localhost, and {@code key.pem} to a directory. */
    static void makeCertificate(Path home) throws IOException, InterruptedException {
        Process openssl = new ProcessBuilder(
                        Program.OPENSSL.path().toString(),
                        "req",
                        "-x509",
                        "-newkey",
                        "ec",
                        "-pkeyopt",
                        "ec_paramgen_curve:P-256",
                        "-nodes",
                        "-days",
                        "2",
                        "-subj",
                        "/CN=localhost",
                        "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout",
                        "key.pem",
                        "-out",
                        "certificate.pem")
                .directory(home.toFile())
                .redirectErrorStream(true)
                .redirectOutput(home.resolve("openssl.out").toFile())
                .start();
        if (openssl.waitFor() != 0) {
            throw new IOException("openssl makes no certificate: " + Files.readString(home.resolve("openssl.out")));
        }
    }

    private static String configuration(Path files, int port, int tlsPort, String directives) {
        // Started by root, the workers would be somebody who may not read the files.
        String user = "root".equals(System.getProperty("user.name")) ? "user root;" : "";
        return """
            %s
            daemon off;
            worker_processes 2;
            worker_rlimit_nofile 8192;
            pid nginx.pid;
            error_log error.log;
            events { worker_connections 4096; }
            http {
                access_log off;
                client_body_temp_path temp-body;
                proxy_temp_path temp-proxy;
                fastcgi_temp_path temp-fastcgi;
                uwsgi_temp_path temp-uwsgi;
                scgi_temp_path temp-scgi;
                default_type application/octet-stream;
                sendfile on;
                sendfile_max_chunk 2m;
                keepalive_requests 1000000;
                root %s;
                ssl_certificate certificate.pem;
                ssl_certificate_key key.pem;
                ssl_protocols TLSv1.3;
                server {
                    listen 127.0.0.1:%d;
                    %s
                }
                server {
                    listen 127.0.0.1:%d ssl;
                    %s
                }
            }
            """.formatted(user, files, port, directives, tlsPort, directives);
    }

    private void awaitListening() throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MILLIS);
        while (!isListening()) {
            if (process.waitFor(20, TimeUnit.MILLISECONDS) || System.nanoTime() > deadline) {
                process.destroyForcibly();
                throw new IOException("nginx does not start: " + Files.readString(home.resolve("nginx.out")));
            }
        }
    }

    private boolean isListening() {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), tlsPort), 1_000);
            return true;
        } catch (IOException e) {
            return false;
        }
    }
}
