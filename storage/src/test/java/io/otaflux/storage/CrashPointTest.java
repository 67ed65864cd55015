package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** A {@link WholeLife}, killed or failed at every single call that changes the medium. */
@Tag("faults")
@RequiresProgram(value = "strace", debianPackage = "strace")
class CrashPointTest {

    private static final Logger LOG = (Logger) LoggerFactory.getLogger(CrashPointTest.class.getPackageName());

    /** How many of the points of one call are tried, evenly spread, where there are more: by default all of them. */
    private static final int SAMPLE = Integer.getInteger("otaflux.faults.sample", 100);

    @TempDir
    Path directory;

    private final AtomicInteger lives = new AtomicInteger();

    @BeforeEach
    void quieten() {
        LOG.setLevel(Level.ERROR);
    }

    @AfterEach
    void tearDown() {
        LOG.setLevel(null);
    }

    private Path home() throws IOException {
        return Files.createDirectory(directory.resolve("life-" + lives.incrementAndGet()));
    }

    private Path trace() {
        return directory.resolve("trace-" + lives.incrementAndGet());
    }

    @Test
    void aKillAtAnyCallOfTheSystemLeavesWhatTheNextProcessCanGoOnWith() throws Exception {
        Path trace = trace();
        assertThat(live("counted", (thread, unused) -> Strace.counting(thread, trace)))
                .endsWith(StoreProcess.COMPLETE);
        Map<String, Integer> calls = Strace.counts(trace);
        List<Callable<Boolean>> points = new ArrayList<>();
        calls.forEach((call, count) -> {
            IntStream.concat(sample(count), IntStream.of(count + 1)).forEach(nth -> {
                points.add(() -> {
                    List<String> done = live(
                            "killed at " + call + " " + nth, (thread, file) -> Strace.killing(thread, file, call, nth));
                    assertThat(done.contains(StoreProcess.COMPLETE))
                            .as("came to its end though it was to be killed at %s %d of %d", call, nth, count)
                            .isEqualTo(nth > count);
                    return true;
                });
            });
        });
        long began = System.nanoTime();
        ExecutorService threads =
                Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        List<Throwable> bad = new ArrayList<>();
        try {
            for (Future<Boolean> point : threads.invokeAll(points)) {
                try {
                    point.get();
                } catch (ExecutionException e) {
                    bad.add(e.getCause());
                }
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(bad).as("states that the next process could not go on with").isEmpty();
        System.err.println("figure: crash points: " + (points.size() - calls.size()) + " of "
                + calls.values().stream().mapToInt(count -> count).sum() + " tried over " + calls + ", 0 bad states, "
                + (System.nanoTime() - began) / 1_000_000_000 + " s");
    }

    private static IntStream sample(int count) {
        int tries = Math.min(count, SAMPLE);
        return IntStream.range(0, tries).map(i -> 1 + i * count / tries);
    }

    /** Attaches to a thread. */
    private interface Attaching {
        Strace to(long thread, Path trace) throws IOException;
    }

    /**
     * One life in a process of its own, and a look at what is left of it.
     *
     * @return the steps that were done
     */
    private List<String> live(String how, Attaching attaching) throws IOException {
        Path home = home();
        List<String> done = new ArrayList<>();
        try (StoreProcess process = StoreProcess.living(home);
                Strace strace = attaching.to(Long.parseLong(process.line()), trace())) {
            process.go();
            for (String line = process.line(); !line.equals(StoreProcess.NOTHING_MORE); line = process.line()) {
                done.add(line);
            }
            strace.detach();
            WholeLife.check(home, done);
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(how + ", after " + done + ": " + e.getMessage(), e);
        }
        return done;
    }

    @Test
    void aCallThatFailsIsToldByItsTypeAndTheSameWorkSucceedsAfterwards() throws IOException {
        Path trace = trace();
        try (OneThreadDisk disk = new OneThreadDisk()) {
            try (Strace strace = Strace.counting(OneThreadDisk.threadId(), trace)) {
                new WholeLife(home(), disk).live(step -> {});
                strace.detach();
            }
            Map<String, Integer> calls = Strace.counts(trace);
            fail(disk, calls, "write", "ENOSPC", Reason.NO_SPACE);
            fail(disk, calls, "write", "EDQUOT", Reason.NO_SPACE);
            fail(disk, calls, "write", "EIO", Reason.IO_FAILED);
            fail(disk, calls, "fsync", "EIO", Reason.IO_FAILED);
            fail(disk, calls, "fsync", "ENOSPC", Reason.NO_SPACE);
            fail(disk, calls, "rename", "EIO", Reason.IO_FAILED);
            fail(disk, calls, "rename", "EACCES", Reason.IO_FAILED);
            fail(disk, calls, "openat", "ENOSPC", Reason.NO_SPACE);
            fail(disk, calls, "openat", "EROFS", Reason.IO_FAILED);
            fail(disk, calls, "unlink", "EIO", Reason.IO_FAILED);
            fail(disk, calls, "ftruncate", "EIO", Reason.IO_FAILED);
            fail(disk, calls, "mkdir", "ENOSPC", Reason.NO_SPACE);
            fail(disk, calls, "symlink", "ENOSPC", Reason.NO_SPACE);
            fail(disk, calls, "link", "EPERM", Reason.IO_FAILED);
        }
    }

    private void fail(OneThreadDisk disk, Map<String, Integer> calls, String call, String error, Reason expected)
            throws IOException {
        int count = calls.getOrDefault(call, 0);
        int told = 0;
        for (int nth : sample(count).toArray()) {
            told += liveThrough(disk, call, error, nth, expected);
        }
        System.err.println(
                "figure: " + error + " at " + call + ": " + sample(count).count() + " of " + count + " points, " + told
                        + " told as " + expected + ", the others without effect, 0 bad states");
    }

    /** @return how often a step failed */
    private int liveThrough(OneThreadDisk disk, String call, String error, int nth, Reason expected)
            throws IOException {
        Path home = home();
        WholeLife life = new WholeLife(home, disk);
        List<String> done = new ArrayList<>();
        int failures = 0;
        String where = error + " at " + call + " " + nth;
        Path trace = trace();
        try (Strace strace = Strace.failing(OneThreadDisk.threadId(), trace, call, error, nth)) {
            for (WholeLife.Step step : life.steps()) {
                try {
                    step.work().run();
                } catch (OtaException e) {
                    failures++;
                    assertThat(e).as(where + " in " + step.name()).isInstanceOf(StorageException.class);
                    assertThat(e.reason()).as(where + " in " + step.name()).isEqualTo(expected);
                    if (!call.equals("unlink")) {
                        assertThat(life.leftovers())
                                .as(where + " in " + step.name())
                                .isEmpty();
                    }
                    step.work().run();
                }
                done.add(step.name());
            }
            strace.detach();
            assertThat(trace).as(where).content().contains("(INJECTED)");
            WholeLife.check(home, done);
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(where + ", after " + done + ": " + e.getMessage(), e);
        }
        assertThat(failures).as(where).isLessThanOrEqualTo(1);
        return failures;
    }
}
