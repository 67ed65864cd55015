package io.otaflux.samples.platform;

import static io.otaflux.samples.platform.TaskStatus.CANCELED;
import static io.otaflux.samples.platform.TaskStatus.CONFIRM;
import static io.otaflux.samples.platform.TaskStatus.FAILED;
import static io.otaflux.samples.platform.TaskStatus.IN_PROGRESS;
import static io.otaflux.samples.platform.TaskStatus.NOTIFIED;
import static io.otaflux.samples.platform.TaskStatus.QUEUED;
import static io.otaflux.samples.platform.TaskStatus.SUCCEEDED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.otaflux.samples.platform.RequestRefusedException.Reason;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Each option of a job, with a clock that only goes on when it is told to. */
class JobOptionsTest {

    private static final Duration MINUTE = Duration.ofMinutes(1);

    private final PlatformState state = new PlatformState();
    private Jobs jobs = new Jobs(state);
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");

    @BeforeEach
    void aProductWithAPackage() {
        jobs.createProduct("pk", now);
        add(PackageRequest.of("pk", "app", "2"));
    }

    // --- which devices

    @ParameterizedTest
    @CsvSource({"0.001, 1", "1, 1", "10, 2", "14.999, 2", "15, 3", "99.999, 19", "100, 20"})
    void aShareOfTheDevicesIsRoundedDownButIsOneAtLeast(String percent, int expected) {
        devices(20, "1");

        StoredJob job = create(JobRequest.of("p1").withGrayPercent(percent));

        assertThat(state.tasks(job.id())).hasSize(expected);
    }

    @Test
    void aShareIsAlwaysTheSameAndWithinALargerOne() {
        devices(40, "1");

        List<String> small = devicesOf(create(JobRequest.of("p1").withGrayPercent("10")));
        cancelAll();
        List<String> again = devicesOf(create(JobRequest.of("p1").withGrayPercent("10")));
        cancelAll();
        List<String> large = devicesOf(create(JobRequest.of("p1").withGrayPercent("50")));
        cancelAll();
        List<String> other = devicesOf(
                create(JobRequest.of(add(PackageRequest.of("pk", "app", "3"))).withGrayPercent("10")));

        assertThat(again).isEqualTo(small).hasSize(4);
        assertThat(large).containsAll(small).hasSize(20);
        assertThat(other).as("another package is tried on others").isNotEqualTo(small);
    }

    @Test
    void aShareIsOfTheDevicesThatCanBeUpgraded() {
        devices(10, "1");
        device("there-already", "2");

        assertThat(devicesOf(create(JobRequest.of("p1").withGrayPercent("100"))))
                .hasSize(10)
                .doesNotContain("there-already");
    }

    @Test
    void aJobForAGroupTakesItsDevicesThatCanBeUpgraded() {
        devices(3, "1");
        device("done", "2");
        jobs.packages().putGroup("pk", "ring", List.of("d1", "d2", "done"));

        assertThat(devicesOf(create(JobRequest.of("p1").withGroup("ring")))).containsExactly("d1", "d2");
    }

    @Test
    void aDeltaSkipsDevicesOfOtherVersions() {
        device("from", "1");
        device("other", "1.5");
        String delta = add(PackageRequest.of("pk", "app", "2.1").asDeltaFrom("1"));

        assertThat(devicesOf(create(JobRequest.of(delta).withDevices("from", "other"))))
                .containsExactly("from");
        refused(Reason.INVALID, "delta from version 1", JobRequest.of(delta).withSourceVersions("1.5"));
    }

    @Test
    void aDeltaThatWaitsFailsWhenItsDeviceComesToAnotherVersion() {
        DeviceKey device = device("from", "1");
        StoredJob job =
                create(JobRequest.of(add(PackageRequest.of("pk", "app", "2.1").asDeltaFrom("1"))));

        inform(device, "1.5");

        assertThat(only(job).status()).isEqualTo(FAILED);
    }

    // --- verification

    @Test
    void aPackageThatHasToBeVerifiedIsKeptFromOtherJobsUntilItIs() {
        devices(3, "1");
        String firmware = add(PackageRequest.of("pk", "app", "3").withVerification());
        verified(firmware, PackageView.NOT_VERIFIED, 0);
        refused(Reason.CONFLICT, "verified first", JobRequest.of(firmware));

        create(JobRequest.of(firmware).asVerification("d0", "d1"));
        verified(firmware, PackageView.VERIFYING, 0);
        refused(Reason.CONFLICT, "verified first", JobRequest.of(firmware));
        refused(Reason.CONFLICT, "being verified", JobRequest.of(firmware).asVerification("d2"));

        inform(key("d0"), "3");
        verified(firmware, PackageView.VERIFYING, 50);
        inform(key("d1"), "3");
        verified(firmware, PackageView.VERIFIED, 100);
        assertThat(devicesOf(create(JobRequest.of(firmware)))).containsExactly("d2");
    }

    @Test
    void aVerificationThatFailsOnOneDeviceHasFailedAndCanBeRepeated() {
        DeviceKey one = listening("d1", "1");
        device("d2", "1");
        String firmware = add(PackageRequest.of("pk", "app", "3").withVerification());
        create(JobRequest.of(firmware).asVerification("d1", "d2"));

        jobs.progressed(one, "app", -4, "no", now);
        inform(key("d2"), "3");

        verified(firmware, PackageView.FAILED, 100);
        refused(Reason.CONFLICT, "verified first", JobRequest.of(firmware));
        create(JobRequest.of(firmware).asVerification("d1"));
        inform(one, "3");
        verified(firmware, PackageView.VERIFIED, 100);
    }

    @Test
    void aVerificationThatWasCancelledCountsForNothing() {
        device("d1", "1");
        String firmware = add(PackageRequest.of("pk", "app", "3").withVerification());
        StoredJob job = create(JobRequest.of(firmware).asVerification("d1"));

        jobs.cancelJob(job.id(), CancelFlags.ALL, now);

        verified(firmware, PackageView.NOT_VERIFIED, 0);
    }

    @Test
    void aVerificationOfNothingIsRefused() {
        device("d1", "2");

        refused(
                Reason.CONFLICT,
                "nothing would be verified",
                JobRequest.of("p1").asVerification("d1"));
    }

    @Test
    void aPackageThatNeedsNoVerificationSaysSo() {
        verified("p1", PackageView.NOT_NEEDED, 0);
    }

    // --- schedule

    @Test
    void aPlannedJobHasItsDevicesAtOnceAndTellsThemWhenItIsTime() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withSchedule(now.plus(Duration.ofHours(1)), null));
        device("too-late", "1");

        assertThat(jobs.view(job).status()).isEqualTo(Job.Status.PLANNED);
        assertThat(only(job).status()).isEqualTo(QUEUED);
        assertThat(jobs.queried(device, "app", now)).as("asked too early").isEmpty();
        jobs.startedListening(device, now);
        pass(Duration.ofMinutes(59));
        assertThat(jobs.takePushes()).isEmpty();

        pass(MINUTE);

        assertThat(jobs.takePushes()).hasSize(1);
        assertThat(only(job).status()).isEqualTo(NOTIFIED);
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
    }

    @Test
    void aJobThatIsToBeFinishedByATimeGivesUpWhatIsNotFinishedThen() {
        listening("done", "1");
        DeviceKey busy = listening("busy", "1");
        device("away", "1");
        StoredJob job = create(JobRequest.of("p1").withSchedule(null, now.plus(Duration.ofHours(1))));
        inform(key("done"), "2");
        jobs.progressed(busy, "app", 10, "", now);

        pass(Duration.ofHours(1));

        assertThat(view(job).tasks()).containsEntry(SUCCEEDED, 1).containsEntry(CANCELED, 2);
        assertThat(view(job).status()).isEqualTo(Job.Status.COMPLETED);
        assertThat(task(job, "away").description()).contains("to be finished by 2026-01-01T01:00:00Z");
    }

    // --- dynamic

    @Test
    void aDynamicJobTakesDevicesThatMatchNowOrLater() {
        device("now", "1");
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(1).withSourceVersions("1", "1.5"));

        device("later", "1");
        device("never", "0.9");
        inform(key("never"), "1.5");
        device("there", "2");

        assertThat(devicesOf(job)).containsExactly("now", "later", "never");
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
    }

    @Test
    void aDynamicJobOfModeTwoTakesOnlyThoseThatReportLater() {
        DeviceKey there = device("there", "1");
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(2));
        assertThat(state.tasks(job.id())).isEmpty();
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);

        device("later", "1");
        inform(there, "1");

        assertThat(devicesOf(job)).containsExactly("later", "there");
    }

    @Test
    void aDynamicJobForAGroupTakesNobodyElse() {
        device("in", "1.9");
        device("out", "1.9");
        jobs.packages().putGroup("pk", "ring", List.of("in"));
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(2).withGroup("ring"));

        inform(key("in"), "1");
        inform(key("out"), "1");

        assertThat(devicesOf(job)).containsExactly("in");
    }

    @Test
    void aPackageHasOneRunningDynamicJob() {
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(1));
        refused(Reason.CONFLICT, "dynamic job 'j1'", JobRequest.of("p1").withDynamicMode(2));

        jobs.stopJob(job.id());

        create(JobRequest.of("p1").withDynamicMode(2));
    }

    @Test
    void aDeviceComesBackToADynamicJobTenTimesAtMost() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(1));
        for (int i = 0; i < 15; i++) {
            jobs.progressed(device, "app", -1, "no", now);
            inform(device, "1");
        }

        assertThat(state.tasks(job.id())).hasSize(10).allMatch(task -> task.status() == FAILED);
    }

    @Test
    void aDeviceThatIsBusyWithAnotherJobIsNotTakenByADynamicOne() {
        device("d1", "1");
        create(JobRequest.of("p1"));
        StoredJob job =
                create(JobRequest.of(add(PackageRequest.of("pk", "app", "3"))).withDynamicMode(2));

        inform(key("d1"), "1");

        assertThat(state.tasks(job.id())).isEmpty();
    }

    @Test
    void aStoppedDynamicJobFinishesWhatItHasAndTakesNoMore() {
        device("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(1));

        jobs.stopJob(job.id());
        device("later", "1");

        assertThat(devicesOf(job)).containsExactly("d1");
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
        assertThat(view(job).stopped()).isTrue();
        inform(key("d1"), "2");
        assertThat(view(job).status()).isEqualTo(Job.Status.COMPLETED);
        assertThatThrownBy(() -> jobs.stopJob(job.id())).hasMessageContaining("no more devices already");
    }

    @Test
    void onlyADynamicJobCanBeStopped() {
        device("d1", "1");
        StoredJob job = create(JobRequest.of("p1"));

        assertThatThrownBy(() -> jobs.stopJob(job.id()))
                .isInstanceOf(RequestRefusedException.class)
                .hasMessageContaining("not dynamic");
    }

    // --- pace

    @Test
    void noMoreDevicesThanAllowedAreToldInAnyMinute() {
        for (int i = 0; i < 25; i++) {
            listening("d" + i, "1");
        }
        create(JobRequest.of("p1").withMaximumPerMinute(10));
        assertThat(jobs.takePushes()).hasSize(10);

        pass(Duration.ofSeconds(59));
        assertThat(jobs.takePushes()).isEmpty();
        pass(Duration.ofSeconds(1));
        assertThat(jobs.takePushes()).hasSize(10);
        pass(MINUTE);
        assertThat(jobs.takePushes()).hasSize(5);
        pass(MINUTE);
        assertThat(jobs.takePushes()).isEmpty();
    }

    @Test
    void thePaceIsOfAnyMinuteAndNotOfTheMinutesOfAClock() {
        for (int i = 0; i < 10; i++) {
            listening("early" + i, "1");
        }
        pass(Duration.ofSeconds(30));
        create(JobRequest.of("p1").withMaximumPerMinute(10).withDynamicMode(1));
        jobs.takePushes();
        pass(Duration.ofSeconds(20));
        DeviceKey late = listening("late", "1");
        assertThat(jobs.takePushes()).isEmpty();

        pass(Duration.ofSeconds(39));
        jobs.startedListening(late, now);
        assertThat(jobs.takePushes()).as("in the next minute of the clock").isEmpty();
        pass(Duration.ofSeconds(1));

        assertThat(jobs.takePushes())
                .singleElement()
                .satisfies(offer -> assertThat(offer.task().device()).isEqualTo(late));
    }

    @Test
    void askingIsNoWayAroundThePaceAndADeviceThatLeftLosesItsTurn() {
        for (int i = 0; i < 12; i++) {
            listening("d" + i, "1");
        }
        StoredJob job = create(JobRequest.of("p1").withMaximumPerMinute(10));
        jobs.takePushes();
        List<Task> waiting = state.tasks(job.id()).stream()
                .filter(task -> task.status() == QUEUED)
                .toList();
        assertThat(waiting).hasSize(2);

        assertThat(jobs.queried(waiting.get(0).device(), "app", now)).isEmpty();
        jobs.stoppedListening(waiting.get(0).device());
        pass(MINUTE);

        assertThat(jobs.takePushes())
                .singleElement()
                .satisfies(offer -> assertThat(offer.task().device())
                        .isEqualTo(waiting.get(1).device()));
        jobs.startedListening(waiting.get(0).device(), now);
        assertThat(jobs.takePushes()).hasSize(1);
    }

    @Test
    void aPushAgainTakesNobodysTurn() {
        for (int i = 0; i < 10; i++) {
            listening("d" + i, "1");
        }
        create(JobRequest.of("p1").withMaximumPerMinute(10));
        jobs.takePushes();

        jobs.startedListening(key("d3"), now);

        assertThat(jobs.takePushes()).hasSize(1);
    }

    @Test
    void aRestartDoesNotForgetThePace() {
        for (int i = 0; i < 12; i++) {
            device("d" + i, "1");
        }
        create(JobRequest.of("p1").withMaximumPerMinute(10));
        for (int i = 0; i < 10; i++) {
            jobs.startedListening(key("d" + i), now);
        }
        restart();
        jobs.startedListening(key("d11"), now);
        assertThat(jobs.takePushes()).isEmpty();

        pass(MINUTE);

        assertThat(jobs.takePushes()).hasSize(1);
    }

    // --- time limit and retries

    @Test
    void theTimeLimitIsNotMovedByAPushAgain() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withTimeout(Duration.ofMinutes(10)));
        jobs.progressed(device, "app", 1, "", now);
        pass(Duration.ofMinutes(9));
        jobs.startedListening(device, now);
        jobs.progressed(device, "app", 50, "", now);

        pass(MINUTE);

        assertThat(only(job).status()).isEqualTo(FAILED);
        assertThat(only(job).description()).contains("timeout");
    }

    @Test
    void aTimeLimitThatPassedIsNotTriedAgain() {
        DeviceKey device = listening("d1", "1");
        StoredJob job =
                create(JobRequest.of("p1").withTimeout(Duration.ofMinutes(10)).withRetries(Duration.ZERO, 5));
        jobs.progressed(device, "app", 1, "", now);

        pass(Duration.ofMinutes(10));

        assertThat(only(job).status()).isEqualTo(FAILED);
        assertThat(only(job).retries()).isZero();
    }

    @Test
    void aFailureIsTriedAgainAfterTheIntervalAndSoOften() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withRetries(Duration.ofMinutes(10), 2));
        jobs.takePushes();

        for (int retry = 1; retry <= 2; retry++) {
            jobs.progressed(device, "app", -2, "no route", now);
            assertThat(only(job).status()).isEqualTo(QUEUED);
            assertThat(only(job).retries()).isEqualTo(retry);
            assertThat(only(job).description()).isEqualTo("retry " + retry + " of 2 after: no route");
            assertThat(jobs.queried(device, "app", now)).isEmpty();
            pass(Duration.ofMinutes(9));
            assertThat(jobs.takePushes()).isEmpty();
            pass(MINUTE);
            assertThat(jobs.takePushes()).hasSize(1);
            assertThat(only(job).status()).isEqualTo(NOTIFIED);
        }
        jobs.progressed(device, "app", -2, "no route", now);

        assertThat(only(job).status()).isEqualTo(FAILED);
        assertThat(only(job).history())
                .extracting(Task.Transition::status)
                .containsExactly(QUEUED, NOTIFIED, FAILED, QUEUED, NOTIFIED, FAILED, QUEUED, NOTIFIED, FAILED);
    }

    @Test
    void aRetryWithoutAnIntervalIsAtOnce() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withRetries(Duration.ZERO, 1));
        jobs.takePushes();

        jobs.progressed(device, "app", -1, "no", now);

        assertThat(jobs.takePushes()).hasSize(1);
        assertThat(only(job).status()).isEqualTo(NOTIFIED);
    }

    @Test
    void aForeignVersionIsTriedAgainFromThereIfTheJobTakesIt() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withRetries(Duration.ZERO, 1));
        jobs.takePushes();

        inform(device, "1.5");

        assertThat(only(job).status()).isEqualTo(NOTIFIED);
        assertThat(only(job).sourceVersion()).isEqualTo("1.5");
        assertThat(jobs.takePushes()).hasSize(1);
    }

    @Test
    void aForeignVersionThatTheJobDoesNotTakeIsNotTriedAgain() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withSourceVersions("1").withRetries(Duration.ZERO, 1));

        inform(device, "1.5");

        assertThat(only(job).status()).isEqualTo(FAILED);
    }

    @Test
    void theTimeLimitGoesOnWhileATaskWaitsToBeTriedAgain() {
        DeviceKey device = listening("d1", "1");
        StoredJob job =
                create(JobRequest.of("p1").withTimeout(Duration.ofMinutes(15)).withRetries(Duration.ofMinutes(10), 5));
        jobs.progressed(device, "app", 1, "", now);
        pass(Duration.ofMinutes(8));
        jobs.progressed(device, "app", -1, "no", now);

        pass(Duration.ofMinutes(7));

        assertThat(only(job).status()).isEqualTo(FAILED);
        assertThat(only(job).description()).contains("timeout");
    }

    @Test
    void aRestartForgetsNoRetryNoTimeLimitAndNoSchedule() {
        DeviceKey retried = listening("d1", "1");
        StoredJob first = create(JobRequest.of("p1").withDevices("d1").withRetries(Duration.ofMinutes(10), 1));
        jobs.progressed(retried, "app", -1, "no", now);
        DeviceKey limited = listening("d2", "1");
        StoredJob second = create(JobRequest.of("p1").withDevices("d2").withTimeout(Duration.ofMinutes(5)));
        jobs.progressed(limited, "app", 1, "", now);
        DeviceKey planned = listening("d3", "1");
        StoredJob third =
                create(JobRequest.of("p1").withDevices("d3").withSchedule(now.plus(Duration.ofMinutes(6)), null));
        StoredJob dynamic =
                create(JobRequest.of(add(PackageRequest.of("pk", "mcu", "2"))).withDynamicMode(1));

        restart();
        jobs.startedListening(retried, now);
        jobs.startedListening(planned, now);
        pass(Duration.ofMinutes(10));

        assertThat(only(first).status()).isEqualTo(NOTIFIED);
        assertThat(only(second).status()).isEqualTo(FAILED);
        assertThat(only(third).status()).isEqualTo(NOTIFIED);
        device("d4", "1");
        jobs.informed(key("d4"), "mcu", "1", false, now);
        assertThat(devicesOf(dynamic)).containsExactly("d4");
    }

    // --- confirmation

    @Test
    void aTaskThatNeedsAConfirmationIsNotToldToItsDeviceBefore() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withConfirmation());

        assertThat(only(job).status()).isEqualTo(CONFIRM);
        jobs.startedListening(device, now);
        assertThat(jobs.takePushes()).isEmpty();
        assertThat(jobs.queried(device, "app", now)).isEmpty();

        jobs.confirm(List.of(only(job).id()), now);

        assertThat(jobs.takePushes()).hasSize(1);
        assertThat(only(job).status()).isEqualTo(NOTIFIED);
    }

    @Test
    void tenTasksAreConfirmedAtOnceAndAllOrNone() {
        devices(11, "1");
        StoredJob job = create(JobRequest.of("p1").withConfirmation());
        List<String> ids = state.tasks(job.id()).stream().map(Task::id).toList();

        refusedIds(Reason.INVALID, "1 to 10", () -> jobs.confirm(ids, now));
        refusedIds(Reason.INVALID, "1 to 10", () -> jobs.confirm(List.of(), now));
        refusedIds(Reason.NOT_FOUND, "t99", () -> jobs.confirm(List.of(ids.get(0), "t99"), now));
        assertThat(jobs.confirm(ids.subList(0, 10), now)).allMatch(task -> task.status() == QUEUED);
        refusedIds(Reason.CONFLICT, "no confirmation", () -> jobs.confirm(List.of(ids.get(10), ids.get(0)), now));
        assertThat(state.task(ids.get(10)).status()).isEqualTo(CONFIRM);
    }

    // --- cancelling

    static Stream<Arguments> flags() {
        return Stream.of(
                arguments(new CancelFlags(true, false, false, false, false), QUEUED),
                arguments(new CancelFlags(false, true, false, false, false), NOTIFIED),
                arguments(new CancelFlags(false, false, true, false, false), IN_PROGRESS));
    }

    @ParameterizedTest
    @MethodSource("flags")
    void aFlagCancelsTheTasksOfItsStatusAndNoOthers(CancelFlags flags, TaskStatus cancelled) {
        device("d1", "1");
        listening("d2", "1");
        listening("d3", "1");
        StoredJob job = create(JobRequest.of("p1"));
        jobs.progressed(key("d3"), "app", 1, "", now);

        jobs.cancelJob(job.id(), flags, now);

        Map<TaskStatus, Integer> counts = view(job).tasks();
        assertThat(counts).containsEntry(CANCELED, 1).containsEntry(cancelled, 0);
        assertThat(view(job).status()).as("the rest goes on").isEqualTo(Job.Status.IN_PROGRESS);
    }

    @Test
    void unconfirmedAndScheduledTasksHaveFlagsOfTheirOwn() {
        devices(1, "1");
        StoredJob unconfirmed = create(JobRequest.of("p1").withConfirmation());
        jobs.cancelJob(unconfirmed.id(), new CancelFlags(true, true, true, false, true), now);
        assertThat(only(unconfirmed).status()).isEqualTo(CONFIRM);
        jobs.cancelJob(unconfirmed.id(), new CancelFlags(false, false, false, true, false), now);
        assertThat(only(unconfirmed).status()).isEqualTo(CANCELED);

        StoredJob planned = create(JobRequest.of("p1").withSchedule(now.plus(Duration.ofHours(1)), null));
        jobs.cancelJob(planned.id(), new CancelFlags(true, true, true, true, false), now);
        assertThat(only(planned).status()).isEqualTo(QUEUED);
        jobs.cancelJob(planned.id(), new CancelFlags(false, false, false, false, true), now);
        assertThat(view(planned).status()).as("nothing of it is left").isEqualTo(Job.Status.CANCELED);
        pass(Duration.ofHours(1));
        assertThat(only(planned).status()).isEqualTo(CANCELED);
    }

    @Test
    void cancellingNothingIsRefused() {
        devices(1, "1");
        StoredJob job = create(JobRequest.of("p1"));

        refusedIds(
                Reason.INVALID,
                "cancelQueuedTask",
                () -> jobs.cancelJob(job.id(), new CancelFlags(false, false, false, false, false), now));
    }

    @Test
    void aDevicesTasksAreCancelledOfOneJobOrOfAll() {
        DeviceKey device = device("d1", "1");
        jobs.informed(device, "mcu", "1", false, now);
        StoredJob app = create(JobRequest.of("p1").withMultiModule());
        StoredJob mcu =
                create(JobRequest.of(add(PackageRequest.of("pk", "mcu", "2"))).withMultiModule());

        assertThat(jobs.cancelDevice(device, app.id(), now)).hasSize(1);
        assertThat(only(app).status()).isEqualTo(CANCELED);
        assertThat(only(mcu).status()).isEqualTo(QUEUED);
        assertThat(jobs.cancelDevice(device, null, now)).hasSize(1);
        assertThat(only(mcu).status()).isEqualTo(CANCELED);
    }

    @Test
    void namedTasksAreCancelledUnlessOneHasEnded() {
        devices(2, "1");
        StoredJob job = create(JobRequest.of("p1"));
        inform(key("d1"), "2");

        refusedIds(Reason.CONFLICT, "SUCCEEDED already", () -> jobs.cancelTasks(List.of("t1", "t2"), now));
        assertThat(task(job, "d0").status()).isEqualTo(QUEUED);
        assertThat(jobs.cancelTasks(List.of("t1"), now)).allMatch(task -> task.status() == CANCELED);
    }

    // --- once more

    @Test
    void aTaskThatFailedIsDoneOnceMoreWithAllItsRetries() {
        DeviceKey device = listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withRetries(Duration.ZERO, 1));
        jobs.progressed(device, "app", -1, "no", now);
        jobs.progressed(device, "app", -1, "no", now);
        assertThat(view(job).status()).isEqualTo(Job.Status.COMPLETED);
        jobs.takePushes();

        jobs.restart(List.of(only(job).id()), now);

        assertThat(jobs.takePushes()).hasSize(1);
        assertThat(only(job).status()).isEqualTo(NOTIFIED);
        assertThat(only(job).retries()).isZero();
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
    }

    @Test
    void aTaskOfACancelledJobBringsTheJobBack() {
        device("d1", "1");
        StoredJob job = create(JobRequest.of("p1"));
        jobs.cancelJob(job.id(), CancelFlags.ALL, now);

        jobs.restart(List.of(only(job).id()), now);

        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
        inform(key("d1"), "2");
        assertThat(view(job).status()).isEqualTo(Job.Status.COMPLETED);
    }

    @Test
    void aTaskOfAPlannedJobThatWasCancelledIsRestartedAtItsTimeOrAtOnceIfThatHasPassed() {
        listening("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withSchedule(now.plus(Duration.ofMinutes(5)), null));
        jobs.cancelJob(job.id(), CancelFlags.ALL, now);
        jobs.restart(List.of("t1"), now);
        assertThat(view(job).status()).isEqualTo(Job.Status.PLANNED);
        jobs.cancelJob(job.id(), CancelFlags.ALL, now);
        pass(Duration.ofMinutes(6));
        assertThat(only(job).status()).isEqualTo(CANCELED);

        jobs.restart(List.of("t1"), now);

        assertThat(only(job).status()).isEqualTo(NOTIFIED);
        assertThat(view(job).status()).isEqualTo(Job.Status.IN_PROGRESS);
    }

    @Test
    void aDynamicJobThatWasCancelledTakesNoMoreDevicesWhenATaskOfItIsRestarted() {
        device("d1", "1");
        StoredJob job = create(JobRequest.of("p1").withDynamicMode(1));
        jobs.cancelJob(job.id(), CancelFlags.ALL, now);

        jobs.restart(List.of("t1"), now);
        restart();
        device("d2", "1");
        assertThat(devicesOf(job)).containsExactly("d1");
        inform(key("d1"), "2");

        assertThat(view(job).status()).isEqualTo(Job.Status.COMPLETED);
    }

    @Test
    void aTaskIsNotRestartedWhereItMakesNoSense() {
        DeviceKey device = device("d1", "1");
        StoredJob unconfirmed = create(JobRequest.of("p1").withConfirmation());
        refusedIds(Reason.CONFLICT, "it is CONFIRM", () -> jobs.restart(List.of("t1"), now));
        jobs.cancelJob(unconfirmed.id(), CancelFlags.ALL, now);
        refusedIds(Reason.CONFLICT, "never confirmed", () -> jobs.restart(List.of("t1"), now));

        StoredJob cancelled = create(JobRequest.of("p1").withSchedule(null, now.plus(Duration.ofHours(1))));
        jobs.cancelJob(cancelled.id(), CancelFlags.ALL, now);
        create(JobRequest.of("p1"));
        refusedIds(Reason.CONFLICT, "'t3' of its device is not finished", () -> jobs.restart(List.of("t2"), now));
        refusedIds(Reason.CONFLICT, "it is QUEUED", () -> jobs.restart(List.of("t3"), now));
        inform(device, "2");
        refusedIds(Reason.CONFLICT, "reports version 2", () -> jobs.restart(List.of("t2"), now));
        inform(device, "1");
        pass(Duration.ofHours(1));
        refusedIds(Reason.CONFLICT, "to be finished by", () -> jobs.restart(List.of("t2"), now));
    }

    @Test
    void twoTasksOfOneDeviceAreNotRestartedTogether() {
        device("d1", "1");
        for (int i = 0; i < 2; i++) {
            jobs.cancelJob(create(JobRequest.of("p1")).id(), CancelFlags.ALL, now);
        }

        jobs.informed(key("d1"), "mcu", "1", false, now);
        create(JobRequest.of(add(PackageRequest.of("pk", "mcu", "2"))).withMultiModule());
        jobs.cancelTasks(List.of("t3"), now);

        refusedIds(Reason.CONFLICT, "same device", () -> jobs.restart(List.of("t1", "t2"), now));
        refusedIds(Reason.CONFLICT, "same device", () -> jobs.restart(List.of("t1", "t3"), now));
        assertThat(state.task("t1").status()).isEqualTo(CANCELED);
    }

    // --- download

    @Test
    void overMqttGoesOneFileOfSixteenMebibytes() {
        device("d1", "1");
        String sixteen = add("3", new PackageFile(null, Limits.MAX_MQTT_BYTES, "a", "b", null));
        String more = add("4", new PackageFile(null, Limits.MAX_MQTT_BYTES + 1, "a", "b", null));
        String two = add("5", new PackageFile("a.bin", 1, "a", "b", null), new PackageFile("b.bin", 1, "a", "b", null));

        assertThat(jobs.createJob(JobRequest.of(sixteen).withDownloadProtocol(DownloadProtocol.MQTT), now))
                .isNotNull();
        refused(Reason.CONFLICT, "16777216 bytes", JobRequest.of(more).withDownloadProtocol(DownloadProtocol.MQTT));
        refused(Reason.CONFLICT, "one file", JobRequest.of(two).withDownloadProtocol(DownloadProtocol.MQTT));
        assertThat(state.firmwareOfStream(2).id()).isEqualTo(sixteen);
    }

    // --- limits

    static Stream<Arguments> impossible() {
        JobRequest job = JobRequest.of("p1");
        Instant start = Instant.parse("2026-01-01T00:00:00Z");
        return Stream.of(
                arguments("devices and share", "exclude", job.withDevices("d0").withGrayPercent("1")),
                arguments("share and group", "exclude", job.withGroup("g").withGrayPercent("1")),
                arguments("201 devices", "at most 200", job.withDevices(names(201))),
                arguments("share of nothing", "more than 0", job.withGrayPercent("0")),
                arguments("negative share", "more than 0", job.withGrayPercent("-1")),
                arguments("more than all", "at most 100", job.withGrayPercent("100.001")),
                arguments("four decimals", "3 decimals", job.withGrayPercent("1.0001")),
                arguments("dynamic mode 3", "1 or 2", job.withDynamicMode(3)),
                arguments(
                        "dynamic with names",
                        "dynamic job",
                        job.withDynamicMode(1).withDevices("d0")),
                arguments(
                        "dynamic with a share",
                        "dynamic job",
                        job.withDynamicMode(1).withGrayPercent("1")),
                arguments(
                        "dynamic with a schedule",
                        "dynamic job",
                        job.withDynamicMode(1).withSchedule(start, null)),
                arguments("11 source versions", "at most 10", job.withSourceVersions(names(11))),
                arguments("11 devices to verify on", "1 to 10", job.asVerification(names(11))),
                arguments("start too soon", "5 minutes", job.withSchedule(start.plusSeconds(5 * 60 - 1), null)),
                arguments("start too late", "7 days", job.withSchedule(start.plusSeconds(7 * 86_400 + 1), null)),
                arguments(
                        "finish too soon",
                        "1 hour",
                        job.withSchedule(start.plusSeconds(600), start.plusSeconds(600 + 3599))),
                arguments("finish too late", "30 days", job.withSchedule(null, start.plusSeconds(30 * 86_400 + 1))),
                arguments("too slow", "10 to 10000", job.withMaximumPerMinute(9)),
                arguments("too fast", "10 to 10000", job.withMaximumPerMinute(10_001)),
                arguments("no time", "1 to 1440", job.withTimeout(Duration.ofSeconds(59))),
                arguments("too much time", "1 to 1440", job.withTimeout(Duration.ofMinutes(1441))),
                arguments("odd interval", "0, 10, 30, 60 or 1440", job.withRetries(Duration.ofMinutes(20), 1)),
                arguments("odd count", "1, 2 or 5", job.withRetries(Duration.ZERO, 3)),
                arguments("interval without a count", "go together", job.withRetries(Duration.ZERO, 0)),
                arguments(
                        "interval as long as the limit",
                        "less than",
                        job.withTimeout(Duration.ofMinutes(30)).withRetries(Duration.ofMinutes(30), 1)),
                arguments("11 tags", "at most 10 tags", job.withTags(tags(11, 1))),
                arguments("tag of 1025 characters", "1024", job.withTags(tags(1, 1025))),
                arguments("tags of 4097 characters", "4096", job.withTags(tags(4, 1023))),
                arguments("key of 31 characters", "1 to 30", job.withTags(Map.of("k".repeat(31), "v"))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("impossible")
    void whatIsBeyondALimitIsRefusedAndTheLimitIsSaid(String what, String words, JobRequest request) {
        assertThatThrownBy(() -> Limits.job(request, now))
                .as(what)
                .isInstanceOfSatisfying(
                        RequestRefusedException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(Reason.INVALID))
                .hasMessageContaining(words);
    }

    static Stream<Arguments> possible() {
        JobRequest job = JobRequest.of("p1");
        Instant start = Instant.parse("2026-01-01T00:00:00Z");
        return Stream.of(
                arguments("200 devices", job.withDevices(names(200))),
                arguments("three decimals", job.withGrayPercent("0.001")),
                arguments("zeros behind the third decimal", job.withGrayPercent("12.50000")),
                arguments("all", job.withGrayPercent("100")),
                arguments("10 source versions", job.withSourceVersions(names(10))),
                arguments("10 devices to verify on", job.asVerification(names(10))),
                arguments(
                        "earliest start and finish",
                        job.withSchedule(start.plusSeconds(300), start.plusSeconds(300 + 3600))),
                arguments(
                        "latest start and finish",
                        job.withSchedule(start.plusSeconds(7 * 86_400), start.plusSeconds(37 * 86_400))),
                arguments("slowest", job.withMaximumPerMinute(10)),
                arguments("fastest", job.withMaximumPerMinute(10_000)),
                arguments("least time", job.withTimeout(Duration.ofMinutes(1))),
                arguments("most time", job.withTimeout(Duration.ofMinutes(1440))),
                arguments(
                        "interval and count",
                        job.withTimeout(Duration.ofMinutes(31)).withRetries(Duration.ofMinutes(30), 5)),
                arguments("10 tags", job.withTags(tags(10, 1))),
                arguments("tags of 4096 characters", job.withTags(tags(4, 1022))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("possible")
    void whatIsAtALimitIsTaken(String what, JobRequest request) {
        assertThat(what).isNotEmpty();
        Limits.job(request, now);
    }

    // --- what applications hear

    @Test
    void applicationsHearOfVersionsProgressAndEnds() {
        DeviceKey device = listening("d1", "1");
        jobs.takeEvents();
        create(JobRequest.of("p1").withRetries(Duration.ZERO, 1));
        assertThat(jobs.takeEvents()).singleElement().isInstanceOf(Job.class);

        jobs.progressed(device, "app", -2, "no route", now);
        assertThat(jobs.takeEvents())
                .as("tried again, not yet ended")
                .hasSize(2)
                .first()
                .isEqualTo(new ApplicationMessage(
                        "ota/progress/post", "pk", "d1", "app", null, "1", "2", "-2", null, "no route", millis()));
        jobs.progressed(device, "app", -2, "no route", now);
        assertThat(jobs.takeEvents())
                .element(1)
                .isEqualTo(new ApplicationMessage(
                        "ota/upgrade", "pk", "d1", "app", null, "1", "2", null, "FAILED", "no route", millis()));
        inform(device, "2");
        assertThat(jobs.takeEvents())
                .containsExactly(new ApplicationMessage(
                        "ota/version/post", "pk", "d1", "app", "2", null, null, null, null, null, millis()));
    }

    private long millis() {
        return now.toEpochMilli();
    }

    private static String[] names(int count) {
        return IntStream.range(0, count).mapToObj(i -> "d" + i).toArray(String[]::new);
    }

    private static Map<String, String> tags(int count, int length) {
        Map<String, String> tags = new TreeMap<>();
        for (int i = 0; i < count; i++) {
            tags.put("k" + i, "v".repeat(length));
        }
        return tags;
    }

    private void pass(Duration time) {
        now = now.plus(time);
        jobs.advance(now);
    }

    private void restart() {
        PlatformState again = new PlatformState();
        state.entries().forEach(again::put);
        assertThat(again.entries()).isEqualTo(state.entries());
        jobs = new Jobs(state);
    }

    private StoredJob create(JobRequest request) {
        return jobs.createJob(request, now);
    }

    private void cancelAll() {
        for (Task task : state.unfinished()) {
            jobs.cancelTasks(List.of(task.id()), now);
        }
    }

    private String add(PackageRequest request) {
        return jobs.addPackage(request, List.of(new PackageFile(null, 5, "a", "b", null)), now)
                .id();
    }

    private String add(String version, PackageFile... files) {
        return jobs.addPackage(PackageRequest.of("pk", "app", version), List.of(files), now)
                .id();
    }

    private void devices(int count, String version) {
        for (int i = 0; i < count; i++) {
            device("d" + i, version);
        }
    }

    private DeviceKey device(String name, String version) {
        DeviceKey key = key(name);
        jobs.createDevice(key, "CANARY", now);
        inform(key, version);
        return key;
    }

    private DeviceKey listening(String name, String version) {
        jobs.createDevice(key(name), "CANARY", now);
        jobs.startedListening(key(name), now);
        inform(key(name), version);
        return key(name);
    }

    private static DeviceKey key(String name) {
        return new DeviceKey("pk", name);
    }

    private void inform(DeviceKey device, String version) {
        jobs.informed(device, "app", version, false, now);
    }

    private void verified(String packageId, int status, int progress) {
        FirmwarePackage firmware = jobs.packages().require(packageId);
        assertThat(jobs.packages().view(firmware)).isEqualTo(new PackageView(firmware, status, progress));
    }

    private Job view(StoredJob job) {
        return jobs.view(jobs.requireJob(job.id()));
    }

    private List<String> devicesOf(StoredJob job) {
        return state.tasks(job.id()).stream().map(Task::deviceName).toList();
    }

    private Task only(StoredJob job) {
        assertThat(state.tasks(job.id())).hasSize(1);
        return List.copyOf(state.tasks(job.id())).get(0);
    }

    private Task task(StoredJob job, String device) {
        return state.tasks(job.id()).stream()
                .filter(task -> task.deviceName().equals(device))
                .findFirst()
                .orElseThrow();
    }

    private void refused(Reason reason, String words, JobRequest request) {
        int before = state.jobs().size();
        refusedIds(reason, words, () -> create(request));
        assertThat(state.jobs()).hasSize(before);
    }

    private static void refusedIds(Reason reason, String words, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        RequestRefusedException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(reason))
                .hasMessageContaining(words);
    }
}
