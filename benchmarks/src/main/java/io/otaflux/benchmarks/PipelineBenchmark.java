package io.otaflux.benchmarks;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One upgrade started by hand, so without journal and platform, with the bytes from memory: hashing, writing, synchronising,
 * committing, verifying, and moving the file to its place. It leaves the store with that, so each upgrade writes all of it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
public class PipelineBenchmark {

    @Param({"1", "64"})
    public int mebibytes;

    private @Nullable Scene scene;
    private @Nullable OtaClient client;

    /** Beside upgrades per second: 10^6 bytes per second. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Bytes {

        public double megabytes;

        @Setup(Level.Iteration)
        public void reset() {
            megabytes = 0;
        }
    }

    @Setup(Level.Trial)
    public void open() {
        Scene opened = new Scene(mebibytes << 20);
        scene = opened;
        client = OtaClient.builder(UpgradeChannel.none(Scene.DEVICE))
                .source(opened.source())
                .store(opened.store())
                .installer(
                        "app",
                        verified -> verified.file().moveTo(opened.target()).thenReturn(Installer.Effect.IMMEDIATE))
                .build();
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        Objects.requireNonNull(client).dispose();
        Objects.requireNonNull(scene).close();
    }

    @Benchmark
    public UpgradeEvent upgrade(Bytes bytes) {
        Scene opened = Objects.requireNonNull(scene);
        UpgradeEvent end = Objects.requireNonNull(
                Objects.requireNonNull(client).upgrade(opened.trigger()).blockLast(Duration.ofMinutes(1)));
        if (!(end instanceof UpgradeEvent.Succeeded)) {
            throw new IllegalStateException(end + " (expected: succeeded)");
        }
        bytes.megabytes += opened.size() / 1e6;
        return end;
    }
}
