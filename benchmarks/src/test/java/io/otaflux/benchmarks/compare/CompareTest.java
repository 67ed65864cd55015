package io.otaflux.benchmarks.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The harness itself, with contestants that cost nothing. */
class CompareTest {

    private static final Sample SAMPLE = new Sample(1.5, 0.25, 3L << 20, 4096, Map.of("messages per s", 1e6));

    @TempDir
    private Path directory;

    private final List<String> turns = new ArrayList<>();

    @Test
    void contestantsTakeTurns() throws Exception {
        Report report = new Report(true, Map.of());
        report.begin("turns");

        Map<String, List<Sample>> samples = new Bench(true, 2, directory, directory, report)
                .race(List.of(contestant("one", 1), contestant("other", 2)), 1);

        assertThat(turns).containsExactly("one", "other", "one", "other");
        assertThat(samples.get("one")).extracting(Sample::wall).containsExactly(1.0, 1.0);
        assertThat(samples.get("other")).extracting(Sample::wall).containsExactly(2.0, 2.0);
    }

    @Test
    void whatIsWrittenIsWhatWasMeasured() throws Exception {
        Scenario scenario = scenario("fake", bench -> {
            Map<String, List<Sample>> samples = bench.race(List.of(contestant("OtaFlux", 1), contestant("peer", 4)), 1);
            bench.report().race("A race", "of two", samples, "OtaFlux");
            bench.report().ratio("wall", samples, "OtaFlux", "peer", Sample::wall, 0.5, true);
            bench.report().bars("Wall | time", "s", Map.of("OtaFlux", 1.0, "<peer>", 4.0));
        });

        assertThat(compare(scenario).run()).isTrue();

        JsonNode section = json().path("sections").path(0);
        assertThat(section.path("name").asText()).isEqualTo("fake");
        assertThat(section.path("samples")
                        .path(0)
                        .path("peer")
                        .path(0)
                        .path("wall")
                        .asDouble())
                .isEqualTo(4);
        assertThat(section.path("blocks").findValuesAsText("type")).containsExactly("table", "target", "bars");
        assertThat(section.path("blocks").path(1).path("value").asDouble()).isEqualTo(0.25);
        assertThat(markdown())
                .contains("| wall | × peer | ≤ 0.50 | 0.25 | not judged |")
                .contains("| peer | 4.00 | 4.00 |")
                .contains("![Wall | time](fake-wall-time.svg)");
        assertThat(Files.readString(directory.resolve("fake-wall-time.svg")))
                .contains("&lt;peer&gt;")
                .doesNotContain("<peer>");
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left)
                    .extracting(path -> path.getFileName().toString())
                    .noneMatch(name -> name.startsWith("disk"));
        }
    }

    @Test
    void aTargetIsJudgedByItsBound() throws IOException {
        Report report = new Report(false, Map.of());
        report.begin("targets");
        report.target("one", "MiB", 110, 110, true);
        report.target("two", "MiB", 111, 110, true, "a profile says why");
        report.target("three", "per s", 3, 3, false);
        report.target("four", "per s", 2, 3, false);
        report.target("five", "per s", Double.NaN, 3, false);
        report.write(directory);

        assertThat(markdown())
                .contains("| one | MiB | ≤ 110 | 110 | yes |  |")
                .contains("| two | MiB | ≤ 110 | 111 | **no** | a profile says why |")
                .contains("| three | per s | ≥ 3.00 | 3.00 | yes |  |")
                .contains("| four | per s | ≥ 3.00 | 2.00 | **no** |  |")
                .contains("| five | per s | ≥ 3.00 | not measured | **no** |  |");
    }

    @Test
    void aContestantThatFailsIsNamedAndTheOthersGoOn() throws Exception {
        Contestant broken = Contestant.shell("broken", "echo out of order; exit 3");
        Scenario scenario = scenario("fake", bench -> {
            Map<String, List<Sample>> samples = bench.race(List.of(broken, contestant("peer", 4)), 1);
            bench.report().race("A race", "", samples, "peer");
        });

        assertThat(compare(scenario).run()).isFalse();

        JsonNode failure = json().path("failures").path(0);
        assertThat(failure.path("contestant").asText()).isEqualTo("broken");
        assertThat(failure.path("reason").asText()).contains("exit code 3", "out of order");
        assertThat(markdown()).contains("| peer | 4.00 |").doesNotContain("| broken | 0");
    }

    @Test
    void aScenarioThatFailsDoesNotStopTheOthers() throws Exception {
        Scenario broken = scenario("broken", bench -> {
            throw new IllegalStateException("out of order");
        });
        Scenario fine = scenario("fine", bench -> bench.report().table("Fine", "", List.of("a"), List.of()));

        assertThat(compare(broken, fine).run()).isFalse();

        assertThat(json().path("sections").findValuesAsText("name")).containsExactly("broken", "fine");
        assertThat(markdown()).contains("out of order", "**Fine**");
    }

    @Test
    void whatNeedsAMissingProgramIsLeftOutLoudly() throws Exception {
        Scenario scenario = new Scenario() {
            @Override
            public String name() {
                return "needy";
            }

            @Override
            public List<Program> programs() {
                return List.of(new Program("no-such-program", "no-such-package"));
            }

            @Override
            public void run(Bench bench) {
                turns.add("run");
            }
        };

        assertThat(compare(scenario).run()).isTrue();
        assertThat(markdown()).contains("no-such-program is missing (apt-get install no-such-package)");
        assertThat(new Compare(List.of(scenario), true, 1, directory, true).run())
                .as("where programs are required")
                .isFalse();
        assertThat(turns).isEmpty();
    }

    @Test
    void aShellContestantIsMeasuredAsAWhole() throws Exception {
        Contestant contestant = Contestant.shell("shell", "head -c 20000000 /dev/zero | sha256sum > /dev/null");

        List<Sample> samples = contestant.round(2);

        assertThat(samples).hasSize(2).allSatisfy(sample -> {
            assertThat(sample.wall()).isPositive();
            assertThat(sample.cpu()).isPositive();
        });
    }

    @Test
    void aProgramThatFailsInAPipeFailsItsContestant() {
        Contestant contestant = Contestant.shell("shell", "false | cat");

        assertThatThrownBy(() -> contestant.round(1))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("shell");
    }

    @Test
    void aJavaContestantDropsItsFirstRepetition() throws Exception {
        Contestant contestant = Contestant.java("java", List.of("-Xmx16m"), Counting.class, "5");

        assertThat(contestant.round(3))
                .extracting(sample -> sample.get("count"))
                .containsExactly(6.0, 7.0);
        assertThat(contestant.round(1))
                .extracting(sample -> sample.get("count"))
                .containsExactly(5.0);
    }

    @Test
    void aSampleOfThisProcessHasEverything() throws Exception {
        List<byte[]> kept = new ArrayList<>();

        Sample sample = Sample.of(() -> kept.add(new byte[1 << 20]));

        assertThat(kept).hasSize(1);
        assertThat(sample.wall()).isPositive();
        assertThat(sample.cpu()).isNotNegative();
        assertThat(sample.rss()).isGreaterThan(1 << 20);
        assertThat(sample.allocated()).isGreaterThanOrEqualTo(1 << 20);
    }

    @Test
    void aSampleSurvivesItsLine() {
        assertThat(Sample.parse(SAMPLE.line())).contains(SAMPLE);
        assertThat(Sample.parse(SAMPLE.with("nothing", Double.NaN).line())
                        .orElseThrow()
                        .get("nothing"))
                .isNaN();
        assertThat(Sample.parse("something else")).isEmpty();
        assertThatThrownBy(() -> Sample.parse("sample of something")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> SAMPLE.with("\"", 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theMedianIsInTheMiddle() {
        assertThat(Sample.median(walls(3, 1, 2), Sample::wall)).isEqualTo(2);
        assertThat(Sample.median(walls(4, 1, 2, 3), Sample::wall)).isEqualTo(2.5);
        assertThat(Sample.median(List.of(), Sample::wall)).isNaN();
    }

    private Compare compare(Scenario... scenarios) {
        return new Compare(List.of(scenarios), true, 1, directory, false);
    }

    private Contestant contestant(String name, double wall) {
        return Contestant.of(name, repetitions -> {
            turns.add(name);
            return walls(wall);
        });
    }

    private static List<Sample> walls(double... walls) {
        return Arrays.stream(walls)
                .mapToObj(wall -> new Sample(wall, wall, -1, -1, Map.of()))
                .toList();
    }

    private static Scenario scenario(String name, Body body) {
        return new Scenario() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public void run(Bench bench) throws Exception {
                body.run(bench);
            }
        };
    }

    private JsonNode json() throws IOException {
        return new ObjectMapper().readTree(directory.resolve("report.json").toFile());
    }

    private String markdown() throws IOException {
        return Files.readString(directory.resolve("report.md"));
    }

    private interface Body {

        void run(Bench bench) throws Exception;
    }

    /** A child that counts. */
    static final class Counting {

        private Counting() {}

        public static void main(String... args) {
            int first = Integer.parseInt(args[0]);
            for (int i = 0; i < Integer.getInteger(Repetitions.COUNT); i++) {
                System.out.println("not a sample");
                System.out.println(SAMPLE.with("count", first + i).line());
            }
        }
    }
}
