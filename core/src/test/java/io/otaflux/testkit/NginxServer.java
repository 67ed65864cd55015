package io.otaflux.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A real nginx that serves the files of one directory on a free loopback port. It is one process, a child of the test's,
 * and everything that it writes stays in the directory given to it. The test needs
 * {@code @RequiresProgram(value = "nginx", debianPackage = "nginx-light")}.
 */
public final class NginxServer implements AutoCloseable {

    private static final long PATIENCE_MILLIS = 10_000;

    private final Path home;
    private final Path files;
    private final String directives;
    private final boolean tls;
    private final int port;
    private final AtomicInteger puts = new AtomicInteger();
    private final Instant begin = Instant.now().minus(1, ChronoUnit.DAYS).truncatedTo(ChronoUnit.SECONDS);
    private @Nullable Process process;

    private NginxServer(Path home, String directives, boolean tls) throws IOException {
        this.home = home.toAbsolutePath();
        this.files = Files.createDirectories(this.home.resolve("files"));
        this.directives = directives;
        this.tls = tls;
        this.port = freePort();
    }

    /**
     * Starts one.
     *
     * @param home a directory for its files, configuration and logs
     * @param directives what else stands in the {@code server} block, for example {@code limit_rate 1m;}
     */
    public static NginxServer start(Path home, String... directives) {
        return start(home, String.join("\n", directives), false);
    }

    /** Starts one that speaks TLS; its location is {@code https://localhost:…}. */
    public static NginxServer startTls(Path home, Path certificate, Path key, String... directives) {
        String all = "ssl_certificate " + certificate.toAbsolutePath() + ";\nssl_certificate_key "
                + key.toAbsolutePath() + ";\n" + String.join("\n", directives);
        return start(home, all, true);
    }

    private static NginxServer start(Path home, String directives, boolean tls) {
        try {
            NginxServer server = new NginxServer(home, directives, tls);
            server.start();
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where {@code path} is served. */
    public URI uri(String path) {
        return URI.create((tls ? "https://localhost:" : "http://127.0.0.1:") + port + "/" + path);
    }

    public int port() {
        return port;
    }

    /**
     * Writes a file, or replaces it as a whole. Each time it gets another modification time, since nginx makes the entity
     * tag of the seconds of that time and of the size.
     *
     * @return where it is served
     */
    public URI put(String name, byte[] content) {
        try {
            Path written = Files.write(home.resolve("written"), content);
            Files.setLastModifiedTime(written, FileTime.from(begin.plusSeconds(puts.getAndIncrement())));
            Files.move(
                    written, files.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            return uri(name);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Removes a file. */
    public void remove(String name) {
        try {
            Files.delete(files.resolve(name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts it again, on the same port, after {@link #stop} or {@link #kill}. */
    public void start() {
        try {
            Files.writeString(home.resolve("nginx.conf"), configuration());
            Process started = new ProcessBuilder(
                            RequiresProgram.Installed.find("nginx")
                                    .orElseThrow()
                                    .toString(),
                            "-p",
                            home.toString(),
                            "-c",
                            "nginx.conf",
                            "-e",
                            "error.log")
                    .redirectErrorStream(true)
                    .redirectOutput(home.resolve("nginx.out").toFile())
                    .start();
            process = started;
            awaitListening(started);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Stops it at once: connections are closed wherever their answers are. */
    public void stop() {
        end(false);
    }

    /** Ends it as a power cut would: it does not even write down what it was doing. */
    public void kill() {
        end(true);
    }

    private void end(boolean forcibly) {
        Process running = process;
        process = null;
        if (running == null) {
            return;
        }
        if (forcibly) {
            running.destroyForcibly();
        } else {
            running.destroy();
        }
        try {
            if (!running.waitFor(PATIENCE_MILLIS, TimeUnit.MILLISECONDS)) {
                running.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            running.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        stop();
    }

    private String configuration() {
        return """
            daemon off;
            master_process off;
            pid nginx.pid;
            error_log error.log;
            events { worker_connections 512; }
            http {
                access_log access.log;
                client_body_temp_path temp-body;
                proxy_temp_path temp-proxy;
                fastcgi_temp_path temp-fastcgi;
                uwsgi_temp_path temp-uwsgi;
                scgi_temp_path temp-scgi;
                default_type application/octet-stream;
                sendfile on;
                server {
                    listen 127.0.0.1:%d%s;
                    root files;
                    %s
                }
            }
            """.formatted(port, tls ? " ssl" : "", directives);
    }

    private void awaitListening(Process started) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MILLIS);
        try {
            while (!isListening()) {
                if (started.waitFor(20, TimeUnit.MILLISECONDS) || System.nanoTime() > deadline) {
                    started.destroyForcibly();
                    throw new IllegalStateException(
                            "nginx does not start: " + Files.readString(home.resolve("nginx.out")));
                }
            }
        } catch (InterruptedException e) {
            started.destroyForcibly();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while nginx was starting", e);
        }
    }

    private boolean isListening() {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1_000);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
