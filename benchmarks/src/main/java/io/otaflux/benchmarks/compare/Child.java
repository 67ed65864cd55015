package io.otaflux.benchmarks.compare;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;

/** A process of a contestant's. */
final class Child {

    private static final Duration PATIENCE = Duration.ofMinutes(10);
    private static final long LOOK_MILLIS = 100;
    private static final int LAST_WORDS = 30;

    private final String name;
    private final List<String> command;
    private final AtomicLong resident = new AtomicLong(-1);

    Child(String name, List<String> command) {
        this.name = name;
        this.command = command;
    }

    /** Runs it to its end and returns the lines of its output, or of its errors, that are wanted. */
    List<String> run(Predicate<String> wanted) throws IOException, InterruptedException {
        List<String> found = new ArrayList<>();
        Deque<String> last = new ArrayDeque<>();
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        Thread reader = new Thread(
                () -> {
                    try (BufferedReader lines = new BufferedReader(
                            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                            if (wanted.test(line)) {
                                found.add(line);
                            } else {
                                last.add(line);
                                if (last.size() > LAST_WORDS) {
                                    last.remove();
                                }
                            }
                        }
                    } catch (IOException e) {
                        last.add("its output cannot be read: " + e);
                    }
                },
                "output of " + name);
        reader.start();
        try {
            await(process);
            reader.join();
        } finally {
            endAll(process);
        }
        if (process.exitValue() != 0) {
            throw new IOException(
                    name + ": exit code " + process.exitValue() + System.lineSeparator() + String.join("\n", last));
        }
        return found;
    }

    /** The most memory that its children were seen to have together, in bytes; -1 when it had none for long enough. */
    long resident() {
        return resident.get();
    }

    private void await(Process process) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
            long now = process.descendants()
                    .mapToLong(child -> Math.max(0, Sample.residentAtMost(Long.toString(child.pid()))))
                    .sum();
            if (now > resident.get()) {
                resident.set(now);
            }
            if (System.nanoTime() > deadline) {
                throw new IOException(name + " has not ended after " + PATIENCE);
            }
        }
    }

    private static void endAll(Process process) {
        if (process.isAlive()) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
    }
}
