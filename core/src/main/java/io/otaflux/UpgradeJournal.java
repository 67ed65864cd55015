package io.otaflux;

import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What must be known about upgrades after a restart: a map from {@link UpgradeKey} to the latest {@link Entry}.
 *
 * <p>It keeps no credential: the query and user-info of locations are left out of what is written.
 */
public interface UpgradeJournal {

    /**
     * Emits the latest entry of every key, in the order in which the keys were first written, without the
     * {@linkplain #remove removed} ones. A journal that was torn or corrupted gives what is intact of it.
     */
    Flux<Entry> entries();

    /** Records {@code entry} in place of the one with the same key. Completes when it would survive a power cut. */
    Mono<Void> put(Entry entry);

    /** Forgets {@code key}. Completes when that would survive a power cut; also when there is no such key. */
    Mono<Void> remove(UpgradeKey key);

    /**
     * What is known of one upgrade.
     *
     * @param trigger what was asked for. In an entry that was read back, locations have lost their query and user-info
     * @param locationsComplete whether the trigger's locations are as the platform sent them. Whoever writes passes true;
     *     the journal answers false for those that lost something
     * @param state how far it came
     * @param reported whether the platform has heard of a final state
     * @param detail why it failed or was cancelled; null otherwise. Free of credentials
     */
    record Entry(
            UpgradeTrigger trigger,
            boolean locationsComplete,
            State state,
            boolean reported,
            @Nullable String detail) {}

    /** The durable states of an upgrade. Where the bytes are is the store's to know. */
    enum State {
        /** Taken on; not all of it is installed yet. */
        ADMITTED,
        /** Installed and not yet confirmed: the platform has not been told the new version. */
        INSTALLED,
        /** Installed; it takes effect, and can be confirmed, after the device has restarted. */
        AWAITING_RESTART,
        SUCCEEDED,
        FAILED,
        CANCELLED;

        /** Tells whether this is one of the three ends. */
        public boolean isFinal() {
            return this == SUCCEEDED || this == FAILED || this == CANCELLED;
        }
    }
}
