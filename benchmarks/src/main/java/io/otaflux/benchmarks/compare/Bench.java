package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Where a scenario runs: two directories, a number of rounds, and the report. */
final class Bench {

    /** More than any contestant writes at once. On a virtual machine the first touch of a page costs as much as hashing it. */
    private static final long PAGES = 1_100L << 20;

    private final boolean smoke;
    private final int rounds;
    private final Path disk;
    private final Path memory;
    private final Report report;

    Bench(boolean smoke, int rounds, Path disk, Path memory, Report report) {
        this.smoke = smoke;
        this.rounds = rounds;
        this.disk = disk;
        this.memory = memory;
        this.report = report;
    }

    /** Whether this is only to see that everything runs: inputs are tiny, and nothing is judged. */
    boolean smoke() {
        return smoke;
    }

    /** How often each contestant gets a fresh process. */
    int rounds() {
        return rounds;
    }

    /** An empty directory on a disk. */
    Path disk() {
        return disk;
    }

    /** An empty directory on a tmpfs, where there is one with room; otherwise on the disk. */
    Path memory() {
        return memory;
    }

    /** What {@link #memory()} is, for the title of a table. */
    String memoryName() {
        return memory.startsWith("/dev/shm") ? "tmpfs" : "the disk";
    }

    Report report() {
        return report;
    }

    /**
     * Lets each contestant run once, then each once more, and so on. One that fails is named in the report and is not in the
     * result.
     *
     * @param repetitions how often it is done in each round; once when this is a smoke run
     */
    Map<String, List<Sample>> race(List<Contestant> contestants, int repetitions) throws Exception {
        Map<String, List<Sample>> samples = new LinkedHashMap<>();
        for (Contestant contestant : contestants) {
            if (samples.put(contestant.name(), new ArrayList<>()) != null) {
                throw new IllegalArgumentException("two contestants are called " + contestant.name());
            }
        }
        Set<String> failed = new HashSet<>();
        for (int round = 1; round <= rounds; round++) {
            for (Contestant contestant : contestants) {
                String name = contestant.name();
                if (failed.contains(name)) {
                    continue;
                }
                touchPages();
                long begin = System.nanoTime();
                try {
                    List<Sample> now = contestant.round(smoke ? 1 : repetitions);
                    samples.computeIfAbsent(name, absent -> new ArrayList<>()).addAll(now);
                    report.progress("%d/%d %s: wall %.3f s, CPU %.3f s"
                            .formatted(
                                    round,
                                    rounds,
                                    name,
                                    Sample.median(now, Sample::wall),
                                    Sample.median(now, Sample::cpu)));
                } catch (IOException e) {
                    failed.add(name);
                    samples.remove(name);
                    report.failed(name, "after " + (System.nanoTime() - begin) / 1_000_000 + " ms: " + e.getMessage());
                }
            }
        }
        report.samples(samples);
        return samples;
    }

    private void touchPages() throws IOException {
        if (smoke) {
            return;
        }
        Path file = memory.resolve("pages");
        ByteBuffer zeros = ByteBuffer.allocateDirect(1 << 20);
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            for (long written = 0; written < PAGES; written += zeros.capacity()) {
                channel.write(zeros.rewind());
            }
        } finally {
            Files.deleteIfExists(file);
        }
    }
}
