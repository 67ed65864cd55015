package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

class PermitsTest {

    private final List<Integer> begun = new ArrayList<>();

    @Test
    void whoWaitsLongestIsNext() {
        Permits permits = new Permits(2);
        List<Sinks.Empty<Integer>> work = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            int number = i;
            Sinks.Empty<Integer> sink = Sinks.empty();
            work.add(sink);
            permits.around(sink.asMono().flux().doOnSubscribe(s -> begun.add(number)))
                    .subscribe();
        }
        assertThat(begun).containsExactly(0, 1);

        work.get(1).tryEmitEmpty();
        work.get(0).tryEmitEmpty();

        assertThat(begun).containsExactly(0, 1, 2, 3);
    }

    @Test
    void everyEndGivesThePermitBack() {
        Permits permits = new Permits(1);
        permits.around(Flux.just(1)).subscribe();
        permits.around(Flux.error(new IllegalStateException())).subscribe(i -> {}, e -> {});
        permits.around(Flux.defer(() -> {
                    throw new IllegalStateException();
                }))
                .subscribe(i -> {}, e -> {});
        permits.around(Flux.never()).subscribe().dispose();
        permits.around(Flux.just(1, 2)).next().subscribe();

        permits.around(Mono.fromRunnable(() -> begun.add(1)).flux()).subscribe();

        assertThat(begun).containsExactly(1);
    }

    @Test
    void whoStopsWaitingIsPassedOver() {
        Permits permits = new Permits(1);
        Disposable first = permits.around(Flux.never()).subscribe();
        Disposable second =
                permits.around(Flux.never().doOnSubscribe(s -> begun.add(2))).subscribe();
        permits.around(Flux.never().doOnSubscribe(s -> begun.add(3))).subscribe();

        second.dispose();
        first.dispose();

        assertThat(begun).containsExactly(3);
    }

    @Test
    void aLongQueueOfShortWorkNeedsNoDeepStack() {
        Permits permits = new Permits(1);
        AtomicInteger done = new AtomicInteger();
        Disposable first = permits.around(Flux.never()).subscribe();
        for (int i = 0; i < 100_000; i++) {
            permits.around(Mono.fromRunnable(done::incrementAndGet).flux()).subscribe();
        }

        first.dispose();

        assertThat(done).hasValue(100_000);
    }

    @Test
    void noPermitIsLostOrMadeWhenCancellationsRace() throws InterruptedException {
        long seed = System.nanoTime();
        Permits permits = new Permits(3);
        int threads = 4;
        CountDownLatch ended = new CountDownLatch(threads);
        for (int t = 0; t < threads; t++) {
            Random random = new Random(seed + t);
            Schedulers.boundedElastic().schedule(() -> {
                for (int i = 0; i < 5_000; i++) {
                    Flux<Long> work = Mono.delay(Duration.ofNanos(random.nextInt(100_000)))
                            .flux();
                    Disposable running = permits.around(work)
                            .subscribeOn(Schedulers.parallel())
                            .subscribe();
                    if (random.nextInt(3) > 0) {
                        Schedulers.parallel().schedule(running::dispose, random.nextInt(200), TimeUnit.MICROSECONDS);
                    }
                }
                ended.countDown();
            });
        }
        assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();

        Flux<Integer> hold = Flux.never();
        AtomicInteger held = new AtomicInteger();
        for (int i = 0; i < 10; i++) {
            permits.around(hold.doOnSubscribe(s -> held.incrementAndGet())).subscribe();
        }
        Awaitility.await("seed " + seed)
                .atMost(Duration.ofSeconds(20))
                .untilAsserted(() -> assertThat(held).hasValue(3));
        assertThat(held).as("seed " + seed).hasValue(3);
    }
}
