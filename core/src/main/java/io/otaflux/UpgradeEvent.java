package io.otaflux;

import java.time.Duration;

/**
 * One step of an upgrade, in the past tense: by the time an event is emitted, it holds even if power is lost.
 *
 * <p>An upgrade emits {@link Admitted}, any number of {@link Received} and {@link Interrupted}, then {@link Downloaded},
 * {@link Verified} and {@link Installed}, and ends with exactly one {@link Ended}. A failed upgrade ends with
 * {@link Failed} and not with {@code onError}: one bad artifact must not tear down the stream that brings the next
 * trigger.
 */
public sealed interface UpgradeEvent
        permits UpgradeEvent.Admitted,
                UpgradeEvent.Received,
                UpgradeEvent.Interrupted,
                Downloaded,
                Verified,
                Installed,
                UpgradeEvent.Ended {

    UpgradeTrigger trigger();

    /** The trigger is journaled and was acknowledged: it will not be lost any more. Work on it begins, or begins again. */
    record Admitted(UpgradeTrigger trigger) implements UpgradeEvent {}

    /**
     * Bytes are durable in the store, not merely received.
     *
     * @param bytes how many, over all artifacts of the upgrade
     * @param size how many there will be, or {@link Artifact#UNKNOWN_SIZE}
     */
    record Received(UpgradeTrigger trigger, long bytes, long size) implements UpgradeEvent {

        /** Whole percents, rounded down, so that 100 means complete; 0 while the size is unknown. */
        public int percent() {
            return size <= 0 ? (size == 0 ? 100 : 0) : (int) Math.min(100, Math.floorDiv(bytes * 100, size));
        }
    }

    /**
     * A transfer broke off and will go on from what is durable.
     *
     * @param cause why
     * @param retryIn how long it waits before it goes on
     */
    record Interrupted(UpgradeTrigger trigger, TransferException cause, Duration retryIn) implements UpgradeEvent {}

    /** The last event of an upgrade. */
    sealed interface Ended extends UpgradeEvent permits Succeeded, Failed, Cancelled {}

    /** The new version runs and the platform has been told: it counts the upgrade as succeeded. */
    record Succeeded(UpgradeTrigger trigger) implements Ended {}

    /** The upgrade failed. What ran before still runs. */
    record Failed(UpgradeTrigger trigger, OtaException cause) implements Ended {}

    /** The upgrade was given up without having failed: a newer one superseded it, or somebody withdrew it. */
    record Cancelled(UpgradeTrigger trigger, String reason) implements Ended {}
}
