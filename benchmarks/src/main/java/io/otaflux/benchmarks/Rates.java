package io.otaflux.benchmarks;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Beside operations per second: 10^6 bytes per second. */
@AuxCounters
@State(Scope.Thread)
public class Rates {

    public double megabytes;

    @Setup(Level.Iteration)
    public void reset() {
        megabytes = 0;
    }

    void count(long bytes) {
        megabytes += bytes / 1e6;
    }
}
