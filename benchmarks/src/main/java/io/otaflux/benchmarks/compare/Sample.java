package io.otaflux.benchmarks.compare;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/**
 * What one repetition took.
 *
 * @param wall seconds
 * @param cpu seconds of user and system time, of the process and of its children that have ended
 * @param rss the most memory that was resident since the process began, in bytes; -1 where that is not known
 * @param allocated bytes of heap that the threads that are alive at the end allocated; -1 where that is not known
 * @param more whatever else was measured, by name: letters, digits, spaces and {@code -_/.%}
 */
record Sample(double wall, double cpu, long rss, long allocated, Map<String, Double> more) {

    private static final String MARK = "sample ";

    Sample {
        more = Map.copyOf(more);
    }

    /** Does the work in this process and measures it. Processor time comes in steps of 10 ms. */
    static Sample of(ThrowingRunnable work) throws Exception {
        Map<Long, Long> allocatedBefore = allocatedByThread();
        double cpuBefore = cpuOfThisProcess();
        long begin = System.nanoTime();
        work.run();
        double wall = (System.nanoTime() - begin) / 1e9;
        double cpu = cpuOfThisProcess() - cpuBefore;
        long allocated = 0;
        for (Map.Entry<Long, Long> thread : allocatedByThread().entrySet()) {
            allocated += thread.getValue() - allocatedBefore.getOrDefault(thread.getKey(), 0L);
        }
        return new Sample(wall, cpu, residentAtMost("self"), allocated, Map.of());
    }

    /** The same with one more figure. */
    Sample with(String name, double value) {
        if (!name.matches("[A-Za-z0-9 _/.%-]+")) {
            throw new IllegalArgumentException("not a name for a figure: " + name);
        }
        Map<String, Double> all = new HashMap<>(more);
        all.put(name, value);
        return new Sample(wall, cpu, rss, allocated, all);
    }

    /** The figure of that name, or not a number. */
    double get(String name) {
        return more.getOrDefault(name, Double.NaN);
    }

    /**
     * What a contestant prints on its standard output. It is put together by hand so that a child loads no JSON library, which
     * would count as the contestant's memory.
     */
    String line() {
        String others = new TreeMap<>(more)
                .entrySet().stream()
                        // JSON has no word for what is not a number, and who looks for it gets just that.
                        .filter(figure -> Double.isFinite(figure.getValue()))
                        .map(figure -> "\"" + figure.getKey() + "\":" + figure.getValue())
                        .collect(Collectors.joining(","));
        return MARK + "{\"wall\":" + wall + ",\"cpu\":" + cpu + ",\"rss\":" + rss + ",\"allocated\":" + allocated
                + ",\"more\":{" + others + "}}";
    }

    /** The sample in a line of output, if there is one. */
    static Optional<Sample> parse(String line) {
        if (!line.startsWith(MARK)) {
            return Optional.empty();
        }
        try {
            return Optional.of(Json.MAPPER.readValue(line.substring(MARK.length()), Sample.class));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not a sample: " + line, e);
        }
    }

    /** The middle one of these, or the mean of the two in the middle; not a number when there are none. */
    static double median(List<Sample> samples, ToDoubleFunction<Sample> figure) {
        double[] sorted = samples.stream().mapToDouble(figure).sorted().toArray();
        int middle = sorted.length / 2;
        if (sorted.length == 0) {
            return Double.NaN;
        }
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /** The most memory that was resident in a process, in bytes; -1 where the system does not say, or it has ended. */
    static long residentAtMost(String process) {
        try {
            return Files.readAllLines(Path.of("/proc", process, "status")).stream()
                    .filter(line -> line.startsWith("VmHWM:"))
                    .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                    .findFirst()
                    .orElse(-1);
        } catch (IOException e) {
            return -1;
        }
    }

    private static double cpuOfThisProcess() throws IOException {
        // The second field is the name of the program in parentheses, which may contain anything.
        String status = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = status.substring(status.lastIndexOf(')') + 2).split(" ", -1);
        long ticks = 0;
        for (int i = 11; i <= 14; i++) {
            ticks += Long.parseLong(fields[i]);
        }
        // USER_HZ, which is 100 wherever Linux runs a JVM.
        return ticks / 100.0;
    }

    private static Map<Long, Long> allocatedByThread() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long[] ids = threads.getAllThreadIds();
        long[] bytes = threads.getThreadAllocatedBytes(ids);
        Map<Long, Long> all = new HashMap<>();
        for (int i = 0; i < ids.length; i++) {
            if (bytes[i] >= 0) {
                all.put(ids[i], bytes[i]);
            }
        }
        return all;
    }

    /** Apart from the rest, so that a child, which only prints, does not load it. */
    private static final class Json {

        static final ObjectMapper MAPPER = new ObjectMapper();
    }
}
