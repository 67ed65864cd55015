package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/** What has to be looked at when. Looking once too often does no harm, so nothing is ever taken back. */
final class Agenda {

    private record Due(Instant at, String id) {}

    private final PriorityQueue<Due> entries = new PriorityQueue<>(Comparator.comparing(Due::at));

    void add(Instant at, String id) {
        entries.add(new Due(at, id));
    }

    /** Takes out what is due, earliest first. */
    List<String> take(Instant now) {
        List<String> due = new ArrayList<>();
        for (Due first = entries.peek(); first != null && !first.at().isAfter(now); first = entries.peek()) {
            due.add(first.id());
            entries.remove();
        }
        return due;
    }
}
