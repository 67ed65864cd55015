package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * What has to be looked at when. Looking once too often does no harm, so nothing is ever taken back; but it may be asked for
 * with each report of a device, so the same is kept only once.
 */
final class Agenda {

    private record Due(Instant at, String id) {}

    private final PriorityQueue<Due> entries = new PriorityQueue<>(Comparator.comparing(Due::at));
    private final Set<Due> known = new HashSet<>();

    void add(Instant at, String id) {
        Due due = new Due(at, id);
        if (known.add(due)) {
            entries.add(due);
        }
    }

    /** Takes out what is due, earliest first. */
    List<String> take(Instant now) {
        List<String> due = new ArrayList<>();
        for (Due first = entries.peek(); first != null && !first.at().isAfter(now); first = entries.peek()) {
            due.add(first.id());
            known.remove(entries.remove());
        }
        return due;
    }
}
