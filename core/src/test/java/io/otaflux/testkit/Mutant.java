package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/**
 * Proves that a harness bites. A mutant is a part with one guard left out: a disk that does not synchronise, a source that
 * forgets {@code If-Range}. The harness which the real part passes must fail with it; otherwise the harness proves nothing.
 */
public final class Mutant {

    private Mutant() {}

    /**
     * Runs {@code harness}, which works with a mutant, and expects it to fail as a test fails.
     *
     * @param guard the guard that is left out, in a few words
     * @throws AssertionError when the harness passes: nobody would notice if the guard were gone. An exception that is no
     *     {@code AssertionError} does not count either, because it says that the harness broke and not what it found
     */
    public static void assertCaught(String guard, ThrowingCallable harness) {
        Throwable found = catchThrowable(harness);
        if (found == null) {
            System.err.println("mutant survived: " + guard);
        }
        assertThat(found).as("without %s", guard).isNotNull();
        if (!(found instanceof AssertionError)) {
            throw new AssertionError("without " + guard + ": the harness broke", found);
        }
        System.err.println("mutant caught: " + guard);
    }
}
