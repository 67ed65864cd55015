package io.otaflux.storage;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;

/** Who may use a name: one at a time, the others in the order in which they asked. */
final class Turns {

    /** A name that is in use, with those who wait for it. */
    private final Map<String, Queue<Runnable>> taken = new HashMap<>();

    /** Runs {@code turn} when {@code name} is free, which may be now. Each turn ends with {@link #give}. */
    void take(String name, Runnable turn) {
        synchronized (taken) {
            Queue<Runnable> others = taken.get(name);
            if (others != null) {
                others.add(turn);
                return;
            }
            taken.put(name, new ArrayDeque<>());
        }
        turn.run();
    }

    /** Takes {@code name} if nobody has it. */
    boolean tryTake(String name) {
        synchronized (taken) {
            return taken.putIfAbsent(name, new ArrayDeque<>()) == null;
        }
    }

    /** Gives up waiting; does nothing to a turn that has come already. */
    void withdraw(String name, Runnable turn) {
        synchronized (taken) {
            Queue<Runnable> others = taken.get(name);
            if (others != null) {
                others.remove(turn);
            }
        }
    }

    /** Ends a turn and begins the next one. */
    void give(String name) {
        Runnable next;
        synchronized (taken) {
            Queue<Runnable> others = taken.get(name);
            next = others == null ? null : others.poll();
            if (next == null) {
                taken.remove(name);
                return;
            }
        }
        next.run();
    }
}
