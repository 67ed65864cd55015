package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.Artifact;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

/** The conversation on a real broker. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class AliyunDeviceTest {

    private static final String MD5 = "00112233445566778899aabbccddeeff";
    private static final Topics TOPICS = Topics.of(DEVICE);

    private MosquittoBroker broker;
    private TestPlatform platform;
    private final List<AliyunDevice> devices = new ArrayList<>();

    @BeforeEach
    void open() throws Exception {
        broker = MosquittoBroker.start();
        platform = TestPlatform.on(broker);
    }

    @AfterEach
    void close() {
        devices.forEach(device -> device.close().block(PATIENCE));
        platform.close();
        broker.close();
    }

    @Test
    void aVersionIsInformedAsTheProtocolSays() {
        AliyunDevice device = device();

        report(device, "MCU", "1.0.1");
        report(device, "default", "7");

        await().atMost(PATIENCE).until(() -> platform.heard(TOPICS.inform()).size() == 2);
        assertThat(TOPICS.inform()).isEqualTo("/ota/device/inform/a1B2c3D4e5F/dev01");
        List<TestPlatform.Heard> heard = platform.heard(TOPICS.inform());
        assertThat(heard.get(0).payload())
                .matches("\\{\"id\":\"[0-9]{1,10}\",\"params\":\\{\"version\":\"1.0.1\",\"module\":\"MCU\"}}");
        assertThat(heard.get(1).payload()).matches("\\{\"id\":\"[0-9]{1,10}\",\"params\":\\{\"version\":\"7\"}}");
        assertThat(heard).allSatisfy(message -> assertThat(message.qos()).isEqualTo(MqttQos.AT_LEAST_ONCE));
        assertThat(ids(heard)).doesNotHaveDuplicates();
    }

    @Test
    void whatIsPendingIsAskedForOnceAfterAVersion() {
        platform.pending(trigger("app", "2.0.0"));
        AliyunDevice device = device();

        report(device, "app", "1.0.0");

        device.upgrades()
                .triggers()
                .map(Delivery::trigger)
                .as(StepVerifier::create)
                .expectNext(trigger("app", "2.0.0"))
                .thenCancel()
                .verify(PATIENCE);
        report(device, "app", "1.0.0");
        report(device, "mcu", "1");
        await().atMost(PATIENCE).until(() -> platform.questions().contains("mcu"));
        assertThat(platform.questions()).containsExactly("app", "mcu");
    }

    @Test
    void whatIsNeverPushedIsFoundByAskingForIt() {
        AliyunDevice device = device();
        List<String> seen = listen(device);
        device.connect().block(PATIENCE);
        platform.pending(trigger("app", "2.0.0"));

        assertThat(device.askForUpgrade("mcu").block(PATIENCE)).isFalse();
        assertThat(device.askForUpgrade("app").block(PATIENCE)).isTrue();

        await().atMost(PATIENCE).until(() -> seen.equals(List.of("app 2.0.0")));
        assertThat(platform.questions()).containsExactly("mcu", "app");
        device.askForUpgrade(new DeviceId("another", "device"), "app")
                .as(StepVerifier::create)
                .expectError(IllegalArgumentException.class)
                .verify(PATIENCE);
    }

    /** It answers where it was asked, with another id; and the broker lets the device hear itself. */
    @Test
    void anOldPlatformIsAskedWhereItAnswers() throws Exception {
        String topic = "/ota/device/request/a1B2c3D4e5F/dev01";
        platform.listen(topic);
        AliyunDevice device = keep(TestPlatform.device(broker.port()).legacyQueries());
        List<String> seen = listen(device);

        report(device, "app", "1");
        report(device, "default", "1.0.1");
        await().atMost(PATIENCE).until(() -> !platform.heard(topic).isEmpty());
        platform.send(
                topic,
                "{\"id\":999,\"code\":\"1000\",\"data\":{\"size\":1,\"version\":\"2\",\"url\":\"https://h/f\",\"md5\":\""
                        + MD5 + "\"},\"message\":\"success\"}",
                MqttQos.AT_LEAST_ONCE);

        await().atMost(PATIENCE).until(() -> seen.equals(List.of("default 2")));
        assertThat(platform.heard(topic).get(0).payload())
                .matches("\\{\"id\":[0-9]{1,10},\"params\":\\{\"version\":\"1.0.1\"}}");
        assertThat(platform.questions()).isEmpty();
        assertThat(device.skippedMessages()).isZero();
        assertThat(device.askForUpgrade("app").block(PATIENCE))
                .as("it knows no modules")
                .isFalse();
    }

    @Test
    void whatWasNotAcknowledgedComesAgainInTheNextLifeAndWhatWasDoesNot() {
        AliyunDevice first = device();
        first.connect().block(PATIENCE);
        platform.push(trigger("app", "2.0.0"));
        first.upgrades().triggers().blockFirst(PATIENCE);
        first.close().block(PATIENCE);

        AliyunDevice second = device();
        Delivery again =
                second.upgrades().triggers().doOnNext(Delivery::acknowledge).blockFirst(PATIENCE);
        assertThat(again.trigger()).isEqualTo(trigger("app", "2.0.0"));
        await().atMost(PATIENCE).until(() -> acknowledged() == 1);
        second.close().block(PATIENCE);

        AliyunDevice third = device();
        third.connect().block(PATIENCE);
        StepVerifier.create(third.upgrades().triggers())
                .expectSubscription()
                .expectNoEvent(Duration.ofMillis(500))
                .thenCancel()
                .verify(PATIENCE);
    }

    @Test
    void afterABrokerRestartEverythingIsAsBefore() {
        AliyunDevice device = device();
        List<String> seen = listen(device);
        report(device, "app", "1.0.0");
        report(device, "mcu", "4");
        await().atMost(PATIENCE).until(() -> platform.questions().size() == 2);

        broker.restart();

        await().atMost(PATIENCE)
                .untilAsserted(() ->
                        assertThat(platform.versions()).containsExactly("app=1.0.0", "mcu=4", "app=1.0.0", "mcu=4"));
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.questions()).containsExactly("app", "mcu", "app", "mcu"));
        platform.push(trigger("app", "2.0.0"));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactly("app 2.0.0"));
    }

    @Test
    void aBrokerThatForgotTheSessionIsSubscribedToAgain() throws Exception {
        AliyunDevice device = device();
        List<String> seen = listen(device);
        device.connect().block(PATIENCE);
        platform.close();

        broker.forget();
        platform = TestPlatform.on(broker);

        await().atMost(PATIENCE).until(() -> subscriptions() == 2);
        platform.push(trigger("app", "2.0.0"));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactly("app 2.0.0"));
    }

    @Test
    void aPushThatWasQueuedWhileTheDeviceWasAwayIsDelivered() {
        AliyunDevice first = device();
        first.connect().block(PATIENCE);
        first.close().block(PATIENCE);
        platform.push(trigger("app", "2.0.0"));

        AliyunDevice second = device();

        assertThat(second.upgrades().triggers().blockFirst(PATIENCE).trigger()).isEqualTo(trigger("app", "2.0.0"));
    }

    @Test
    void aHundredRepeatedPushesAreEmittedAndAcknowledgedEachOnce() {
        AliyunDevice device = device();
        AtomicInteger seen = new AtomicInteger();
        subscribe(device, delivery -> {
            seen.incrementAndGet();
            delivery.acknowledge();
            delivery.acknowledge();
        });
        device.connect().block(PATIENCE);

        for (int i = 0; i < 100; i++) {
            platform.push(trigger("app", "2.0.0"));
        }

        await().atMost(PATIENCE).until(() -> seen.get() == 100);
        await().atMost(PATIENCE).until(() -> acknowledged() == 100);
    }

    @Test
    void aHundredPushesThatNobodyTakesAreOneTriggerAndNinetyNineAcknowledgements() {
        AliyunDevice device = device();
        device.connect().block(PATIENCE);

        for (int i = 1; i <= 100; i++) {
            platform.push(trigger("app", "2.0." + i));
        }

        // The broker leaves 20 in flight: all of them can only come if those before are acknowledged.
        await().atMost(PATIENCE).until(() -> acknowledged() == 99);
        Delivery last = device.upgrades().triggers().blockFirst(PATIENCE);
        assertThat(last.trigger().version()).isEqualTo("2.0.100");
    }

    @Test
    void aHeldAcknowledgementAndAReconnectDoNotMakeTheSessionStick() {
        AliyunDevice device = device();
        List<Delivery> seen = new CopyOnWriteArrayList<>();
        subscribe(device, seen::add);
        device.connect().block(PATIENCE);
        platform.push(trigger("app", "2.0.0"));
        await().atMost(PATIENCE).until(() -> seen.size() == 1);

        broker.restart();
        await("delivered again").atMost(PATIENCE).until(() -> seen.size() == 2);
        seen.get(1).acknowledge();
        for (int i = 0; i < 60; i++) {
            platform.push(trigger("m" + i, "1"));
        }
        for (int i = 2; i < 62; i++) {
            int next = i;
            await().atMost(PATIENCE).until(() -> seen.size() > next);
            seen.get(next).acknowledge();
        }

        seen.get(0).acknowledge();
        assertThat(seen).hasSize(62);
        await().atMost(PATIENCE).until(() -> acknowledged() == 61);
    }

    @Test
    void aDeliveryThatIsForgottenDoesNotHoldBackTheOthersForEver() {
        forgetOneDelivery(Duration.ofMillis(700), PATIENCE);

        Mutant.assertCaught(
                "a time limit for acknowledgements",
                () -> forgetOneDelivery(Duration.ofDays(1), Duration.ofSeconds(3)));
    }

    private void forgetOneDelivery(Duration stuckAfter, Duration patience) {
        AliyunDevice device = keep(TestPlatform.device(broker.port()).stuckAfter(stuckAfter));
        List<String> seen = new CopyOnWriteArrayList<>();
        subscribe(device, delivery -> {
            String module = delivery.trigger().module();
            if (!module.equals("forgotten") || seen.contains(module)) {
                delivery.acknowledge();
            }
            seen.add(module);
        });
        device.connect().block(PATIENCE);

        platform.push(trigger("forgotten", "1"));
        for (int i = 0; i < 60; i++) {
            platform.push(trigger("m" + i, "1"));
        }

        // The broker leaves 20 in flight, so that the others can only come when the first was acknowledged.
        eventually(patience, () -> assertThat(seen).contains("m59"));
        assertThat(Set.copyOf(seen)).hasSize(61);
        device.close().block(PATIENCE);
    }

    @Test
    void aMalformedPushIsCountedReportedAcknowledgedAndSkipped() {
        AliyunDevice device = device();
        List<DeviceEvent> events = events(device);
        List<String> seen = listen(device);
        device.connect().block(PATIENCE);

        platform.push("not json", MqttQos.AT_LEAST_ONCE);
        platform.push("{\"data\":{\"module\":\"app\",\"version\":\"2\"}}", MqttQos.AT_LEAST_ONCE);
        platform.push(trigger("mcu", "5"));

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactly("mcu 5"));
        await().atMost(PATIENCE).until(() -> acknowledged() == 3);
        assertThat(device.skippedMessages()).isEqualTo(2);
        assertThat(events)
                .filteredOn(DeviceEvent.MessageSkipped.class::isInstance)
                .hasSize(2)
                .allSatisfy(event -> assertThat(
                                ((DeviceEvent.MessageSkipped) event).cause().reason())
                        .isEqualTo(Reason.MALFORMED_TRIGGER));
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.heard(TOPICS.progress()))
                        .singleElement()
                        .satisfies(message -> {
                            assertThat(message.params().path("step").asText()).isEqualTo("-1");
                            assertThat(message.params().path("desc").asText()).startsWith("MALFORMED_TRIGGER: ");
                            assertThat(message.params().path("module").asText()).isEqualTo("app");
                        }));
    }

    @Test
    void aDownloadOverSomethingUnknownIsReportedAsUnsupported() {
        AliyunDevice device = device();
        device.connect().block(PATIENCE);

        platform.push(
                "{\"code\":\"1000\",\"data\":{\"size\":4252,\"streamId\":12332,\"sign\":\"" + MD5
                        + "\",\"dProtocol\":\"coap\",\"version\":\"1.1\",\"signMethod\":\"Md5\",\"streamFileId\":1},"
                        + "\"id\":1695281536874,\"message\":\"success\"}",
                MqttQos.AT_MOST_ONCE);

        await().atMost(PATIENCE).until(() -> platform.steps().equals(List.of("-1")));
        assertThat(platform.heard(TOPICS.progress())
                        .get(0)
                        .params()
                        .path("desc")
                        .asText())
                .startsWith("UNSUPPORTED: ");
        assertThat(device.skippedMessages()).isEqualTo(1);
    }

    @Test
    void progressIsAtLeastFivePercentApartAndEndsWithTheEnd() {
        AliyunDevice device = device();
        UpgradeChannel channel = device.upgrades();
        UpgradeTrigger trigger = trigger("app", "2.0.0");
        device.connect().block(PATIENCE);

        channel.report(new UpgradeEvent.Admitted(trigger)).block(PATIENCE);
        for (int bytes = 0; bytes <= 1000; bytes++) {
            channel.report(new UpgradeEvent.Received(trigger, bytes, 1000)).block(PATIENCE);
        }
        channel.report(new UpgradeEvent.Failed(trigger, new SourceException(Reason.NOT_FOUND, "gone", null)))
                .block(PATIENCE);

        await().atMost(PATIENCE).until(() -> platform.steps().contains("-2"));
        List<Integer> steps = platform.steps().stream().map(Integer::valueOf).toList();
        assertThat(steps.get(0)).isEqualTo(1);
        assertThat(steps.get(steps.size() - 1)).isEqualTo(-2);
        assertThat(steps).hasSizeBetween(15, 21);
        assertThat(IntStream.range(1, steps.size() - 1)).allMatch(i -> steps.get(i) - steps.get(i - 1) >= 5);
    }

    @Test
    void aDayOfReportsWithoutAConnectionIsTheLatestOfEach() {
        AliyunDevice device = device();
        report(device, "app", "1");
        await().atMost(PATIENCE).until(() -> platform.versions().size() == 1);
        List<DeviceEvent> events = events(device);
        broker.stop();
        await().atMost(PATIENCE).until(() -> !events.isEmpty());
        UpgradeTrigger trigger = trigger("app", "2");

        for (int round = 0; round < 1000; round++) {
            device.upgrades().report(new UpgradeEvent.Admitted(trigger)).block(PATIENCE);
            device.upgrades()
                    .report(new UpgradeEvent.Received(trigger, round, 1000))
                    .block(PATIENCE);
        }
        var failed = device.upgrades()
                .report(new UpgradeEvent.Failed(trigger, new SourceException(Reason.NOT_FOUND, "gone", null)))
                .toFuture();
        var older = device.upgrades().report(DEVICE, "app", "2").toFuture();
        var newer = device.upgrades().report(DEVICE, "app", "3").toFuture();
        assertThat(List.of(failed, older, newer)).noneMatch(report -> report.isDone());
        broker.restart();

        await().atMost(PATIENCE).until(() -> failed.isDone() && older.isDone() && newer.isDone());
        await().atMost(PATIENCE).until(() -> platform.versions().contains("app=3"));
        assertThat(platform.versions()).containsExactly("app=1", "app=3");
        assertThat(platform.steps()).containsExactly("-2");
    }

    @Test
    void refreshIsAnInterruptionWhenNobodyAnswers() {
        platform.answerNothing();
        AliyunDevice device = keep(TestPlatform.device(broker.port()).timeout(Duration.ofMillis(500)));
        device.connect().block(PATIENCE);

        device.upgrades()
                .refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(e -> assertThat(e)
                        .isInstanceOfSatisfying(
                                TransferException.class,
                                late -> assertThat(late.reason()).isEqualTo(Reason.TIMEOUT)))
                .verify(PATIENCE);
        assertThat(platform.questions()).containsExactly("app");
    }

    @ParameterizedTest
    @ValueSource(ints = {429, 500})
    void refreshIsAnInterruptionWhenThePlatformCannotAnswerNow(int code) {
        platform.answerWith(code);

        device().upgrades()
                .refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(e -> assertThat(e)
                        .isInstanceOfSatisfying(
                                TransferException.class,
                                busy -> assertThat(busy.reason()).isEqualTo(Reason.SERVER_BUSY)))
                .verify(PATIENCE);
    }

    @Test
    void anAnswerWithTheCodeOfAPushIsAnAnswer() {
        UpgradeTrigger fresh = trigger("app", "2.0.0");
        platform.pending(fresh);
        platform.answerWith(1000);

        assertThat(device().upgrades().refresh(fresh).block(PATIENCE)).isEqualTo(fresh);
    }

    @ParameterizedTest
    @ValueSource(ints = {460, 9112})
    void refreshIsEmptyWhenThePlatformKnowsNothing(int code) {
        platform.answerWith(code);

        device().upgrades()
                .refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void closingEndsAQuestion() {
        platform.answerNothing();
        AliyunDevice device = keep(TestPlatform.device(broker.port()).timeout(PATIENCE));
        device.connect().block(PATIENCE);
        var answer = device.upgrades().refresh(trigger("app", "2.0.0")).toFuture();
        await().atMost(PATIENCE).until(() -> !platform.questions().isEmpty());

        device.close().block(PATIENCE);

        assertThat(answer).failsWithin(PATIENCE).withThrowableThat().withCauseInstanceOf(TransferException.class);
    }

    @Test
    void refreshWaitsForAConnectionLongerThanForAnAnswer() {
        UpgradeTrigger fresh = trigger("app", "2.0.0");
        platform.pending(fresh);
        AliyunDevice device = keep(TestPlatform.device(broker.port()).timeout(Duration.ofMillis(500)));
        List<DeviceEvent> events = events(device);
        device.connect().block(PATIENCE);
        broker.kill();
        await().atMost(PATIENCE).until(() -> events.stream().anyMatch(DeviceEvent.Disconnected.class::isInstance));

        var answer = device.upgrades().refresh(fresh).toFuture();
        await().pollDelay(Duration.ofSeconds(1)).atMost(PATIENCE).until(() -> !answer.isDone());
        broker.restart();

        assertThat(answer).succeedsWithin(PATIENCE).isEqualTo(fresh);
    }

    @Test
    void aQuestionThatWasLostWithItsConnectionIsAskedAgain() {
        UpgradeTrigger fresh = trigger("app", "2.0.0");
        platform.answerNothing();
        AliyunDevice device = keep(TestPlatform.device(broker.port()).timeout(PATIENCE));
        device.connect().block(PATIENCE);
        var answer = device.upgrades().refresh(fresh).toFuture();
        await().atMost(PATIENCE).until(() -> !platform.questions().isEmpty());

        platform.answerAgain();
        platform.pending(fresh);
        broker.restart();

        assertThat(answer).succeedsWithin(PATIENCE).isEqualTo(fresh);
    }

    @Test
    void afterTooManyQuestionsNothingIsAskedForAWhile() {
        platform.answerWith(429);
        AliyunDevice device = device();

        report(device, "app", "1.0.0");
        await().atMost(PATIENCE).until(() -> platform.questions().size() == 1);
        device.upgrades()
                .refresh(trigger("app", "2.0.0"))
                .as(StepVerifier::create)
                .expectError(TransferException.class)
                .verify(PATIENCE);
        report(device, "mcu", "1");
        await().atMost(PATIENCE).until(() -> platform.versions().contains("mcu=1"));

        assertThat(platform.questions()).hasSizeLessThanOrEqualTo(2).doesNotContain("mcu");
    }

    @Test
    void whatWasAskedTooOftenIsAskedAgainAfterAWhile() {
        UpgradeTrigger pending = trigger("app", "2.0.0");
        platform.pending(pending);
        platform.answerWith(429);
        AliyunDevice device = keep(TestPlatform.device(broker.port()).questionPause(Duration.ofMillis(300)));
        List<UpgradeTrigger> triggers = new CopyOnWriteArrayList<>();
        subscribe(device, delivery -> triggers.add(delivery.trigger()));

        report(device, "app", "1.0.0");
        await().atMost(PATIENCE).until(() -> platform.questions().size() >= 2);
        assertThat(triggers).isEmpty();
        platform.answerWith(200);

        await().atMost(PATIENCE).until(() -> triggers.contains(pending));
    }

    @Test
    void aBrokerThatAnswersNothingIsADeadConnection() {
        AliyunDevice device = keep(TestPlatform.device(broker.port()).timeout(Duration.ofSeconds(1)));
        List<DeviceEvent> events = events(device);
        device.connect().block(PATIENCE);

        broker.freeze();
        var report = device.upgrades().report(DEVICE, "app", "2.0.0").toFuture();
        await().atMost(PATIENCE).until(() -> events.stream().anyMatch(DeviceEvent.Disconnected.class::isInstance));
        assertThat(report).isNotDone();
        broker.thaw();

        await().atMost(PATIENCE).until(report::isDone);
        await().atMost(PATIENCE).until(() -> platform.versions().contains("app=2.0.0"));
    }

    @Test
    void connectWaitsForTheNetwork() {
        int port = broker.port();
        broker.stop();
        AliyunDevice device = device();
        List<DeviceEvent> events = events(device);
        var connected = device.connect().toFuture();
        await().atMost(PATIENCE).until(() -> events.size() > 2);
        assertThat(connected).isNotDone();

        broker.restart();

        await().atMost(PATIENCE).until(connected::isDone);
        assertThat(connected).isCompleted();
        assertThat(broker.port()).isEqualTo(port);
        assertThat(events.get(events.size() - 1)).isEqualTo(new DeviceEvent.Connected());
        assertThat(events.subList(0, events.size() - 1)).allMatch(DeviceEvent.ConnectFailed.class::isInstance);
    }

    @Test
    void connectWaitsNoLongerThanItIsTold() {
        broker.stop();
        AliyunDevice device = keep(TestPlatform.device(broker.port()).networkTimeout(Duration.ofMillis(300)));

        device.connect()
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertReason(error, Reason.TIMEOUT))
                .verify(PATIENCE);

        broker.restart();
        await().atMost(PATIENCE).ignoreExceptions().until(() -> {
            device.connect().block(PATIENCE);
            return true;
        });
    }

    @Test
    void aHostThatNobodyKnowsIsTriedAgain() {
        AliyunDevice device = keep(TestPlatform.device(1).host("does-not-exist.invalid"));
        List<DeviceEvent> events = events(device);

        device.connect().subscribe();

        await().atMost(PATIENCE).until(() -> events.size() >= 3);
        assertThat(events)
                .allSatisfy(event -> assertThat(event)
                        .isInstanceOfSatisfying(
                                DeviceEvent.ConnectFailed.class,
                                failed -> assertReason(failed.cause(), Reason.CONNECTION_LOST)));
    }

    @Test
    void closingSaysGoodbyeEndsWhatWaitsAndLosesNothing() {
        AliyunDevice device = device();
        List<DeviceEvent> events = events(device);
        device.connect().block(PATIENCE);
        for (int i = 0; i < 40; i++) {
            platform.push(trigger("m" + i, "1"));
        }
        var ended = device.upgrades().triggers().then().toFuture();
        broker.freeze();
        var report = device.upgrades().report(DEVICE, "app", "1").toFuture();
        broker.thaw();

        device.close().block(PATIENCE);
        device.close().block(PATIENCE);

        assertThat(ended).isCompleted();
        assertThat(report).isDone();
        assertThat(events.get(events.size() - 1)).isEqualTo(new DeviceEvent.Closed());
        await().atMost(PATIENCE).until(() -> broker.log().contains("Received DISCONNECT from a1B2c3D4e5F.dev01|"));
        assertThat(acknowledged()).isZero();
        assertThatThrownBy(() -> report(device, "app", "1")).isInstanceOf(ChannelException.class);
        assertThat(device.upgrades().triggers().collectList().block(PATIENCE)).isEmpty();
        // All forty are still there for the next life.
        AliyunDevice next = device();
        List<String> seen = listen(next);
        await().atMost(PATIENCE).until(() -> seen.size() == 40);
    }

    @Test
    void closingADeviceThatWasNeverUsedDoesNothing() {
        device().close().as(StepVerifier::create).expectComplete().verify(PATIENCE);
    }

    @Test
    void closingDoesNotWaitForANetworkThatIsNotThere() {
        broker.stop();
        AliyunDevice device =
                keep(TestPlatform.device(broker.port()).reconnect(Duration.ofMinutes(10), Duration.ofMinutes(10)));
        List<DeviceEvent> events = events(device);
        var connected = device.connect().toFuture();
        await().atMost(PATIENCE).until(() -> !events.isEmpty());

        device.close().as(StepVerifier::create).expectComplete().verify(PATIENCE);

        assertThat(connected).isCompletedExceptionally();
    }

    @Test
    void aFloodOfPushesCostsNoMoreThanItsModules() {
        AliyunDevice device = device();
        device.connect().block(PATIENCE);

        for (int i = 1; i <= 30_000; i++) {
            platform.push(
                    "{\"data\":{\"size\":1,\"version\":\"" + i + "\",\"url\":\"https://h/f\",\"md5\":\"" + MD5
                            + "\",\"module\":\"m" + i % 3 + "\"}}",
                    MqttQos.AT_MOST_ONCE);
        }
        platform.push(trigger("last", "1"));

        List<String> seen = listen(device);
        await().atMost(PATIENCE).until(() -> seen.contains("last 1"));
        assertThat(seen.stream().map(name -> name.split(" ")[0]).distinct()).hasSizeLessThanOrEqualTo(4);
    }

    @Test
    void anotherDeviceIsNotThisOnes() {
        UpgradeChannel channel = device().upgrades();

        channel.report(new DeviceId("pk", "other"), "app", "1")
                .as(StepVerifier::create)
                .expectError(IllegalArgumentException.class)
                .verify(PATIENCE);
    }

    @Test
    void aVersionThatThePlatformWouldNotTakeIsRefusedHere() {
        UpgradeChannel channel = device().upgrades();

        for (String version : List.of("", "a b", "1/2", "x".repeat(65), "1\n")) {
            channel.report(DEVICE, "app", version)
                    .as(StepVerifier::create)
                    .expectError(IllegalArgumentException.class)
                    .verify(PATIENCE);
        }
    }

    // ---- Being refused ----

    @Test
    void badCredentialsAreFinal() {
        Login login = TestPlatform.login();
        try (MosquittoBroker locked = MosquittoBroker.configure()
                .user(login.userName(), login.password().value())
                .start()) {
            AliyunDevice good = keep(TestPlatform.device(locked.port()));
            good.connect().block(PATIENCE);
            good.close().block(PATIENCE);

            AliyunDevice bad = keep(
                    TestPlatform.device(locked.port()).credentials(DEVICE.product(), DEVICE.name(), "CANARY-wrong"));
            bad.connect()
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> {
                        assertReason(error, Reason.CONNECTION_REFUSED);
                        assertThat(error).hasMessageContaining("CONNACK 5").hasMessageNotContaining("CANARY");
                    })
                    .verify(PATIENCE);
            bad.upgrades()
                    .triggers()
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertReason(error, Reason.CONNECTION_REFUSED))
                    .verify(PATIENCE);
        }
    }

    @Test
    void aPlatformThatIsNotAvailableIsTriedAgainUntilItIs() {
        try (RefusingBroker busy = RefusingBroker.answering(3)) {
            AliyunDevice device = keep(TestPlatform.device(busy.port()));
            List<DeviceEvent> events = events(device);
            var end = device.upgrades().triggers().then().toFuture();

            await().atMost(PATIENCE).until(() -> busy.attempts() >= 12);

            assertThat(end).isNotDone();
            assertThat(events)
                    .allSatisfy(event -> assertThat(event)
                            .isInstanceOfSatisfying(
                                    DeviceEvent.ConnectFailed.class,
                                    failed -> assertReason(failed.cause(), Reason.SERVER_BUSY)));
        }
    }

    @Test
    void aPlatformThatLetTheDeviceInBeforeMayRefuseItForAWhile() {
        AliyunDevice device = device();
        device.connect().block(PATIENCE);
        broker.stop();
        var end = device.upgrades().triggers().then().toFuture();

        try (RefusingBroker refusing = RefusingBroker.answering(5, broker.port())) {
            await().atMost(PATIENCE).until(() -> refusing.attempts() >= 3);
            assertThat(end).isNotDone();

            await().atMost(PATIENCE).until(end::isDone);
            assertThat(refusing.attempts()).isEqualTo(10);
            assertThat(end).isCompletedExceptionally();
        }
    }

    @Test
    void aConversationThatWasRefusedBeginsAgainWithItsNextUse() {
        broker.stop();
        AliyunDevice device = device();
        try (RefusingBroker refusing = RefusingBroker.answering(4, broker.port())) {
            device.upgrades()
                    .triggers()
                    .as(StepVerifier::create)
                    .expectError(ChannelException.class)
                    .verify(PATIENCE);
            assertThat(refusing.attempts()).isEqualTo(1);
        }
        broker.restart();

        device.connect().as(StepVerifier::create).expectComplete().verify(PATIENCE);
    }

    private AliyunDevice device() {
        return keep(TestPlatform.device(broker.port()));
    }

    private AliyunDevice keep(AliyunDevice.Builder builder) {
        AliyunDevice device = builder.build();
        devices.add(device);
        return device;
    }

    private static List<DeviceEvent> events(AliyunDevice device) {
        List<DeviceEvent> events = new CopyOnWriteArrayList<>();
        Disposable subscription = device.events().subscribe(events::add);
        assertThat(subscription.isDisposed()).isFalse();
        return events;
    }

    /** What comes, as {@code module version}, acknowledged. */
    private static List<String> listen(AliyunDevice device) {
        List<String> seen = new CopyOnWriteArrayList<>();
        subscribe(device, delivery -> {
            delivery.acknowledge();
            seen.add(delivery.trigger().module() + " " + delivery.trigger().version());
        });
        return seen;
    }

    private static void subscribe(AliyunDevice device, java.util.function.Consumer<Delivery> consumer) {
        Disposable subscription = device.upgrades().triggers().subscribe(consumer);
        assertThat(subscription.isDisposed()).isFalse();
    }

    private static void report(AliyunDevice device, String module, String version) {
        device.upgrades().report(DEVICE, module, version).block(PATIENCE);
    }

    private long subscriptions() {
        return broker.log()
                .lines()
                .filter(line -> line.contains("Received SUBSCRIBE from a1B2c3D4e5F.dev01|"))
                .count();
    }

    /** How many messages the broker has had acknowledged by the device. */
    private long acknowledged() {
        return broker.log()
                .lines()
                .filter(line -> line.contains("Received PUBACK from a1B2c3D4e5F.dev01|"))
                .count();
    }

    private static List<String> ids(List<TestPlatform.Heard> heard) {
        return heard.stream()
                .map(message -> message.payload().replaceAll(".*\"id\":\"([0-9]+)\".*", "$1"))
                .toList();
    }

    private static void assertReason(Throwable error, Reason reason) {
        assertThat(error)
                .isInstanceOfSatisfying(
                        ChannelException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(reason));
    }

    private static UpgradeTrigger trigger(String module, String version) {
        Artifact artifact =
                new Artifact(module, URI.create("https://files.example.com/f?token=1"), 1000, List.of(Digest.md5(MD5)));
        return new UpgradeTrigger(DEVICE, module, version, List.of(artifact), Map.of());
    }
}
