package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** How long {@code ./otaflux download} of a small file takes, from nothing to a verified file and no process any more. */
final class Start implements Scenario {

    private static final int REPETITIONS = 7;
    private static final int SIZE = 16 << 10;
    private static final String FLOOR = "curl; openssl";
    private static final Pattern VERSION = Pattern.compile("JAVA_RUNTIME_VERSION=\"((\\d+)[^\"]*)\"");

    /** Bash sees no memory, and this process looks too seldom for so short a life. */
    private static final String MEASURE = """
            import resource, subprocess, sys, time
            begin = time.monotonic()
            code = subprocess.call(sys.argv[1:])
            wall = time.monotonic() - begin
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            print('sample {"wall":%f,"cpu":%f,"rss":%d,"allocated":-1,"more":{}}'
                  % (wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
            sys.exit(code)
            """;

    @Override
    public String name() {
        return "start";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.CURL, Program.OPENSSL, Program.PYTHON);
    }

    @Override
    public void run(Bench bench) throws Exception {
        Path launcher = launcher();
        Path served = Files.createDirectories(bench.memory().resolve("served"));
        byte[] content = new byte[SIZE];
        new Random(1).nextBytes(content);
        Files.write(served.resolve("file"), content);
        Path file = bench.disk().resolve("file");
        String digest = Fetch.hash(served.resolve("file"));
        List<Jdk> jdks = bench.smoke() ? jdks().subList(0, 1) : jdks();
        for (Jdk jdk : jdks) {
            jdk.remember(launcher);
        }
        try (Nginx nginx = Nginx.start(bench.disk().resolve("nginx"), served)) {
            URI location = nginx.http("file");
            String download = "download %s -o '%s' --allow-http --sha256 %s".formatted(location, file, digest);
            List<Contestant> contestants = new ArrayList<>();
            contestants.add(cold(
                    FLOOR,
                    file,
                    "curl -sSf -o '%s' %s && [[ $(openssl dgst -sha256 -r '%s') == %s* ]] && sync '%s'"
                            .formatted(file, location, file, digest, file)));
            for (Jdk jdk : jdks) {
                Path run = launcher.resolveSibling("samples/cli/target/run");
                contestants.add(cold(
                        jdk.plain(),
                        file,
                        "exec '%s/bin/java' -cp '%s/*:%s/lib/*:%s/mqtt/*' io.otaflux.samples.cli.Otaflux %s"
                                .formatted(jdk.home(), run, run, run, download)));
                contestants.add(cold(
                        jdk.forgetful(),
                        file,
                        "JAVA_OPTS=-Xshare:auto JAVA_HOME='%s' exec '%s' %s"
                                .formatted(jdk.home(), launcher, download)));
                contestants.add(cold(
                        jdk.remembering(),
                        file,
                        "JAVA_HOME='%s' exec '%s' %s".formatted(jdk.home(), launcher, download)));
            }
            Map<String, List<Sample>> samples = bench.race(contestants, REPETITIONS);
            Report report = bench.report();
            report.race(
                    "Start: 16 KiB over HTTP to the disk, a process each",
                    "until the file is verified and synchronised and the process has ended; launcher included",
                    samples,
                    jdks.get(0).remembering());
            Map<String, Double> medians = new LinkedHashMap<>();
            samples.forEach((name, all) -> medians.put(name, Sample.median(all, Sample::wall)));
            report.bars("Time, 16 KiB with a cold start", "s", medians);
            for (Jdk jdk : jdks) {
                List<Sample> ours = samples.getOrDefault(jdk.remembering(), List.of());
                String what = "start to a verified 16 KiB file, JDK " + jdk.version();
                report.target(what + ", wall", "s", Sample.median(ours, Sample::wall), 0.40, true);
                report.ratio(what + ", wall", samples, jdk.remembering(), jdk.plain(), Sample::wall, 0.50, true);
                double mebibytes = Sample.median(ours, Sample::rss) / (1 << 20);
                report.target(what + ", peak memory", "MiB", mebibytes, 75, true);
            }
        }
    }

    private static Contestant cold(String name, Path file, String script) {
        return Contestant.of(name, repetitions -> {
            List<Sample> samples = new ArrayList<>();
            for (int i = 0; i < repetitions; i++) {
                Files.deleteIfExists(file);
                samples.addAll(
                        new Child(name, List.of(Program.PYTHON.path().toString(), "-c", MEASURE, "bash", "-c", script))
                                .run(line -> Sample.parse(line).isPresent()).stream()
                                        .flatMap(line -> Sample.parse(line).stream())
                                        .toList());
                if (!Files.exists(file)) {
                    throw new IOException(name + " left no file");
                }
            }
            return samples;
        });
    }

    /** The one of the checkout that this was built in. */
    private static Path launcher() throws URISyntaxException, IOException {
        Path path = Path.of(
                Start.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        for (Path above = path; above != null; above = above.getParent()) {
            if (Files.isExecutable(above.resolve("otaflux"))) {
                return above.resolve("otaflux");
            }
        }
        throw new IOException("there is no launcher above " + path);
    }

    /** The one that runs this, and the newest other one of 25 or later where Debian keeps them. */
    private static List<Jdk> jdks() throws IOException {
        List<Jdk> all = new ArrayList<>(
                Jdk.in(Path.of(System.getProperty("java.home"))).stream().toList());
        Path place = Path.of("/usr/lib/jvm");
        if (Files.isDirectory(place)) {
            try (Stream<Path> homes = Files.list(place)) {
                homes.flatMap(home -> Jdk.in(home).stream())
                        .filter(jdk -> jdk.version() >= 25)
                        .max(Comparator.comparingInt(Jdk::version))
                        .filter(jdk -> all.stream().noneMatch(known -> known.version() == jdk.version()))
                        .ifPresent(all::add);
            }
        }
        if (all.isEmpty()) {
            throw new IOException("the JDK does not say which one it is: no file release");
        }
        return all;
    }

    private record Jdk(Path home, String build, int version) {

        static Optional<Jdk> in(Path home) {
            try {
                Matcher matcher = VERSION.matcher(Files.readString(home.resolve("release")));
                return matcher.find()
                        ? Optional.of(new Jdk(home, matcher.group(1), Integer.parseInt(matcher.group(2))))
                        : Optional.empty();
            } catch (IOException e) {
                return Optional.empty();
            }
        }

        String plain() {
            return "java " + version + ", its defaults";
        }

        String forgetful() {
            return "./otaflux without archive, " + version;
        }

        String remembering() {
            return "./otaflux, " + version;
        }

        /** Has the launcher build what there is to build, and waits for what it makes in passing. */
        void remember(Path launcher) throws IOException, InterruptedException {
            new Child("otaflux", List.of("bash", "-c", """
                    JAVA_HOME='%s' '%s' --version
                    for i in {1..1500}; do
                        [[ ! -e '%s/samples/cli/target/run/start/%s.state' ]] || exit 0
                        sleep 0.2
                    done
                    echo 'the launcher keeps nothing of a start'
                    exit 1
                    """.formatted(home, launcher, launcher.getParent(), build)))
                    .run(line -> false);
        }
    }
}
