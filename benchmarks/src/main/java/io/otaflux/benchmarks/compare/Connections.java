package io.otaflux.benchmarks.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What an idle device costs: one with a connection of its own, and one behind a gateway. */
final class Connections implements Scenario {

    /** What a child adds to its sample. */
    static final String RSS = "RSS KiB each";

    static final String HEAP = "heap KiB each";
    static final String THREADS = "threads";

    /** As for a process that is idle most of the time: the collector gives back to the system what it does not need. */
    private static final List<String> OPTIONS =
            List.of("-Xmx256m", "-Xmn8m", "-XX:+UseSerialGC", "-XX:MinHeapFreeRatio=10", "-XX:MaxHeapFreeRatio=20");

    @Override
    public String name() {
        return "connections";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.MOSQUITTO);
    }

    @Override
    public void run(Bench bench) throws Exception {
        int scale = bench.smoke() ? 100 : 1;
        try (Mosquitto broker = Mosquitto.start(bench.disk());
                Topology platform = new Topology(broker.port())) {
            platform.open();
            List<Contestant> contestants = new ArrayList<>();
            for (int count : List.of(1_000, 5_000, 10_000)) {
                contestants.add(connections(OtaFluxConnections.class, "OtaFlux", broker, count / scale));
            }
            contestants.add(connections(PahoConnections.class, "Paho", broker, 200 / scale));
            contestants.add(subDevices(broker, 1_000 / scale));
            contestants.add(subDevices(broker, 10_000 / scale));
            Map<String, List<Sample>> samples = bench.race(contestants, 1);
            report(bench.report(), samples, scale);
        }
    }

    private static Contestant connections(Class<?> main, String name, Mosquitto broker, int count) {
        return Contestant.java(
                name + ", " + count + " connections",
                OPTIONS,
                main,
                Integer.toString(broker.port()),
                Integer.toString(count));
    }

    private static Contestant subDevices(Mosquitto broker, int count) {
        return Contestant.java(
                "OtaFlux, " + count + " sub-devices",
                OPTIONS,
                OtaFluxSubDevices.class,
                Integer.toString(broker.port()),
                Integer.toString(count));
    }

    private static void report(Report report, Map<String, List<Sample>> samples, int scale) {
        List<List<String>> rows = new ArrayList<>();
        Map<String, Double> each = new LinkedHashMap<>();
        samples.forEach((name, all) -> {
            each.put(name, median(samples, name, RSS));
            rows.add(List.of(
                    name,
                    Report.number(median(samples, name, RSS)),
                    Report.number(median(samples, name, HEAP)),
                    Report.number(median(samples, name, THREADS)),
                    Report.number(Sample.median(all, Sample::wall)),
                    Report.number(Sample.median(all, Sample::cpu)),
                    Integer.toString(all.size())));
        });
        report.table(
                "Idle connections, subscribed",
                "Mosquitto on loopback. What the process has more than with one of them, after a full collection, divided by"
                        + " their number. One JVM, " + String.join(" ", OPTIONS)
                        + ". Connections are made 64 at a time; a"
                        + " gateway logs in no more than the platform's 200 devices in a second.",
                List.of("contestant", RSS, HEAP, THREADS, "to connect s", "CPU s", "samples"),
                rows);
        String ours = "OtaFlux, " + 5_000 / scale + " connections";
        report.target("memory of a connection at 5,000", "KiB RSS", median(samples, ours, RSS), 17, true);
        report.target(
                "memory of a connection",
                "× Paho",
                median(samples, ours, RSS) / median(samples, "Paho, " + 200 / scale + " connections", RSS),
                1 / 25.0,
                true);
        report.target(
                "threads of 10,000 connections",
                "per processor",
                median(samples, "OtaFlux, " + 10_000 / scale + " connections", THREADS)
                        / Runtime.getRuntime().availableProcessors(),
                12,
                true,
                "all threads of Java, those of the JVM among them");
        report.bars("RSS of an idle device", "KiB", each);
    }

    private static double median(Map<String, List<Sample>> samples, String name, String figure) {
        return Sample.median(samples.getOrDefault(name, List.of()), sample -> sample.get(figure));
    }
}
