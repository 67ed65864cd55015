package io.otaflux;

import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * The two-way conversation with a platform: triggers come in; versions and events go out.
 *
 * <p>A lost connection is the implementation's to restore. It delays signals and is never an error; being refused by
 * the platform for good is one, {@link ChannelException}.
 */
public interface UpgradeChannel {

    /** The device that holds this conversation: the gateway itself, where there are devices behind it. */
    DeviceId device();

    /**
     * Emits every trigger that the platform sends, repeated ones too, for all devices of this conversation.
     *
     * <p><b>Subscriptions:</b> one at a time. Work that needs a connection begins with the first subscription to this or
     * to a report. A trigger that arrives while nobody is subscribed is kept, the latest one per device and module.
     *
     * <p><b>Cancellation</b> loses nothing: a delivery that was not acknowledged is emitted again to the next
     * subscriber, or delivered again by the platform.
     *
     * @return a {@code Flux} that never completes and errors with {@link ChannelException} when the platform refuses the
     *     device; a message that makes no sense is counted, logged, reported where the protocol can, and skipped
     */
    Flux<Delivery> triggers();

    /**
     * Tells the platform which version a module runs. It is what a platform counts as success of an upgrade.
     *
     * @return a {@code Mono} that completes when the platform has it; while disconnected it waits. Cancelling it may
     *     leave the version unreported
     */
    Mono<Void> report(DeviceId device, String module, String version);

    /**
     * Tells the platform what happened, as far as its protocol has a word for it. Progress may be thinned out; the first
     * and the last report of an upgrade always go out.
     *
     * @return a {@code Mono} that completes when the platform has it, or at once where it has no use for it; while
     *     disconnected it waits for final events and may drop progress
     */
    Mono<Void> report(UpgradeEvent event);

    /**
     * Asks the platform for the pending upgrade of {@code trigger}'s device and module, to have a fresh location.
     *
     * @return a {@code Mono} that emits the pending trigger, or completes empty where nothing is pending or the protocol
     *     has no such question. It errors with {@link TransferException} where the platform could not be asked now, or
     *     asks to come back later. Defaults to empty
     */
    default Mono<UpgradeTrigger> refresh(UpgradeTrigger trigger) {
        return Mono.empty();
    }

    /**
     * Tells whether this platform's protocol knows no digest better than MD5 or SHA-1, so that upgrades which have only
     * such a one are to be accepted. Defaults to false; {@link OtaClient.Builder#acceptWeakDigests} decides otherwise.
     */
    default boolean sendsWeakDigests() {
        return false;
    }

    /** A conversation with nobody: no trigger ever comes and reports go nowhere. For upgrades that are started by hand. */
    static UpgradeChannel none(DeviceId device) {
        return new UpgradeChannel() {
            @Override
            public DeviceId device() {
                return device;
            }

            @Override
            public Flux<Delivery> triggers() {
                return Flux.never();
            }

            @Override
            public Mono<Void> report(DeviceId reporting, String module, String version) {
                return Mono.empty();
            }

            @Override
            public Mono<Void> report(UpgradeEvent event) {
                return Mono.empty();
            }
        };
    }

    /** One trigger as it was delivered, with the means to say that it is safe here. */
    interface Delivery {

        UpgradeTrigger trigger();

        /**
         * Tells the platform that it need not deliver this again. Called once per delivery, after the trigger is
         * journaled. It never blocks and never throws; a delivery of a connection that is gone may be acknowledged too.
         */
        void acknowledge();
    }
}
