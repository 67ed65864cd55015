package io.otaflux.samples.gateway;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.awaitility.core.ConditionTimeoutException;

/** A {@link DeviceProgram}, or another program of the tests, that runs. */
final class DeviceProcess implements AutoCloseable {

    private final Process process;
    private final Path output;

    private DeviceProcess(Process process, Path output) {
        this.process = process;
        this.output = output;
    }

    static DeviceProcess start(Site site, long checkpointBytes, String... jvmOptions) {
        return start(site, DeviceProgram.class, List.of(jvmOptions), Long.toString(checkpointBytes));
    }

    /** Starts {@code program} with the broker's port, the site's directory, and {@code arguments}. */
    static DeviceProcess start(Site site, Class<?> program, List<String> jvmOptions, String... arguments) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(jvmOptions);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
        command.addAll(
                List.of(Integer.toString(site.broker().port()), site.home().toString()));
        command.addAll(List.of(arguments));
        try {
            Path output = Files.createTempFile(site.home(), "device", ".out");
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            return new DeviceProcess(process, output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String output() {
        try {
            return Files.readString(output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits until it has said so, and answers how many bytes are durable by then. */
    long awaitBytes(long bytes) {
        return awaitBytes(bytes, Gateway.PATIENCE);
    }

    long awaitBytes(long bytes, Duration patience) {
        try {
            return await("received " + bytes)
                    .atMost(patience)
                    .pollInterval(Duration.ofMillis(10))
                    .until(
                            () -> output().lines()
                                    .filter(line -> line.matches("received [0-9]+"))
                                    .mapToLong(line -> Long.parseLong(line.substring(9)))
                                    .max()
                                    .orElse(0),
                            received -> received >= bytes);
        } catch (ConditionTimeoutException e) {
            throw new AssertionError("it does not get to " + bytes + " bytes; it said: " + output(), e);
        }
    }

    /** Waits until it has said something that starts like that, and answers what. */
    String awaitLine(String start, Duration patience) {
        return await(start)
                .atMost(patience)
                .pollInterval(Duration.ofMillis(5))
                .until(
                        () -> {
                            boolean ended = !process.isAlive();
                            Optional<String> line = output().lines()
                                    .filter(said -> said.startsWith(start))
                                    .findFirst();
                            if (ended && line.isEmpty()) {
                                throw new AssertionError("it ended, and never said " + start + ": " + output());
                            }
                            return line;
                        },
                        Optional::isPresent)
                .orElseThrow();
    }

    /** Tells, after {@code time} at the latest, whether it has ended by itself. */
    boolean endsWithin(Duration time) {
        try {
            return process.waitFor(time.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Ends it as a power cut would. */
    void kill() {
        process.destroyForcibly();
        awaitExit(Gateway.PATIENCE);
    }

    /** Asks it to end, as a service manager does. */
    void terminate() {
        process.destroy();
    }

    int awaitExit(Duration patience) {
        try {
            if (!process.waitFor(patience.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError("it goes on after " + patience + ": " + output());
            }
            return process.exitValue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
