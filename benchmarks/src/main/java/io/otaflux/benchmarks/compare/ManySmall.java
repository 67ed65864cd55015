package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Many small files at once: each one a trigger, a request, a digest and a file of its own. */
final class ManySmall implements Scenario {

    private static final String OTAFLUX = "OtaFlux";
    private static final String SMALLER = "OtaFlux, -Xmx128m";
    private static final String NAIVE = "Reactor Netty, 256 at once";
    private static final String ALL = "Reactor Netty, all at once";
    private static final String JDK_FILE = "java.net.http ofFile";
    private static final String JDK_ARRAY = "java.net.http ofByteArray";
    private static final String WRK = "wrk";
    private static final String RATE = "per second";

    private static final int AT_ONCE = 256;

    /** The second half counts. Before, C2 costs the larger programs more than what they do. */
    private static final int REPETITIONS = 14;

    /** What a gateway runs with, and the same for all. */
    private static final List<String> HEAP = List.of("-Xmx512m", "-XX:+UseSerialGC");

    private static final List<String> SMALL_HEAP = List.of("-Xmx128m", "-XX:+UseSerialGC");

    private static final String NOTE =
            "OtaFlux has each trigger in its journal and each file synchronised, renamed and its"
                    + " directory synchronised, at the time that counts; on a tmpfs that is calls and no waiting. The peers create a"
                    + " file, write and close it, and would lose it with the power. Everybody has the serial collector, and"
                    + " 512 MiB of heap but where the name says less. nginx is not in the processor time.";

    @Override
    public String name() {
        return "small";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.OPENSSL, Program.WRK);
    }

    @Override
    public void run(Bench bench) throws Exception {
        Path files = Files.createDirectories(bench.memory().resolve("files"));
        int many = bench.smoke() ? 60 : 10_000;
        int few = bench.smoke() ? 10 : 1_000;
        ManySmallFiles.make(files.resolve("64k"), many, 64 << 10);
        ManySmallFiles.make(files.resolve("1m"), few, 1 << 20);
        try (Nginx nginx = Nginx.start(bench.memory().resolve("nginx"), files)) {
            Race kibibytes = new Race(nginx.http("64k/"), files.resolve("64k"), many, 64 << 10);
            Map<String, List<Sample>> memory = kibibytes.run(bench, bench.memory(), "on tmpfs");
            targets(bench.report(), memory, many);
            if (bench.smoke()) {
                // The same programs again.
                return;
            }
            kibibytes.run(bench, bench.disk(), "on disk");
            Race mebibytes = new Race(nginx.http("1m/"), files.resolve("1m"), few, 1 << 20);
            mebibytes.run(bench, bench.memory(), "on tmpfs");
            mebibytes.run(bench, bench.disk(), "on disk");
        }
    }

    private static void targets(Report report, Map<String, List<Sample>> samples, int count) {
        String what = count + " × 64 KiB, ";
        report.target(what + "lost", "artifacts", lost(samples, OTAFLUX), 0, true, "");
        report.target(
                what + "lost by all at once over the default pool",
                "share",
                lost(samples, ALL) / count,
                0.5,
                false,
                "a peer's, to show why triggers have a queue of their own");
        report.ratio(what + "CPU", samples, OTAFLUX, NAIVE, Sample::cpu, 0.5, true);
        report.ratio(what + "rate", samples, OTAFLUX, NAIVE, sample -> sample.get(RATE), 1.1, false);
        String jdk = rate(samples, JDK_FILE) > rate(samples, JDK_ARRAY) ? JDK_FILE : JDK_ARRAY;
        report.ratio(what + "rate", samples, OTAFLUX, jdk, sample -> sample.get(RATE), 2.7, false);
        report.ratio(what + "rate", samples, OTAFLUX, WRK, sample -> sample.get(RATE), 0.22, false);
    }

    private static double rate(Map<String, List<Sample>> samples, String name) {
        return Sample.median(samples.getOrDefault(name, List.of()), sample -> sample.get(RATE));
    }

    private static double lost(Map<String, List<Sample>> samples, String name) {
        return samples.getOrDefault(name, List.of()).stream()
                .mapToDouble(sample -> sample.get(ManySmallFiles.LOST))
                .max()
                .orElse(Double.NaN);
    }

    /** So many files of one size. */
    private record Race(URI base, Path files, int count, int size) {

        Map<String, List<Sample>> run(Bench bench, Path target, String where) throws Exception {
            List<Contestant> contestants = new ArrayList<>(List.of(
                    java(OTAFLUX, HEAP, ManySmallOtaFlux.class, target, AT_ONCE),
                    java(SMALLER, SMALL_HEAP, ManySmallOtaFlux.class, target, AT_ONCE),
                    java(NAIVE, HEAP, ManySmallReactorNetty.class, target, AT_ONCE),
                    java(ALL, HEAP, ManySmallReactorNetty.class, target, count),
                    java(JDK_FILE, HEAP, ManySmallJdk.class, target, AT_ONCE, "true"),
                    java(JDK_ARRAY, HEAP, ManySmallJdk.class, target, AT_ONCE, "false"),
                    wrk(bench.smoke())));
            Map<String, List<Sample>> samples = new LinkedHashMap<>(bench.race(contestants, REPETITIONS));
            samples.replaceAll((name, all) -> all.stream().map(this::rated).toList());
            String title = count + " files of " + (size >> 10) + " KiB, " + where;
            bench.report().race(title, NOTE, samples, NAIVE);
            Map<String, Double> rates = new LinkedHashMap<>();
            List<List<String>> rows = new ArrayList<>();
            samples.keySet().forEach(name -> {
                rates.put(name, rate(samples, name));
                rows.add(List.of(
                        name,
                        "%.0f".formatted(rate(samples, name)),
                        "%.3f".formatted(rate(samples, name) / rate(samples, WRK)),
                        WRK.equals(name) ? "" : "%.0f of %d".formatted(lost(samples, name), count)));
            });
            bench.report()
                    .table(
                            title + ", rates",
                            "what was lost does not count",
                            List.of("contestant", RATE, "× wrk", "lost at worst"),
                            rows);
            bench.report().bars(title, "files per second", rates);
            return samples;
        }

        private Contestant java(
                String name, List<String> options, Class<?> main, Path target, int atOnce, String... more) {
            List<String> args = new ArrayList<>(List.of(
                    base.toString(),
                    files.toString(),
                    Integer.toString(size),
                    target.toString(),
                    Integer.toString(atOnce)));
            args.addAll(List.of(more));
            return Contestant.java(name, options, main, args.toArray(String[]::new));
        }

        private Sample rated(Sample sample) {
            return Double.isNaN(sample.get(RATE))
                    ? sample.with(RATE, (count - sample.get(ManySmallFiles.LOST)) / sample.wall())
                    : sample;
        }

        /** What nginx and the loopback interface can do: one file, again and again, and the bytes thrown away. */
        private Contestant wrk(boolean smoke) {
            return new Contestant() {
                @Override
                public String name() {
                    return WRK;
                }

                @Override
                public List<Sample> round(int repetitions) throws Exception {
                    int seconds = smoke ? 1 : 5;
                    String mark = "Requests/sec:";
                    String line = new Child(
                                    WRK,
                                    List.of(
                                            Program.WRK.path().toString(),
                                            "-t1",
                                            "-c64",
                                            "-d" + seconds + "s",
                                            base.resolve("0").toString()))
                            .run(printed -> printed.startsWith(mark)).stream()
                                    .findFirst()
                                    .orElseThrow(() -> new IOException("wrk does not say how many"));
                    double rate =
                            Double.parseDouble(line.substring(mark.length()).strip());
                    return List.of(new Sample(count / rate, Double.NaN, -1, -1, Map.of(RATE, rate)));
                }
            };
        }
    }
}
