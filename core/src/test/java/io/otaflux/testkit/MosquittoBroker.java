package io.otaflux.testkit;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A real Mosquitto on a free loopback port, with its files in a temporary directory. What it knows (sessions, queued
 * messages) survives {@link #restart()}, and {@link #kill()} up to the last second.
 *
 * <p>Use it in tests with {@code @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")}, and close it.
 */
public final class MosquittoBroker implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Path directory;
    private final int port;
    private @Nullable Process process;

    private MosquittoBroker(Path directory, int port) {
        this.directory = directory;
        this.port = port;
    }

    /** Starts one that lets everybody in, without TLS. */
    public static MosquittoBroker start() {
        return configure().start();
    }

    /** Configures one that differs from the default. */
    public static Configuration configure() {
        return new Configuration();
    }

    /** The port on the loopback interface; the same one after a restart. */
    public int port() {
        return port;
    }

    /** What it said so far: connections, subscriptions, messages, errors. */
    public String log() {
        try {
            return Files.readString(directory.resolve("mosquitto.log"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends it in good order: it says goodbye to nobody, but saves what it knows. */
    public void stop() {
        end(false);
    }

    /** Ends it as a power cut would. */
    public void kill() {
        end(true);
    }

    /** Starts it again on the same port, with what it knew; stops it first where it runs. */
    public void restart() {
        stop();
        launch();
    }

    /** Starts it again on the same port, without any session or message that it knew. */
    public void forget() {
        stop();
        try {
            Files.deleteIfExists(directory.resolve("mosquitto.db"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        launch();
    }

    /** Lets its connections stand and answers nothing on them, until {@link #thaw()}. */
    public void freeze() {
        signal("STOP");
    }

    /** Goes on where it was frozen. */
    public void thaw() {
        signal("CONT");
    }

    @Override
    public void close() {
        end(true);
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void launch() {
        String program = RequiresProgram.Installed.find("mosquitto")
                .orElseThrow(() -> new IllegalStateException("mosquitto is not installed"))
                .toString();
        try {
            process = new ProcessBuilder(
                            program, "-c", directory.resolve("mosquitto.conf").toString())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(
                            directory.resolve("mosquitto.log").toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        await("mosquitto listens")
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(10))
                .until(this::listens);
    }

    private boolean listens() {
        if (process == null || !process.isAlive()) {
            throw new IllegalStateException("mosquitto ended at once: " + log());
        }
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 500);
            return true;
        } catch (IOException notYet) {
            return false;
        }
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
            if (!running.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                running.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            running.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    private void signal(String name) {
        Process running = process;
        if (running == null) {
            throw new IllegalStateException("mosquitto does not run");
        }
        run("kill", "-" + name, Long.toString(running.pid()));
    }

    private static void run(String... command) {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroyForcibly();
                throw new IllegalStateException(command[0] + " failed");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(command[0] + " was interrupted", e);
        }
    }

    /** What can be different about a broker. */
    public static final class Configuration {

        private final List<String> lines = new ArrayList<>();
        private final List<String[]> users = new ArrayList<>();

        private Configuration() {}

        /** Lets in only this user, and others that are named so. */
        public Configuration user(String name, String password) {
            users.add(new String[] {name, password});
            return this;
        }

        /** Speaks TLS with this certificate chain and key, both PEM files, and nothing else. */
        public Configuration tls(Path certificates, Path key) {
            return line("certfile " + certificates).line("keyfile " + key);
        }

        /** Any other line of {@code mosquitto.conf}. */
        public Configuration line(String line) {
            lines.add(line);
            return this;
        }

        public MosquittoBroker start() {
            try {
                Path directory = Files.createTempDirectory("mosquitto");
                int port = freePort();
                List<String> conf = new ArrayList<>(List.of(
                        "user " + System.getProperty("user.name"),
                        // Without it a QoS 1 exchange waits for Nagle's algorithm, about 10 ms each.
                        "set_tcp_nodelay true",
                        "persistence true",
                        "persistence_location " + directory + "/",
                        "autosave_interval 1",
                        "autosave_on_changes true",
                        "log_type all",
                        "listener " + port + " 127.0.0.1",
                        "allow_anonymous " + users.isEmpty()));
                Path passwords = directory.resolve("passwords");
                for (String[] user : users) {
                    List<String> command = new ArrayList<>(List.of("mosquitto_passwd", "-b"));
                    if (!Files.exists(passwords)) {
                        command.add("-c");
                    }
                    command.addAll(List.of(passwords.toString(), user[0], user[1]));
                    run(command.toArray(String[]::new));
                }
                if (!users.isEmpty()) {
                    conf.add("password_file " + passwords);
                }
                conf.addAll(lines);
                Files.write(directory.resolve("mosquitto.conf"), conf);
                MosquittoBroker broker = new MosquittoBroker(directory, port);
                broker.launch();
                return broker;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static int freePort() throws IOException {
            try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                return socket.getLocalPort();
            }
        }
    }
}
