package io.otaflux.benchmarks.compare;

import io.otaflux.benchmarks.CpuProfiler;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * The pairs among the JMH benchmarks that a promise was made about, each in a process of its own and in turns: what {@code
 * Hasher} adds to a bare digest, what callbacks add to the calls that they stand for, what an upgrade takes from the heap, and
 * what each further one who waits for the same content costs.
 */
final class Micro implements Scenario {

    @Override
    public String name() {
        return "micro";
    }

    @Override
    public void run(Bench bench) throws Exception {
        Races races = new Races(bench);
        List<String> algorithms = List.of("SHA-256", "MD5");
        List<String> buffers = bench.smoke() ? List.of("65536") : List.of("65536", "1048576");
        List<String> upgrades = bench.smoke() ? List.of("65536") : List.of("65536", "8388608");
        List<String> joiners = bench.smoke() ? List.of("1", "10") : List.of("1", "10", "100", "1000");
        String large = bench.smoke() ? "1" : "64";
        for (int round = 0; round < bench.rounds(); round++) {
            for (String benchmark : List.of("HasherBenchmark.bareDigest", "HasherBenchmark.hasher")) {
                races.run(benchmark, Map.of("algorithm", algorithms, "memory", List.of("direct"), "size", buffers));
            }
            for (String size : upgrades) {
                for (String benchmark : List.of("CallbackBenchmark.calls", "CallbackBenchmark.callbacks")) {
                    races.run(benchmark, Map.of("size", List.of(size)));
                }
            }
            races.run("PipelineBenchmark.pushed", Map.of("mebibytes", List.of(large)));
            races.run("JoinBenchmark.join", Map.of("joiners", joiners));
        }
        Report report = bench.report();
        hashers(report, races, algorithms, buffers);
        callbacks(report, races, upgrades);
        heap(report, races, large);
        joiners(report, races, joiners);
    }

    private static void hashers(Report report, Races races, List<String> algorithms, List<String> sizes) {
        List<List<String>> rows = new ArrayList<>();
        for (String algorithm : algorithms) {
            for (String size : sizes) {
                Map<String, String> params = Map.of("algorithm", algorithm, "memory", "direct", "size", size);
                double bare = races.median("HasherBenchmark.bareDigest", params, CpuProfiler.CPU);
                double hasher = races.median("HasherBenchmark.hasher", params, CpuProfiler.CPU);
                rows.add(List.of(algorithm, size, number(bare), number(hasher), number(hasher / bare)));
            }
        }
        report.table(
                "The hash operator against a bare MessageDigest",
                "processor time per direct buffer, digest included; medians",
                List.of("algorithm", "bytes", "bare µs", "Hasher µs", "ratio"),
                rows);
    }

    private static void callbacks(Report report, Races races, List<String> sizes) {
        List<List<String>> rows = new ArrayList<>();
        Map<String, Double> ratios = new LinkedHashMap<>();
        for (String size : sizes) {
            Map<String, String> params = Map.of("size", size);
            double calls = races.median("CallbackBenchmark.calls", params, CpuProfiler.CPU);
            double callbacks = races.median("CallbackBenchmark.callbacks", params, CpuProfiler.CPU);
            ratios.put(size, callbacks / calls);
            rows.add(List.of(
                    size, number(calls), number(callbacks), number(callbacks - calls), number(callbacks / calls)));
        }
        report.table(
                "The callbacks against the reactive calls that do the same",
                "processor time per upgrade on a tmpfs, where synchronising costs nothing; bytes from memory, so that there "
                        + "is no network either; medians",
                List.of("bytes", "calls µs", "callbacks µs", "added µs", "ratio"),
                rows);
        ratios.forEach((size, ratio) -> report.target(
                "callbacks, an upgrade of " + size + " bytes",
                "× CPU of the calls",
                ratio,
                1.02,
                true,
                "they add the same whatever the size: a change of threads before each callback"));
    }

    private static void heap(Report report, Races races, String mebibytes) {
        Map<String, String> params = Map.of("mebibytes", mebibytes);
        double allocated = races.median("PipelineBenchmark.pushed", params, "allocatedBytes");
        double upgraded = races.median("PipelineBenchmark.pushed", params, "upgradedMebibytes");
        report.table(
                "A pushed upgrade",
                "bytes from memory to a tmpfs; what an upgrade takes from the heap once is in it, some 45 KiB",
                List.of("MiB", "heap KiB per MiB"),
                List.of(List.of(mebibytes, number(allocated / upgraded / 1024))));
    }

    private static void joiners(Report report, Races races, List<String> joiners) {
        List<List<String>> rows = new ArrayList<>();
        for (String count : joiners) {
            double all = races.median("JoinBenchmark.join", Map.of("joiners", count), CpuProfiler.CPU);
            rows.add(List.of(count, number(all), number(all / Integer.parseInt(count))));
        }
        report.table(
                "One transfer of 64 KiB, and those who wait for it",
                "processor time; medians",
                List.of("who wait", "all µs", "each µs"),
                rows);
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    /** What came of each benchmark with each set of parameters, round by round. */
    private static final class Races {

        private final Bench bench;
        private final Map<String, Map<String, List<Double>>> figures = new LinkedHashMap<>();

        Races(Bench bench) {
            this.bench = bench;
            // Whoever else uses JMH here: that the machine is not idle shows in the load average.
            System.setProperty("jmh.ignoreLock", "true");
        }

        /** Every combination of the parameters, each in a process of its own. */
        void run(String benchmark, Map<String, List<String>> params) throws RunnerException {
            ChainedOptionsBuilder options = new OptionsBuilder()
                    .include("\\." + benchmark.replace(".", "\\.") + "$")
                    .forks(1)
                    .addProfiler(CpuProfiler.class)
                    .jvmArgs(
                            "-Xmx256m",
                            "-XX:+UseSerialGC",
                            "-Djava.io.tmpdir=" + bench.memory(),
                            "-Djmh.ignoreLock=true")
                    .shouldFailOnError(true)
                    .verbosity(VerboseMode.SILENT);
            params.forEach((name, values) -> options.param(name, values.toArray(String[]::new)));
            if (benchmark.startsWith("CallbackBenchmark")) {
                // What is still being compiled costs more than what is looked for.
                options.warmupIterations(10).warmupTime(TimeValue.seconds(4));
            }
            if (bench.smoke()) {
                // One process to see that processes can be started; the others would take longer than what they show.
                options.forks(benchmark.equals("HasherBenchmark.hasher") ? 1 : 0)
                        .warmupIterations(0)
                        .measurementIterations(1)
                        .measurementTime(TimeValue.milliseconds(1));
            }
            for (RunResult result : new Runner(options.build()).run()) {
                Map<String, String> chosen = new LinkedHashMap<>();
                params.keySet()
                        .forEach(name -> chosen.put(name, result.getParams().getParam(name)));
                Map<String, List<Double>> all =
                        figures.computeIfAbsent(key(benchmark, chosen), absent -> new LinkedHashMap<>());
                for (Result<?> figure : result.getSecondaryResults().values()) {
                    all.computeIfAbsent(figure.getLabel(), absent -> new ArrayList<>())
                            .add(figure.getScore());
                }
                bench.report().progress(key(benchmark, chosen) + ": " + all);
            }
        }

        double median(String benchmark, Map<String, String> params, String figure) {
            List<Sample> samples =
                    figures.getOrDefault(key(benchmark, params), Map.of()).getOrDefault(figure, List.of()).stream()
                            .map(value -> new Sample(0, 0, -1, -1, Map.of(figure, value)))
                            .toList();
            return Sample.median(samples, sample -> sample.get(figure));
        }

        private static String key(String benchmark, Map<String, String> params) {
            return Stream.concat(
                            Stream.of(benchmark),
                            params.entrySet().stream()
                                    .sorted(Map.Entry.comparingByKey())
                                    .map(Object::toString))
                    .reduce((one, other) -> one + " " + other)
                    .orElseThrow();
        }
    }
}
