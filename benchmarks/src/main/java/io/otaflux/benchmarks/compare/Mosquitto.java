package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A Mosquitto on a free loopback port that lets everybody in and forgets nothing while it runs. Its limits are its
 * defaults where a scenario does not say otherwise, but for that of queued messages, which would drop what is measured.
 */
final class Mosquitto implements AutoCloseable {

    private final Process process;
    private final int port;

    private Mosquitto(Process process, int port) {
        this.process = process;
        this.port = port;
    }

    /** @param more lines of its configuration */
    static Mosquitto start(Path directory, String... more) throws IOException, InterruptedException {
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        Path configuration = Files.createTempFile(directory, "mosquitto", ".conf");
        Files.write(
                configuration,
                List.of(
                        "user " + System.getProperty("user.name"),
                        "listener " + port + " 127.0.0.1",
                        "allow_anonymous true",
                        // Otherwise half of what is measured is Nagle's algorithm.
                        "set_tcp_nodelay true",
                        "max_queued_messages 0",
                        "log_type error",
                        String.join("\n", more)));
        Path log = directory.resolve("mosquitto.log");
        // A process may open more files than the shell that began it let it.
        Process process = new ProcessBuilder(
                        "bash", "-c", "ulimit -n $(ulimit -Hn); exec mosquitto -c \"$0\"", configuration.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
        Mosquitto broker = new Mosquitto(process, port);
        for (int i = 0; !broker.listens(); i++) {
            if (i == 500 || !process.isAlive()) {
                broker.close();
                throw new IOException("mosquitto does not listen: " + Files.readString(log));
            }
            process.waitFor(20, TimeUnit.MILLISECONDS);
        }
        return broker;
    }

    private boolean listens() {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 500);
            return true;
        } catch (IOException notYet) {
            return false;
        }
    }

    int port() {
        return port;
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
