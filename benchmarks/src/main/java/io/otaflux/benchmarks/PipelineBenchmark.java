package io.otaflux.benchmarks;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
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
import reactor.core.Disposable;

/**
 * One upgrade with the bytes from memory: hashing, writing, synchronising, committing, verifying, and moving the file to its
 * place. It leaves the store with that, so each upgrade writes all of it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
public class PipelineBenchmark {

    @Param({"1", "64"})
    public int mebibytes;

    private @Nullable Scene scene;
    private @Nullable LocalChannel channel;
    private @Nullable OtaClient client;
    private @Nullable Disposable running;

    /** What the upgrades took from the heap, and how large they were; JMH adds up such counters over its iterations. */
    @AuxCounters(AuxCounters.Type.EVENTS)
    @State(Scope.Thread)
    public static class Heap {

        public long upgradedMebibytes;

        private Allocation allocation = new Allocation();

        @Setup(Level.Iteration)
        public void reset() {
            allocation = new Allocation();
            upgradedMebibytes = 0;
        }

        public long allocatedBytes() {
            return allocation.bytes();
        }
    }

    @Setup(Level.Trial)
    public void open() {
        Scene opened = new Scene(mebibytes << 20);
        LocalChannel platform = new LocalChannel();
        OtaClient built = OtaClient.builder(platform)
                .source(opened.source())
                .store(opened.store())
                .installer(
                        "app",
                        verified -> verified.file().moveTo(opened.target()).thenReturn(Installer.Effect.IMMEDIATE))
                .build();
        scene = opened;
        channel = platform;
        client = built;
        running = built.upgrades().subscribe();
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        Objects.requireNonNull(running).dispose();
        Objects.requireNonNull(client).dispose();
        Objects.requireNonNull(scene).close();
    }

    /** Pushed by a platform: admitted, journaled at each durable step, and confirmed. */
    @Benchmark
    public UpgradeEvent pushed(Rates rates, Heap heap) throws InterruptedException {
        Scene opened = Objects.requireNonNull(scene);
        UpgradeEvent end = Objects.requireNonNull(channel).upgrade(opened.trigger());
        count(rates, heap);
        return end;
    }

    /** Started by hand, so without journal and platform. */
    @Benchmark
    public UpgradeEvent byHand(Rates rates, Heap heap) {
        Scene opened = Objects.requireNonNull(scene);
        UpgradeEvent end = Objects.requireNonNull(
                Objects.requireNonNull(client).upgrade(opened.trigger()).blockLast(Duration.ofMinutes(1)));
        if (!(end instanceof UpgradeEvent.Succeeded)) {
            throw new IllegalStateException(end + " (expected: succeeded)");
        }
        count(rates, heap);
        return end;
    }

    private void count(Rates rates, Heap heap) {
        rates.count((long) mebibytes << 20);
        heap.upgradedMebibytes += mebibytes;
    }
}
