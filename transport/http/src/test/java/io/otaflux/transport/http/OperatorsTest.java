package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.LossyOperators;
import org.junit.jupiter.api.Test;

class OperatorsTest {

    @Test
    void noOperatorLosesACancellation() {
        assertThat(LossyOperators.usedIn(HttpArtifactSource.class)).isEmpty();
    }
}
