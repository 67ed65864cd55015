package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;

/**
 * What every {@link ArtifactStore} must do. Implement it next to the store:
 *
 * <pre>{@code
 * class MyStoreTest implements ArtifactStoreContract {
 *     @Override
 *     public ArtifactStore reopen() {
 *         return MyStore.over(medium);
 *     }
 * }
 * }</pre>
 *
 * <p>A test closes each store before it opens the next one.
 */
public interface ArtifactStoreContract {

    /** How long a test waits for something that should come at once. */
    Duration SOON = Duration.ofSeconds(30);

    /** A store over the medium of this test: empty at first, later what the store before it, closed by then, left there. */
    ArtifactStore reopen();

    @Test
    default void aNewArtifactStartsAtZero() {
        writing(
                reopen(),
                artifact("new"),
                writer -> Mono.fromRunnable(() -> {
                    assertThat(writer.offset()).isZero();
                    assertThat(writer.validator()).isNull();
                }));
    }

    @Test
    default void aCommittedArtifactIsFoundAndReadBack() {
        ArtifactStore store = reopen();
        byte[] content = bytes(300_000, 1);

        ArtifactStore.Stored committed = store(store, artifact("firmware"), content);
        assertThat(committed.digest()).isEqualTo(sha256(content));
        assertThat(committed.size()).isEqualTo(content.length);

        ArtifactStore.Stored found = find(store, sha256(content));
        assertThat(found.digest()).isEqualTo(sha256(content));
        assertThat(found.digests()).contains(sha256(content));
        assertThat(found.size()).isEqualTo(content.length);
        assertThat(read(found)).isEqualTo(content);
        assertThat(read(found)).as("read a second time").isEqualTo(content);
    }

    @Test
    default void aCommittedArtifactOutlivesTheStore() {
        byte[] content = bytes(10_000, 2);
        ArtifactStore first = reopen();
        store(first, artifact("firmware"), content);
        close(first);

        assertThat(read(find(reopen(), sha256(content)))).isEqualTo(content);
    }

    @Test
    default void anEmptyArtifactIsAnArtifact() {
        ArtifactStore store = reopen();

        store(store, artifact("empty"), new byte[0]);

        assertThat(find(store, sha256(new byte[0])).size()).isZero();
        assertThat(read(find(store, sha256(new byte[0])))).isEmpty();
    }

    @Test
    default void whatWasNeverCommittedIsNotFound() {
        ArtifactStore store = reopen();
        byte[] content = bytes(1_000, 3);

        store.find(List.of(sha256(content)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        writing(
                store,
                artifact("partial", content),
                writer -> append(writer, content).then());

        store.find(List.of(sha256(content)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
    }

    @Test
    default void findingGoesByTheStrongestDigest() {
        ArtifactStore store = reopen();
        byte[] content = bytes(1_000, 4);
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.MD5, Digest.Algorithm.SHA_256));
        writing(
                store,
                artifact("firmware"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(Flux.just(buffer(content)), hasher))
                        .then(Mono.defer(() -> writer.commit(hasher.finish())))
                        .doOnNext(ArtifactStore.Stored::release)
                        .then());
        Digest md5 = digest(Digest.Algorithm.MD5, content);
        Digest otherSha256 = sha256(bytes(1_000, 5));

        assertThat(find(store, md5, sha256(content)).digest()).isEqualTo(sha256(content));
        assertThat(find(store, md5).digests())
                .as("known by its MD5 too")
                .containsExactlyInAnyOrder(md5, sha256(content));
        store.find(List.of(md5, otherSha256))
                .as(StepVerifier::create)
                .as("the same MD5 with another SHA-256 is another artifact")
                .expectComplete()
                .verify(SOON);
        close(store);

        assertThat(find(reopen(), md5).digest()).as("after a restart").isEqualTo(sha256(content));
    }

    @Test
    default void theSameBytesAreKeptOnce() {
        ArtifactStore store = reopen();
        byte[] content = bytes(5_000, 6);

        ArtifactStore.Stored first = store(store, artifact("one"), content);
        ArtifactStore.Stored second = store(store, artifact("two"), content);

        assertThat(second.digest()).isEqualTo(first.digest());
        second.evict().as(StepVerifier::create).expectComplete().verify(SOON);
        store.find(List.of(sha256(content)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
    }

    @Test
    default void aClosedWriterIsContinuedByTheNextOneAlsoAfterARestart() {
        byte[] content = bytes(400_000, 7);
        Artifact artifact = artifact("firmware", content);
        ArtifactStore store = reopen();
        writing(
                store,
                artifact,
                writer -> writer.begin(0, content.length, "\"v1\"")
                        .thenMany(writer.append(chunks(content, 0, 100_000, 7_000), hasher()))
                        .then());
        writing(store, artifact, writer -> {
            assertThat(writer.offset()).isEqualTo(100_000);
            return writer.begin(100_000, content.length, "\"v1\"")
                    .thenMany(writer.append(chunks(content, 100_000, 250_000, 7_000), hasher()))
                    .then();
        });
        close(store);

        ArtifactStore restarted = reopen();
        Hasher hasher = hasher();
        writing(restarted, artifact, writer -> {
            assertThat(writer.offset()).isEqualTo(250_000);
            assertThat(writer.validator()).isEqualTo("\"v1\"");
            return writer.replay(hasher)
                    .then(Mono.defer(() -> writer.begin(250_000, content.length, "\"v1\"")))
                    .thenMany(writer.append(chunks(content, 250_000, content.length, 7_000), hasher))
                    .then(Mono.defer(() -> writer.commit(hasher.finish())))
                    .doOnNext(ArtifactStore.Stored::release)
                    .then();
        });

        assertThat(read(find(restarted, sha256(content)))).isEqualTo(content);
    }

    @Test
    default void replayFeedsExactlyTheDurableBytes() {
        ArtifactStore store = reopen();
        byte[] content = bytes(100_000, 8);
        writing(store, artifact("firmware"), writer -> append(writer, content).then());

        Hasher hasher = hasher();
        writing(store, artifact("firmware"), writer -> writer.replay(hasher));

        assertThat(hasher.bytes()).isEqualTo(content.length);
        assertThat(hasher.finish()).containsExactly(sha256(content));
    }

    @Test
    default void aBrokenTransferKeepsWhatItHashed() {
        ArtifactStore store = reopen();
        byte[] content = bytes(50_000, 9);
        IllegalStateException broken = new IllegalStateException("connection reset");
        Hasher hasher = hasher();

        writing(
                store,
                artifact("firmware"),
                writer -> writer.begin(0, 100_000, null)
                        .thenMany(writer.append(
                                chunks(content, 0, content.length, 3_000).concatWith(Mono.error(broken)), hasher))
                        .then()
                        .onErrorResume(error -> Mono.fromRunnable(() -> {
                            assertThat(error)
                                    .as("errors pass through unchanged")
                                    .isSameAs(broken);
                            assertThat(writer.offset())
                                    .isEqualTo(content.length)
                                    .isEqualTo(hasher.bytes());
                        })));

        assertThat(offset(store, artifact("firmware"))).isEqualTo(content.length);
    }

    @Test
    default void aCancelledTransferKeepsAPrefix() {
        ArtifactStore store = reopen();
        byte[] content = bytes(500_000, 10);
        BufferLedger ledger = new BufferLedger();
        Flux<ByteBuf> endless =
                chunks(content, 0, content.length, 10_000).map(ledger::track).concatWith(Flux.never());
        CountDownLatch some = new CountDownLatch(20);
        Disposable running = Flux.usingWhen(
                        store.open(artifact("firmware")),
                        writer -> writer.begin(0, Artifact.UNKNOWN_SIZE, "\"v1\"")
                                .thenMany(writer.append(endless.doOnNext(chunk -> some.countDown()), hasher())),
                        ArtifactStore.Writer::close)
                .subscribe();
        await(some);

        running.dispose();

        Hasher hasher = hasher();
        AtomicLong offset = new AtomicLong();
        writing(store, artifact("firmware"), writer -> {
            offset.set(writer.offset());
            return writer.replay(hasher);
        });
        assertThat(offset.get()).isEqualTo(hasher.bytes()).isLessThanOrEqualTo(content.length);
        assertThat(hasher.finish()).containsExactly(sha256(Arrays.copyOf(content, (int) offset.get())));
        Awaitility.await().atMost(SOON).untilAsserted(ledger::assertNoLeaks);
    }

    @Test
    default void beginningAtZeroThrowsAwayWhatIsThere() {
        ArtifactStore store = reopen();
        byte[] content = bytes(2_000, 11);
        writing(
                store,
                artifact("firmware"),
                writer -> append(writer, bytes(5_000, 12)).then());

        writing(
                store,
                artifact("firmware"),
                writer -> writer.begin(0, content.length, "\"v2\"")
                        .doOnSuccess(begun -> {
                            assertThat(writer.offset()).isZero();
                            assertThat(writer.validator()).isEqualTo("\"v2\"");
                        })
                        .then());
        assertThat(offset(store, artifact("firmware"))).isZero();

        store(store, artifact("firmware"), content);
        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
    }

    @Test
    default void aValidatorThatChangesIsKept() {
        ArtifactStore store = reopen();
        writing(
                store,
                artifact("firmware"),
                writer -> append(writer, bytes(5_000, 13)).then());

        writing(store, artifact("firmware"), writer -> writer.begin(5_000, 9_000, "\"later\""));
        close(store);

        writing(
                reopen(),
                artifact("firmware"),
                writer -> Mono.fromRunnable(() -> {
                    assertThat(writer.offset()).isEqualTo(5_000);
                    assertThat(writer.validator()).isEqualTo("\"later\"");
                }));
    }

    @Test
    default void beginningAnywhereElseIsABug() {
        ArtifactStore store = reopen();
        writing(
                store,
                artifact("firmware"),
                writer -> append(writer, bytes(5_000, 14)).then());

        writing(store, artifact("firmware"), writer -> {
            writer.begin(4_999, 9_000, null)
                    .as(StepVerifier::create)
                    .expectError()
                    .verify(SOON);
            writer.begin(5_001, 9_000, null)
                    .as(StepVerifier::create)
                    .expectError()
                    .verify(SOON);
            return Mono.empty();
        });

        assertThat(offset(store, artifact("firmware"))).isEqualTo(5_000);
    }

    @Test
    default void discardingLeavesTheWriterOpenAtZero() {
        ArtifactStore store = reopen();
        byte[] content = bytes(3_000, 15);

        writing(
                store,
                artifact("firmware"),
                writer -> append(writer, bytes(5_000, 16))
                        .then(writer.discard())
                        .doOnSuccess(discarded -> assertThat(writer.offset()).isZero())
                        .then(Mono.defer(() -> append(writer, content)))
                        .doOnSuccess(appended -> assertThat(writer.offset()).isEqualTo(content.length))
                        .then());

        assertThat(offset(store, artifact("firmware"))).isEqualTo(content.length);
    }

    @Test
    default void artifactsWithOneDigestAreOneWhereverTheyAre() {
        ArtifactStore store = reopen();
        byte[] content = bytes(5_000, 17);
        Artifact here = artifact("firmware", content);
        writing(store, here, writer -> append(writer, content).then());

        assertThat(offset(store, here.at(URI.create("http://mirror.example.com/x"))))
                .isEqualTo(5_000);
        assertThat(offset(store, artifact("firmware", bytes(5_000, 18)).at(here.location())))
                .as("another digest at the same location")
                .isZero();
    }

    @Test
    default void artifactsWithoutADigestAreOneWhenTheirLocationsAreNotCountingTheQuery() {
        ArtifactStore store = reopen();
        URI location = URI.create("https://example.com/firmware?Expires=1&Signature=a");
        writing(
                store,
                artifact("firmware").at(location),
                writer -> append(writer, bytes(5_000, 19)).then());

        assertThat(offset(
                        store,
                        artifact("firmware").at(URI.create("https://example.com/firmware?Expires=2&Signature=b"))))
                .isEqualTo(5_000);
        assertThat(offset(store, artifact("firmware").at(URI.create("https://example.com/firmware2?Expires=1"))))
                .isZero();
    }

    @Test
    default void aSecondWriterOfTheSameArtifactWaitsForTheFirst() {
        ArtifactStore store = reopen();
        ArtifactStore.Writer first = block(store.open(artifact("firmware")));
        AtomicReference<ArtifactStore.Writer> second = new AtomicReference<>();
        store.open(artifact("firmware")).subscribe(second::set);
        ArtifactStore.Writer other = block(store.open(artifact("other")));
        block(other.close().thenReturn(true));
        assertThat(second).as("opened while the first was still open").hasNullValue();

        block(append(first, bytes(1_000, 20)).then(first.close()).thenReturn(true));

        Awaitility.await().atMost(SOON).until(() -> second.get() != null);
        assertThat(second.get().offset()).isEqualTo(1_000);
        block(second.get().close().thenReturn(true));
    }

    @Test
    default void whoGivesUpWaitingHoldsNobodyUp() {
        ArtifactStore store = reopen();
        ArtifactStore.Writer first = block(store.open(artifact("firmware")));
        Disposable impatient = store.open(artifact("firmware")).subscribe();
        AtomicReference<ArtifactStore.Writer> patient = new AtomicReference<>();
        store.open(artifact("firmware")).subscribe(patient::set);

        impatient.dispose();
        block(first.close().thenReturn(true));

        Awaitility.await().atMost(SOON).until(() -> patient.get() != null);
        block(patient.get().close().thenReturn(true));
    }

    @Test
    default void closingAWriterTwiceDoesNothing() {
        ArtifactStore store = reopen();
        ArtifactStore.Writer writer = block(store.open(artifact("firmware")));
        block(append(writer, bytes(1_000, 21)).thenReturn(true));

        writer.close().as(StepVerifier::create).expectComplete().verify(SOON);
        writer.close().as(StepVerifier::create).expectComplete().verify(SOON);

        assertThat(offset(store, artifact("firmware"))).isEqualTo(1_000);
    }

    @Test
    default void everyBufferIsReleasedHoweverTheTransferEnds() {
        ArtifactStore store = reopen();
        byte[] content = bytes(200_000, 22);
        BufferLedger ledger = new BufferLedger();
        Flux<ByteBuf> tracked = chunks(content, 0, content.length, 9_000).map(ledger::track);

        writing(
                store,
                artifact("complete"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(tracked, hasher()))
                        .then());
        writing(
                store,
                artifact("error"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(tracked.concatWith(Mono.error(new IOException("reset"))), hasher()))
                        .then()
                        .onErrorComplete());

        assertThat(ledger.handedOut()).isGreaterThan(40);
        ledger.assertNoLeaks();
    }

    @Test
    default void cancellingAtRandomPointsLeaksNothingAndKeepsAPrefix() {
        ArtifactStore store = reopen();
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[] content = bytes(200_000, 23);
        BufferLedger ledger = new BufferLedger();
        ExecutorService loop = Executors.newSingleThreadExecutor();
        try {
            for (int round = 0; round < 1_000; round++) {
                int after = random.nextInt(25);
                boolean fromTheLoop = random.nextBoolean();
                CountDownLatch reached = new CountDownLatch(1);
                AtomicReference<Disposable> running = new AtomicReference<>();
                AtomicLong emitted = new AtomicLong();
                Flux<ByteBuf> source = chunks(content, 0, content.length, 8_000)
                        .map(ledger::track)
                        .doOnNext(chunk -> {
                            if (emitted.getAndIncrement() == after) {
                                if (fromTheLoop && running.get() != null) {
                                    running.get().dispose();
                                }
                                reached.countDown();
                            }
                        })
                        .concatWith(Flux.never());
                Artifact artifact = artifact("firmware-" + random.nextInt(3));
                running.set(Flux.usingWhen(
                                store.open(artifact),
                                writer -> writer.discard()
                                        .then(writer.begin(0, content.length, null))
                                        .thenMany(writer.append(
                                                source.subscribeOn(Schedulers.fromExecutor(loop::execute)), hasher())),
                                ArtifactStore.Writer::close)
                        .subscribe());
                if (random.nextInt(10) > 0) {
                    assertThat(awaited(reached))
                            .as("the source is asked; seed " + seed)
                            .isTrue();
                }
                running.get().dispose();
                Hasher hasher = hasher();
                AtomicLong offset = new AtomicLong();
                writing(store, artifact, writer -> {
                    offset.set(writer.offset());
                    return writer.replay(hasher);
                });
                assertThat(hasher.bytes()).as("seed " + seed).isEqualTo(offset.get());
                assertThat(hasher.finish()).as("seed " + seed).containsExactly(sha256(Arrays.copyOf(content, (int)
                        offset.get())));
            }
            Awaitility.await().atMost(SOON).untilAsserted(ledger::assertNoLeaks);
        } finally {
            loop.shutdownNow();
        }
    }

    @Test
    default void demandIsBounded() {
        ArtifactStore store = reopen();
        byte[] content = bytes(1_000_000, 24);
        AtomicLong requested = new AtomicLong();
        AtomicLong emitted = new AtomicLong();
        AtomicLong ahead = new AtomicLong();
        Flux<ByteBuf> source = chunks(content, 0, content.length, 1_000)
                .doOnNext(chunk -> emitted.incrementAndGet())
                .doOnRequest(n -> ahead.accumulateAndGet(requested.addAndGet(n) - emitted.get(), Math::max));

        writing(
                store,
                artifact("firmware"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(source, hasher()))
                        .then());

        assertThat(ahead.get()).as("buffers asked for beyond those that came").isBetween(1L, 64L);
    }

    @Test
    default void offsetsAreEmittedAndNeverHoldUpTheTransfer() {
        ArtifactStore store = reopen();
        byte[] content = bytes(100_000, 25);
        writing(
                store,
                artifact("watched"),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(chunks(content, 0, content.length, 5_000), hasher()))
                        .collectList()
                        .doOnNext(
                                offsets -> assertThat(offsets).isSorted().last().isEqualTo((long) content.length))
                        .then());

        Sinks.Empty<Void> completed = Sinks.empty();
        writing(
                store,
                artifact("unwatched"),
                writer -> writer.begin(0, content.length, null)
                        .doOnSuccess(begun -> writer.append(chunks(content, 0, content.length, 5_000), hasher())
                                .subscribe(new BaseSubscriber<Long>() {
                                    @Override
                                    protected void hookOnSubscribe(Subscription subscription) {
                                        // Asks for nothing.
                                    }

                                    @Override
                                    protected void hookOnComplete() {
                                        completed.tryEmitEmpty();
                                    }
                                }))
                        .then(completed.asMono()));
        assertThat(offset(store, artifact("unwatched"))).isEqualTo(content.length);
    }

    @Test
    default void nothingIsWrittenBeforeSubscription() {
        ArtifactStore store = reopen();
        PublisherProbe<ByteBuf> source = PublisherProbe.empty();
        writing(store, artifact("firmware"), writer -> {
            writer.append(source.flux(), hasher());
            writer.begin(0, 1_000, "\"never\"");
            return Mono.empty();
        });

        source.assertWasNotSubscribed();
        writing(
                store,
                artifact("firmware"),
                writer -> Mono.fromRunnable(() -> assertThat(writer.validator()).isNull()));
    }

    @Test
    default void workIsNotDoneOnTheSubscribersThread() {
        ArtifactStore store = reopen();
        Thread subscriber = Thread.currentThread();
        AtomicBoolean onSubscriber = new AtomicBoolean();
        byte[] content = bytes(10_000, 26);
        store(store, artifact("firmware"), content);

        find(store, sha256(content))
                .read()
                .doOnNext(chunk -> {
                    onSubscriber.compareAndSet(false, Thread.currentThread() == subscriber);
                    chunk.release();
                })
                .as(StepVerifier::create)
                .thenConsumeWhile(chunk -> true)
                .expectComplete()
                .verify(SOON);

        assertThat(onSubscriber).isFalse();
    }

    @Test
    default void anEvictedArtifactIsGoneButThoseWhoReadItFinish() {
        ArtifactStore store = reopen();
        byte[] content = bytes(3_000_000, 27);
        store(store, artifact("firmware"), content);
        ArtifactStore.Stored stored = find(store, sha256(content));
        ByteBuf collected = Unpooled.buffer();

        stored.read()
                .doOnNext(chunk -> {
                    collected.writeBytes(chunk);
                    chunk.release();
                })
                .as(flux -> StepVerifier.create(flux, 1))
                .expectNextCount(1)
                .then(() -> block(stored.evict().thenReturn(true)))
                .thenRequest(Long.MAX_VALUE)
                .thenConsumeWhile(chunk -> true)
                .expectComplete()
                .verify(SOON);

        assertThat(ByteBufUtil.getBytes(collected)).isEqualTo(content);
        store.find(List.of(sha256(content)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
    }

    @Test
    default void anArtifactMovesOutOfTheStore(@TempDir Path directory) throws IOException {
        ArtifactStore store = reopen();
        byte[] content = bytes(100_000, 28);
        store(store, artifact("firmware"), content);
        Path target = Files.writeString(directory.resolve("app.bin"), "what was there before");

        find(store, sha256(content))
                .moveTo(target)
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);

        assertThat(target).hasBinaryContent(content);
        store.find(List.of(sha256(content)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        try (var files = Files.list(directory)) {
            assertThat(files).containsExactly(target);
        }
    }

    @Test
    default void whatOthersReferenceStaysReadableWhenItIsMoved(@TempDir Path directory) {
        ArtifactStore store = reopen();
        byte[] content = bytes(100_000, 29);
        store(store, artifact("firmware"), content);
        ArtifactStore.Stored theirs = find(store, sha256(content));

        find(store, sha256(content))
                .moveTo(directory.resolve("app.bin"))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);

        assertThat(directory.resolve("app.bin")).hasBinaryContent(content);
        assertThat(read(theirs)).isEqualTo(content);
    }

    @Test
    default void releasingTwiceDoesNothing() {
        ArtifactStore store = reopen();
        byte[] content = bytes(1_000, 30);
        store(store, artifact("firmware"), content);
        ArtifactStore.Stored stored = find(store, sha256(content));

        stored.release();
        stored.release();

        assertThat(read(find(store, sha256(content)))).isEqualTo(content);
    }

    @Test
    default void closingTheStoreClosesItsWritersAndKeepsWhatTheyWrote() {
        ArtifactStore store = reopen();
        byte[] content = bytes(50_000, 31);
        ArtifactStore.Writer writer = block(store.open(artifact("firmware")));
        CountDownLatch all = new CountDownLatch(1);
        block(writer.begin(0, 100_000, null).thenReturn(true));
        Sinks.Empty<ByteBuf> end = Sinks.empty();
        CountDownLatch ended = new CountDownLatch(1);
        writer.append(
                        chunks(content, 0, content.length, 5_000)
                                .doOnComplete(all::countDown)
                                .concatWith(end.asMono()),
                        hasher())
                .subscribe(offset -> {}, error -> ended.countDown(), ended::countDown);
        await(all);

        close(store);
        close(store);

        await(ended);
        assertThat(offset(reopen(), artifact("firmware"))).isLessThanOrEqualTo(content.length);
    }

    @Test
    default void theJournalIsKeptBesideTheArtifacts() {
        ArtifactStore store = reopen();
        UpgradeTrigger trigger = new UpgradeTrigger(
                new DeviceId("product", "device"), "app", "2.0.0", artifact("firmware", bytes(10, 32)));
        UpgradeJournal.Entry entry =
                new UpgradeJournal.Entry(trigger, true, UpgradeJournal.State.ADMITTED, false, null);
        store.journal().put(entry).as(StepVerifier::create).expectComplete().verify(SOON);
        close(store);

        reopen().journal()
                .entries()
                .as(StepVerifier::create)
                .expectNext(entry)
                .expectComplete()
                .verify(SOON);
    }

    /** An artifact without digests, at a location of its own. */
    static Artifact artifact(String name) {
        return new Artifact(name, URI.create("https://example.com/" + name), Artifact.UNKNOWN_SIZE, List.of());
    }

    /** An artifact with the size and SHA-256 of {@code content}. */
    static Artifact artifact(String name, byte[] content) {
        return new Artifact(name, URI.create("https://example.com/" + name), content.length, List.of(sha256(content)));
    }

    /** Pseudo-random bytes, the same ones for the same seed. */
    static byte[] bytes(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    static Digest sha256(byte[] content) {
        return digest(Digest.Algorithm.SHA_256, content);
    }

    static Digest digest(Digest.Algorithm algorithm, byte[] content) {
        Hasher hasher = new Hasher(List.of(algorithm));
        hasher.update(Unpooled.wrappedBuffer(content));
        return hasher.finish().get(0);
    }

    static Hasher hasher() {
        return new Hasher(List.of(Digest.Algorithm.SHA_256));
    }

    /** A direct buffer, as sources emit them. */
    static ByteBuf buffer(byte[] content) {
        return Unpooled.directBuffer(Math.max(1, content.length)).writeBytes(content);
    }

    /** {@code content} from {@code start} to {@code end} in buffers of {@code chunk} bytes. */
    static Flux<ByteBuf> chunks(byte[] content, int start, int end, int chunk) {
        return Flux.generate(() -> start, (position, sink) -> {
            if (position >= end) {
                sink.complete();
                return position;
            }
            int next = Math.min(end, position + chunk);
            sink.next(buffer(Arrays.copyOfRange(content, position, next)));
            return next;
        });
    }

    /** Opens a writer, uses it, closes it. */
    static void writing(ArtifactStore store, Artifact artifact, Function<ArtifactStore.Writer, Mono<Void>> use) {
        Mono.usingWhen(store.open(artifact), use, ArtifactStore.Writer::close)
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
    }

    /** Begins where the writer is and appends all of {@code content}. */
    static Mono<Void> append(ArtifactStore.Writer writer, byte[] content) {
        return Mono.defer(() -> writer.begin(writer.offset(), Artifact.UNKNOWN_SIZE, null)
                .thenMany(writer.append(chunks(content, 0, content.length, 4_000), hasher()))
                .then());
    }

    /** Writes and commits {@code content}, and releases it. */
    static ArtifactStore.Stored store(ArtifactStore store, Artifact artifact, byte[] content) {
        Hasher hasher = hasher();
        return block(Mono.usingWhen(
                store.open(artifact),
                writer -> writer.begin(0, content.length, null)
                        .thenMany(writer.append(chunks(content, 0, content.length, 64 * 1024), hasher))
                        .then(Mono.defer(() -> writer.commit(hasher.finish())))
                        .doOnNext(ArtifactStore.Stored::release),
                ArtifactStore.Writer::close));
    }

    static ArtifactStore.Stored find(ArtifactStore store, Digest... digests) {
        return block(store.find(List.of(digests)));
    }

    static byte[] read(ArtifactStore.Stored stored) {
        ByteBuf all = Unpooled.buffer();
        stored.read()
                .doOnNext(chunk -> {
                    all.writeBytes(chunk);
                    chunk.release();
                })
                .as(StepVerifier::create)
                .thenConsumeWhile(chunk -> true)
                .expectComplete()
                .verify(SOON);
        return ByteBufUtil.getBytes(all);
    }

    static long offset(ArtifactStore store, Artifact artifact) {
        AtomicLong offset = new AtomicLong();
        writing(store, artifact, writer -> Mono.fromRunnable(() -> offset.set(writer.offset())));
        return offset.get();
    }

    static void close(ArtifactStore store) {
        store.close().as(StepVerifier::create).expectComplete().verify(SOON);
    }

    static <T> T block(Mono<T> mono) {
        T value = mono.block(SOON);
        assertThat(value).isNotNull();
        return value;
    }

    static void await(CountDownLatch latch) {
        assertThat(awaited(latch)).as("came within " + SOON).isTrue();
    }

    private static boolean awaited(CountDownLatch latch) {
        try {
            return latch.await(SOON.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
