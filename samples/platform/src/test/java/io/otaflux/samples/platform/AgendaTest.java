package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import org.junit.jupiter.api.Test;

class AgendaTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    private final Agenda agenda = new Agenda();

    @Test
    void whatIsDueIsTakenOutEarliestFirst() {
        agenda.add(NOW.plusSeconds(2), "b");
        agenda.add(NOW.plusSeconds(3), "c");
        agenda.add(NOW.plusSeconds(1), "a");

        assertThat(agenda.take(NOW)).isEmpty();
        assertThat(agenda.take(NOW.plusSeconds(2))).containsExactly("a", "b");
        assertThat(agenda.take(NOW.plusSeconds(9))).containsExactly("c");
    }

    @Test
    void theSameIsKeptOnceUntilItWasTaken() {
        for (int i = 0; i < 3; i++) {
            agenda.add(NOW, "a");
        }

        assertThat(agenda.take(NOW)).containsExactly("a");
        agenda.add(NOW, "a");
        assertThat(agenda.take(NOW)).containsExactly("a");
    }
}
