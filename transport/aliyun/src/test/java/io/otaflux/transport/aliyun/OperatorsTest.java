package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.LossyOperators;
import org.junit.jupiter.api.Test;

class OperatorsTest {

    /** With the others, what goes on is one question to the platform, or the wait for its answer, which has a time limit. */
    @Test
    void nothingIsConcatenatedThatACancellationCouldMiss() {
        assertThat(LossyOperators.usedIn(AliyunDevice.class))
                .isNotEmpty()
                .noneMatch(use -> use.matches("[^.]*\\.(concat|concatDelayError|concatWith.*|startWith|thenMany)"));
    }
}
