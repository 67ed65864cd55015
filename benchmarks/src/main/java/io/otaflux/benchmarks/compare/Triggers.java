package io.otaflux.benchmarks.compare;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** How soon a gateway that was away has taken on the upgrades that were pushed meanwhile. */
final class Triggers implements Scenario {

    private static final String OTAFLUX = "OtaFlux";
    private static final String MOSQUITTO_SUB = "mosquitto_sub";
    private static final String PAHO = "Paho";

    /** What a broker of gateways with thousands of devices is set to, and Mosquitto's default. */
    private static final int IN_FLIGHT = 1_000;

    private static final int DEFAULT_IN_FLIGHT = 20;

    /** Enough for the compilers to have done with the first ones. */
    private static final int REPETITIONS = 16;

    private static final List<String> OPTIONS = List.of("-Xms1g", "-Xmx1g", "-Xmn512m", "-XX:+UseSerialGC");

    private int rounds;

    @Override
    public String name() {
        return "triggers";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.MOSQUITTO, Program.MOSQUITTO_SUB);
    }

    @Override
    public void run(Bench bench) throws Exception {
        int count = bench.smoke() ? 500 : 50_000;
        // Neither suits everybody: with few in flight a journal waits, and with many Mosquitto searches.
        for (int inFlight : bench.smoke() ? List.of(IN_FLIGHT) : List.of(IN_FLIGHT, DEFAULT_IN_FLIGHT)) {
            Map<String, Double> rates = race(bench, count, inFlight);
            String what = "triggers per second, " + inFlight + " in flight";
            Report report = bench.report();
            report.target(what, "× mosquitto_sub", ratio(rates, MOSQUITTO_SUB), 1.0, false);
            report.target(what, "× Paho with Jackson", ratio(rates, PAHO), 3.0, false);
            report.bars("Triggers per second, " + inFlight + " in flight", "1/s", rates);
        }
    }

    private Map<String, Double> race(Bench bench, int count, int inFlight) throws Exception {
        try (Mosquitto broker = Mosquitto.start(bench.disk(), "max_inflight_messages " + inFlight)) {
            Map<String, List<Sample>> samples = bench.race(
                    List.of(
                            draining(
                                    OTAFLUX,
                                    broker.port(),
                                    count,
                                    sessions -> ours(broker, count, bench.disk(), sessions)),
                            draining(MOSQUITTO_SUB, broker.port(), count, sessions -> theirs(broker, count, sessions)),
                            draining(PAHO, broker.port(), count, sessions -> paho(broker, count, sessions))),
                    REPETITIONS);
            bench.report()
                    .race(
                            count + " pushes of QoS 1 that wait in a session, " + inFlight + " in flight",
                            "Mosquitto on loopback, max_inflight_messages " + inFlight
                                    + (inFlight == DEFAULT_IN_FLIGHT
                                            ? ", its default, with which whoever makes durable what he acknowledges waits "
                                                    + count / inFlight + " times for the medium. "
                                            : ". ")
                                    + "Pushes of about 470 bytes for " + count / 10
                                    + " devices behind one gateway. OtaFlux receives, parses, judges, deduplicates, journals"
                                    + " with fsync and then acknowledges; Paho (v3, asynchronous) with Jackson receives,"
                                    + " parses, deduplicates and acknowledges; mosquitto_sub receives, acknowledges and"
                                    + " prints to /dev/null. JVMs: " + String.join(" ", OPTIONS)
                                    + ", and a full collection between the repetitions.",
                            samples,
                            MOSQUITTO_SUB);
            Map<String, Double> rates = new LinkedHashMap<>();
            samples.forEach((name, all) -> rates.put(name, count / Sample.median(all, Sample::wall)));
            return rates;
        }
    }

    private static double ratio(Map<String, Double> rates, String other) {
        return rates.getOrDefault(OTAFLUX, Double.NaN) / rates.getOrDefault(other, Double.NaN);
    }

    private interface Drain {
        Contestant of(List<String> sessions);
    }

    /** Every repetition has a session of its own, which is filled before the process begins. */
    private Contestant draining(String name, int port, int count, Drain drain) {
        return Contestant.of(name, repetitions -> {
            String round = name + "-" + ++rounds + "-";
            List<String> sessions =
                    IntStream.range(0, repetitions).mapToObj(i -> round + i).toList();
            Pushes.queue(port, count, sessions);
            return drain.of(sessions).round(repetitions);
        });
    }

    private static Contestant ours(Mosquitto broker, int count, Path disk, List<String> sessions) {
        List<String> arguments =
                new ArrayList<>(List.of(Integer.toString(broker.port()), Integer.toString(count), disk.toString()));
        arguments.addAll(sessions);
        return Contestant.java(OTAFLUX, OPTIONS, OtaFluxTriggers.class, arguments.toArray(String[]::new));
    }

    private static Contestant paho(Mosquitto broker, int count, List<String> sessions) {
        List<String> arguments = new ArrayList<>(List.of(Integer.toString(broker.port()), Integer.toString(count)));
        arguments.addAll(sessions);
        return Contestant.java(PAHO, OPTIONS, PahoTriggers.class, arguments.toArray(String[]::new));
    }

    /** Each repetition is a process of its own. */
    private static Contestant theirs(Mosquitto broker, int count, List<String> sessions) {
        return Contestant.of(MOSQUITTO_SUB, repetitions -> {
            List<Sample> samples = new ArrayList<>();
            for (String session : sessions) {
                samples.addAll(Contestant.shell(
                                MOSQUITTO_SUB,
                                "mosquitto_sub -h 127.0.0.1 -p %d -c -i '%s' -q 1 -t '%s' -C %d >/dev/null"
                                        .formatted(
                                                broker.port(), Pushes.clientIdentifier(session), Pushes.FILTER, count))
                        .round(1));
            }
            return samples;
        });
    }
}
