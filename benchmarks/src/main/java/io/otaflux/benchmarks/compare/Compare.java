package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The command {@code benchmarks/compare}. */
public final class Compare {

    private static final long ROOM = 5L << 30;

    private static final List<Scenario> SCENARIOS = List.of(
            // One a line.
            new Download(),
            new Paced(),
            new ManySmall(),
            new Devices(),
            new Triggers(),
            new Connections(),
            new Growth(),
            new Micro(),
            new Start());

    private final List<Scenario> scenarios;
    private final boolean smoke;
    private final int rounds;
    private final Path out;
    private final boolean requirePrograms;

    /** @param requirePrograms whether it is a failure when a scenario is left out because a program is missing */
    Compare(List<Scenario> scenarios, boolean smoke, int rounds, Path out, boolean requirePrograms) {
        this.scenarios = scenarios;
        this.smoke = smoke;
        this.rounds = smoke ? 1 : rounds;
        this.out = out;
        this.requirePrograms = requirePrograms;
    }

    public static void main(String[] args) throws Exception {
        List<Scenario> chosen = new ArrayList<>();
        boolean smoke = false;
        int rounds = 3;
        Path out = Path.of(System.getProperty("otaflux.compare.out", "compare"));
        try {
            for (int i = 0; i < args.length; i++) {
                switch (args[i]) {
                    case "--smoke" -> smoke = true;
                    case "--rounds" -> rounds = Integer.parseInt(argument(args, ++i));
                    case "--out" -> out = Path.of(argument(args, ++i));
                    case "-h", "--help" -> {
                        System.out.println(usage());
                        return;
                    }
                    default -> chosen.add(scenario(args[i]));
                }
            }
            if (rounds < 1) {
                throw new IllegalArgumentException("--rounds " + rounds + " (expected: 1 or more)");
            }
        } catch (IllegalArgumentException e) {
            System.err.println("compare: " + e.getMessage());
            System.err.println(usage());
            System.exit(2);
        }
        System.setProperty(Repetitions.SMOKE, Boolean.toString(smoke));
        boolean requirePrograms = Boolean.parseBoolean(System.getenv("OTAFLUX_REQUIRE_PROGRAMS"));
        Compare compare = new Compare(chosen.isEmpty() ? SCENARIOS : chosen, smoke, rounds, out, requirePrograms);
        boolean fine = compare.run();
        System.out.print(Files.readString(out.resolve("report.md")));
        System.err.println("compare: the report is " + out.resolve("report.md"));
        System.exit(fine ? 0 : 1);
    }

    private static String argument(String[] args, int index) {
        if (index == args.length) {
            throw new IllegalArgumentException(args[index - 1] + " has no value");
        }
        return args[index];
    }

    private static Scenario scenario(String name) {
        return SCENARIOS.stream()
                .filter(scenario -> scenario.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("there is no scenario " + name));
    }

    private static String usage() {
        return "usage: benchmarks/compare [SCENARIO…] [--smoke] [--rounds N] [--out DIR]; scenarios: "
                + String.join(", ", SCENARIOS.stream().map(Scenario::name).toList());
    }

    /** Whether every contestant of every scenario has run. */
    boolean run() throws IOException {
        Map<String, String> machine = Machine.describe(System.getProperty("otaflux.compare.commit", "unknown"));
        Report report = new Report(smoke, machine);
        Files.createDirectories(out);
        Path disk = Files.createTempDirectory(out.toAbsolutePath(), "disk");
        Path memory = memory();
        // Also when somebody breaks it off: what is in memory would stay there until the machine stops.
        Thread last = new Thread(() -> deleteAtLast(List.of(disk, memory)), "last");
        Runtime.getRuntime().addShutdownHook(last);
        for (Scenario scenario : scenarios) {
            run(scenario, report, disk, memory);
        }
        delete(List.of(disk, memory));
        machine.put("load average at the end", Machine.load());
        report.write(out);
        return !report.hasFailures();
    }

    private void run(Scenario scenario, Report report, Path disk, Path memory) {
        report.begin(scenario.name());
        List<String> missing = scenario.programs().stream()
                .filter(program -> program.find().isEmpty())
                .map(Program::missing)
                .toList();
        if (!missing.isEmpty()) {
            String reason = "left out: " + String.join("; ", missing);
            if (requirePrograms) {
                report.failed("all", reason);
            } else {
                report.leftOut(reason);
            }
            return;
        }
        Path ownDisk = disk.resolve(scenario.name());
        Path ownMemory = memory.resolve(scenario.name());
        try {
            Files.createDirectories(ownDisk);
            Files.createDirectories(ownMemory);
            scenario.run(new Bench(smoke, rounds, ownDisk, ownMemory, report));
        } catch (Exception e) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            report.failed("all", trace.toString());
            if (e instanceof InterruptedException) {
                Thread.currentThread().interrupt();
            }
        }
        try {
            delete(List.of(ownDisk, ownMemory));
        } catch (IOException e) {
            // It takes room from the next one.
            report.failed("clean-up", e.toString());
        }
    }

    private Path memory() throws IOException {
        Path shared = Path.of("/dev/shm");
        if (Files.isWritable(shared) && (smoke || Files.getFileStore(shared).getUsableSpace() > ROOM)) {
            return Files.createTempDirectory(shared, "otaflux-compare");
        }
        System.err.println("compare: there is no tmpfs with " + ROOM + " bytes free; the disk it is, for everything");
        return Files.createTempDirectory(out.toAbsolutePath(), "memory");
    }

    private static void delete(List<Path> directories) throws IOException {
        for (Path directory : directories) {
            if (!Files.exists(directory)) {
                continue;
            }
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(file);
                }
            }
        }
    }

    /** When the process ends and nobody is left to be told but the one who looks on. */
    private static void deleteAtLast(List<Path> directories) {
        try {
            delete(directories);
        } catch (IOException e) {
            System.err.println("compare: cannot remove all of " + directories + ": " + e);
        }
    }
}
