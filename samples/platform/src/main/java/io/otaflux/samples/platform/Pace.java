package io.otaflux.samples.platform;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Keeps a job from telling more than so many devices in any minute; the others wait in order. */
final class Pace {

    private static final Duration MINUTE = Duration.ofMinutes(1);

    private final int maximumPerMinute;
    private final Deque<Instant> told = new ArrayDeque<>();
    private final Set<String> waiting = new LinkedHashSet<>();

    Pace(int maximumPerMinute) {
        this.maximumPerMinute = maximumPerMinute;
    }

    boolean hasRoom(Instant now) {
        while (!told.isEmpty() && !told.getFirst().plus(MINUTE).isAfter(now)) {
            told.removeFirst();
        }
        return told.size() < maximumPerMinute;
    }

    void told(Instant now) {
        told.addLast(now);
    }

    /** @return whether nobody has waited so far */
    boolean await(String taskId) {
        boolean first = waiting.isEmpty();
        waiting.add(taskId);
        return first;
    }

    /** The one that has waited longest; it does not wait any more. */
    @Nullable
    String next() {
        Iterator<String> first = waiting.iterator();
        if (!first.hasNext()) {
            return null;
        }
        String taskId = first.next();
        first.remove();
        return taskId;
    }

    /** When there is room again; null if there is or nobody waits for it. */
    @Nullable
    Instant nextRoom() {
        return waiting.isEmpty() || told.size() < maximumPerMinute
                ? null
                : told.getFirst().plus(MINUTE);
    }
}
