package io.otaflux;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Who may be upgraded now. Every device and module has a lane; in a lane one upgrade runs and at most one waits, which a
 * newer one supersedes. So a flood of triggers cannot grow beyond the number of devices and modules.
 */
final class Lanes {

    private final Map<Place, Lane> lanes = new HashMap<>();

    private record Place(DeviceId device, String module) {

        // Written out: the compiler's are put together at their first use, which a short process pays for.
        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Place that && device.equals(that.device) && module.equals(that.module);
        }

        @Override
        public int hashCode() {
            return 31 * device.hashCode() + module.hashCode();
        }
    }

    private static final class Lane {

        private @Nullable Upgrade running;
        private @Nullable Upgrade waiting;
        private @Nullable String version;
        private @Nullable UpgradeKey succeeded;

        @Nullable
        Upgrade find(UpgradeKey key) {
            if (running != null && running.trigger().key().equals(key)) {
                return running;
            }
            return waiting != null && waiting.trigger().key().equals(key) ? waiting : null;
        }
    }

    /** What becomes of a trigger. */
    sealed interface Verdict {

        /** Whose turn it is now. */
        @Nullable
        Upgrade running();

        /** The same upgrade is under way; there is nothing to do but to wait until the journal has it. */
        record Repeated(Upgrade upgrade, @Nullable Upgrade running) implements Verdict {}

        /** The module is at that version already; the platform has not heard, or not listened. */
        record Reached() implements Verdict {

            /** Nobody's: otherwise the version would be about to change. */
            @Override
            public @Nullable Upgrade running() {
                return null;
            }
        }

        /** A new upgrade, and the one that it superseded. */
        record Taken(
                Upgrade upgrade,
                @Nullable Upgrade superseded,
                @Nullable Upgrade running) implements Verdict {}
    }

    synchronized Verdict offer(UpgradeTrigger trigger) {
        Lane lane = lane(trigger.device(), trigger.module());
        if (lane.running != null) {
            Upgrade known = lane.find(trigger.key());
            if (known != null) {
                known.relocate(trigger);
                return new Verdict.Repeated(known, lane.running);
            }
        } else if (trigger.version().equals(lane.version)
                || (lane.succeeded != null && lane.succeeded.equals(trigger.key()))) {
            return new Verdict.Reached();
        }
        Upgrade upgrade = Upgrade.pushed(trigger);
        Upgrade superseded = place(lane, upgrade);
        return new Verdict.Taken(upgrade, superseded, lane.running);
    }

    /** Puts back an upgrade that an earlier process left unfinished, and returns the one that it supersedes. */
    synchronized @Nullable Upgrade restore(Upgrade upgrade) {
        return place(lane(upgrade.trigger().device(), upgrade.trigger().module()), upgrade);
    }

    /** Remembers the last success of an earlier process. */
    synchronized void restoreSuccess(UpgradeKey key) {
        lane(key.device(), key.module()).succeeded = key;
    }

    private static @Nullable Upgrade place(Lane lane, Upgrade upgrade) {
        if (lane.running == null) {
            lane.running = upgrade;
            return null;
        }
        Upgrade superseded = lane.waiting;
        lane.waiting = upgrade;
        return superseded;
    }

    /** The upgrade of that key which is under way or waits. */
    synchronized Optional<Upgrade> find(UpgradeKey key) {
        Lane lane = lanes.get(new Place(key.device(), key.module()));
        return Optional.ofNullable(lane == null ? null : lane.find(key));
    }

    /** The upgrade of that device and module which has its turn. */
    synchronized Optional<Upgrade> running(DeviceId device, String module) {
        Lane lane = lanes.get(new Place(device, module));
        return Optional.ofNullable(lane == null ? null : lane.running);
    }

    /** All that have their turn. */
    synchronized List<Upgrade> running() {
        List<Upgrade> running = new ArrayList<>();
        for (Lane lane : lanes.values()) {
            if (lane.running != null) {
                running.add(lane.running);
            }
        }
        return running;
    }

    /** All that are under way or wait. */
    synchronized List<Upgrade> open() {
        return lanes.values().stream().flatMap(lane -> open(lane).stream()).toList();
    }

    synchronized boolean hasTurn(Upgrade upgrade) {
        Lane lane = lanes.get(
                new Place(upgrade.trigger().device(), upgrade.trigger().module()));
        return lane != null && lane.running == upgrade;
    }

    /** Takes an ended upgrade out of its lane and returns the one whose turn it is now. */
    synchronized @Nullable Upgrade leave(Upgrade upgrade) {
        Place place = new Place(upgrade.trigger().device(), upgrade.trigger().module());
        Lane lane = lanes.get(place);
        if (lane == null) {
            return null;
        }
        if (lane.waiting == upgrade) {
            lane.waiting = null;
            return null;
        }
        if (lane.running != upgrade) {
            return null;
        }
        lane.running = lane.waiting;
        lane.waiting = null;
        if (lane.running == null && lane.version == null && lane.succeeded == null) {
            lanes.remove(place);
        }
        return lane.running;
    }

    /** Remembers a success and returns the key of the one before it, which need not be remembered any more. */
    synchronized @Nullable UpgradeKey succeeded(UpgradeKey key) {
        Lane lane = lane(key.device(), key.module());
        UpgradeKey before = lane.succeeded;
        lane.succeeded = key;
        lane.version = key.version();
        return key.equals(before) ? null : before;
    }

    /**
     * Remembers what the device says it runs, and returns the success that this belies. The device knows best: it may
     * have been set back by hand, and then the same upgrade is a new one.
     */
    synchronized @Nullable UpgradeKey reported(DeviceId device, String module, String version) {
        Lane lane = lane(device, module);
        lane.version = version;
        UpgradeKey belied = lane.succeeded;
        if (belied == null || belied.version().equals(version)) {
            return null;
        }
        lane.succeeded = null;
        return belied;
    }

    private Lane lane(DeviceId device, String module) {
        return lanes.computeIfAbsent(new Place(device, module), place -> new Lane());
    }

    private static List<Upgrade> open(Lane lane) {
        List<Upgrade> open = new ArrayList<>(2);
        if (lane.running != null) {
            open.add(lane.running);
        }
        if (lane.waiting != null) {
            open.add(lane.waiting);
        }
        return open;
    }
}
