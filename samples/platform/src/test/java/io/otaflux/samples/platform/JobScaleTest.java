package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a transition of one task costs among very many: the same, however many there are. */
@Tag("faults")
class JobScaleTest {

    private static final int REPORTS = 20;

    /** What many devices report while one batch is written is the next batch. */
    private static final int BATCH = 256;

    private Instant now = Instant.parse("2026-01-01T00:00:00Z");

    @ParameterizedTest
    @ValueSource(ints = {2_000, 20_000})
    void oneJobForManyDevices(int devices, @TempDir Path directory) throws Exception {
        PlatformState state = new PlatformState();
        try (StateLog log = new StateLog(directory, state)) {
            Jobs jobs = new Jobs(state);
            jobs.createProduct("pk", now);
            for (int i = 0; i < devices; i++) {
                DeviceKey key = key(i);
                jobs.createDevice(key, "CANARY", now);
                jobs.informed(key, "app", "1", false, now);
                jobs.startedListening(key, now);
            }
            jobs.addPackage(
                    PackageRequest.of("pk", "app", "2"), List.of(new PackageFile(null, 5, "a", "b", null)), now);
            commit(jobs, state, log);

            long started = System.nanoTime();
            StoredJob job = jobs.createJob(
                    JobRequest.of("p1").withTimeout(Duration.ofHours(1)).withRetries(Duration.ofMinutes(10), 1), now);
            commit(jobs, state, log);
            long created = System.nanoTime();
            int transitions = 0;
            for (int report = 0; report <= REPORTS; report++) {
                for (int i = 0; i < devices; i++) {
                    now = now.plusMillis(1);
                    if (report == REPORTS) {
                        jobs.informed(key(i), "app", "2", false, now);
                    } else {
                        jobs.progressed(key(i), "app", 5 * report, "", now);
                    }
                    jobs.advance(now);
                    if (++transitions % BATCH == 0) {
                        commit(jobs, state, log);
                    }
                }
            }
            commit(jobs, state, log);
            long ended = System.nanoTime();

            assertThat(jobs.view(job).tasks()).containsEntry(TaskStatus.SUCCEEDED, devices);
            System.out.printf(
                    Locale.ROOT,
                    "figure: a job for %d devices is created in %d ms; a transition costs %.0f us with its line in the log"
                            + " (%d of them, %.1f MB)%n",
                    devices,
                    (created - started) / 1_000_000,
                    (ended - created) / 1e3 / transitions,
                    transitions,
                    Files.size(directory.resolve("state.log")) / 1e6);
        }
    }

    private static DeviceKey key(int number) {
        return new DeviceKey("pk", "device-" + number);
    }

    /** As the platform does it for a batch. */
    private static void commit(Jobs jobs, PlatformState state, StateLog log) throws Exception {
        jobs.takePushes();
        jobs.takeEvents();
        log.append(state.takeChanges());
    }
}
