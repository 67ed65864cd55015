package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Artifact;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

/** What every {@link UpgradeChannel} keeps to, whatever protocol it speaks. An implementation's test provides a {@link Platform}. */
@TestInstance(TestInstance.Lifecycle.PER_METHOD)
public abstract class UpgradeChannelContract {

    /** How long a test waits for what must happen. */
    protected static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final Duration A_MOMENT = Duration.ofMillis(300);
    private static final String MD5 = "00112233445566778899aabbccddeeff";

    private Platform platform;
    private UpgradeChannel channel;

    /** A new platform that knows nothing, and its new channel. */
    protected abstract Platform platform() throws Exception;

    /** The other end of the channel: plays the platform and remembers what it was told. */
    protected interface Platform extends AutoCloseable {

        /** The channel to this platform, always the same. */
        UpgradeChannel channel();

        /** Sends a trigger; while the channel is disconnected, or not connected yet, it is sent when it is there. */
        void push(UpgradeTrigger trigger);

        /** Sends something that cannot be understood. */
        void pushNonsense();

        /** Makes {@code trigger} the pending upgrade of its device and module. */
        void pending(UpgradeTrigger trigger);

        /** Cuts the connection; it stays cut until {@link #restore()}. */
        void cut();

        /** Lets the channel connect again. */
        void restore();

        /** Closes the door for good: what connects from now on is refused, and what is connected is thrown out. */
        void refuse();

        /** The versions that arrived, as {@code module=version}, in order; repeated ones may be there once or more often. */
        List<String> versions();

        /** The percentages that arrived, in order, of all modules. */
        List<Integer> percents();

        /** The failures that arrived, by the stage that the platform was told, in order. */
        List<OtaException.Stage> failures();

        @Override
        void close();
    }

    @BeforeEach
    void open() throws Exception {
        platform = platform();
        channel = platform.channel();
    }

    @AfterEach
    void close() {
        platform.close();
    }

    @Test
    void aTriggerIsEmittedAsItWasPushed() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        platform.push(trigger);

        channel.triggers()
                .map(Delivery::trigger)
                .as(StepVerifier::create)
                .expectNext(trigger)
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void aRepeatedTriggerIsEmittedAgain() {
        List<UpgradeTrigger> seen = new CopyOnWriteArrayList<>();
        Disposable subscription = channel.triggers().subscribe(delivery -> {
            delivery.acknowledge();
            seen.add(delivery.trigger());
        });
        UpgradeTrigger trigger = trigger("app", "2.0.0");

        platform.push(trigger);
        await().atMost(PATIENCE).until(() -> seen.size() == 1);
        platform.push(trigger);

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactly(trigger, trigger));
        subscription.dispose();
    }

    @Test
    void whatArrivesWhileNobodyListensIsKeptTheLatestOfEachModule() {
        connect();
        platform.push(trigger("app", "2.0.0"));
        platform.push(trigger("mcu", "5"));
        platform.push(trigger("app", "2.1.0"));

        List<String> seen = new CopyOnWriteArrayList<>();
        await().pollDelay(Duration.ofSeconds(1)).atMost(PATIENCE).until(() -> true);
        Disposable subscription = channel.triggers().subscribe(delivery -> seen.add(name(delivery)));

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactlyInAnyOrder("mcu 5", "app 2.1.0"));
        subscription.dispose();
    }

    @Test
    void aDeliveryThatWasNotAcknowledgedIsEmittedToTheNextSubscriber() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        platform.push(trigger);
        channel.triggers()
                .as(StepVerifier::create)
                .expectNextCount(1)
                .thenCancel()
                .verify(PATIENCE);

        channel.triggers()
                .map(Delivery::trigger)
                .as(StepVerifier::create)
                .expectNext(trigger)
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void anAcknowledgedDeliveryIsNotEmittedToTheNextSubscriber() {
        platform.push(trigger("app", "2.0.0"));
        channel.triggers()
                .doOnNext(Delivery::acknowledge)
                .as(StepVerifier::create)
                .expectNextCount(1)
                .thenCancel()
                .verify(PATIENCE);

        channel.triggers()
                .as(StepVerifier::create)
                .expectSubscription()
                .expectNoEvent(A_MOMENT)
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void aSubscriberWithoutDemandGetsNothingUntilItAsks() {
        platform.push(trigger("app", "2.0.0"));

        StepVerifier.create(channel.triggers(), 0)
                .expectSubscription()
                .expectNoEvent(A_MOMENT)
                .thenRequest(1)
                .expectNextCount(1)
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void aDeliveryOfAConnectionThatIsGoneMayBeAcknowledged() {
        List<Delivery> seen = new CopyOnWriteArrayList<>();
        Disposable subscription = channel.triggers().subscribe(seen::add);
        platform.push(trigger("app", "2.0.0"));
        await().atMost(PATIENCE).until(() -> !seen.isEmpty());

        platform.cut();
        seen.get(0).acknowledge();
        platform.restore();
        platform.push(trigger("mcu", "5"));

        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(seen)
                        .extracting(UpgradeChannelContract::name)
                        .contains("mcu 5"));
        subscription.dispose();
    }

    @Test
    void nonsenseIsSkippedAndTheNextTriggerComes() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        platform.pushNonsense();
        platform.push(trigger);

        channel.triggers()
                .map(Delivery::trigger)
                .as(StepVerifier::create)
                .expectNext(trigger)
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void thereIsOneSubscriberAtATime() {
        Disposable first = channel.triggers().subscribe();

        channel.triggers()
                .as(StepVerifier::create)
                .expectError(IllegalStateException.class)
                .verify(PATIENCE);

        first.dispose();
        channel.triggers()
                .as(StepVerifier::create)
                .expectSubscription()
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void aVersionReachesThePlatform() {
        channel.report(channel.device(), "app", "1.0.0")
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);

        awaitVersion("app=1.0.0");
    }

    @Test
    void aReportThatNobodySubscribesToIsNotSent() {
        var unsubscribed = channel.report(channel.device(), "app", "1.0.0");
        channel.report(channel.device(), "mcu", "4")
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);

        awaitVersion("mcu=4");
        assertThat(platform.versions()).doesNotContain("app=1.0.0");
        unsubscribed.as(StepVerifier::create).expectComplete().verify(PATIENCE);
        awaitVersion("app=1.0.0");
    }

    @Test
    void aVersionThatIsReportedWhileDisconnectedWaitsForTheConnection() {
        connect();
        platform.cut();

        StepVerifier.create(channel.report(channel.device(), "app", "2.0.0"))
                .expectSubscription()
                .expectNoEvent(A_MOMENT)
                .then(platform::restore)
                .expectComplete()
                .verify(PATIENCE);
        awaitVersion("app=2.0.0");
    }

    @Test
    void aFailureReachesThePlatformWithItsStage() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");

        channel.report(new UpgradeEvent.Failed(trigger, new LengthMismatchException("app.bin", 10, 9)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);

        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.failures()).containsExactly(OtaException.Stage.VERIFY));
    }

    @Test
    void aFailureThatIsReportedWhileDisconnectedWaitsForTheConnection() {
        connect();
        platform.cut();

        StepVerifier.create(channel.report(
                        new UpgradeEvent.Failed(trigger("app", "2.0.0"), new LengthMismatchException("a", 10, 9))))
                .expectSubscription()
                .expectNoEvent(A_MOMENT)
                .then(platform::restore)
                .expectComplete()
                .verify(PATIENCE);
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.failures()).containsExactly(OtaException.Stage.VERIFY));
    }

    @Test
    void theFirstProgressReachesThePlatform() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        connect();

        channel.report(new UpgradeEvent.Admitted(trigger))
                .then(channel.report(new UpgradeEvent.Received(trigger, 500, 1000)))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);

        await().atMost(PATIENCE)
                .untilAsserted(() ->
                        assertThat(platform.percents()).isNotEmpty().isSorted().endsWith(50));
    }

    @Test
    void progressDoesNotWaitForAConnection() {
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        connect();
        platform.cut();

        channel.report(new UpgradeEvent.Received(trigger, 500, 1000))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void aLostConnectionIsNoErrorAndTheNextTriggerComes() {
        List<Throwable> errors = new CopyOnWriteArrayList<>();
        List<String> seen = new CopyOnWriteArrayList<>();
        Disposable subscription = channel.triggers()
                .subscribe(
                        delivery -> {
                            delivery.acknowledge();
                            seen.add(name(delivery));
                        },
                        errors::add);
        connect();

        platform.cut();
        platform.push(trigger("app", "2.0.0"));
        platform.restore();

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).contains("app 2.0.0"));
        assertThat(errors).isEmpty();
        subscription.dispose();
    }

    @Test
    void beingRefusedIsAnErrorOfTheTriggers() {
        platform.refuse();

        channel.triggers()
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(
                                ChannelException.class,
                                refused ->
                                        assertThat(refused.reason()).isEqualTo(OtaException.Reason.CONNECTION_REFUSED)))
                .verify(PATIENCE);
    }

    @Test
    void refreshEmitsWhatIsPendingWithItsPresentLocation() {
        connect();
        UpgradeTrigger fresh = trigger("app", "2.0.0", "https://files.example.com/new?token=2");
        platform.pending(fresh);

        channel.refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectNext(fresh)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void refreshIsEmptyWhereNothingIsPending() {
        connect();

        channel.refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
    }

    /** A trigger of the channel's device that every platform can express. */
    protected final UpgradeTrigger trigger(String module, String version) {
        return trigger(module, version, "https://files.example.com/" + module + "?token=1");
    }

    private UpgradeTrigger trigger(String module, String version, String location) {
        DeviceId device = channel.device();
        Artifact artifact = new Artifact(module, URI.create(location), 1000, List.of(Digest.md5(MD5)));
        return new UpgradeTrigger(device, module, version, List.of(artifact), Map.of());
    }

    /** The platform may hear it a little later than the channel knows that it will. */
    private void awaitVersion(String version) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.versions()).contains(version));
    }

    private void connect() {
        channel.report(channel.device(), "connected", "1").block(PATIENCE);
    }

    private static String name(Delivery delivery) {
        return delivery.trigger().module() + " " + delivery.trigger().version();
    }
}
