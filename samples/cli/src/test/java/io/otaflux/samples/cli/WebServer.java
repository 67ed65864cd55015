package io.otaflux.samples.cli;

import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.awaitility.Awaitility;

/**
 * A web server that others have made, as a child of the test, on a free loopback port. It serves the files of a directory,
 * and everything that it writes stays in that directory's parent.
 */
final class WebServer implements AutoCloseable {

    private static final long PATIENCE_SECONDS = 20;

    /** Which one. */
    enum Kind {
        NGINX,
        APACHE,
        LIGHTTPD,
        CADDY,
        PYTHON,
        JWEBSERVER
    }

    private final Path files;
    private final int port;
    private final Runnable stop;

    private WebServer(Path files, int port, Runnable stop) {
        this.files = files;
        this.port = port;
        this.stop = stop;
    }

    /** Starts one; {@code gzip} lets it compress whatever a client takes compressed, where it can do that at all. */
    static WebServer start(Kind kind, Path home, boolean gzip) throws IOException {
        Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path files = Files.createDirectories(home.resolve("files"));
        if (kind == Kind.NGINX) {
            NginxServer nginx =
                    NginxServer.start(home, gzip ? "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;" : "");
            return new WebServer(files, nginx.port(), nginx::close);
        }
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        List<String> command = switch (kind) {
            case APACHE -> apache(home, port, gzip);
            case LIGHTTPD -> lighttpd(home, port);
            case CADDY -> caddy(home, port, gzip);
            case PYTHON ->
                List.of(
                        program("python3"),
                        "-m",
                        "http.server",
                        String.valueOf(port),
                        "--bind",
                        "127.0.0.1",
                        "--directory",
                        files.toString());
            default ->
                List.of(
                        jwebserver().orElseThrow().toString(),
                        "-p",
                        String.valueOf(port),
                        "-d",
                        files.toAbsolutePath().toString());
        };
        ProcessBuilder builder = new ProcessBuilder(command).directory(home.toFile());
        builder.environment().put("HOME", home.toString());
        builder.environment().put("XDG_DATA_HOME", home.toString());
        builder.environment().put("XDG_CONFIG_HOME", home.toString());
        Path output = home.resolve("output");
        Process process = builder.redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        awaitListening(process, port, output);
        return new WebServer(files, port, () -> end(process));
    }

    /** The web server of a JDK from 18 on: of the one that runs this, or of another one beside it. */
    static Optional<Path> jwebserver() throws IOException {
        Path home = Path.of(System.getProperty("java.home"));
        Path parent = Path.of("/usr/lib/jvm");
        try (Stream<Path> others = Files.isDirectory(parent) ? Files.list(parent) : Stream.empty()) {
            return Stream.concat(Stream.of(home), others.sorted())
                    .map(jdk -> jdk.resolve("bin/jwebserver"))
                    .filter(Files::isExecutable)
                    .findFirst();
        }
    }

    private static List<String> apache(Path home, int port, boolean gzip) throws IOException {
        String modules = "/usr/lib/apache2/modules/";
        Path configuration = Files.writeString(home.resolve("apache.conf"), """
                ServerRoot %1$s
                ServerName localhost
                Listen 127.0.0.1:%2$d
                PidFile %1$s/pid
                DefaultRuntimeDir %1$s
                ErrorLog %1$s/error.log
                LoadModule mpm_event_module %3$smod_mpm_event.so
                LoadModule authz_core_module %3$smod_authz_core.so
                LoadModule filter_module %3$smod_filter.so
                LoadModule deflate_module %3$smod_deflate.so
                DocumentRoot %1$s/files
                %4$s
                %5$s
                """.formatted(
                        home.toAbsolutePath(),
                        port,
                        modules,
                        gzip ? "SetOutputFilter DEFLATE" : "",
                        "root".equals(System.getProperty("user.name")) ? "User www-data\nGroup www-data" : ""));
        return List.of(program("apache2"), "-D", "FOREGROUND", "-f", configuration.toString());
    }

    private static List<String> lighttpd(Path home, int port) throws IOException {
        Path configuration =
                Files.writeString(home.resolve("lighttpd.conf"), """
                server.document-root = "%1$s/files"
                server.bind = "127.0.0.1"
                server.port = %2$d
                server.errorlog = "%1$s/error.log"
                server.upload-dirs = ( "%1$s" )
                mimetype.assign = ( "" => "application/octet-stream" )
                """.formatted(home.toAbsolutePath(), port));
        return List.of(program("lighttpd"), "-D", "-f", configuration.toString());
    }

    private static List<String> caddy(Path home, int port, boolean gzip) throws IOException {
        Path configuration = Files.writeString(
                home.resolve("Caddyfile"), """
                {
                    admin off
                    auto_https off
                }
                http://127.0.0.1:%d {
                    bind 127.0.0.1
                    root * %s/files
                    %s
                    file_server
                }
                """.formatted(port, home.toAbsolutePath(), gzip ? "encode gzip" : ""));
        return List.of(program("caddy"), "run", "--adapter", "caddyfile", "--config", configuration.toString());
    }

    private static String program(String name) {
        return RequiresProgram.Installed.find(name).orElseThrow().toString();
    }

    private static void awaitListening(Process process, int port, Path output) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (true) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
                return;
            } catch (IOException notYet) {
                if (waitFor(process, 50) || System.nanoTime() > deadline) {
                    end(process);
                    throw new IllegalStateException("does not start: " + Files.readString(output), notYet);
                }
            }
        }
    }

    private static void end(Process process) {
        process.destroy();
        if (!waitFor(process, TimeUnit.SECONDS.toMillis(PATIENCE_SECONDS))) {
            process.destroyForcibly();
        }
    }

    private static boolean waitFor(Process process, long millis) {
        try {
            return process.waitFor(millis, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            process.destroyForcibly();
            throw new IllegalStateException(e);
        }
    }

    int port() {
        return port;
    }

    /**
     * Writes a file, or puts another one in its place, and waits until the server knows: some remember for a second what
     * a file was. Of a file that has the length and the time of the one before, nobody can see that.
     */
    void put(String name, byte[] content, Instant modified) throws IOException {
        Path written = Files.write(files.resolveSibling("written"), content);
        Files.setPosixFilePermissions(written, PosixFilePermissions.fromString("rw-r--r--"));
        Files.setLastModifiedTime(written, FileTime.from(modified));
        Files.move(written, files.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        Awaitility.await()
                .atMost(Duration.ofSeconds(PATIENCE_SECONDS))
                .until(() -> isServing(name, content.length, modified));
    }

    private boolean isServing(String name, int size, Instant modified) throws IOException {
        HttpURLConnection answer = (HttpURLConnection)
                URI.create("http://127.0.0.1:" + port + "/" + name).toURL().openConnection();
        try {
            // Of nothing at all, some say no length.
            return (answer.getContentLengthLong() == size || size == 0)
                    && answer.getLastModified() == modified.toEpochMilli();
        } finally {
            answer.disconnect();
        }
    }

    /** Writes another content over that of a file: the same file with the same time, as far as its metadata shows. */
    void overwrite(String name, byte[] content) throws IOException {
        Path file = files.resolve(name);
        FileTime modified = Files.getLastModifiedTime(file);
        Files.write(file, content);
        Files.setLastModifiedTime(file, modified);
    }

    @Override
    public void close() {
        stop.run();
    }
}
