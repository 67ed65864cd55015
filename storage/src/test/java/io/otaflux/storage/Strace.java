package io.otaflux.storage;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assumptions;

/** The program strace, watching one thread: it counts what that asks of the system, and spoils one call. */
final class Strace implements AutoCloseable {

    /** All that changes a medium. Names of calls that this machine does not have are passed over. */
    private static final String CHANGES = List.of(
                    "openat",
                    "write",
                    "pwrite64",
                    "fsync",
                    "fdatasync",
                    "ftruncate",
                    "rename",
                    "renameat",
                    "renameat2",
                    "unlink",
                    "unlinkat",
                    "rmdir",
                    "link",
                    "linkat",
                    "symlink",
                    "symlinkat",
                    "mkdir",
                    "mkdirat")
            .stream()
            .map(call -> "?" + call)
            .collect(Collectors.joining(","));

    private static final Pattern CALL = Pattern.compile("^(?:\\d+ +)?([a-z0-9]+)\\(", Pattern.MULTILINE);

    private final Process process;

    private Strace(Process process) {
        this.process = process;
    }

    /** Counts the calls of {@code thread}. */
    static Strace counting(long thread, Path trace) throws IOException {
        return attach(thread, trace, List.of("-e", "trace=" + CHANGES));
    }

    /** Kills the process of {@code thread} when that calls {@code call} for the {@code nth} time, before it is done. */
    static Strace killing(long thread, Path trace, String call, int nth) throws IOException {
        return spoiling(thread, trace, call, "signal=KILL:when=" + nth);
    }

    /** Fails the {@code nth} time that {@code thread} calls {@code call}. */
    static Strace failing(long thread, Path trace, String call, String error, int nth) throws IOException {
        return spoiling(thread, trace, call, "error=" + error + ":when=" + nth);
    }

    private static Strace spoiling(long thread, Path trace, String call, String how) throws IOException {
        return attach(thread, trace, List.of("-e", "trace=" + call, "-e", "inject=" + call + ":" + how));
    }

    /** Skips the test, aloud, where nobody may watch a process. */
    private static Strace attach(long thread, Path trace, List<String> how) throws IOException {
        List<String> command = new ArrayList<>(List.of("strace", "-o", trace.toString()));
        command.addAll(how);
        command.addAll(List.of("-p", Long.toString(thread)));
        Process process = new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        BufferedReader says =
                new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8));
        String line = says.readLine();
        if (line == null || !line.endsWith(" attached")) {
            process.destroyForcibly().onExit().join();
            if (line != null && line.contains("Operation not permitted")) {
                System.err.println("SKIPPED: needs root to watch a thread: " + line);
                Assumptions.abort("needs root to watch a thread: " + line);
            }
            throw new IOException("strace says: " + line);
        }
        return new Strace(process);
    }

    /** How often each call is in {@code trace}. */
    static Map<String, Integer> counts(Path trace) throws IOException {
        Matcher calls = CALL.matcher(Files.readString(trace));
        return calls.results()
                .collect(Collectors.toMap(found -> found.group(1), found -> 1, Integer::sum, TreeMap::new));
    }

    /** Lets go of the thread, which runs on. The trace is complete afterwards. */
    void detach() {
        process.destroy();
        process.onExit().join();
    }

    @Override
    public void close() {
        detach();
    }
}
