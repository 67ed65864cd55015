package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.LossyOperators;
import io.otaflux.testkit.Mutant;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Disposable;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

class InOrderTest {

    private static final IllegalStateException BROKEN = new IllegalStateException("broken");

    private static final int ROUNDS = 20;

    @Test
    void sourcesAreSubscribedToOneAfterTheOtherAsTheyAreAskedFor() {
        AtomicInteger subscribed = new AtomicInteger();
        Flux<Integer> counted = Flux.just(2, 3).doOnSubscribe(begun -> subscribed.incrementAndGet());

        StepVerifier.create(InOrder.of(Mono.just(1), counted, Flux.empty(), Mono.fromSupplier(() -> 4)), 1)
                .expectNext(1)
                .then(() -> assertThat(subscribed).hasValue(1))
                .thenRequest(1)
                .expectNext(2)
                .thenRequest(2)
                .expectNext(3, 4)
                .verifyComplete();
        StepVerifier.create(InOrder.of(Mono.error(BROKEN), counted)).verifyErrorMatches(BROKEN::equals);
        assertThat(subscribed).hasValue(1);
    }

    @Test
    void whatComesAfterBeginsWhenTheFirstIsDoneAndOnlyThen() {
        StepVerifier.create(InOrder.after(Mono.just("ignored"), Flux.just(1, 2)))
                .expectNext(1, 2)
                .verifyComplete();
        StepVerifier.create(InOrder.after(Mono.error(BROKEN), Flux.just(1))).verifyErrorMatches(BROKEN::equals);
    }

    @Test
    void theyDoWhatReactorsOperatorsDo() {
        StepVerifier.create(InOrder.each(Flux.just(1, 2), n -> Flux.range(10 * n, n)))
                .expectNext(10, 20, 21)
                .verifyComplete();
        StepVerifier.create(InOrder.orElse(Flux.<Integer>empty(), Mono.just(7)))
                .expectNext(7)
                .verifyComplete();
        StepVerifier.create(InOrder.orElse(Mono.just(1), Mono.just(7)))
                .expectNext(1)
                .verifyComplete();
        StepVerifier.create(
                        InOrder.resumed(Flux.<Integer>error(BROKEN), IllegalStateException.class, e -> Mono.just(8)))
                .expectNext(8)
                .verifyComplete();
        StepVerifier.create(InOrder.resumed(Mono.<Integer>error(BROKEN), OtaException.class, e -> Mono.just(8)))
                .verifyErrorMatches(BROKEN::equals);
        StepVerifier.create(InOrder.mapped(Mono.error(BROKEN), BROKEN::equals, IllegalArgumentException::new))
                .verifyErrorMatches(e -> e.getCause() == BROKEN);
        StepVerifier.create(InOrder.mapped(Flux.error(BROKEN), e -> false, IllegalArgumentException::new))
                .verifyErrorMatches(BROKEN::equals);
        StepVerifier.create(InOrder.repeated(Flux.just(1, 2), ends -> ends.take(1)))
                .expectNext(1, 2, 1, 2)
                .verifyComplete();
    }

    @Test
    void whoWasCancelledWhileHeTookASubscriptionLosesIt() {
        AtomicInteger open = new AtomicInteger();

        InOrder.firm(next(open)).subscribe(new Taker(false));
        assertThat(open).hasValue(1);
        InOrder.firm(next(open)).subscribe(new Taker(true));

        assertThat(open).hasValue(1);
    }

    /** An operator that takes a subscription, and may have been cancelled while it did so. */
    private record Taker(boolean cancelled) implements CoreSubscriber<Integer>, Scannable {

        @Override
        public void onSubscribe(Subscription subscription) {}

        @Override
        public void onNext(Integer value) {}

        @Override
        public void onError(Throwable error) {}

        @Override
        public void onComplete() {}

        @Override
        @SuppressWarnings("rawtypes")
        public @Nullable Object scanUnsafe(Attr key) {
            return key == Attr.CANCELLED ? cancelled : null;
        }
    }

    @ParameterizedTest
    @MethodSource
    void aCancellationBetweenTwoSourcesIsNeverLost(Handover handover) throws InterruptedException {
        for (int round = 0; round < ROUNDS; round++) {
            assertThat(goesOnAfterCancellation(handover, round))
                    .as("sources that go on for nobody, round %s", round)
                    .isZero();
        }
    }

    static Stream<Named<Handover>> aCancellationBetweenTwoSourcesIsNeverLost() {
        return Stream.of(
                Named.of("of", (first, next) -> InOrder.of(first.empty(), next)),
                Named.of("after", (first, next) -> InOrder.after(first.empty(), next)),
                Named.of("each", (first, next) -> InOrder.each(first.value().flux(), value -> next)),
                Named.of("orElse", (first, next) -> InOrder.orElse(first.empty().flux(), next)),
                Named.of("orElse of a Mono", (first, next) -> InOrder.orElse(first.empty(), Mono.from(next))),
                Named.of(
                        "resumed",
                        (first, next) -> InOrder.resumed(first.error().flux(), IllegalStateException.class, e -> next)),
                Named.of(
                        "resumed of a Mono",
                        (first, next) ->
                                InOrder.resumed(first.error(), IllegalStateException.class, e -> Mono.from(next))),
                // Its only source, which may be subscribed to late.
                Named.of(
                        "mapped",
                        (first, next) ->
                                first.value().flatMapMany(value -> InOrder.mapped(Flux.from(next), e -> true, e -> e))),
                Named.of("repeated", (first, next) -> {
                    AtomicBoolean again = new AtomicBoolean();
                    return InOrder.repeated(
                            Flux.defer(() -> again.getAndSet(true) ? next : first.empty()), ends -> ends);
                }));
    }

    @ParameterizedTest
    @MethodSource
    void reactorsOwnOperatorsLoseIt(Handover handover) {
        long began = System.nanoTime();
        Mutant.assertCaught("a second look at the cancellation", () -> {
            for (int round = 0;
                    System.nanoTime() - began < Duration.ofSeconds(60).toNanos();
                    round++) {
                assertThat(goesOnAfterCancellation(handover, round)).isZero();
            }
        });
    }

    static Stream<Named<Handover>> reactorsOwnOperatorsLoseIt() {
        return Stream.of(
                Named.of("concatWith", (first, next) -> first.empty().concatWith(next)),
                Named.of("concat", (first, next) -> Flux.concat(List.of(first.empty(), next))),
                Named.of("switchIfEmpty", (first, next) -> first.empty().flux().switchIfEmpty(next)));
    }

    @Test
    void nobodyElseInCoreUsesReactorsOperators() {
        // Those of InOrder itself, and of the callback interface, whose work ends with its store.
        assertThat(LossyOperators.usedIn(InOrder.class))
                .containsExactly(
                        "InOrder.concat",
                        "InOrder.concatMap",
                        "InOrder.onErrorMap",
                        "InOrder.onErrorResume",
                        "InOrder.repeatWhen",
                        "InOrder.switchIfEmpty",
                        "Ota.flatMap",
                        "Ota.onErrorMap",
                        "Ota.onErrorResume",
                        "Ota.retryWhen",
                        "Ota.switchIfEmpty");
    }

    /** How one goes from the end of the first source to the next one. */
    interface Handover {

        Publisher<Integer> between(First first, Publisher<Integer> next);
    }

    /** A first source, which ends when it is told to, in the way that is asked of it. */
    private static final class First {

        private final Sinks.One<Integer> end = Sinks.one();
        private Runnable ending = () -> {};

        Mono<Integer> empty() {
            ending = end::tryEmitEmpty;
            return end.asMono();
        }

        Mono<Integer> value() {
            ending = () -> end.tryEmitValue(1);
            return end.asMono();
        }

        Mono<Integer> error() {
            ending = () -> end.tryEmitError(BROKEN);
            return end.asMono();
        }

        void end() {
            ending.run();
        }
    }

    /**
     * One thread goes along a row of first sources and ends them; another one comes after it and cancels. In half of the
     * rounds it cancels each as it is ended, which needs two processors; in the others it comes out of its sleep now and
     * then, wherever that finds the first thread, which happens also where they share one.
     *
     * @return how many next sources are subscribed to after all have been cancelled
     */
    private static int goesOnAfterCancellation(Handover handover, int round) throws InterruptedException {
        boolean sleeping = round % 2 == 1;
        int width = sleeping ? 10_000 : 1_000;
        AtomicInteger open = new AtomicInteger();
        List<First> firsts = new ArrayList<>();
        List<Disposable> subscriptions = new ArrayList<>();
        for (int i = 0; i < width; i++) {
            First first = new First();
            firsts.add(first);
            subscriptions.add(Flux.from(handover.between(first, next(open))).subscribe(value -> {}, e -> {}));
        }
        AtomicInteger reached = new AtomicInteger(-1);
        CountDownLatch together = new CountDownLatch(2);
        Thread ending = new Thread(() -> {
            meet(together);
            for (int i = 0; i < width; i++) {
                reached.set(i);
                firsts.get(i).end();
            }
        });
        ending.start();
        meet(together);
        int waited = 0;
        for (int i = reached.get(); i < width - 1; ) {
            int at = reached.get();
            if (sleeping) {
                if (at >= 0) {
                    subscriptions.get(at).dispose();
                }
                i = at;
                LockSupport.parkNanos(1);
            } else if (at > i) {
                subscriptions.get(++i).dispose();
            } else if (++waited % 1_000 == 0) {
                Thread.yield();
            }
        }
        subscriptions.forEach(Disposable::dispose);
        ending.join();
        return open.get();
    }

    private static void meet(CountDownLatch together) {
        together.countDown();
        while (together.getCount() > 0) {
            Thread.yield();
        }
    }

    /** A source that goes on until it is cancelled. */
    private static Publisher<Integer> next(AtomicInteger open) {
        return subscriber -> {
            open.incrementAndGet();
            AtomicBoolean cancelled = new AtomicBoolean();
            subscriber.onSubscribe(new Subscription() {
                @Override
                public void request(long n) {}

                @Override
                public void cancel() {
                    if (cancelled.compareAndSet(false, true)) {
                        open.decrementAndGet();
                    }
                }
            });
        };
    }
}
