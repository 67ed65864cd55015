package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** A command line that is read without picocli must mean what it means to picocli. */
class PlainDownloadTest {

    private static final String URL = "https://example.com/f?a=b";

    @Test
    void everyOptionIsReadAsPicocliReadsIt() {
        List<OptionSpec> options = picocli("download", URL, "-o", "f").getCommandSpec().options().stream()
                .filter(option -> !option.usageHelp())
                .toList();

        assertThat(options).hasSizeGreaterThan(10);
        for (OptionSpec option : options) {
            for (String name : option.names()) {
                String value = value(option.longestName());
                List<String> words = option.arity().max() == 0 ? List.of(name) : List.of(name, value);
                assertReadAlike(words);
                if (name.startsWith("--") && words.size() == 2) {
                    assertReadAlike(List.of(name + "=" + value));
                }
            }
        }
        assertReadAlike(List.of());
        assertReadAlike(List.of("--allow-network", "10.0.0.0/8", "--allow-network=192.168.0.0/16"));
    }

    private static String value(String option) {
        return switch (option) {
            case "--size", "--retries" -> "12";
            case "--timeout", "--deadline" -> "5m";
            default -> "x=y";
        };
    }

    private static void assertReadAlike(List<String> words) {
        boolean output = words.stream().anyMatch(word -> word.startsWith("-o") || word.startsWith("--output"));
        String[] arguments = Stream.of(
                        List.of("download"), words, List.of(URL), output ? List.<String>of() : List.of("-o", "f"))
                .flatMap(List::stream)
                .toArray(String[]::new);

        DownloadCommand plain = DownloadCommand.plain(arguments);

        assertThat(plain).as("%s", List.of(arguments)).isNotNull();
        assertThat(plain)
                .as("%s", List.of(arguments))
                .usingRecursiveComparison()
                .ignoringFields("spec")
                .isEqualTo(picocli(arguments).getCommandSpec().userObject());
    }

    private static CommandLine picocli(String... arguments) {
        CommandLine all = Commands.commandLine(arguments);
        all.parseArgs(arguments);
        return Objects.requireNonNull(all.getSubcommands().get("download"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "demo",
                "download",
                "download u",
                "download -o f",
                "download u -o",
                "download u -of",
                "download u -o f v",
                "download u -o f -o g",
                "download u -o f --output g",
                "download u -o f --help",
                "download u -o f -h",
                "download u -o f --json=true",
                "download u -o f --json --json",
                "download u -o f --md5 a --sha256 b",
                "download u -o f --size 0x10",
                "download u -o f --size 010",
                "download u -o f --size -1",
                "download u -o f --size many",
                "download u -o f --retries 99999999999",
                "download u -o f --timeout 0s",
                "download u -o f --sha256=",
                "download u -o @f",
                "download @u -o f",
                "download u -o 'f'",
                "download u -o \"f",
                "download u -o f --",
                "download u -o f --dance",
                "download u -o f --allow"
            })
    void whatIsNotPlainIsLeftToPicocli(String line) {
        assertThat(DownloadCommand.plain(line.split(" "))).isNull();
    }

    @Test
    void whatMakesNoSenseIsExplainedByPicocli() {
        try (Cli.Child child = Cli.start("download", "http://127.0.0.1/f?k=CANARY", "-o", "f")) {
            Cli.Outcome outcome = child.await();

            assertThat(outcome.exitCode()).isEqualTo(ExitCode.USAGE);
            assertThat(outcome.err())
                    .containsExactly("otaflux download: URL: plain http (expected: https, or --allow-http and a digest)"
                            + " (see: otaflux download --help)");
        }
    }
}
