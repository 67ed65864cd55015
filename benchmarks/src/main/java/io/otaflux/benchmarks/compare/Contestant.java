package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One way to do it, measured in processes of its own. */
interface Contestant {

    String name();

    /**
     * Does it in a fresh process.
     *
     * @return one sample of each repetition that counts
     * @throws IOException when it fails, with the last of what it said
     */
    List<Sample> round(int repetitions) throws Exception;

    /** What a contestant does in {@link #round}. */
    @FunctionalInterface
    interface Round {

        List<Sample> of(int repetitions) throws Exception;
    }

    static Contestant of(String name, Round round) {
        return new Contestant() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public List<Sample> round(int repetitions) throws Exception {
                return round.of(repetitions);
            }
        };
    }

    /** The same contestant, slow enough that it need not be repeated more often than that in one process. */
    default Contestant atMost(int repetitions) {
        return of(name(), wanted -> round(Math.min(wanted, repetitions)));
    }

    /**
     * A script for bash, run with {@code -euo pipefail}. Each repetition is another process, and all of them count. Wall and
     * processor time are what bash says of the script and its children; memory is the most that they had together, as seen
     * ten times a second.
     */
    static Contestant shell(String name, String bashScript) {
        return of(name, repetitions -> {
            List<Sample> samples = new ArrayList<>();
            for (int i = 0; i < repetitions; i++) {
                Child child = new Child(
                        name,
                        List.of(
                                "bash",
                                "-c",
                                "TIMEFORMAT='time %R %U %S'; time (set -euo pipefail; eval \"$1\")",
                                "bash",
                                bashScript));
                String[] time =
                        child.run(line -> line.startsWith("time ")).get(0).split(" ", -1);
                samples.add(new Sample(
                        Double.parseDouble(time[1]),
                        Double.parseDouble(time[2]) + Double.parseDouble(time[3]),
                        child.resident(),
                        -1,
                        Map.of()));
            }
            return samples;
        });
    }

    /**
     * A class of this jar with a {@code main} that uses {@link Repetitions}. All repetitions are in one process. The first
     * half of them warms up and is dropped, of five the first two.
     */
    static Contestant java(String name, List<String> jvmOptions, Class<?> main, String... args) {
        return of(name, repetitions -> {
            List<String> command = new ArrayList<>();
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.add("--enable-native-access=ALL-UNNAMED");
            if (Runtime.version().feature() >= 23) {
                command.add("--sun-misc-unsafe-memory-access=allow");
            }
            command.add("-D" + Repetitions.COUNT + "=" + repetitions);
            command.add("-D" + Repetitions.SMOKE + "=" + Repetitions.smoke());
            command.addAll(jvmOptions);
            if (Repetitions.smoke()) {
                // Half the time to start; the rest would be slower than anybody wants to measure.
                command.add("-XX:TieredStopAtLevel=1");
            }
            command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
            command.addAll(List.of(args));
            List<Sample> samples = new Child(name, command)
                    .run(line -> Sample.parse(line).isPresent()).stream()
                            .flatMap(line -> Sample.parse(line).stream())
                            .toList();
            if (samples.size() != repetitions) {
                throw new IOException(
                        name + " has printed " + samples.size() + " samples (expected: " + repetitions + ")");
            }
            return samples.subList(repetitions / 2, repetitions);
        });
    }
}
