package io.otaflux.benchmarks;

import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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

/**
 * One part of {@code mebibytes}, hashed, written and synchronised, in buffers of {@code chunk} bytes, and made durable every
 * {@code checkpoint} MiB and at the end. It is thrown away instead of committed.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 2)
@Measurement(iterations = 3, time = 2)
public class AppendBenchmark {

    @Param("32")
    public int mebibytes;

    @Param({"8192", "65536", "262144", "1048576", "4194304"})
    public int chunk;

    /** 16 is what a store does by default; 1,024 is never before the end. */
    @Param({"1", "16", "1024"})
    public int checkpoint;

    private @Nullable Scene scene;

    @Setup(Level.Trial)
    public void open() {
        scene = new Scene(
                mebibytes << 20,
                store -> store.checkpointBytes((long) checkpoint << 20).checkpointInterval(Duration.ofHours(1)));
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        Objects.requireNonNull(scene).close();
    }

    @Benchmark
    public Long append(Rates rates) {
        Scene opened = Objects.requireNonNull(scene);
        Long end = Flux.usingWhen(
                        opened.store().open(opened.trigger().artifact()),
                        writer -> append(writer, opened),
                        ArtifactStore.Writer::close)
                .blockLast(Duration.ofMinutes(1));
        rates.count(opened.size());
        return Objects.requireNonNull(end);
    }

    private Flux<Long> append(ArtifactStore.Writer writer, Scene opened) {
        Hasher hasher = new Hasher(Set.of(Digest.Algorithm.SHA_256));
        return writer.begin(0, opened.size(), null)
                .thenMany(Flux.defer(() -> writer.append(opened.bytes(0, chunk), hasher)))
                .takeLast(1)
                .delayUntil(end -> writer.discard());
    }
}
