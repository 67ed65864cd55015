package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

class InboxTest {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Scheduler lane = Schedulers.newSingle("lane");
    private final Inbox inbox = new Inbox(lane, () -> {});
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

    private void offer(String module, String version, boolean owed) {
        UpgradeTrigger trigger = new UpgradeTrigger(
                new DeviceId("pk", "dev"), module, version, new Artifact("f", URI.create("https://h/f"), 1, List.of()));
        onLane(() -> inbox.offer(trigger, () -> acknowledged.add(module + " " + version), owed));
    }

    private void onLane(Runnable work) {
        Mono.fromRunnable(work).subscribeOn(lane).block(PATIENCE);
    }

    private static String name(Delivery delivery) {
        return delivery.trigger().module() + " " + delivery.trigger().version();
    }
}
