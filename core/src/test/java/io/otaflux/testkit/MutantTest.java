package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class MutantTest {

    @Test
    void aHarnessThatPassesWithAMutantFails() {
        assertThatThrownBy(() -> Mutant.assertCaught("self-test", () -> {})).isInstanceOf(AssertionError.class);
    }

    @Test
    void aHarnessThatBreaksHasNotCaughtAnything() {
        assertThatThrownBy(() -> Mutant.assertCaught("self-test", () -> {
                    throw new IllegalStateException("broken");
                }))
                .isInstanceOf(AssertionError.class)
                .hasRootCauseMessage("broken");
    }
}
