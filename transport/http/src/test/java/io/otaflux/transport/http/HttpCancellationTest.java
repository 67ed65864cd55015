package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.whole;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.transport.http.ScriptedServer.Answer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

class HttpCancellationTest {

    private static final int CANCELS = 1_000;
    private static final int SIZE = 1_000_000;

    @Test
    void nothingLeaksWhenRequestsAreCancelledAtAnyPoint() {
        long seed = System.nanoTime();
        System.err.println("seed of the cancellations: " + seed);
        Random random = new Random(seed);
        BufferLedger ledger = new BufferLedger();
        ExecutorService worker = Executors.newSingleThreadExecutor();
        byte[] chunk = new byte[10_000];
        Answer answer = peer -> {
            peer.send(("HTTP/1.1 200 OK\r\nContent-Length: " + SIZE + "\r\n\r\n").getBytes(ISO_8859_1));
            for (int sent = 0; sent < SIZE; sent += chunk.length) {
                peer.send(chunk);
            }
        };
        Answer[] script = new Answer[CANCELS + 1];
        Arrays.fill(script, answer);
        HttpArtifactSource source = Asking.local()
                .allowHttp(true)
                .allocator(ledger.allocator())
                .receiveBufferSize(16_384)
                .maxConnections(8)
                .build();
        AtomicLong received = new AtomicLong();
        AtomicLong finished = new AtomicLong();

        try (ScriptedServer server = new ScriptedServer(script)) {
            // By time, and by buffers taken: on a busy machine the one misses what the other hits.
            Flux.range(0, CANCELS)
                    .flatMap(
                            i -> {
                                int buffers = i % 2 == 0 ? 1 + random.nextInt(80) : Integer.MAX_VALUE;
                                Duration after =
                                        Duration.ofNanos(1_000L * random.nextInt(i % 2 == 0 ? 5_000_000 : 60_000));
                                return source.read(
                                                whole(server.uri("/a"), SIZE),
                                                content -> taken(content.bytes(), worker, buffers, received)
                                                        .then(Mono.fromRunnable(finished::incrementAndGet)))
                                        .takeUntilOther(Mono.delay(after))
                                        .then();
                            },
                            8)
                    .as(StepVerifier::create)
                    .expectComplete()
                    .verify(Duration.ofSeconds(120));

            Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
            Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() <= 8);
            System.err.println(finished + " of " + CANCELS + " were not cut off by time, " + received + " bytes, "
                    + ledger.handedOut() + " buffers");
            assertThat(Asking.ask(source, whole(server.uri("/a"), SIZE)).bytes())
                    .hasSize(SIZE);
            assertThat(received.get()).isPositive();
        } finally {
            source.close().block(PATIENCE);
            worker.shutdown();
        }
        ledger.assertNoLeaks();
    }

    /**
     * Takes {@code bytes} as a store does: each arrival schedules the task that releases it. Emits, and cancels, after so
     * many buffers; completes with the bytes otherwise.
     */
    private static Flux<Integer> taken(Flux<ByteBuf> bytes, Executor worker, int buffers, AtomicLong received) {
        return Flux.<Integer>create(sink -> {
                    BaseSubscriber<ByteBuf> taking = new BaseSubscriber<>() {
                        private int taken;

                        @Override
                        protected void hookOnSubscribe(Subscription subscription) {
                            request(4);
                        }

                        @Override
                        protected void hookOnNext(ByteBuf buffer) {
                            worker.execute(() -> {
                                received.addAndGet(buffer.readableBytes());
                                buffer.release();
                                if (++taken == buffers) {
                                    sink.next(taken);
                                }
                                request(1);
                            });
                        }

                        @Override
                        protected void hookOnError(Throwable error) {
                            sink.error(error);
                        }

                        @Override
                        protected void hookOnComplete() {
                            worker.execute(sink::complete);
                        }
                    };
                    sink.onDispose(taking);
                    bytes.subscribe(taking);
                })
                .take(1);
    }

    @Test
    void withoutDemandTheServerCannotSendOn() {
        long size = 1L << 30;
        byte[] chunk = new byte[1 << 16];
        Answer answer = peer -> {
            peer.socket().setSendBufferSize(1 << 18);
            peer.send(("HTTP/1.1 200 OK\r\nContent-Length: " + size + "\r\n\r\n").getBytes(ISO_8859_1));
            for (long sent = 0; sent < size; sent += chunk.length) {
                peer.send(chunk);
            }
        };
        BufferLedger ledger = new BufferLedger();
        HttpArtifactSource source =
                Asking.local().allowHttp(true).allocator(ledger.allocator()).build();
        AtomicLong received = new AtomicLong();
        BaseSubscriber<ByteBuf> three = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                request(3);
            }

            @Override
            protected void hookOnNext(ByteBuf buffer) {
                received.addAndGet(buffer.readableBytes());
                buffer.release();
            }
        };

        try (ScriptedServer server = new ScriptedServer(answer)) {
            source.read(whole(server.uri("/a"), size), content -> {
                        content.bytes().subscribe(three);
                        return Mono.never();
                    })
                    .subscribe();

            Awaitility.await().atMost(PATIENCE).until(() -> received.get() > 0);
            AtomicLong before = new AtomicLong(-1);
            Awaitility.await()
                    .pollInterval(Duration.ofMillis(300))
                    .atMost(PATIENCE)
                    .until(() -> before.getAndSet(server.sent()) == server.sent());
            System.err.println(received + " bytes taken, " + server.sent() + " sent");
            assertThat(received.get()).isLessThanOrEqualTo(3 << 20);
            assertThat(server.sent()).isLessThan(64 << 20);
            assertThat(ledger.leaked()).hasSizeLessThanOrEqualTo(4);

            three.cancel();
            Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
            Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
        } finally {
            source.close().block(PATIENCE);
        }
    }
}
