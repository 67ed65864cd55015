package io.otaflux.callback;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeTrigger;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the program was told of each device and module, and whether it is at something.
 *
 * <p>The original fires at every push and expects nothing of the program. The engine hands out the next trigger of a module
 * when the one before has ended, which a program that ignores it, or whose own installation fails, would never bring about.
 * So a trigger that the program leaves lying gives way to the next one.
 */
final class Triggers {

    private final Map<Place, Told> places = new HashMap<>();

    private record Place(DeviceId device, String module) {

        static Place of(UpgradeTrigger trigger) {
            return new Place(trigger.device(), trigger.module());
        }
    }

    private static final class Told {

        private @Nullable UpgradeTrigger trigger;
        private @Nullable UpgradeTrigger newest;
        /** How many downloads and verifications of it are under way. */
        private int stages;
        /** It has ended, or was given up. */
        private boolean over;
    }

    /** What is to be done now. */
    enum Move {
        NOTHING,
        /** Tell the program of the trigger. */
        TELL,
        /** Give up what the program was told before. */
        GIVE_UP
    }

    /** The platform pushed {@code trigger}; the engine may have it already. */
    synchronized Move pushed(UpgradeTrigger trigger) {
        Told told = places.computeIfAbsent(Place.of(trigger), place -> new Told());
        told.newest = trigger;
        UpgradeTrigger before = lying(told);
        if (before != null && before.key().equals(trigger.key())) {
            told.trigger = trigger;
            return Move.TELL;
        }
        return giveWay(told) ? Move.GIVE_UP : Move.NOTHING;
    }

    /** The engine took {@code trigger} on, and nothing else of its device and module. */
    synchronized Move begun(UpgradeTrigger trigger) {
        Told told = places.computeIfAbsent(Place.of(trigger), place -> new Told());
        told.trigger = trigger;
        told.stages = 0;
        told.over = false;
        return giveWay(told) ? Move.GIVE_UP : Move.TELL;
    }

    /** A download or verification of {@code trigger} begins. */
    synchronized void work(UpgradeTrigger trigger) {
        Told told = told(trigger);
        if (told != null) {
            told.stages++;
        }
    }

    /** It is done; {@code failed} when the upgrade has ended with it. */
    synchronized Move rest(UpgradeTrigger trigger, boolean failed) {
        Told told = told(trigger);
        if (told == null) {
            return Move.NOTHING;
        }
        told.stages--;
        told.over |= failed;
        return giveWay(told) ? Move.GIVE_UP : Move.NOTHING;
    }

    /** The device says that it runs {@code version}. */
    synchronized void reported(DeviceId device, String module, String version) {
        Told told = places.get(new Place(device, module));
        if (told != null && told.trigger != null && told.trigger.version().equals(version)) {
            told.over = true;
        }
    }

    /** The latest trigger that the program knows, or could know, by this location. */
    synchronized Optional<UpgradeTrigger> find(String url) {
        for (Told told : places.values()) {
            UpgradeTrigger trigger = told.trigger;
            if (trigger != null && trigger.artifact().location().toString().equals(url)) {
                return Optional.of(trigger);
            }
        }
        return Optional.empty();
    }

    /** What the program was told of the device and module of {@code trigger}. */
    synchronized Optional<UpgradeTrigger> toldBefore(UpgradeTrigger trigger) {
        Told told = places.get(Place.of(trigger));
        return told == null ? Optional.empty() : Optional.ofNullable(told.trigger);
    }

    private @Nullable Told told(UpgradeTrigger trigger) {
        Told told = places.get(Place.of(trigger));
        return told != null && told.trigger != null && told.trigger.key().equals(trigger.key()) ? told : null;
    }

    /** What the program was told and is not at. */
    private static @Nullable UpgradeTrigger lying(Told told) {
        return told.over || told.stages > 0 ? null : told.trigger;
    }

    /** Tells true when the platform wants something else than what lies there, which is over with this. */
    private static boolean giveWay(Told told) {
        UpgradeTrigger before = lying(told);
        UpgradeTrigger newest = told.newest;
        if (before == null || newest == null || newest.key().equals(before.key())) {
            return false;
        }
        told.over = true;
        return true;
    }
}
