package io.otaflux.samples.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;

/** The command line as a script sees it: in this process where that is enough, in one of its own where signals matter. */
final class Cli {

    /** What a terminal is sent to empty the line that the cursor is at the beginning of. */
    static final String ERASE = "\u001b[K";

    private static final long PATIENCE_SECONDS = 60;

    private Cli() {}

    /** What a command left behind. */
    record Outcome(int exitCode, List<String> out, List<String> err) {

        String all() {
            return String.join("\n", out) + "\n" + String.join("\n", err);
        }
    }

    static Outcome run(Object... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        String[] words = strings(arguments);
        CommandLine commandLine = Commands.commandLine(words);
        commandLine.setOut(new PrintWriter(out, true)).setErr(new PrintWriter(err, true));
        int exitCode = commandLine.execute(words);
        return new Outcome(
                exitCode,
                out.toString().lines().toList(),
                err.toString().lines().toList());
    }

    /** As if the launcher had seen that the error output is a terminal. A line ends where the cursor goes back, too. */
    static Outcome runOnTerminal(Object... arguments) {
        System.setProperty(ProgressBar.TERMINAL, "true");
        try {
            return run(arguments);
        } finally {
            System.clearProperty(ProgressBar.TERMINAL);
        }
    }

    static Child start(Object... arguments) {
        return start(List.of(), arguments);
    }

    static Child startOnTerminal(Object... arguments) {
        return start(List.of("-D" + ProgressBar.TERMINAL + "=true"), arguments);
    }

    private static Child start(List<String> options, Object... arguments) {
        List<String> command = new ArrayList<>(List.of(
                // Whoever runs the tests in the background of a shell has them ignore Ctrl-C, and children inherit
                // that.
                "env",
                "--default-signal=INT",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx128m",
                "--enable-native-access=ALL-UNNAMED"));
        if (Runtime.version().feature() >= 23) {
            // As the launcher does.
            command.add("--sun-misc-unsafe-memory-access=allow");
        }
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Otaflux.class.getName()));
        command.addAll(List.of(strings(arguments)));
        try {
            return new Child(new ProcessBuilder(command).start());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String[] strings(Object... arguments) {
        return Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    }

    /** A command in a process of its own. */
    static final class Child implements AutoCloseable {

        private final Process process;
        private final List<String> out = Collections.synchronizedList(new ArrayList<>());
        private final List<String> err = Collections.synchronizedList(new ArrayList<>());
        private final List<Thread> readers;

        private Child(Process process) {
            this.process = process;
            this.readers = List.of(reader(process.getInputStream(), out), reader(process.getErrorStream(), err));
        }

        private static Thread reader(InputStream stream, List<String> lines) {
            Thread thread = new Thread(() -> {
                try (BufferedReader reader =
                        new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
                    reader.lines().forEach(lines::add);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            thread.setDaemon(true);
            thread.start();
            return thread;
        }

        List<String> out() {
            synchronized (out) {
                return List.copyOf(out);
            }
        }

        List<String> err() {
            synchronized (err) {
                return List.copyOf(err);
            }
        }

        boolean isAlive() {
            return process.isAlive();
        }

        void interrupt() {
            signal("INT");
        }

        void terminate() {
            signal("TERM");
        }

        void kill() {
            signal("KILL");
        }

        private void signal(String name) {
            try {
                new ProcessBuilder("sh", "-c", "kill -" + name + " " + process.pid())
                        .inheritIO()
                        .start()
                        .waitFor();
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        Outcome await() {
            try {
                if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                    throw new AssertionError("still running; it said: " + out + " " + err);
                }
                for (Thread reader : readers) {
                    reader.join();
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return new Outcome(process.exitValue(), List.copyOf(out), List.copyOf(err));
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }
}
