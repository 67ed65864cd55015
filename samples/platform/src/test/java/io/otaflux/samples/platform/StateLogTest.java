package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StateLogTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00.123Z");
    private static final DeviceKey DEVICE = new DeviceKey("pk", "dn");

    @TempDir
    private Path directory;

    private Path file;

    @BeforeEach
    void file() {
        file = directory.resolve("state.log");
    }

    @Test
    void everythingIsThereAgain() throws IOException {
        PlatformState state = new PlatformState();
        try (StateLog log = new StateLog(directory, state)) {
            fill(state);
            log.append(state.takeChanges());
        }

        PlatformState again = new PlatformState();
        new StateLog(directory, again).close();

        assertThat(again.entries()).isEqualTo(state.entries());
        assertThat(again.unfinished(DEVICE)).isEqualTo(state.unfinished(DEVICE)).hasSize(1);
        assertThat(again.takeChanges()).as("nothing to write again").isEmpty();
    }

    @Test
    void whatAnEarlierVersionHasKeptIsRead() throws IOException {
        Files.writeString(file, """
                {"product":{"productKey":"pk","createdAt":"2026-01-01T00:00:00Z"}}
                {"device":{"productKey":"pk","deviceName":"dn","deviceSecret":"hush","versions":{"app":"1"},"createdAt":"2026-01-01T00:00:00Z"}}
                {"firmware":{"id":"p1","productKey":"pk","module":"app","version":"2","size":5,"md5":"b","sha256":"a","signMethod":"MD5","createdAt":"2026-01-01T00:00:00Z"}}
                {"job":{"id":"j1","request":{"packageId":"p1","devices":["dn"],"sourceVersions":["1"],"timeout":"PT5M","needPush":true,"overwriteMode":"KEEP_EARLIER","multiModule":true,"tags":{"k":"v"}},"cancelled":false,"createdAt":"2026-01-01T00:00:00Z"}}
                {"task":{"id":"t1","jobId":"j1","productKey":"pk","deviceName":"dn","module":"app","sourceVersion":"1","targetVersion":"2","status":"IN_PROGRESS","step":7,"description":"seven","deadline":"2026-01-01T00:05:00Z","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:01Z"}}
                """);
        PlatformState state = new PlatformState();

        new StateLog(directory, state).close();

        Jobs jobs = new Jobs(state);
        assertThat(state.firmware("p1").files()).containsExactly(new PackageFile(null, 5, "b", "a", null));
        assertThat(state.firmware("p1").needToVerify()).isFalse();
        assertThat(state.job("j1").request())
                .isEqualTo(JobRequest.of("p1")
                        .withDevices("dn")
                        .withSourceVersions("1")
                        .withTimeout(Duration.ofMinutes(5))
                        .withMultiModule()
                        .withTags(Map.of("k", "v")));
        Task task = state.task("t1");
        assertThat(task.history())
                .containsExactly(
                        new Task.Transition(TaskStatus.IN_PROGRESS, Instant.parse("2026-01-01T00:00:01Z"), "seven"));
        jobs.advance(Instant.parse("2026-01-01T00:05:00Z"));
        assertThat(state.task("t1").status()).isEqualTo(TaskStatus.FAILED);
    }

    @Test
    void openingKeepsOneLinePerThing() throws IOException {
        PlatformState state = new PlatformState();
        try (StateLog log = new StateLog(directory, state)) {
            fill(state);
            log.append(state.takeChanges());
            for (int step = 1; step <= 100; step++) {
                new Jobs(state).progressed(DEVICE, "app", step, "", NOW);
                log.append(state.takeChanges());
            }
        }
        assertThat(Files.readAllLines(file)).hasSizeGreaterThan(100);

        new StateLog(directory, new PlatformState()).close();

        assertThat(Files.readAllLines(file)).hasSize(6);
    }

    @Test
    void aLineThatWasNotFinishedIsDropped() throws IOException {
        PlatformState state = new PlatformState();
        try (StateLog log = new StateLog(directory, state)) {
            fill(state);
            log.append(state.takeChanges());
        }
        byte[] whole = Files.readAllBytes(file);
        String last = "{\"product\":{\"productKey\":\"torn\",\"createdAt\":\"2026-01-01T00:00:00Z\"}}";

        for (int length = 0; length <= last.length(); length++) {
            Files.write(file, whole);
            Files.writeString(file, last.substring(0, length), StandardOpenOption.APPEND);
            PlatformState again = new PlatformState();
            new StateLog(directory, again).close();
            assertThat(again.entries()).as("after %s bytes", length).isEqualTo(state.entries());
        }
    }

    @Test
    void aDamagedLineIsNotPassedOverAndItsSecretsAreNotShown() throws IOException {
        PlatformState state = new PlatformState();
        try (StateLog log = new StateLog(directory, state)) {
            fill(state);
            log.append(state.takeChanges());
        }
        String text = Files.readString(file);
        Files.writeString(file, text.replace("\"deviceSecret\":", "\"deviceSecret\";"));

        assertThatThrownBy(() -> new StateLog(directory, new PlatformState()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("state.log line 2 is damaged")
                .hasNoCause()
                .message()
                .doesNotContain("hush");
        assertThat(Files.readString(file)).as("left as it is").contains("hush");
    }

    @Test
    void theDirectoryBelongsToOnePlatform() throws IOException {
        StateLog log = new StateLog(directory, new PlatformState());
        assertThatThrownBy(() -> new StateLog(directory, new PlatformState()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("in use by another platform");

        log.close();

        new StateLog(directory, new PlatformState()).close();
    }

    @Test
    void whatCannotBeWrittenIsNotAnnouncedAndNothingIsAfterIt() throws Exception {
        PlatformState state = new PlatformState();
        StateLog log = new StateLog(directory, state);
        Jobs jobs = new Jobs(state);
        java.util.concurrent.atomic.AtomicInteger announced = new java.util.concurrent.atomic.AtomicInteger();
        try (StateLoop loop = new StateLoop(state, log, changes -> announced.addAndGet(changes.size()))) {
            loop.start();
            loop.submit(() -> jobs.createProduct("before", NOW)).join();
            log.close();

            assertThatThrownBy(() ->
                            loop.submit(() -> jobs.createProduct("lost", NOW)).join())
                    .hasMessageContaining("could not be written");
            assertThatThrownBy(() ->
                            loop.submit(() -> jobs.createProduct("after", NOW)).join())
                    .hasMessageContaining("could not be written");
        }
        assertThat(announced).hasValue(1);
        assertThat(Files.readString(file, StandardCharsets.UTF_8))
                .contains("before")
                .doesNotContain("lost", "after");
    }

    private static void fill(PlatformState state) {
        Jobs jobs = new Jobs(state);
        jobs.createProduct("pk", NOW);
        jobs.createDevice(DEVICE, "hush", NOW);
        jobs.addPackage(
                PackageRequest.of("pk", "app", "2").withCustomInfo("custom"),
                List.of(new PackageFile("a.bin", 5, "b", "a", "signature")),
                NOW);
        jobs.informed(DEVICE, "app", "1", false, NOW);
        jobs.startedListening(DEVICE, NOW);
        jobs.createJob(
                JobRequest.of("p1")
                        .withDevices("dn")
                        .withSourceVersions("1")
                        .withSchedule(null, NOW.plus(Duration.ofHours(2)))
                        .withTimeout(Duration.ofMinutes(50))
                        .withRetries(Duration.ofMinutes(10), 2)
                        .withMaximumPerMinute(20)
                        .withMultiModule()
                        .withTags(Map.of("k", "v")),
                NOW);
        jobs.progressed(DEVICE, "app", 7, "seven", NOW);
    }
}
