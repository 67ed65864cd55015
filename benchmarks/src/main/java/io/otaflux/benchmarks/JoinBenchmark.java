package io.otaflux.benchmarks;

import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
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
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * One transfer of 64 KiB that {@code joiners} devices wait for, each with a location of its own. The source answers when the
 * last of them has joined.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class JoinBenchmark {

    private static final int SIZE = 64 * 1024;

    @Param({"1", "10", "100", "1000"})
    public int joiners;

    private final AtomicInteger asked = new AtomicInteger();
    private volatile Sinks.Empty<Void> everybodyIsThere = Sinks.empty();
    private List<UpgradeTrigger> triggers = List.of();
    private @Nullable Scene scene;
    private @Nullable OtaClient client;

    /** Beside the time of all of them: how many a second. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Joined {

        public long joined;

        @Setup(Level.Iteration)
        public void reset() {
            joined = 0;
        }
    }

    @Setup(Level.Trial)
    public void open() {
        Scene opened = new Scene(SIZE);
        scene = opened;
        client = OtaClient.builder(UpgradeChannel.none(Scene.DEVICE))
                .source(waiting(opened.source()))
                .store(counting(opened.store()))
                .build();
        triggers = IntStream.range(0, joiners)
                .mapToObj(i -> new UpgradeTrigger(
                        new DeviceId("product", "device-" + i),
                        "app",
                        "1",
                        new Artifact("app", URI.create("https://localhost/" + i), SIZE, List.of(opened.digest()))))
                .toList();
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        Objects.requireNonNull(client).dispose();
        Objects.requireNonNull(scene).close();
    }

    @Benchmark
    public long join(Joined joined) {
        asked.set(0);
        everybodyIsThere = Sinks.empty();
        OtaClient ota = Objects.requireNonNull(client);
        Long arrived = Flux.fromIterable(triggers)
                .flatMap(ota::download, joiners)
                .doOnNext(downloaded -> downloaded.files().forEach(ArtifactStore.Stored::release))
                .count()
                .block(Duration.ofMinutes(1));
        Scene opened = Objects.requireNonNull(scene);
        opened.store()
                .find(List.of(opened.digest()))
                .flatMap(stored -> stored.evict().doFinally(end -> stored.release()))
                .block(Duration.ofMinutes(1));
        joined.joined += joiners;
        return Objects.requireNonNull(arrived);
    }

    private ArtifactSource waiting(ArtifactSource source) {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return Flux.defer(() -> everybodyIsThere.asMono().thenMany(source.read(request, consumer)));
            }
        };
    }

    /** Each who joins has asked before, and found nothing; and so has the transfer itself. */
    private ArtifactStore counting(ArtifactStore store) {
        return new ArtifactStore() {
            @Override
            public Mono<Stored> find(Collection<Digest> digests) {
                return store.find(digests).doFinally(end -> {
                    if (asked.incrementAndGet() == joiners + 1) {
                        everybodyIsThere.tryEmitEmpty();
                    }
                });
            }

            @Override
            public Mono<Writer> open(Artifact artifact) {
                return store.open(artifact);
            }

            @Override
            public UpgradeJournal journal() {
                return store.journal();
            }

            @Override
            public Mono<Void> close() {
                return store.close();
            }
        };
    }
}
