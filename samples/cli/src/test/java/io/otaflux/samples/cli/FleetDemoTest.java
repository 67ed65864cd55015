package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One gateway process with many devices behind it, and a platform that upgrades all of them by one job. */
class FleetDemoTest {

    @Test
    void allSubDevicesAreUpgradedAndTheFileIsFetchedOnce() {
        assertUpgraded(50, "300K");
    }

    @Test
    @Tag("faults")
    void twoThousandSubDevicesAreUpgradedAndTheFileIsFetchedOnce() {
        Cli.Outcome outcome = assertUpgraded(2000, "4M");

        outcome.out().stream()
                .filter(line ->
                        line.startsWith("gateway:") || line.startsWith("platform: job") || line.contains("qtt:"))
                .forEach(line -> System.out.println("figure: 2,000 sub-devices: " + line));
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1", "2001"})
    void aCountThatNoPlatformAllowsIsRefused(String count) {
        assertThat(Cli.run("demo", "--sub-devices", count).exitCode()).isEqualTo(ExitCode.USAGE);
    }

    @Test
    void whatDoesNotGoWithManyDevicesIsRefused() {
        assertThat(Cli.run("demo", "--sub-devices", "2", "--json").exitCode()).isEqualTo(ExitCode.USAGE);
        assertThat(Cli.run("demo", "--sub-devices", "2", "--module", "default").exitCode())
                .isEqualTo(ExitCode.USAGE);
    }

    private static Cli.Outcome assertUpgraded(int count, String size) {
        Cli.Outcome outcome = Cli.run("demo", "--sub-devices", count, "--size", size);

        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        assertThat(outcome.out()).last().isEqualTo("demo: " + count + " succeeded, 0 failed");
        assertThat(outcome.out())
                .anyMatch(line -> line.startsWith("gateway: " + count + " sub-devices logged in"))
                .anyMatch(line -> line.startsWith("gateway: peak memory"))
                .anyMatch(line -> line.startsWith("http: 1 request, "))
                .as("what libraries log")
                .noneMatch(line -> line.contains(" DEBUG "));
        return outcome;
    }
}
