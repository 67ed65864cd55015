package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.scheduler.VirtualTimeScheduler;

class InboxTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final DeviceId DEVICE = new DeviceId("pk", "dev");

    private final Scheduler lane = Schedulers.newSingle("lane");
    private final Inbox inbox = new Inbox(DEVICE, lane, () -> {}, PATIENCE, stuck -> {});
    private final List<String> acknowledged = new CopyOnWriteArrayList<>();

    @AfterEach
    void dispose() {
        lane.dispose();
    }

    @Test
    void theNewerOfAModuleStandsForTheOlder() {
        offer("app", "1", true);
        offer("app", "2", true);
        offer("mcu", "1", true);

        assertThat(acknowledged).containsExactly("app 1");
        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .expectNext("app 2", "mcu 1")
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void whatWasEmittedAndNotAcknowledgedIsEmittedAgainUnlessSomethingNewerCame() {
        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .then(() -> {
                    offer("app", "1", true);
                    offer("app", "2", true);
                    offer("mcu", "1", true);
                })
                .expectNext("app 1", "app 2", "mcu 1")
                .thenCancel()
                .verify(PATIENCE);

        onLane(() -> assertThat(acknowledged).containsExactly("app 1"));
        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .expectNext("app 2", "mcu 1")
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void eachIsAcknowledgedOnce() {
        StepVerifier.create(inbox.deliveries().doOnNext(Delivery::acknowledge).doOnNext(Delivery::acknowledge))
                .then(() -> offer("app", "1", true))
                .expectNextCount(1)
                .thenCancel()
                .verify(PATIENCE);

        assertThat(acknowledged).containsExactly("app 1");
    }

    @Test
    void whatExceedsTwoHundredAndFiftySixModulesIsDroppedAndAcknowledged() {
        for (int i = 0; i < 300; i++) {
            offer("m" + i, "1", true);
        }

        assertThat(acknowledged).hasSize(44).startsWith("m0 1").endsWith("m43 1");
        StepVerifier.create(inbox.deliveries().take(256))
                .expectNextCount(256)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void devicesTakeTurnsAndOneThatIsFloodedDropsOnlyItsOwn() {
        DeviceId one = new DeviceId("pk", "one");
        DeviceId two = new DeviceId("pk", "two");
        for (int i = 0; i < 20; i++) {
            offer(one, "m" + i);
        }
        offer(two, "app");

        assertThat(acknowledged).containsExactly("m0", "m1", "m2", "m3");
        StepVerifier.create(inbox.deliveries()
                        .map(delivery -> delivery.trigger().device().name() + " "
                                + delivery.trigger().module())
                        .take(3))
                .expectNext("one m4", "two app", "one m5")
                .expectComplete()
                .verify(PATIENCE);
        onLane(() -> inbox.forget(one));
        assertThat(acknowledged).contains("m19");
    }

    private void offer(DeviceId device, String module) {
        UpgradeTrigger trigger =
                new UpgradeTrigger(device, module, "1", new Artifact("f", URI.create("https://h/f"), 1, List.of()));
        onLane(() -> inbox.offer(trigger, () -> acknowledged.add(module), true));
    }

    @Test
    void whatNeedsNoAcknowledgementIsKeptOncePerModuleHoweverOftenItWasEmitted() {
        StepVerifier.create(inbox.deliveries())
                .then(() -> {
                    for (int i = 0; i < 1000; i++) {
                        offer("app", "" + i, false);
                    }
                })
                .expectNextCount(1000)
                .thenCancel()
                .verify(PATIENCE);

        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .expectNext("app 999")
                .thenCancel()
                .verify(PATIENCE);
        assertThat(acknowledged).isEmpty();
    }

    @Test
    void demandIsKept() {
        offer("a", "1", true);
        offer("b", "1", true);
        offer("c", "1", true);

        StepVerifier.create(inbox.deliveries().map(InboxTest::name), 1)
                .expectNext("a 1")
                .thenRequest(1)
                .expectNext("b 1")
                .then(() -> offer("c", "2", true))
                .thenRequest(1)
                .expectNext("c 2")
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void anErrorEndsThePresentSubscriptionOnly() {
        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .then(() -> {
                    offer("app", "1", true);
                    onLane(() -> inbox.fail(new IllegalStateException("refused")));
                })
                .expectNext("app 1")
                .expectError(IllegalStateException.class)
                .verify(PATIENCE);

        StepVerifier.create(inbox.deliveries().map(InboxTest::name))
                .expectNext("app 1")
                .then(() -> onLane(inbox::complete))
                .expectComplete()
                .verify(PATIENCE);
    }

    // ---- What is never acknowledged, in virtual time ----

    @Test
    void theOldestThatIsNotAcknowledgedInTimeIsStuck() {
        Watched watched = new Watched(Long.MAX_VALUE);
        watched.offer("app", true);
        watched.pass(Duration.ofSeconds(5));
        watched.offer("mcu", true);

        watched.pass(PATIENCE.minusMillis(5001));
        assertThat(watched.stuck).isEmpty();
        watched.pass(Duration.ofMillis(1));
        assertThat(watched.stuck).containsExactly("app");
    }

    @Test
    void theNextOldestHasItsOwnTime() {
        Watched watched = new Watched(Long.MAX_VALUE);
        watched.offer("app", true);
        watched.pass(Duration.ofSeconds(15));
        watched.offer("mcu", true);
        watched.emitted.get(0).acknowledge();

        watched.pass(PATIENCE.minusMillis(1));
        assertThat(watched.stuck).isEmpty();
        watched.pass(PATIENCE);
        assertThat(watched.stuck).containsExactly("mcu");
    }

    @Test
    void whatIsAcknowledgedInTimeIsNotStuckNorWhatNobodyTookNorWhatNeedsNoAcknowledgement() {
        Watched watched = new Watched(2);
        watched.offer("app", true);
        watched.offer("mcu", false);
        watched.offer("waits", true);
        watched.emitted.get(0).acknowledge();

        watched.pass(Duration.ofDays(1));

        assertThat(watched.emitted).hasSize(2);
        assertThat(watched.stuck).isEmpty();
    }

    @Test
    void afterTheEndOfItsConnectionNothingIsStuckUntilItIsDeliveredAgain() {
        Watched watched = new Watched(Long.MAX_VALUE);
        watched.offer("app", true);
        watched.inbox.disconnected();
        watched.pass(Duration.ofDays(1));
        assertThat(watched.stuck).isEmpty();

        watched.offer("app", true);
        watched.pass(PATIENCE);
        assertThat(watched.stuck).containsExactly("app");
    }

    /** An inbox in virtual time, and its subscriber, who acknowledges nothing by itself. */
    private static final class Watched {

        private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
        private final List<String> stuck = new ArrayList<>();
        private final List<Delivery> emitted = new ArrayList<>();
        private final Inbox inbox = new Inbox(DEVICE, time, () -> {}, PATIENCE, trigger -> stuck.add(trigger.module()));

        Watched(long demand) {
            inbox.deliveries().subscribe(new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    request(demand);
                }

                @Override
                protected void hookOnNext(Delivery delivery) {
                    emitted.add(delivery);
                }
            });
            pass(Duration.ZERO);
        }

        void offer(String module, boolean owed) {
            inbox.offer(InboxTest.trigger(module, "1"), () -> {}, owed);
            pass(Duration.ZERO);
        }

        void pass(Duration duration) {
            time.advanceTimeBy(duration);
        }
    }

    private void offer(String module, String version, boolean owed) {
        onLane(() -> inbox.offer(trigger(module, version), () -> acknowledged.add(module + " " + version), owed));
    }

    private static UpgradeTrigger trigger(String module, String version) {
        return new UpgradeTrigger(DEVICE, module, version, new Artifact("f", URI.create("https://h/f"), 1, List.of()));
    }

    private void onLane(Runnable work) {
        Mono.fromRunnable(work).subscribeOn(lane).block(PATIENCE);
    }

    private static String name(Delivery delivery) {
        return delivery.trigger().module() + " " + delivery.trigger().version();
    }
}
