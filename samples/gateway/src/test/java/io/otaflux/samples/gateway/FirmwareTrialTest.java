package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.otaflux.samples.gateway.AgentProgram.Flaw;
import io.otaflux.storage.SlotInstaller;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * New firmware that does not come up: after three starts the slot before it is back, the platform hears why, and the next
 * upgrade is taken on as ever, whenever the process is killed on the way. The test is what starts the program on a device,
 * and the watchdog that ends it.
 */
@Tag("faults")
@RequiresServers
class FirmwareTrialTest {

    private static final String OLD = "1.0.0";
    private static final int STARTS = 3;
    private static final int SIZE = 200_000;
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** How long the watchdog waits for something that will not come. */
    private static final Duration WATCHDOG = Duration.ofSeconds(1);

    private static int trials;
    private static int lives;

    @TempDir
    Path directory;

    /** Where the process is killed, once, before the last kill: that comes as soon as the platform has heard of the end. */
    enum Kill {
        NOWHERE,
        /** The new version is in its slot, and nobody knows. */
        WHEN_SWITCHED,
        /** The new version is in its slot, the journal knows, and the device has not restarted. */
        WHEN_INSTALLED,
        /** The device starts, and the start may be counted or not. */
        BEFORE_THE_NEW_ONE_RUNS,
        WHEN_THE_NEW_ONE_RUNS,
        /** The slot before is in use again, and nobody has said so. */
        WHEN_THE_OLD_ONE_IS_BACK
    }

    @ParameterizedTest
    @CsvSource({
        "EXITS, NOWHERE",
        "HANGS, NOWHERE",
        "IS_CUT_OFF, NOWHERE",
        "EXITS, WHEN_SWITCHED",
        "EXITS, WHEN_INSTALLED",
        "EXITS, BEFORE_THE_NEW_ONE_RUNS",
        "IS_CUT_OFF, WHEN_THE_NEW_ONE_RUNS",
        "EXITS, WHEN_THE_OLD_ONE_IS_BACK"
    })
    void firmwareThatIsNotConfirmedGivesWayToTheOneBefore(Flaw flaw, Kill kill) throws IOException {
        try (Site site = Site.open(directory)) {
            givesWay(site, flaw, kill, STARTS);
            trials++;
        }
    }

    @Test
    void withoutALimitOfStartsTheBadOneStays() {
        Mutant.assertCaught("the limit of starts without confirmation", () -> {
            try (Site site = Site.open(directory)) {
                givesWay(site, Flaw.EXITS, Kill.NOWHERE, 1_000);
            }
        });
    }

    @AfterAll
    static void tell() {
        System.err.printf(
                "figure: firmware that does not come up: %d trials in %d starts, 0 without the slot before, 0 unreported%n",
                trials, lives);
    }

    private void givesWay(Site site, Flaw flaw, Kill kill, int limit) throws IOException {
        Path slot = Files.createDirectories(directory.resolve("firmware/a"));
        Files.write(slot.resolve("default"), Payload.image(OLD, SIZE).bytes());
        Files.createSymbolicLink(directory.resolve("firmware/current"), Path.of("a"));
        String bad = flaw.version("2.0.0");

        install(site, bad, kill);
        int starts = 0;
        boolean killed = false;
        String running = bad;
        while (running.equals(bad)) {
            assertThat(starts).as("starts of %s", bad).isLessThanOrEqualTo(STARTS);
            try (DeviceProcess agent = start(site, limit)) {
                if (kill == Kill.BEFORE_THE_NEW_ONE_RUNS && !killed) {
                    killed = true;
                    agent.awaitLine(AgentProgram.UP, PATIENCE);
                    agent.kill();
                    continue;
                }
                running = running(agent);
                if (running.equals(bad)) {
                    starts++;
                    if (flaw == Flaw.EXITS) {
                        assertThat(agent.awaitExit(PATIENCE)).isEqualTo(1);
                    } else {
                        boolean first = kill == Kill.WHEN_THE_NEW_ONE_RUNS && starts == 1;
                        assertThat(agent.endsWithin(first ? Duration.ZERO : WATCHDOG))
                                .isFalse();
                        agent.kill();
                    }
                } else if (kill == Kill.WHEN_THE_OLD_ONE_IS_BACK) {
                    agent.kill();
                } else {
                    awaitReport(site);
                    agent.kill();
                }
            }
        }
        assertThat(running).isEqualTo(OLD);
        // A start that was killed before it ran may have been counted.
        assertThat(starts).isBetween(kill == Kill.BEFORE_THE_NEW_ONE_RUNS ? STARTS - 1 : STARTS, STARTS);
        assertThat(Files.readSymbolicLink(directory.resolve("firmware/current")))
                .hasToString("a");
        assertThat(site.cloud().versions()).doesNotContain("default=" + bad);

        goesOn(site);
    }

    /** Until the platform has heard of the failure, of the old version, and the next upgrade is confirmed. */
    private void goesOn(Site site) {
        String next = "3.0.0";
        try (DeviceProcess agent = start(site, STARTS)) {
            assertThat(running(agent)).isEqualTo(OLD);
            awaitReport(site);
            push(site, next);
            assertThat(agent.awaitExit(PATIENCE)).isEqualTo(AgentProgram.RESTART);
        }
        try (DeviceProcess agent = start(site, STARTS)) {
            assertThat(running(agent)).isEqualTo(next);
            await().atMost(PATIENCE).until(() -> site.cloud().versions().contains("default=" + next));
            agent.terminate();
            agent.awaitExit(PATIENCE);
        }
        SlotInstaller.Boot boot = SlotInstaller.in(directory.resolve("firmware"))
                .boot()
                .blockOptional(PATIENCE)
                .orElseThrow();
        assertThat(boot.version()).isEqualTo(next);
        assertThat(site.cloud().steps().stream().filter("default=-4"::equals))
                .as("the failure, which may be told twice when it was killed while it was told")
                .hasSizeBetween(1, 2);
    }

    private static void awaitReport(Site site) {
        await().atMost(PATIENCE)
                .until(() -> site.cloud().heard().stream()
                        .anyMatch(message -> message.params()
                                        .path("step")
                                        .asText()
                                        .equals("-4")
                                && message.params().path("desc").asText().startsWith("ROLLED_BACK: ")));
    }

    private void install(Site site, String version, Kill kill) {
        try (DeviceProcess agent = start(site, STARTS)) {
            await().atMost(PATIENCE).until(() -> !site.cloud().heard().isEmpty());
            push(site, version);
            if (kill == Kill.WHEN_SWITCHED) {
                await().pollDelay(Duration.ZERO)
                        .pollInterval(Duration.ofNanos(100_000))
                        .atMost(PATIENCE)
                        .until(() -> Files.readSymbolicLink(directory.resolve("firmware/current"))
                                .endsWith("b"));
                agent.kill();
            } else if (kill == Kill.WHEN_INSTALLED) {
                agent.awaitLine("Installed[", PATIENCE);
                agent.kill();
            } else {
                assertThat(agent.awaitExit(PATIENCE)).as(agent::output).isEqualTo(AgentProgram.RESTART);
            }
        }
    }

    private static void push(Site site, String version) {
        Payload image = Payload.image(version, SIZE);
        site.cloud()
                .push(
                        Cloud.data("default", version, site.nginx().put(version, image.bytes()), image),
                        new ObjectMapper().createObjectNode());
    }

    private static DeviceProcess start(Site site, int starts) {
        lives++;
        return DeviceProcess.start(
                site,
                AgentProgram.class,
                AgentProgram.FAST_JVM,
                "default",
                AgentProgram.Without.NOTHING.name(),
                Integer.toString(starts));
    }

    private static String running(DeviceProcess agent) {
        return agent.awaitLine(AgentProgram.RUNS, PATIENCE).substring(AgentProgram.RUNS.length());
    }
}
