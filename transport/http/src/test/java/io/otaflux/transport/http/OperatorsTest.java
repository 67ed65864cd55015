package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.LossyOperators;
import org.junit.jupiter.api.Test;

class OperatorsTest {

    @Test
    void noOperatorLosesACancellationThatMatters() {
        // Where that loses a cancellation, the consumer of the bytes has ended, and with it the answer.
        assertThat(LossyOperators.usedIn(HttpArtifactSource.class)).containsExactly("HttpArtifactSource.onErrorMap");
    }
}
