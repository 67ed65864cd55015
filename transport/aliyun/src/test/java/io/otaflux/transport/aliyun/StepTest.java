package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.DigestMismatchException;
import io.otaflux.InstallException;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.RefusedException;
import io.otaflux.SourceException;
import io.otaflux.StorageException;
import io.otaflux.TransferException;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class StepTest {

    private static final UpgradeTrigger TRIGGER = new UpgradeTrigger(
            new DeviceId("pk", "dev"),
            "app",
            "2.0.0",
            new Artifact("app", URI.create("https://h/f?token=CANARY"), 1000, List.of()));
    private static final String MD5 = "00112233445566778899aabbccddeeff";

    @Test
    void anAdmittedUpgradeIsOnePercent() {
        assertThat(Step.of(new UpgradeEvent.Admitted(TRIGGER))).contains(new Step(1, ""));
    }

    @ParameterizedTest
    @CsvSource({"0,1", "9,1", "10,1", "500,50", "990,99", "1000,99"})
    void receivedBytesAreOneToNinetyNinePercent(long bytes, int step) {
        assertThat(Step.of(new UpgradeEvent.Received(TRIGGER, bytes, 1000))).contains(new Step(step, ""));
    }

    @Test
    void bytesOfAnUnknownTotalAreOnePercent() {
        assertThat(Step.of(new UpgradeEvent.Received(TRIGGER, 500, Artifact.UNKNOWN_SIZE)))
                .contains(new Step(1, ""));
    }

    static Stream<Arguments> failures() {
        return Stream.of(
                Arguments.of(new ChannelException(Reason.CONNECTION_LOST, "x", null), -1),
                Arguments.of(new RefusedException(Stage.TRANSPORT, Reason.POLICY, "x"), -1),
                Arguments.of(new SourceException(Reason.NOT_FOUND, 404, "x", null), -2),
                Arguments.of(new TransferException(Reason.TIMEOUT, "x", null), -2),
                Arguments.of(new StorageException(Reason.NO_SPACE, "x", null), -2),
                Arguments.of(new LengthMismatchException("a", 1, 2), -3),
                Arguments.of(
                        new DigestMismatchException(
                                Stage.VERIFY, "a", Digest.md5(MD5), Digest.md5(MD5.replace('0', '1'))),
                        -3),
                Arguments.of(new RefusedException(Stage.VERIFY, Reason.NO_DIGEST, "x"), -3),
                Arguments.of(new InstallException("x", null), -4),
                Arguments.of(new StorageException(Stage.INSTALL, Reason.IO_FAILED, "x", null), -4));
    }

    @ParameterizedTest
    @MethodSource("failures")
    void aFailureIsTheNumberOfItsStageAndNamesItsReason(OtaException cause, int value) {
        assertThat(Step.of(new UpgradeEvent.Failed(TRIGGER, cause))).hasValueSatisfying(step -> {
            assertThat(step.value()).isEqualTo(value);
            assertThat(step.description()).startsWith(cause.reason().name() + ": ");
            assertThat(step.isFailure()).isTrue();
        });
    }

    @Test
    void aDescriptionIsShortAndOneLine() {
        Step step = Step.failed(new InstallException("line\n".repeat(100), null));

        assertThat(step.description()).hasSize(128).endsWith("…").doesNotContain("\n");
    }

    @Test
    void aDescriptionIsNotCutInsideACharacter() {
        String text = "INSTALL_FAILED: ";
        Step step = Step.failed(new InstallException("x".repeat(126 - text.length()) + "\uD83D\uDE00tail", null));

        assertThat(step.description()).hasSize(127).endsWith("x…");
    }

    @Test
    void aCancelledOrSucceededUpgradeHasNoStep() {
        assertThat(Step.of(new UpgradeEvent.Cancelled(TRIGGER, "superseded"))).isEmpty();
        assertThat(Step.of(new UpgradeEvent.Succeeded(TRIGGER))).isEmpty();
    }

    @Test
    void anInterruptionHasNoStep() {
        TransferException cause = new TransferException(Reason.CONNECTION_LOST, "x", null);

        assertThat(Step.of(new UpgradeEvent.Interrupted(TRIGGER, cause, Duration.ofSeconds(1))))
                .isEmpty();
    }
}
