package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JobsTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final DeviceKey ONE = new DeviceKey("pk", "one");
    private static final DeviceKey TWO = new DeviceKey("pk", "two");

    private final PlatformState state = new PlatformState();
    private final Jobs jobs = new Jobs(state);

    @BeforeEach
    void aProductWithTwoDevicesAndAPackage() {
        jobs.createProduct("pk", NOW);
        jobs.createDevice(ONE, "s1", NOW);
        jobs.createDevice(TWO, "s2", NOW);
        add("app", "2.0.0");
    }

    @Test
    void aJobForAllTakesTheDevicesThatHaveReportedTheModule() {
        inform(ONE, "1.0.0");
        jobs.informed(TWO, "default", "1.0.0", false, NOW);

        StoredJob job = jobs.createJob(JobRequest.of("p1"), NOW);

        assertThat(state.tasks(job.id())).extracting(Task::deviceName).containsExactly("one");
    }

    @Test
    void aNamedDeviceThatNeverReportedTheModuleIsRefused() {
        inform(ONE, "1.0.0");

        assertRefused(
                RequestRefusedException.Reason.CONFLICT,
                "never reported",
                JobRequest.of("p1").withDevices("one", "two"));
        assertThat(state.jobs()).isEmpty();
    }

    @Test
    void aDeviceAtTheTargetVersionIsSkipped() {
        inform(ONE, "2.0.0");

        StoredJob job = jobs.createJob(JobRequest.of("p1").withDevices("one"), NOW);

        assertThat(state.tasks(job.id())).isEmpty();
        assertThat(jobs.view(job).status()).isEqualTo(Job.Status.COMPLETED);
    }

    @Test
    void aJobFromCertainVersionsSkipsTheOthers() {
        inform(ONE, "1.0.0");
        inform(TWO, "1.1.0");

        StoredJob job = jobs.createJob(JobRequest.of("p1").withSourceVersions("1.1.0", "1.2.0"), NOW);

        assertThat(state.tasks(job.id())).extracting(Task::deviceName).containsExactly("two");
    }

    @Test
    void anOlderVersionIsATargetLikeAnyOther() {
        inform(ONE, "3.0.0");

        assertThat(onlyTask(jobs.createJob(JobRequest.of("p1"), NOW)).sourceVersion())
                .isEqualTo("3.0.0");
    }

    @Test
    void anOfflineDeviceIsQueuedAndPushedToWhenItListens() {
        inform(ONE, "1.0.0");
        StoredJob job = jobs.createJob(JobRequest.of("p1"), NOW);

        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.QUEUED);
        assertThat(jobs.takePushes()).isEmpty();

        jobs.startedListening(ONE, NOW);

        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.NOTIFIED);
        assertThat(jobs.takePushes()).hasSize(1);
    }

    @Test
    void aListeningDeviceIsPushedToAtOnce() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);

        StoredJob job = jobs.createJob(JobRequest.of("p1").withTags(Map.of("k", "v")), NOW);

        assertThat(jobs.takePushes()).singleElement().satisfies(offer -> {
            assertThat(offer.task()).isEqualTo(onlyTask(job));
            assertThat(offer.firmware().version()).isEqualTo("2.0.0");
            assertThat(offer.tags()).containsEntry("k", "v");
        });
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.NOTIFIED);
    }

    @Test
    void aDeviceThatStoppedListeningIsOffline() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        jobs.stoppedListening(ONE);

        assertThat(onlyTask(jobs.createJob(JobRequest.of("p1"), NOW)).status()).isEqualTo(TaskStatus.QUEUED);
    }

    @Test
    void anUnfinishedTaskIsPushedAgainAtEveryReturnAndAFinishedOneIsNot() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        jobs.createJob(JobRequest.of("p1"), NOW);
        jobs.takePushes();

        jobs.startedListening(ONE, NOW);
        assertThat(jobs.takePushes()).as("notified").hasSize(1);
        jobs.progressed(ONE, "app", 50, "", NOW);
        jobs.startedListening(ONE, NOW);
        assertThat(jobs.takePushes()).as("in progress").hasSize(1);
        inform(ONE, "2.0.0");
        jobs.startedListening(ONE, NOW);
        assertThat(jobs.takePushes()).as("succeeded").isEmpty();
    }

    @Test
    void withoutPushADeviceHasToAsk() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        StoredJob job = jobs.createJob(JobRequest.of("p1").withoutPush(), NOW);
        jobs.startedListening(ONE, NOW);

        assertThat(jobs.takePushes()).isEmpty();
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.QUEUED);
        assertThat(jobs.queried(ONE, "app", NOW)).isPresent();
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.NOTIFIED);
    }

    @Test
    void aQueryIsAboutOneModule() {
        inform(ONE, "1.0.0");
        jobs.createJob(JobRequest.of("p1"), NOW);

        assertThat(jobs.queried(ONE, "default", NOW)).isEmpty();
        assertThat(jobs.queried(TWO, "app", NOW)).isEmpty();
    }

    @Test
    void withABrokerThatDoesNotTellAVersionReportIsAReturn() {
        jobs.informed(ONE, "app", "1.0.0", true, NOW);
        jobs.createJob(JobRequest.of("p1"), NOW);
        assertThat(jobs.takePushes()).hasSize(1);

        jobs.informed(ONE, "app", "1.0.0", true, NOW);
        assertThat(jobs.takePushes()).hasSize(1);
        jobs.informed(ONE, "app", "2.0.0", true, NOW);
        assertThat(jobs.takePushes()).isEmpty();
    }

    @Test
    void aSecondTaskOfADeviceFailsWhileTheFirstIsNotFinished() {
        inform(ONE, "1.0.0");
        StoredJob first = jobs.createJob(JobRequest.of("p1"), NOW);
        StoredJob second = jobs.createJob(JobRequest.of(add("app", "3.0.0")), NOW);

        assertThat(onlyTask(first).status()).isEqualTo(TaskStatus.QUEUED);
        assertThat(onlyTask(second).status()).isEqualTo(TaskStatus.FAILED);
        assertThat(onlyTask(second).description()).contains("t1", "j1");
    }

    @Test
    void aNewerJobReplacesATaskThatIsNotInProgress() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        StoredJob first = jobs.createJob(JobRequest.of("p1"), NOW);
        StoredJob second = jobs.createJob(
                JobRequest.of(add("app", "3.0.0")).withOverwriteMode(OverwriteMode.REPLACE_EARLIER), NOW);

        assertThat(onlyTask(first).status()).isEqualTo(TaskStatus.CANCELED);
        assertThat(onlyTask(second).status()).isEqualTo(TaskStatus.NOTIFIED);
    }

    @Test
    void aNewerJobDoesNotReplaceATaskInProgress() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        StoredJob first = jobs.createJob(JobRequest.of("p1"), NOW);
        jobs.progressed(ONE, "app", 1, "", NOW);
        StoredJob second = jobs.createJob(
                JobRequest.of(add("app", "3.0.0")).withOverwriteMode(OverwriteMode.REPLACE_EARLIER), NOW);

        assertThat(onlyTask(first).status()).isEqualTo(TaskStatus.IN_PROGRESS);
        assertThat(onlyTask(second).status()).isEqualTo(TaskStatus.FAILED);
    }

    @Test
    void severalModulesAtOnceOnlyWhenBothJobsAllowIt() {
        inform(ONE, "1.0.0");
        jobs.informed(ONE, "mcu", "1.0.0", false, NOW);
        jobs.informed(ONE, "modem", "1.0.0", false, NOW);
        jobs.createJob(JobRequest.of("p1").withMultiModule(), NOW);

        StoredJob multi = jobs.createJob(JobRequest.of(add("mcu", "2.0.0")).withMultiModule(), NOW);
        StoredJob single = jobs.createJob(JobRequest.of(add("modem", "2.0.0")), NOW);
        StoredJob sameModule = jobs.createJob(JobRequest.of(add("app", "3.0.0")).withMultiModule(), NOW);

        assertThat(onlyTask(multi).status()).isEqualTo(TaskStatus.QUEUED);
        assertThat(onlyTask(single).status()).isEqualTo(TaskStatus.FAILED);
        assertThat(onlyTask(sameModule).status()).isEqualTo(TaskStatus.FAILED);
    }

    @Test
    void aReportAboutOneModuleDoesNotTouchAnothersTask() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        StoredJob job = jobs.createJob(JobRequest.of("p1"), NOW);

        assertThat(jobs.progressed(ONE, "default", -1, "", NOW)).isFalse();
        jobs.informed(ONE, "default", "9.9.9", false, NOW);

        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.NOTIFIED);
    }

    @Test
    void theTimeLimitOfTheJobEndsItsTasks() {
        inform(ONE, "1.0.0");
        jobs.startedListening(ONE, NOW);
        StoredJob job = jobs.createJob(JobRequest.of("p1").withTimeout(Duration.ofMinutes(5)), NOW);
        jobs.advance(NOW.plus(Duration.ofDays(1)));
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.NOTIFIED);

        jobs.progressed(ONE, "app", 100, "", NOW);
        jobs.advance(NOW.plus(Duration.ofMinutes(5)).minusMillis(1));
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.IN_PROGRESS);
        jobs.advance(NOW.plus(Duration.ofMinutes(5)));
        assertThat(onlyTask(job).status()).isEqualTo(TaskStatus.FAILED);
        assertThat(onlyTask(job).description()).contains("timeout");
    }

    @Test
    void cancellingAJobEndsItsTasksAndLetsTheNextJobIn() {
        inform(ONE, "1.0.0");
        inform(TWO, "1.0.0");
        StoredJob job = jobs.createJob(JobRequest.of("p1"), NOW);
        inform(TWO, "2.0.0");

        Job cancelled = jobs.view(jobs.cancelJob(job.id(), CancelFlags.ALL, NOW));

        assertThat(cancelled.status()).isEqualTo(Job.Status.CANCELED);
        assertThat(cancelled.tasks()).containsEntry(TaskStatus.CANCELED, 1).containsEntry(TaskStatus.SUCCEEDED, 1);
        assertThat(jobs.takePushes()).isEmpty();
        StoredJob next = jobs.createJob(JobRequest.of("p1").withDevices("one"), NOW);
        assertThat(onlyTask(next).status()).isEqualTo(TaskStatus.QUEUED);
        assertThatThrownBy(() -> jobs.cancelJob(job.id(), CancelFlags.ALL, NOW))
                .isInstanceOf(RequestRefusedException.class);
    }

    @Test
    void anUnknownDeviceChangesNothing() {
        DeviceKey stranger = new DeviceKey("pk", "stranger");
        state.takeChanges();

        assertThat(jobs.informed(stranger, "app", "1.0.0", true, NOW)).isFalse();
        assertThat(jobs.progressed(stranger, "app", 10, "", NOW)).isFalse();
        assertThat(jobs.queried(stranger, "app", NOW)).isEmpty();
        jobs.startedListening(stranger, NOW);
        assertThat(state.takeChanges()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "a b",
                "a/b",
                "ä",
                "+",
                "#",
                "$x",
                "a&b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            })
    void aNameThatDoesNotFitIntoATopicIsRefused(String name) {
        assertThatThrownBy(() -> jobs.createProduct(name, NOW)).isInstanceOf(RequestRefusedException.class);
        assertThatThrownBy(() -> jobs.createDevice(new DeviceKey("pk", name), "s", NOW))
                .isInstanceOf(RequestRefusedException.class);
        assertThatThrownBy(() -> jobs.packages().check(PackageRequest.of("pk", name, "1")))
                .isInstanceOf(RequestRefusedException.class);
        assertThatThrownBy(() -> jobs.packages().check(PackageRequest.of("pk", "app", name)))
                .isInstanceOf(RequestRefusedException.class);
    }

    @Test
    void limitsOfJobsAreChecked() {
        inform(ONE, "1.0.0");
        JobRequest job = JobRequest.of("p1");

        assertRefused(RequestRefusedException.Reason.NOT_FOUND, "package 'p9'", JobRequest.of("p9"));
        assertRefused(RequestRefusedException.Reason.NOT_FOUND, "nobody", job.withDevices("nobody"));
        assertRefused(RequestRefusedException.Reason.INVALID, "no device", job.withDevices());
        assertRefused(RequestRefusedException.Reason.INVALID, "1440", job.withTimeout(Duration.ofSeconds(59)));
        assertRefused(RequestRefusedException.Reason.INVALID, "1440", job.withTimeout(Duration.ofMinutes(1441)));
        assertRefused(RequestRefusedException.Reason.INVALID, "key", job.withTags(Map.of("a-b", "v")));
        assertRefused(RequestRefusedException.Reason.INVALID, "value", job.withTags(Map.of("a", "")));
        assertRefused(
                RequestRefusedException.Reason.INVALID,
                "overwriteMode 2",
                job.withMultiModule().withOverwriteMode(OverwriteMode.REPLACE_EARLIER));
    }

    private void assertRefused(RequestRefusedException.Reason reason, String words, JobRequest request) {
        assertThatThrownBy(() -> jobs.createJob(request, NOW))
                .isInstanceOfSatisfying(
                        RequestRefusedException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(reason))
                .hasMessageContaining(words);
    }

    private void inform(DeviceKey device, String version) {
        jobs.informed(device, "app", version, false, NOW);
    }

    private String add(String module, String version) {
        return jobs.addPackage(
                        PackageRequest.of("pk", module, version),
                        List.of(new PackageFile(null, 5, "5".repeat(32), "5".repeat(64), null)),
                        NOW)
                .id();
    }

    private Task onlyTask(StoredJob job) {
        assertThat(state.tasks(job.id())).hasSize(1);
        return List.copyOf(state.tasks(job.id())).get(0);
    }
}
