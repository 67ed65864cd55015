package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A service manager that stops the agent in mid-download again and again. */
@Tag("faults")
@RequiresServers
class TerminationTest {

    private static final int STOPS = 10;
    /** Far more than all stops together fetch: nginx sends the bytes of the first second at once, to each of them. */
    private static final int SIZE = 24_000_000;

    /** What the agent has fetched of the file by then is at least this much more than at the stop before. */
    private static final int STRIDE = 300_000;

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** What service managers wait for before they kill; a slow machine needs some of it. */
    private static final Duration BOUND = Duration.ofSeconds(60);

    @TempDir
    Path directory;

    @Test
    void anAgentThatIsStoppedKeepsWhatItHasAndEndsSoon() throws IOException {
        Files.write(directory.resolve("app.bin"), Payload.image("1.0.0", 1_000).bytes());
        Payload image = Payload.image("2.0.0", SIZE);
        List<Long> millis = new ArrayList<>();
        try (Site site = Site.open(directory, "limit_rate 1m;")) {
            long durable = 0;
            for (int stop = 0; stop < STOPS; stop++) {
                try (DeviceProcess agent = start(site)) {
                    agent.awaitLine(AgentProgram.UP, PATIENCE);
                    if (stop == 0) {
                        await().atMost(PATIENCE)
                                .until(() -> !site.cloud().heard().isEmpty());
                        site.cloud()
                                .push(Cloud.data("app", "2.0.0", site.nginx().put("2.0.0", image.bytes()), image));
                    }
                    long goal = Math.min(durable + STRIDE, SIZE - STRIDE);
                    long reached = agent.awaitBytes(goal, PATIENCE);
                    assertThat(reached).as("goes on where it was").isGreaterThanOrEqualTo(durable);
                    durable = reached;
                    long began = System.nanoTime();
                    agent.terminate();
                    assertThat(agent.awaitExit(BOUND)).as(agent::output).isEqualTo(143);
                    millis.add((System.nanoTime() - began) / 1_000_000);
                }
            }
            try (DeviceProcess agent = start(site)) {
                agent.awaitLine(AgentProgram.ENDED, PATIENCE);
                agent.terminate();
                assertThat(agent.awaitExit(BOUND)).isEqualTo(143);
            }

            assertThat(directory.resolve("app.bin")).hasBinaryContent(image.bytes());
            long again = site.accesses().stream()
                            .filter(access -> access.path().equals("/2.0.0"))
                            .mapToLong(Site.Access::bytes)
                            .sum()
                    - SIZE;
            Collections.sort(millis);
            System.err.printf(
                    "figure: SIGTERM in mid-download: %d stops, median %d ms, at most %d ms, bytes fetched again per"
                            + " stop: %d%n",
                    STOPS, millis.get(STOPS / 2), millis.get(STOPS - 1), again / STOPS);
            assertThat(site.accesses()).extracting(Site.Access::status).containsOnly(200, 206);
            assertThat(site.accesses().stream().filter(access -> access.status() == 200))
                    .as("requests for the whole file")
                    .hasSize(1);
        }
    }

    private static DeviceProcess start(Site site) {
        return DeviceProcess.start(
                site, AgentProgram.class, AgentProgram.FAST_JVM, "app", AgentProgram.Without.NOTHING.name(), "3");
    }
}
