package io.otaflux;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** One upgrade that has not ended, as this process knows it. */
final class Upgrade {

    private final boolean tracked;

    // Of tens of thousands that wait for their turn, none needs more than the next two fields.
    private List<ArtifactStore.Stored> references = List.of();
    private Sinks.@Nullable One<String> withdrawn;

    private @Nullable Unacknowledged unacknowledged;

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

    /** What a delivery takes up where it was taken in, until it is acknowledged. */
    interface Place {

        void vacate();

        /** It will never be acknowledged, because of a bug. */
        void fail(Throwable bug);
    }

    /** What brought it, the latest first. After a cancellation a channel may emit the same delivery once more. */
    private static final class Unacknowledged {

        private final UpgradeChannel.Delivery delivery;
        private Place place;
        private final @Nullable Unacknowledged before;

        Unacknowledged(UpgradeChannel.Delivery delivery, Place place, @Nullable Unacknowledged before) {
            this.delivery = delivery;
            this.place = place;
            this.before = before;
        }
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
        Unacknowledged last;
        synchronized (this) {
            settled = true;
            last = unacknowledged;
            unacknowledged = null;
            latest = last == null ? null : last.delivery;
        }
        for (Unacknowledged one = inOrder(last); one != null; one = one.before) {
            acknowledge(one.delivery, one.place);
        }
    }

    /** The same in the order in which they came. */
    private static @Nullable Unacknowledged inOrder(@Nullable Unacknowledged last) {
        if (last == null || last.before == null) {
            return last;
        }
        Unacknowledged first = null;
        for (Unacknowledged one = last; one != null; one = one.before) {
            first = new Unacknowledged(one.delivery, one.place, first);
        }
        return first;
    }

    /** Neither journaled nor given up, because of a bug. */
    void unsettled(Throwable bug) {
        Unacknowledged last;
        synchronized (this) {
            last = unacknowledged;
            unacknowledged = null;
        }
        for (Unacknowledged one = last; one != null; one = one.before) {
            one.place.fail(bug);
        }
    }

    /** Acknowledges {@code delivery} when the journal has this upgrade, and no delivery twice. */
    void deliver(UpgradeChannel.Delivery delivery, Place place) {
        boolean again;
        synchronized (this) {
            if (!settled) {
                await(delivery, place);
                return;
            }
            again = latest == delivery;
            latest = delivery;
        }
        if (again) {
            place.vacate();
        } else {
            acknowledge(delivery, place);
        }
    }

    private void await(UpgradeChannel.Delivery delivery, Place place) {
        for (Unacknowledged one = unacknowledged; one != null; one = one.before) {
            if (one.delivery.equals(delivery)) {
                one.place = place;
                return;
            }
        }
        unacknowledged = new Unacknowledged(delivery, place, unacknowledged);
    }

    private static void acknowledge(UpgradeChannel.Delivery delivery, Place place) {
        try {
            delivery.acknowledge();
            place.vacate();
        } catch (RuntimeException bug) {
            place.fail(bug);
        }
    }

    /** Whoever listened to the channel stopped, and with that gave back what is not acknowledged. */
    synchronized void returnDeliveries() {
        unacknowledged = null;
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
            if (references.isEmpty()) {
                references = new ArrayList<>(1);
            }
            references.add(stored);
        }
    }

    synchronized void release() {
        references.forEach(ArtifactStore.Stored::release);
        references = List.of();
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
        withdrawn().tryEmitValue(reason);
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
        withdrawn().tryEmitValue("reached");
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
        return withdrawn().asMono().map(Withdrawal::new);
    }

    private synchronized Sinks.One<String> withdrawn() {
        Sinks.One<String> present = withdrawn;
        if (present == null) {
            present = Sinks.one();
            withdrawn = present;
        }
        return present;
    }

    /** Ends a stage that is under way; never seen by anybody outside. */
    static final class Withdrawal extends RuntimeException {

        Withdrawal(String reason) {
            super(reason, null, false, false);
        }
    }
}
