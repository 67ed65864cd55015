package io.otaflux.benchmarks;

import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeJournal.Entry;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
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
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * {@code atOnce} entries put into the journal at the same time and removed again, each change durable before it counts, beside
 * {@code open} upgrades that stay there. Changes that come while others are being synchronised share the next
 * synchronisation.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 4, time = 1)
public class JournalBenchmark {

    @Param({"1", "16", "256"})
    public int atOnce;

    @Param({"0", "1000"})
    public int open;

    private @Nullable Scene scene;
    private List<Entry> entries = List.of();

    /** Beside operations per second: durable changes per second. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Changes {

        public long changes;

        @Setup(Level.Iteration)
        public void reset() {
            changes = 0;
        }
    }

    @Setup(Level.Trial)
    public void open() {
        Scene opened = new Scene(1);
        scene = opened;
        Flux.fromStream(Stream.generate(() -> entry(opened.trigger())).limit(open))
                .flatMap(opened.store().journal()::put, Integer.MAX_VALUE)
                .blockLast(Duration.ofMinutes(1));
        entries = Stream.generate(() -> entry(opened.trigger())).limit(atOnce).toList();
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        Objects.requireNonNull(scene).close();
    }

    private static Entry entry(UpgradeTrigger trigger) {
        return new Entry(trigger, true, UpgradeJournal.State.ADMITTED, false, null);
    }

    @Benchmark
    public int change(Changes changes) {
        UpgradeJournal journal = Objects.requireNonNull(scene).store().journal();
        Mono<Void> put = Mono.when(entries.stream().map(journal::put).toList());
        Mono<Void> removed = Mono.when(entries.stream()
                .map(entry -> journal.remove(entry.trigger().key()))
                .toList());
        put.then(removed).block(Duration.ofMinutes(1));
        changes.changes += 2L * entries.size();
        return entries.size();
    }
}
