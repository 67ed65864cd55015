package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.scheduler.VirtualTimeScheduler;

class TransfersTest {

    private static final URI FILE = URI.create("https://files.example.com/app.bin");

    private final MemorySource source = new MemorySource();
    private final MemoryStore store = new MemoryStore();
    private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    private final byte[] content = new byte[5_000];

    @AfterEach
    void countBuffers() {
        source.ledger().assertNoLeaks();
    }

    @Test
    void whoAskedTheStoreJustBeforeTheCommitFetchesNothingAgain() {
        source.serve(FILE, content);
        Sinks.Empty<Void> answer = Sinks.empty();
        AtomicInteger finds = new AtomicInteger();
        ArtifactStore slow = new FindingStore(
                store,
                found -> Mono.defer(() -> finds.incrementAndGet() == 1
                        ? found.materialize()
                                .delayUntil(result -> answer.asMono())
                                .dematerialize()
                        : found));
        Transfers transfers = transfers(source, slow);
        List<Transfers.Step> late = new ArrayList<>();
        Disposable waiting = transfers.fetch(artifact(), true, Mono.empty()).subscribe(late::add);
        transfers.fetch(artifact(), true, Mono.empty()).subscribe();
        assertThat(late).isEmpty();

        answer.tryEmitEmpty();

        assertThat(waiting.isDisposed()).isTrue();
        assertThat(late).last().isInstanceOf(Transfers.Step.Arrived.class);
        assertThat(source.requests()).hasSize(1);
    }

    @Test
    void wrongBytesAreFetchedOnceForAllWhoWaitForThem() {
        source.serve(FILE, content);
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> bytes.delaySubscription(go.asMono()));
        MemoryChannel channel = new MemoryChannel();
        AtomicInteger finds = new AtomicInteger();
        List<UpgradeEvent> ends = new CopyOnWriteArrayList<>();
        Disposable running = OtaClient.builder(channel)
                .source(source)
                .store(new FindingStore(
                        store,
                        found -> Mono.delay(Duration.ofMillis(finds.incrementAndGet()), time)
                                .then(found)))
                .scheduler(time)
                .installer("app", verified -> Mono.just(Installer.Effect.IMMEDIATE))
                .build()
                .upgrades()
                .filter(UpgradeEvent.Ended.class::isInstance)
                .subscribe(ends::add);
        Digest expected = Digest.sha256("ab".repeat(32));
        for (int i = 0; i < 20; i++) {
            channel.push(new UpgradeTrigger(
                    new DeviceId("sensor", "s" + i),
                    "app",
                    "2",
                    new Artifact("app", FILE, content.length, List.of(expected))));
        }

        time.advanceTimeBy(Duration.ofSeconds(1));
        go.tryEmitEmpty();
        time.advanceTimeBy(Duration.ofSeconds(10));

        assertThat(source.requests()).hasSize(1);
        assertThat(ends)
                .hasSize(20)
                .allSatisfy(end ->
                        assertThat(((UpgradeEvent.Failed) end).cause().reason()).isEqualTo(Reason.DIGEST_MISMATCH));
        running.dispose();
    }

    @Test
    void aWrongLengthOfOneIsNotTheFailureOfAnother() {
        source.serve(FILE, content);
        Sinks.Empty<Void> go = Sinks.empty();
        ArtifactSource slow = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(request, consumer)
                        .onErrorResume(e -> go.asMono().thenMany(Flux.error(e)));
            }
        };
        Transfers transfers = transfers(slow, store);
        Artifact right = artifact();
        List<Throwable> errors = new ArrayList<>();
        List<Transfers.Step> steps = new ArrayList<>();

        transfers
                .fetch(new Artifact("app", FILE, 17, right.digests()), true, Mono.empty())
                .subscribe(step -> {}, errors::add);
        transfers.fetch(right, true, Mono.empty()).subscribe(steps::add, errors::add);
        go.tryEmitEmpty();

        assertThat(errors).singleElement().isInstanceOf(LengthMismatchException.class);
        assertThat(steps).last().isInstanceOf(Transfers.Step.Arrived.class);
    }

    @Test
    void whoJoinsWhileTheLastOfTheOthersCancelsIsNotCancelledWithHim() {
        source.serve(FILE, content);
        AtomicInteger underWay = new AtomicInteger();
        ArtifactSource hanging = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(
                        request,
                        content -> consumer.apply(new Content(
                                content.offset(),
                                content.size(),
                                content.validator(),
                                Flux.<ByteBuf>never()
                                        .doOnSubscribe(begun -> underWay.incrementAndGet())
                                        .doFinally(end -> underWay.decrementAndGet()))));
            }
        };
        Transfers transfers = transfers(hanging, store);
        Queue<Throwable> errors = new ConcurrentLinkedQueue<>();
        Runnable coming = () -> {
            Random random = new Random();
            for (int i = 0; i < 5_000; i++) {
                Disposable mine =
                        transfers.fetch(artifact(), true, Mono.empty()).subscribe(step -> {}, errors::add);
                spin(random.nextInt(200));
                mine.dispose();
                spin(random.nextInt(400));
            }
        };

        Mono<Void> thread = Mono.<Void>fromRunnable(coming).subscribeOn(Schedulers.boundedElastic());
        Mono.when(thread, thread).block(Duration.ofSeconds(60));

        assertThat(underWay).as("transfers that nobody waits for").hasValue(0);
        assertThat(errors).isEmpty();
    }

    @Test
    void whatWasPutTogetherWrongIsFetchedAnewOnce() {
        source.serve(FILE, content);
        source.fault(bytes -> bytes.doOnNext(buffer -> buffer.setByte(buffer.readerIndex(), 1))
                .take(2)
                .concatWith(Flux.error(new TransferException(Reason.CONNECTION_LOST, "cut", null))));
        List<Transfers.Step> steps = new ArrayList<>();

        new Transfers(source, store, Backoff.DEFAULT, Throughput.DEFAULT, new Permits(4), time)
                .fetch(artifact(), true, Mono.empty())
                .subscribe(steps::add);
        time.advanceTimeBy(Duration.ofMinutes(5));

        assertThat(steps).last().isInstanceOf(Transfers.Step.Arrived.class);
        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 2_000L, 0L);
    }

    @Test
    void whatIsWrongAlsoInOnePieceIsNotFetchedForEver() {
        source.serve(FILE, content);
        source.breakAfter(2, new TransferException(Reason.CONNECTION_LOST, "cut", null));
        Digest other = Digest.sha256("ab".repeat(32));
        List<Transfers.Step> steps = new ArrayList<>();

        new Transfers(source, store, Backoff.DEFAULT, Throughput.DEFAULT, new Permits(4), time)
                .fetch(new Artifact("app", FILE, content.length, List.of(other)), true, Mono.empty())
                .subscribe(steps::add, e -> {});
        time.advanceTimeBy(Duration.ofMinutes(5));

        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 2_000L, 0L);
    }

    @Test
    void whatIsEvictedRightAfterItsCommitIsFetchedAgain() {
        source.serve(FILE, content);
        AtomicInteger finds = new AtomicInteger();
        ArtifactStore cramped = new FindingStore(
                store,
                found -> Mono.defer(() -> finds.incrementAndGet() == 3
                        ? found.flatMap(stored -> stored.evict().doFinally(end -> stored.release()))
                                .then(Mono.empty())
                        : found));
        List<Transfers.Step> steps = new ArrayList<>();

        transfers(source, cramped).fetch(artifact(), true, Mono.empty()).subscribe(steps::add);

        assertThat(steps).last().isInstanceOf(Transfers.Step.Arrived.class);
        assertThat(source.requests()).hasSize(2);
    }

    @Test
    void aFileThatArrivesAfterTheCancellationIsLetGo() {
        source.serve(FILE, content);
        transfers(source, store).fetch(artifact(), true, Mono.empty()).subscribe(TransfersTest::release);
        assertThat(store.referenced()).isZero();
        List<MonoSink<ArtifactStore.Stored>> answers = new ArrayList<>();
        ArtifactStore late = new FindingStore(store, found -> Mono.create(answers::add));

        transfers(source, late)
                .fetch(artifact(), true, Mono.empty())
                .subscribe()
                .dispose();
        answers.get(0)
                .success(store.find(artifact().digests())
                        .blockOptional(Duration.ofSeconds(10))
                        .orElseThrow());

        assertThat(store.referenced()).isZero();
    }

    private static void spin(int times) {
        for (int i = 0; i < times; i++) {
            Thread.onSpinWait();
        }
    }

    private static void release(Transfers.Step step) {
        if (step instanceof Transfers.Step.Arrived arrived) {
            arrived.stored().release();
        }
    }

    private Transfers transfers(ArtifactSource from, ArtifactStore to) {
        return new Transfers(from, to, Backoff.none(), Throughput.DEFAULT, new Permits(4), time);
    }

    private Artifact artifact() {
        Digest digest = Digest.of(
                Digest.Algorithm.SHA_256,
                Digest.Algorithm.SHA_256.newMessageDigest().digest(content));
        return new Artifact("app", FILE, content.length, List.of(digest));
    }

    /** A store that takes its time, or goes wrong, when it is asked for an artifact. */
    private record FindingStore(MemoryStore store, UnaryOperator<Mono<ArtifactStore.Stored>> how)
            implements ArtifactStore {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return how.apply(store.find(digests));
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
    }
}
