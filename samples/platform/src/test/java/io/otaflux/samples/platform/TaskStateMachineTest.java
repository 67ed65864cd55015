package io.otaflux.samples.platform;

import static io.otaflux.samples.platform.TaskStatus.CANCELED;
import static io.otaflux.samples.platform.TaskStatus.CONFIRM;
import static io.otaflux.samples.platform.TaskStatus.FAILED;
import static io.otaflux.samples.platform.TaskStatus.IN_PROGRESS;
import static io.otaflux.samples.platform.TaskStatus.NOTIFIED;
import static io.otaflux.samples.platform.TaskStatus.QUEUED;
import static io.otaflux.samples.platform.TaskStatus.SUCCEEDED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class TaskStateMachineTest {

    private static final Instant CREATED = Instant.parse("2026-01-01T00:00:00Z");
    private static final Instant NOW = CREATED.plusSeconds(60);
    private static final Duration LIMIT = Duration.ofMinutes(10);

    private static Task task(TaskStatus status) {
        Instant deadline = status == IN_PROGRESS ? CREATED.plus(LIMIT) : null;
        return new Task(
                "t1", "j1", "pk", "dn", "app", "1.0.0", "2.0.0", status, 0, "", deadline, 0, null, List.of(), CREATED,
                CREATED);
    }

    static Stream<Arguments> transitions() {
        return Stream.of(
                row("confirmed: queued", CONFIRM, confirmed(), QUEUED),
                row("confirmed twice: still queued", QUEUED, confirmed(), QUEUED),
                row("not offered before it is confirmed", CONFIRM, offered(), CONFIRM),
                row("progress before it is confirmed is an earlier task's", CONFIRM, step(10), CONFIRM),
                row("target version before it is confirmed: succeeded", CONFIRM, version("2.0.0"), SUCCEEDED),
                row("foreign version before it is confirmed: still unconfirmed", CONFIRM, version("1.5.0"), CONFIRM),
                row(
                        "foreign version that the job does not take, unconfirmed: failed",
                        CONFIRM,
                        excluded("1.5.0"),
                        FAILED),
                row("cancelled before it is confirmed", CONFIRM, cancelled(), CANCELED),
                row("time limit of an earlier try, while queued: failed", QUEUED, triedBefore(), FAILED),
                row("tried again after a failure: queued", FAILED, triedAgain(), QUEUED),
                row("restarted after a failure: queued", FAILED, restarted(), QUEUED),
                row("restarted after it was cancelled: queued", CANCELED, restarted(), QUEUED),
                row("restarted after success: nothing", SUCCEEDED, restarted(), SUCCEEDED),
                row("restarted while in progress: nothing", IN_PROGRESS, restarted(), IN_PROGRESS),
                row("tried again although cancelled: nothing", CANCELED, triedAgain(), CANCELED),
                row("pushed while queued: notified", QUEUED, offered(), NOTIFIED),
                row("pushed again while notified: still notified", NOTIFIED, offered(), NOTIFIED),
                row("pushed again while in progress: still in progress", IN_PROGRESS, offered(), IN_PROGRESS),
                row("progress while queued is an earlier task's: ignored", QUEUED, step(10), QUEUED),
                row("failure while queued is an earlier task's: ignored", QUEUED, step(-2), QUEUED),
                row("first progress: in progress", NOTIFIED, step(1), IN_PROGRESS),
                row("first progress of zero: in progress", NOTIFIED, step(0), IN_PROGRESS),
                row("more progress: still in progress", IN_PROGRESS, step(50), IN_PROGRESS),
                row("100 percent is not success", IN_PROGRESS, step(100), IN_PROGRESS),
                row("more than 100 percent: ignored", NOTIFIED, step(101), NOTIFIED),
                row("upgrade failed before any progress", NOTIFIED, step(-1), FAILED),
                row("upgrade failed", IN_PROGRESS, step(-1), FAILED),
                row("download failed", IN_PROGRESS, step(-2), FAILED),
                row("verification failed", IN_PROGRESS, step(-3), FAILED),
                row("flashing failed", IN_PROGRESS, step(-4), FAILED),
                row("target version while queued: succeeded", QUEUED, version("2.0.0"), SUCCEEDED),
                row("target version while notified: succeeded", NOTIFIED, version("2.0.0"), SUCCEEDED),
                row("target version while in progress: succeeded", IN_PROGRESS, version("2.0.0"), SUCCEEDED),
                row("source version while queued: nothing", QUEUED, version("1.0.0"), QUEUED),
                row("source version while notified: nothing", NOTIFIED, version("1.0.0"), NOTIFIED),
                row("source version while in progress does not reset", IN_PROGRESS, version("1.0.0"), IN_PROGRESS),
                row("foreign version while queued: still queued", QUEUED, version("1.5.0"), QUEUED),
                row("foreign version while notified: failed", NOTIFIED, version("1.5.0"), FAILED),
                row("foreign version while in progress: failed", IN_PROGRESS, version("1.5.0"), FAILED),
                row("foreign version the job does not take, while queued: failed", QUEUED, excluded("1.5.0"), FAILED),
                row(
                        "time limit not reached",
                        IN_PROGRESS,
                        expiredAt(CREATED.plus(LIMIT).minusMillis(1)),
                        IN_PROGRESS),
                row("time limit reached", IN_PROGRESS, expiredAt(CREATED.plus(LIMIT)), FAILED),
                row("no time limit before the first progress", NOTIFIED, expiredAt(Instant.MAX), NOTIFIED),
                row("no time limit while queued", QUEUED, expiredAt(Instant.MAX), QUEUED),
                row("cancelled while queued", QUEUED, cancelled(), CANCELED),
                row("cancelled while notified", NOTIFIED, cancelled(), CANCELED),
                row("cancelled while in progress", IN_PROGRESS, cancelled(), CANCELED));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("transitions")
    void everyRowOfTheTableHolds(String row, TaskStatus from, UnaryOperator<Task> event, TaskStatus to) {
        assertThat(event.apply(task(from)).status()).as(row).isEqualTo(to);
    }

    @ParameterizedTest(name = "{0} is final")
    @EnumSource(names = {"SUCCEEDED", "FAILED", "CANCELED"})
    void nothingChangesATaskThatHasEnded(TaskStatus ended) {
        Task task = task(ended);

        assertThat(Stream.of(
                                offered(),
                                step(10),
                                step(-1),
                                version("2.0.0"),
                                version("1.0.0"),
                                version("1.5.0"),
                                expiredAt(Instant.MAX),
                                confirmed(),
                                cancelled())
                        .map(event -> event.apply(task)))
                .allSatisfy(after -> assertThat(after).isSameAs(task));
    }

    @Test
    void theTimeLimitStartsWithTheFirstProgressAndIsNotMovedByLaterOnes() {
        Task first = step(5).apply(task(NOTIFIED));
        Task later = TaskStateMachine.progressed(first, 60, "", LIMIT, NOW.plusSeconds(100));

        assertThat(first.deadline()).isEqualTo(NOW.plus(LIMIT));
        assertThat(later.deadline()).isEqualTo(first.deadline());
        assertThat(later.step()).isEqualTo(60);
    }

    @Test
    void aJobWithoutATimeLimitSetsNoDeadline() {
        Task task = TaskStateMachine.progressed(task(NOTIFIED), 5, "", null, NOW);

        assertThat(task.deadline()).isNull();
        assertThat(expiredAt(Instant.MAX).apply(task).status()).isEqualTo(IN_PROGRESS);
    }

    @Test
    void aFailureKeepsTheDevicesCodeAndWords() {
        Task failed = TaskStateMachine.progressed(task(IN_PROGRESS), -3, "digest mismatch", LIMIT, NOW);

        assertThat(failed.step()).isEqualTo(-3);
        assertThat(failed.description()).isEqualTo("digest mismatch");
        assertThat(failed.deadline()).isNull();
    }

    @Test
    void aForeignVersionIsNamedInTheFailure() {
        assertThat(version("1.5.0").apply(task(IN_PROGRESS)).description())
                .contains("version mismatch", "1.0.0", "1.5.0", "2.0.0");
    }

    @Test
    void aDeviceThatChangesItsVersionBeforeTheFirstPushIsUpgradedFromThere() {
        Task moved = version("1.5.0").apply(task(QUEUED));

        assertThat(moved.sourceVersion()).isEqualTo("1.5.0");
        assertThat(version("1.5.0").apply(offered().apply(moved)).status()).isEqualTo(NOTIFIED);
    }

    private static Arguments row(String name, TaskStatus from, UnaryOperator<Task> event, TaskStatus to) {
        return arguments(name, from, event, to);
    }

    @Test
    void aTaskThatIsTriedAgainKeepsItsTimeLimitAndARestartedOneDoesNot() {
        Task running = step(40).apply(task(NOTIFIED));
        Task failed = step(-2).apply(running);
        Task again = TaskStateMachine.triedAgain(failed, running.deadline(), NOW.plusSeconds(600), 2, NOW);

        assertThat(again.deadline()).isEqualTo(running.deadline());
        assertThat(again.retries()).isEqualTo(1);
        assertThat(again.notBefore()).isEqualTo(NOW.plusSeconds(600));
        assertThat(again.step()).isZero();
        assertThat(again.description()).isEqualTo("retry 1 of 2 after: words");
        Task told = offered().apply(again);
        assertThat(told.notBefore()).isNull();
        assertThat(TaskStateMachine.progressed(told, 1, "", LIMIT, NOW.plusSeconds(601))
                        .deadline())
                .as("counted from the first progress of all")
                .isEqualTo(running.deadline());

        Task restarted = TaskStateMachine.restarted(failed, "1.1.0", NOW);
        assertThat(restarted.deadline()).isNull();
        assertThat(restarted.retries()).isZero();
        assertThat(restarted.sourceVersion()).isEqualTo("1.1.0");
    }

    @Test
    void theHistoryHasEveryStatusWithItsTimeAndReason() {
        Task task = Task.create("t1", "j1", new DeviceKey("pk", "dn"), "app", "1", "2", CONFIRM, "", CREATED);

        Task failed = step(-2).apply(step(40).apply(
                        step(20).apply(offered().apply(confirmed().apply(task)))));

        assertThat(failed.history())
                .containsExactly(
                        new Task.Transition(CONFIRM, CREATED, ""),
                        new Task.Transition(QUEUED, NOW, "confirmed"),
                        new Task.Transition(NOTIFIED, NOW, "confirmed"),
                        new Task.Transition(IN_PROGRESS, NOW, "words"),
                        new Task.Transition(FAILED, NOW, "words"));
    }

    private static UnaryOperator<Task> confirmed() {
        return task -> TaskStateMachine.confirmed(task, NOW);
    }

    private static UnaryOperator<Task> triedAgain() {
        return task -> TaskStateMachine.triedAgain(task, null, NOW, 1, NOW);
    }

    private static UnaryOperator<Task> triedBefore() {
        return task -> TaskStateMachine.expired(task.at(0, NOW), NOW);
    }

    private static UnaryOperator<Task> restarted() {
        return task -> TaskStateMachine.restarted(task, "1.0.0", NOW);
    }

    private static UnaryOperator<Task> offered() {
        return task -> TaskStateMachine.offered(task, NOW);
    }

    private static UnaryOperator<Task> step(int step) {
        return task -> TaskStateMachine.progressed(task, step, "words", LIMIT, NOW);
    }

    private static UnaryOperator<Task> version(String version) {
        return task -> TaskStateMachine.informed(task, version, Set.of(), NOW);
    }

    private static UnaryOperator<Task> excluded(String version) {
        return task -> TaskStateMachine.informed(task, version, Set.of("1.0.0"), NOW);
    }

    private static UnaryOperator<Task> expiredAt(Instant now) {
        return task -> TaskStateMachine.expired(task, now);
    }

    private static UnaryOperator<Task> cancelled() {
        return task -> TaskStateMachine.cancelled(task, "enough", NOW);
    }
}
