package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DemoCommandTest {

    @ParameterizedTest
    @ValueSource(strings = {"app", "default"})
    void theDemoEndsWithTheCountThatThePlatformKeeps(String module) throws IOException {
        List<Path> before = leftovers();

        Cli.Outcome outcome = Cli.run("demo", "--size", "3M", "--module", module);

        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        assertThat(outcome.out()).last().isEqualTo("demo: 1 succeeded, 0 failed");
        assertThat(outcome.out())
                .contains("device: reported " + module + " 1.0.0", "platform: task SUCCEEDED, runs 2.0.0");
        assertThat(leftovers()).isEqualTo(before);
    }

    @Test
    void theFirmwareIsStartedBeforeItCounts() {
        Cli.Outcome outcome = Cli.run("demo", "--size", "100K", "--module", "default");

        assertThat(outcome.out())
                .containsSubsequence(
                        "default 2.0.0: installed, in effect after a restart",
                        "device: booted 2.0.0 from slot b, attempt 1",
                        "device: reported default 2.0.0",
                        "default 2.0.0: succeeded");
    }

    @ParameterizedTest
    @ValueSource(strings = {"app", "default"})
    void eachEventIsALineOfJsonAndNothingElseIs(String module) throws IOException {
        Cli.Outcome outcome = Cli.run("demo", "--size", "1M", "--module", module, "--json");

        List<String> events = new ArrayList<>();
        ObjectMapper json = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
        for (String line : outcome.out()) {
            JsonNode event = json.readTree(line);
            assertThat(event.isObject()).as("%s", line).isTrue();
            events.add(event.path("event").asText());
        }
        assertThat(events)
                .startsWith("admitted")
                .contains("received")
                .endsWith("downloaded", "verified", "installed", "succeeded");
        assertThat(events).doesNotContain("");
        assertThat(outcome.err()).last().isEqualTo("demo: 1 succeeded, 0 failed");
        assertThat(outcome.exitCode()).isZero();
    }

    @Test
    void aTerminalSeesProgressAndTheSameLastLine() {
        Cli.Outcome outcome = Cli.runOnTerminal("demo", "--size", "3M");

        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        assertThat(outcome.err()).last().isEqualTo(Cli.ERASE);
        assertThat(outcome.err()).anySatisfy(line -> assertThat(line).contains("] 100 %  3.0 MiB of 3.0 MiB"));
        assertThat(outcome.out()).noneMatch(line -> line.contains("%"));
        assertThat(outcome.out()).last().isEqualTo("demo: 1 succeeded, 0 failed");
    }

    private static List<Path> leftovers() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(file -> file.getFileName().toString().startsWith("otaflux-demo-"))
                    .sorted()
                    .toList();
        }
    }
}
