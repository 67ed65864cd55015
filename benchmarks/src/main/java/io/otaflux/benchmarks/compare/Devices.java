package io.otaflux.benchmarks.compare;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** How processor time and memory grow with the number of devices behind one client. */
final class Devices implements Scenario {

    private static final int SIZE = 16 << 10;

    @Override
    public String name() {
        return "devices";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.OPENSSL);
    }

    @Override
    public void run(Bench bench) throws Exception {
        List<Integer> numbers = bench.smoke() ? List.of(1, 10) : List.of(1, 10, 100, 1_000, 10_000);
        int most = numbers.get(numbers.size() - 1);
        Path files = Files.createDirectories(bench.memory().resolve("files"));
        ManySmallFiles.make(files.resolve("own"), most + 1, SIZE);
        try (Nginx nginx = Nginx.start(bench.memory().resolve("nginx"), files)) {
            List<Contestant> contestants = new ArrayList<>();
            for (int devices : numbers) {
                contestants.add(Contestant.java(
                        Integer.toString(devices),
                        List.of("-Xmx256m", "-XX:+UseSerialGC"),
                        DevicesOtaFlux.class,
                        nginx.http("own/").toString(),
                        files.resolve("own").toString(),
                        Integer.toString(SIZE),
                        bench.memory().toString(),
                        Integer.toString(devices)));
            }
            // The first time, which is dropped, has the classes loaded.
            report(bench.report(), bench.race(contestants, 3), most);
        }
    }

    private static void report(Report report, Map<String, List<Sample>> samples, int most) {
        List<List<String>> rows = new ArrayList<>();
        Map<String, Double> bars = new LinkedHashMap<>();
        samples.forEach((devices, all) -> {
            double cpu = Sample.median(all, Sample::cpu);
            rows.add(List.of(
                    devices,
                    "%.2f".formatted(cpu),
                    "%.0f".formatted(1e6 * cpu / Integer.parseInt(devices)),
                    "%.1f".formatted(Sample.median(all, Sample::rss) / (1 << 20)),
                    "%.0f"
                            .formatted(all.stream()
                                    .mapToDouble(sample -> sample.get(ManySmallFiles.LOST))
                                    .max()
                                    .orElse(Double.NaN))));
            bars.put(devices, Sample.median(all, Sample::rss) / (1 << 20));
        });
        Line cpu = Line.through(samples, Sample::cpu);
        Line rss = Line.through(samples, Sample::rss);
        report.table(
                "Devices behind one client",
                "two upgrades each, from the trigger to success: one of an artifact of " + (SIZE >> 10)
                        + " KiB that all share and one of an artifact of its own; -Xmx256m. Least squares: "
                        + "%.0f µs of processor time and %.0f bytes of peak memory for each device, over %.2f s and %.1f MiB"
                                .formatted(
                                        1e6 * cpu.slope(), rss.slope(), cpu.intercept(), rss.intercept() / (1 << 20)),
                List.of("devices", "CPU s", "CPU µs each", "peak RSS MiB", "not succeeded"),
                rows);
        report.bars("Peak memory by devices", "MiB", bars);
        String figure = "× that of " + most / 10;
        double large = perDevice(samples, most);
        double small = perDevice(samples, most / 10);
        report.target("growth with devices: CPU for each of " + most, figure, large / small, 1.1, true);
    }

    private static double perDevice(Map<String, List<Sample>> samples, int devices) {
        return Sample.median(samples.getOrDefault(Integer.toString(devices), List.of()), Sample::cpu) / devices;
    }

    /** The line with the least squares of what is missed, through the medians. */
    private record Line(double slope, double intercept) {

        static Line through(Map<String, List<Sample>> samples, ToDoubleFunction<Sample> figure) {
            double n = samples.size();
            double x = 0;
            double y = 0;
            double xx = 0;
            double xy = 0;
            for (Map.Entry<String, List<Sample>> point : samples.entrySet()) {
                double devices = Double.parseDouble(point.getKey());
                double value = Sample.median(point.getValue(), figure);
                x += devices;
                y += value;
                xx += devices * devices;
                xy += devices * value;
            }
            double slope = (n * xy - x * y) / (n * xx - x * x);
            return new Line(slope, (y - slope * x) / n);
        }
    }
}
