package io.otaflux;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** One upgrade that has not ended, as this process knows it. */
final class Upgrade {

    private final Sinks.One<String> withdrawn = Sinks.one();
    private final List<ArtifactStore.Stored> references = new ArrayList<>();

    private final boolean tracked;

    private UpgradeTrigger trigger;
    private boolean located;
    private UpgradeJournal.State state;
    private boolean journaled;
    private boolean started;
    private boolean ended;
    private boolean installing;
    private boolean withdrawing;
    private Duration active = Duration.ZERO;

    private Upgrade(
            UpgradeTrigger trigger, boolean located, UpgradeJournal.State state, boolean journaled, boolean tracked) {
        this.trigger = trigger;
        this.located = located;
        this.state = state;
        this.journaled = journaled;
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
        trigger = again;
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

    synchronized void journaled() {
        journaled = true;
    }

    /** Tells true to the first who asks, until {@link #pause()}. */
    synchronized boolean start() {
        if (started || ended) {
            return false;
        }
        started = true;
        return true;
    }

    /** Whoever worked on it stopped without an end; it may be started again. */
    synchronized void pause() {
        started = false;
    }

    /** Tells true once: to whoever brings it to its end. */
    synchronized boolean end() {
        boolean first = !ended;
        ended = true;
        return first;
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

    /** Adds to the time that was spent working on it, as against waiting for a place or a person. */
    synchronized void spent(Duration time) {
        active = active.plus(time);
    }

    synchronized Duration active() {
        return active;
    }

    /** Tells true when it could still be withdrawn, and is. */
    boolean withdraw(String reason) {
        synchronized (this) {
            if (installing || ended) {
                return false;
            }
            withdrawing = true;
        }
        withdrawn.tryEmitValue(reason);
        return true;
    }

    /** Tells true, and stops the stage that is under way, when its version was reached without installing it here. */
    boolean reachElsewhere() {
        synchronized (this) {
            if (installing || ended || state != UpgradeJournal.State.ADMITTED) {
                return false;
            }
            ended = true;
        }
        withdrawn.tryEmitValue("reached");
        return true;
    }

    /** Tells false when it was withdrawn before; from now on it cannot be. */
    synchronized boolean beginInstallation() {
        installing = !withdrawing;
        return installing;
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
