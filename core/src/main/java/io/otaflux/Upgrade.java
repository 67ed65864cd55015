package io.otaflux;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** One upgrade that has not ended, as this process knows it. */
final class Upgrade {

    private final Sinks.One<String> withdrawn = Sinks.one();
    private final Sinks.Empty<Void> admitted = Sinks.empty();
    private final List<ArtifactStore.Stored> references = new ArrayList<>();

    /** After a cancellation a channel may emit the same delivery once more. */
    private final Set<UpgradeChannel.Delivery> unacknowledged = new LinkedHashSet<>();

    private final boolean tracked;

    private UpgradeTrigger trigger;
    private boolean located;
    private UpgradeJournal.State state;
    private boolean journaled;
    private boolean settled;
    private UpgradeChannel.@Nullable Delivery latest;
    private @Nullable Object worker;
    private boolean installing;
    private boolean reached;
    private boolean ended;
    private Duration active = Duration.ZERO;

    private Upgrade(
            UpgradeTrigger trigger, boolean located, UpgradeJournal.State state, boolean journaled, boolean tracked) {
        this.trigger = trigger;
        this.located = located;
        this.state = state;
        this.journaled = journaled;
        this.settled = journaled;
        this.installing = state != UpgradeJournal.State.ADMITTED;
        this.tracked = tracked;
    }

    /** One that a platform asked for just now. */
    static Upgrade pushed(UpgradeTrigger trigger) {
        return new Upgrade(trigger, true, UpgradeJournal.State.ADMITTED, false, true);
    }

    /** One that an earlier process left unfinished. */
    static Upgrade restored(UpgradeJournal.Entry entry) {
        return new Upgrade(entry.trigger(), entry.locationsComplete(), entry.state(), true, true);
    }

    /** One that somebody started by hand: no journal and no platform knows of it. */
    static Upgrade byHand(UpgradeTrigger trigger) {
        return new Upgrade(trigger, true, UpgradeJournal.State.ADMITTED, false, false);
    }

    /** Tells whether the journal and the platform are to hear of it. */
    boolean isTracked() {
        return tracked;
    }

    synchronized UpgradeTrigger trigger() {
        return trigger;
    }

    synchronized boolean isLocated() {
        return located;
    }

    /** The same upgrade was pushed again: its locations are the fresh ones. */
    synchronized void relocate(UpgradeTrigger again) {
        // The same bytes: what was a difference is one still, when an answer does not say so.
        trigger = trigger.delta() && !again.delta()
                ? new UpgradeTrigger(
                        again.device(), again.module(), again.version(), again.artifacts(), again.tags(), true)
                : again;
        located = true;
    }

    synchronized UpgradeJournal.State state() {
        return state;
    }

    synchronized void reach(UpgradeJournal.State reached) {
        state = reached;
    }

    /** Tells whether its entry in the journal is durable. */
    synchronized boolean isJournaled() {
        return journaled;
    }

    /** Its entry in the journal is durable: acknowledges what brought it. */
    void journaled() {
        synchronized (this) {
            journaled = true;
        }
        settle();
    }

    /** Acknowledges what brought it, and from now on every repetition at once. */
    void settle() {
        List<UpgradeChannel.Delivery> deliveries;
        synchronized (this) {
            settled = true;
            deliveries = List.copyOf(unacknowledged);
            unacknowledged.clear();
            latest = deliveries.isEmpty() ? null : deliveries.get(deliveries.size() - 1);
        }
        deliveries.forEach(UpgradeChannel.Delivery::acknowledge);
        admitted.tryEmitEmpty();
    }

    /** Neither journaled nor given up, because of a bug. */
    void unsettled(Throwable bug) {
        admitted.tryEmitError(bug);
    }

    /** Acknowledges {@code delivery} when the journal has this upgrade, and no delivery twice. */
    Mono<Void> deliver(UpgradeChannel.Delivery delivery) {
        synchronized (this) {
            if (!settled) {
                unacknowledged.add(delivery);
                return admitted.asMono();
            }
            if (latest == delivery) {
                return Mono.empty();
            }
            latest = delivery;
        }
        delivery.acknowledge();
        return Mono.empty();
    }

    /** Whoever listened to the channel stopped, and with that gave back what is not acknowledged. */
    synchronized void returnDeliveries() {
        unacknowledged.clear();
    }

    /** Tells true to the first {@code worker} who asks, until its {@link #pause}. */
    synchronized boolean start(Object newWorker) {
        if (worker != null || reached || ended) {
            return false;
        }
        worker = newWorker;
        return true;
    }

    /** Tells true when {@code formerWorker} has it still: from now on it is {@code newWorker} who does. */
    synchronized boolean handOver(Object formerWorker, Object newWorker) {
        if (worker != formerWorker || ended) {
            return false;
        }
        worker = newWorker;
        return true;
    }

    synchronized @Nullable Object worker() {
        return worker;
    }

    /** {@code formerWorker} stopped without an end; if it was the one who worked on this, it may be started again. */
    synchronized void pause(Object formerWorker) {
        if (worker == formerWorker) {
            worker = null;
        }
    }

    /** Tells true once: to whoever brings it to its end. */
    synchronized boolean end() {
        boolean first = !ended;
        ended = true;
        return first;
    }

    /** {@link #end()} without success, which is out of the question while the device says that it is there. */
    synchronized boolean giveUp() {
        return !reached && end();
    }

    synchronized boolean hasEnded() {
        return ended;
    }

    synchronized void refer(ArtifactStore.Stored stored) {
        if (ended) {
            stored.release();
        } else {
            references.add(stored);
        }
    }

    synchronized void release() {
        references.forEach(ArtifactStore.Stored::release);
        references.clear();
    }

    /** Adds to the time that its stages took, as against waiting for a person. */
    synchronized void spent(Duration time) {
        active = active.plus(time);
    }

    synchronized Duration active() {
        return active;
    }

    /** Tells true, and stops the stage that is under way, when it could still be withdrawn; whoever asked {@link #end}s it. */
    boolean withdraw(String reason) {
        synchronized (this) {
            if (installing || reached || ended) {
                return false;
            }
            ended = true;
        }
        withdrawn.tryEmitValue(reason);
        return true;
    }

    /** Tells true, and stops the stage that is under way, when its version was reached without installing it here. */
    boolean reachElsewhere() {
        synchronized (this) {
            if (installing || reached || ended) {
                return false;
            }
            reached = true;
        }
        withdrawn.tryEmitValue("reached");
        return true;
    }

    /** It could not be confirmed that its version was reached. */
    synchronized void unreach() {
        reached = false;
    }

    /** Tells false when it has ended or was reached elsewhere; from now on it cannot be withdrawn. */
    synchronized boolean beginInstallation() {
        if (reached || ended) {
            return false;
        }
        installing = true;
        return true;
    }

    /** Emits when the upgrade is withdrawn; otherwise never ends. */
    Mono<Withdrawal> withdrawal() {
        return withdrawn.asMono().map(Withdrawal::new);
    }

    /** Ends a stage that is under way; never seen by anybody outside. */
    static final class Withdrawal extends RuntimeException {

        Withdrawal(String reason) {
            super(reason, null, false, false);
        }
    }
}
