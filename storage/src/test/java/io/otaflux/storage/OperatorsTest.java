package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.LossyOperators;
import org.junit.jupiter.api.Test;

class OperatorsTest {

    @Test
    void noOperatorLosesACancellationThatMatters() {
        assertThat(LossyOperators.usedIn(FileArtifactStore.class))
                .containsExactlyInAnyOrder(
                        // The end of its run ends the program, and what is left of its start.
                        "CommandInstaller.flatMap",
                        "CommandInstaller.onErrorResume",
                        // Work of a thread of the pool, which is never interrupted, and whose end is not far.
                        "Copy.onErrorMap",
                        "FileArtifactStore.onErrorMap",
                        // Closing goes on to its end whoever waits for it.
                        "FileArtifactStore.onErrorResume",
                        "FileArtifactStore.switchIfEmpty",
                        "PartWriter.onErrorMap");
    }
}
