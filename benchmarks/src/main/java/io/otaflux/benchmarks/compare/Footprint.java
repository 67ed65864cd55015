package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** What this process has at the moment, without garbage. */
record Footprint(long resident, long heap, int threads) {

    static Footprint now() throws IOException {
        // Twice: what the first one finds unreachable may have had to be cleaned up.
        System.gc();
        System.gc();
        long resident = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                resident = 1024 * Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return new Footprint(
                resident,
                ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed(),
                ManagementFactory.getThreadMXBean().getThreadCount());
    }

    /** Makes the first of {@code count} things, then measures how the others are made and what is there more then. */
    static void print(int count, ThrowingRunnable first, ThrowingRunnable others) throws Exception {
        first.run();
        Footprint before = now();
        Sample made = Sample.of(others);
        Footprint after = now();
        double each = 1024.0 * Math.max(1, count - 1);
        System.out.println(made.with(Connections.RSS, (after.resident - before.resident) / each)
                .with(Connections.HEAP, (after.heap - before.heap) / each)
                .with(Connections.THREADS, after.threads)
                .line());
    }
}
