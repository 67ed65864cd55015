package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** How processor time, memory and allocation grow with the size of the file: a fresh process with 32 MiB of heap for each. */
final class Growth implements Scenario {

    private static final long MEBI = 1 << 20;
    private static final double GIBI = 1 << 30;

    @Override
    public String name() {
        return "growth";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.OPENSSL);
    }

    @Override
    public void run(Bench bench) throws Exception {
        List<Long> mebibytes = bench.smoke() ? List.of(1L, 2L, 4L) : List.of(16L, 64L, 256L, 1024L, 4096L, 8192L);
        Path files = Files.createDirectories(bench.disk().resolve("files"));
        Map<Long, String> digests = makeFiles(files, mebibytes);
        Map<String, Long> sizes = new LinkedHashMap<>();
        Map<String, List<Sample>> samples;
        try (Nginx nginx = Nginx.start(bench.disk().resolve("nginx"), files)) {
            List<Contestant> contestants = new ArrayList<>();
            for (long size : mebibytes) {
                String name = size < 1024 ? size + " MiB" : size / 1024 + " GiB";
                sizes.put(name, size * MEBI);
                contestants.add(Contestant.java(
                        name,
                        List.of("-Xmx32m", "-XX:+UseSerialGC"),
                        OtaFluxDownload.class,
                        nginx.http(Long.toString(size)).toString(),
                        digests.getOrDefault(size, ""),
                        Long.toString(size * MEBI),
                        Files.createDirectories(bench.disk().resolve("to-" + size))
                                .toString()));
            }
            // Once a process: memory is asked for at its peak, which knows nothing of repetitions.
            samples = bench.race(contestants, 1);
        }
        tell(bench.report(), sizes, samples);
    }

    private static void tell(Report report, Map<String, Long> sizes, Map<String, List<Sample>> samples) {
        List<List<String>> rows = new ArrayList<>();
        Map<String, Double> memory = new LinkedHashMap<>();
        Map<String, Double> processor = new LinkedHashMap<>();
        samples.forEach((name, all) -> {
            double gibibytes = sizes.getOrDefault(name, 0L) / GIBI;
            double cpu = Sample.median(all, Sample::cpu);
            double rss = Sample.median(all, Sample::rss) / MEBI;
            memory.put(name, rss);
            processor.put(name, cpu);
            rows.add(List.of(
                    name,
                    number(Sample.median(all, Sample::wall)),
                    number(cpu),
                    number(cpu / gibibytes),
                    number(rss),
                    number(Sample.median(all, Sample::allocated) / MEBI),
                    Integer.toString(all.size())));
        });
        report.table(
                "A download by the size of the file",
                "plain http from nginx on loopback, sparse at the server, to a disk, synchronised; a fresh JVM each time "
                        + "(-Xmx32m, SerialGC), so that processor time and heap include what is loaded and compiled once",
                List.of("file", "wall s", "CPU s", "CPU s/GiB", "peak RSS MiB", "heap MiB", "samples"),
                rows);
        Line cpu = fit(sizes, samples, Sample::cpu);
        Line rss = fit(sizes, samples, sample -> sample.rss() / (double) MEBI);
        Line heap = fit(sizes, samples, sample -> sample.allocated() / (double) MEBI);
        report.table(
                "Fitted by least squares",
                "through the medians; what is there once, and what comes with each GiB",
                List.of("what", "once", "per GiB"),
                List.of(row("CPU s", cpu), row("peak RSS MiB", rss), row("heap MiB", heap)));
        double most = memory.values().stream().mapToDouble(v -> v).max().orElse(Double.NaN);
        double least = memory.values().stream().mapToDouble(v -> v).min().orElse(Double.NaN);
        report.target("peak memory over all sizes", "most / least", most / least, 1.10, true);
        report.target("peak memory over all sizes", "MiB", most, 110, true);
        report.target("allocation", "MiB per GiB", heap.slope(), 1, true);
        report.bars("Peak memory by size of the file", "MiB", memory);
        report.bars("Processor time by size of the file", "s", processor);
    }

    private static List<String> row(String what, Line line) {
        return List.of(what, number(line.intercept()), number(line.slope()));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    /** Nothing but holes: they cost the server no disk. @return what each hashes to */
    private static Map<Long, String> makeFiles(Path directory, List<Long> mebibytes) throws Exception {
        Map<Long, String> digests = new LinkedHashMap<>();
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] zeros = new byte[(int) MEBI];
        long hashed = 0;
        for (long size : mebibytes) {
            makeSparse(directory.resolve(Long.toString(size)), size * MEBI);
            for (; hashed < size; hashed++) {
                digest.update(zeros);
            }
            digests.put(size, HexFormat.of().formatHex(((MessageDigest) digest.clone()).digest()));
        }
        return digests;
    }

    private static void makeSparse(Path path, long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
    }

    /** {@code figure = intercept + slope · GiB}. */
    record Line(double intercept, double slope) {}

    static Line fit(Map<String, Long> sizes, Map<String, List<Sample>> samples, ToDoubleFunction<Sample> figure) {
        double n = samples.size();
        double sumX = 0;
        double sumY = 0;
        double sumXx = 0;
        double sumXy = 0;
        for (Map.Entry<String, List<Sample>> entry : samples.entrySet()) {
            double x = sizes.getOrDefault(entry.getKey(), 0L) / GIBI;
            double y = Sample.median(entry.getValue(), figure);
            sumX += x;
            sumY += y;
            sumXx += x * x;
            sumXy += x * y;
        }
        double slope = (n * sumXy - sumX * sumY) / (n * sumXx - sumX * sumX);
        return new Line((sumY - slope * sumX) / n, slope);
    }
}
