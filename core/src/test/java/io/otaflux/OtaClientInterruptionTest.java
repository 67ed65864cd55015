package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;
import reactor.test.scheduler.VirtualTimeScheduler;

/** What is cancelled, withdrawn, repeated or broken at the worst moment leaves no upgrade stuck, lost or done twice. */
class OtaClientInterruptionTest {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final OtaException FOUND_WRONG = new InstallException("the application found it wrong", null);

    private final MemoryChannel channel = new MemoryChannel();
    private final MemorySource source = new MemorySource();
    private final MemoryStore memory = new MemoryStore();
    private final HeldStore store = new HeldStore(memory);
    private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    private final AtomicInteger installations = new AtomicInteger();
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final List<Throwable> errors = new CopyOnWriteArrayList<>();
    private final List<Disposable> running = new ArrayList<>();

    @AfterEach
    void stopAndCountBuffers() {
        running.forEach(Disposable::dispose);
        source.ledger().assertNoLeaks();
        assertThat(errors).isEmpty();
    }

    // ---- withdrawn from outside -----------------------------------------------------------------------------------

    @Test
    void aFailureFromOutsideStopsTheStageThatRuns() {
        OtaClient ota = client();
        run(ota);
        source.hangAfter(3);
        UpgradeTrigger trigger = served("app", "2", 10_000);
        channel.push(trigger);

        assertThat(ota.fail(trigger, FOUND_WRONG).block(SOON)).isTrue();

        source.ledger().assertNoLeaks();
        time.advanceTimeBy(Duration.ofHours(1));
        channel.push(served("app", "3", 10));
        assertThat(ends()).containsExactly("2 Failed", "3 Succeeded");
        assertThat(installations).hasValue(1);
    }

    @Test
    void aFailureFromOutsideIsTooLateForAnInstallationThatHasBegun() {
        Sinks.Empty<Void> go = Sinks.empty();
        OtaClient ota = client(
                builder -> builder.installer("app", verified -> go.asMono().thenReturn(Installer.Effect.IMMEDIATE)));
        run(ota);
        UpgradeTrigger trigger = served("app", "2", 10);
        channel.push(trigger);

        assertThat(ota.fail(trigger, FOUND_WRONG).block(SOON)).isFalse();
        go.tryEmitEmpty();

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(channel.events(UpgradeEvent.Failed.class)).isEmpty();
    }

    @Test
    void whatWasCancelledBeforeItsTurnCameIsNotEmitted() {
        OtaClient ota = client();
        List<String> seen = new CopyOnWriteArrayList<>();
        BaseSubscriber<UpgradeTrigger> slow = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                // Requests nothing yet.
            }

            @Override
            protected void hookOnNext(UpgradeTrigger trigger) {
                seen.add(trigger.version());
            }
        };
        ota.triggers().subscribe(slow);
        running.add(slow);
        UpgradeTrigger declined = served("app", "2", 10);
        channel.push(declined);

        assertThat(ota.cancel(declined, "not tonight").block(SOON)).isTrue();
        channel.push(served("app", "3", 10));
        slow.request(1);

        assertThat(seen).containsExactly("3");
    }

    @Test
    void whatWasReachedElsewhereIsNotInstalledAnyMore() {
        OtaClient ota = client();
        List<UpgradeTrigger> seen = new CopyOnWriteArrayList<>();
        running.add(ota.triggers().subscribe(seen::add));
        channel.push(served("app", "2", 10));
        Verified verified = ota.download(seen.get(0))
                .flatMap(ota::verify)
                .blockOptional(SOON)
                .orElseThrow();

        channel.cut();
        Disposable report = ota.report("app", "2").subscribe();

        ota.install(verified)
                .as(StepVerifier::create)
                .expectError(CancellationException.class)
                .verify(SOON);
        channel.restore();
        assertThat(report.isDisposed()).isTrue();
        assertThat(installations).hasValue(0);
        assertThat(memory.referenced()).isZero();
    }

    @Test
    void aWithdrawnUpgradeCannotBeInstalledFromWhatWasVerifiedBefore() {
        OtaClient ota = client();
        List<UpgradeTrigger> seen = new CopyOnWriteArrayList<>();
        running.add(ota.triggers().subscribe(seen::add));
        channel.push(served("app", "2", 10));
        Verified verified = ota.download(seen.get(0))
                .flatMap(ota::verify)
                .blockOptional(SOON)
                .orElseThrow();

        assertThat(ota.cancel(seen.get(0), "withdrawn").block(SOON)).isTrue();

        ota.install(verified)
                .as(StepVerifier::create)
                .expectError(CancellationException.class)
                .verify(SOON);
        assertThat(installations).hasValue(0);
    }

    // ---- broken off -----------------------------------------------------------------------------------------------

    @Test
    void theDeadlineCancelsAnInstallerThatHangsAndFreesItsPlace() {
        PublisherProbe<Installer.Effect> hanging = PublisherProbe.of(Mono.never());
        run(client(builder -> builder.installer("mcu", verified -> hanging.mono())
                .concurrency(1)
                .deadline(Duration.ofHours(1))));
        channel.push(served("mcu", "2", 10));
        channel.push(served("app", "2", 11));
        hanging.assertWasSubscribed();
        assertThat(ends()).isEmpty();

        time.advanceTimeBy(Duration.ofMinutes(59));
        assertThat(ends()).isEmpty();
        time.advanceTimeBy(Duration.ofMinutes(1));

        hanging.assertWasCancelled();
        channel.push(served("app", "3", 12));
        assertThat(ends()).contains("2 Failed", "3 Succeeded");
    }

    @Test
    void theDeadlineCancelsADownload() {
        AtomicInteger cancelled = new AtomicInteger();
        source.fault(bytes -> bytes.take(2).concatWith(Flux.never()).doOnCancel(cancelled::incrementAndGet));
        run(client(builder -> builder.deadline(Duration.ofSeconds(10))));
        UpgradeTrigger trigger = served("app", "2", 10_000);
        channel.push(trigger);

        time.advanceTimeBy(Duration.ofSeconds(10));
        assertThat(cancelled).hasValue(1);
        channel.push(trigger);

        assertThat(ends()).containsExactly("2 Failed", "2 Succeeded");
    }

    @Test
    void aTransferThatIsTooSlowIsCancelledBeforeItIsTriedAgain() {
        AtomicInteger cancelled = new AtomicInteger();
        source.fault(bytes -> bytes.take(2).concatWith(Flux.never()).doOnCancel(cancelled::incrementAndGet));
        run(client());
        channel.push(served("app", "2", 10_000));

        time.advanceTimeBy(Throughput.DEFAULT.window());
        time.advanceTimeBy(Throughput.DEFAULT.window());
        assertThat(cancelled).hasValue(1);

        time.advanceTimeBy(Duration.ofHours(1));
        assertThat(ends()).containsExactly("2 Succeeded");
    }

    @Test
    void aSourceThatDoesNotAnswerIsCancelledBeforeItIsAskedAgain() {
        AtomicInteger asked = new AtomicInteger();
        AtomicInteger cancelled = new AtomicInteger();
        ArtifactSource mute = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return Flux.defer(() -> asked.incrementAndGet() == 1
                        ? Flux.<T>never().doOnCancel(cancelled::incrementAndGet)
                        : source.read(request, consumer));
            }
        };
        run(client(builder -> builder.source(mute)));
        channel.push(served("app", "2", 10_000));

        time.advanceTimeBy(Throughput.DEFAULT.window());
        assertThat(cancelled).hasValue(1);

        time.advanceTimeBy(Duration.ofHours(1));
        assertThat(ends()).containsExactly("2 Succeeded");
    }

    // ---- cancelled half-way ---------------------------------------------------------------------------------------

    @Test
    void anEndThatIsInterruptedFreesItsLane() {
        OtaClient ota = client();
        Disposable first = run(ota);
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> go.asMono().thenMany(Flux.error(new SourceException(Reason.BAD_RESPONSE, "", null))));
        channel.push(served("app", "2", 5_000));

        store.hold();
        go.tryEmitEmpty();
        first.dispose();
        store.release();
        run(ota);
        channel.push(served("app", "3", 10));

        assertThat(ends()).contains("3 Succeeded");
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
    }

    @Test
    void aSuccessThatIsInterruptedFreesItsLane() {
        OtaClient ota = client();
        run(ota);
        channel.push(served("app", "2", 10));
        store.holdRemovals();
        channel.push(served("app", "3", 10));
        running.get(0).dispose();
        store.release();
        run(ota);

        channel.push(served("app", "4", 10));

        assertThat(ends()).contains("2 Succeeded", "4 Succeeded");
        assertThat(channel.versions()).endsWith("app=4");
        assertThat(installations).hasValue(3);
    }

    @Test
    void anAdmissionThatIsInterruptedIsGoneOnWith() {
        OtaClient ota = client();
        Disposable first = run(ota);
        store.hold();
        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", 10));
        first.dispose();
        assertThat(delivery.isAcknowledged()).isFalse();

        run(ota);
        assertThat(delivery.isAcknowledged()).as("its entry is not durable yet").isFalse();
        store.release();

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(delivery.isAcknowledged()).isTrue();
        assertThat(delivery.isAcknowledgedTwice()).isFalse();
    }

    @Test
    void anAdmissionThatEndedWhileNobodyListenedIsGoneOnWith() {
        OtaClient ota = client();
        Disposable first = run(ota);
        store.hold();
        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", 10));
        first.dispose();
        store.release();

        run(ota);

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(delivery.isAcknowledged()).isTrue();
    }

    @Test
    void aSupersedingThatIsInterruptedForgetsTheSuperseded() {
        OtaClient ota = client();
        Disposable first = run(ota);
        source.hangAfter(0);
        channel.push(served("app", "2", 10));
        channel.push(served("app", "3", 10));
        store.hold();
        channel.push(served("app", "4", 10));
        first.dispose();
        store.release();

        assertThat(memory.journaled())
                .extracting(entry -> entry.trigger().version())
                .containsExactly("2", "4");
        run(ota);
        assertThat(ends()).contains("2 Succeeded", "4 Succeeded").doesNotContain("3 Succeeded");
    }

    @Test
    void aRepetitionIsNotAcknowledgedBeforeTheFirstIsJournaled() {
        run(client());
        store.hold();
        UpgradeTrigger trigger = served("app", "2", 10);
        List<MemoryChannel.MemoryDelivery> deliveries = List.of(channel.push(trigger), channel.push(trigger));
        assertThat(deliveries).noneMatch(MemoryChannel.MemoryDelivery::isAcknowledged);

        store.release();

        assertThat(deliveries).allMatch(MemoryChannel.MemoryDelivery::isAcknowledged);
        assertThat(ends()).containsExactly("2 Succeeded");
    }

    @Test
    void aReportOfAVersionReachedElsewhereThatIsGivenUpFreesTheLane() {
        OtaClient ota = client();
        run(ota);
        source.hangAfter(0);
        channel.push(served("app", "2", 10));
        channel.cut();

        ota.report("app", "2").subscribe().dispose();
        channel.restore();
        channel.push(served("app", "3", 10));

        assertThat(ends()).containsExactly("2 Succeeded", "3 Succeeded");
        assertThat(installations).hasValue(1);
    }

    @Test
    void aConfirmationThatIsBegunTwiceIsOneSuccess() {
        channel.push(served("app", "2", 10));
        channel.cut();
        OtaClient ota = client();
        run(ota).dispose();
        run(ota).dispose();
        run(ota).dispose();
        run(ota);

        channel.restore();

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(installations).hasValue(1);
    }

    @Test
    void theSameContentIsFetchedAfterATransferThatWasWithdrawn() {
        OtaClient ota = client();
        run(ota);
        source.hangAfter(0);
        UpgradeTrigger trigger = served("app", "2", 10);
        channel.push(trigger);

        ota.cancel(trigger, "withdrawn").block(SOON);
        channel.push(trigger);

        assertThat(ends()).containsExactly("2 Cancelled", "2 Succeeded");
    }

    @Test
    void aPlatformThatRefusesToHearOfTheNewVersionDoesNotMakeItAFailure() {
        ChannelException refused = new ChannelException(Reason.CONNECTION_REFUSED, "refused", null);
        OtaClient ota =
                client(new TalkingChannel(channel, channel::report, Mono.error(refused)), UnaryOperator.identity());
        Disposable first = run(ota);
        channel.push(served("app", "2", 10));
        assertThat(events).last().isInstanceOf(Installed.class);
        first.dispose();

        run(client());

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(channel.versions()).containsExactly("app=2");
        assertThat(installations).hasValue(1);
    }

    @Test
    void whatThePlatformRefusedToHearOfIsToldWhenItPushesAgainTheSameOrAnother() {
        AtomicBoolean refuses = new AtomicBoolean(true);
        Mono<Void> hearing = Mono.defer(() -> refuses.get()
                ? Mono.error(new ChannelException(Reason.CONNECTION_REFUSED, "refused", null))
                : Mono.empty());
        run(client(
                new TalkingChannel(channel, channel::report, hearing),
                builder -> builder.installer(verified -> {
                    installations.incrementAndGet();
                    return Mono.just(Installer.Effect.IMMEDIATE);
                })));
        UpgradeTrigger second = served("app", "2", 10);
        UpgradeTrigger other = served("mcu", "2", 10);
        channel.push(second);
        channel.push(other);
        assertThat(ends()).isEmpty();

        refuses.set(false);
        channel.push(second);
        channel.push(served("mcu", "3", 10));

        assertThat(ends()).containsExactly("2 Succeeded", "2 Succeeded", "3 Succeeded");
        assertThat(channel.versions()).containsExactly("app=2", "mcu=2", "mcu=3");
        assertThat(installations).hasValue(3);
    }

    // ---- the journal ----------------------------------------------------------------------------------------------

    @Test
    void aReportThatGoesOutLateDoesNotForgetTheNextAttempt() {
        Sinks.Empty<Void> hearing = Sinks.empty();
        OtaClient ota = client(hardOfHearing(hearing.asMono()), UnaryOperator.identity());
        run(ota);
        UpgradeTrigger trigger = served("app", "2", 5_000);
        source.refuse(new SourceException(Reason.BAD_RESPONSE, 400, "400", null));
        channel.push(trigger);
        assertThat(ends()).containsExactly("2 Failed");
        source.hangAfter(2);
        channel.push(trigger);

        hearing.tryEmitEmpty();

        assertThat(memory.journaled())
                .singleElement()
                .satisfies(entry -> assertThat(entry.state()).isEqualTo(UpgradeJournal.State.ADMITTED));
    }

    @Test
    void aJournalThatFailsAfterTheInstallationDoesNotMakeItAFailure() {
        run(client(builder -> builder.installer("app", new Installer() {
            @Override
            public Mono<Effect> install(Verified verified) {
                return Mono.just(Effect.IMMEDIATE);
            }

            @Override
            public Mono<Void> confirm(UpgradeTrigger trigger) {
                return Mono.fromRunnable(
                        () -> memory.failJournal(new StorageException(Reason.IO_FAILED, "broken", null)));
            }
        })));

        channel.push(served("app", "2", 10));
        memory.failJournal(null);
        channel.push(served("app", "3", 10));

        assertThat(ends()).containsExactly("2 Succeeded", "3 Succeeded");
        assertThat(channel.events(UpgradeEvent.Failed.class)).isEmpty();
    }

    @Test
    void aTriggerThatCannotBeJournaledStillEndsTheOneItSuperseded() {
        run(client());
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> bytes.delaySubscription(go.asMono()));
        channel.push(served("app", "2", 10));
        channel.push(served("app", "3", 10));
        memory.failJournal(new StorageException(Reason.NO_SPACE, "full", null));
        channel.push(served("app", "4", 10));
        memory.failJournal(null);
        go.tryEmitEmpty();

        assertThat(ends()).containsExactlyInAnyOrder("4 Failed", "3 Cancelled", "2 Succeeded");
    }

    @Test
    void aJournalThatCouldNotBeReadIsReadAgain() {
        AtomicInteger reads = new AtomicInteger();
        store.entries(entries -> Flux.defer(() -> reads.incrementAndGet() == 1
                ? entries.concatWith(Flux.error(new StorageException(Reason.IO_FAILED, "unreadable", null)))
                : entries));
        OtaClient ota = client();
        ota.upgrades()
                .as(StepVerifier::create)
                .expectError(StorageException.class)
                .verify(SOON);

        ota.report("app", "1").block(SOON);
        run(ota);
        channel.push(served("app", "2", 10));

        assertThat(ends()).containsExactly("2 Succeeded");
        assertThat(reads).hasValue(2);
    }

    // ---- user code ------------------------------------------------------------------------------------------------

    @Test
    void aPolicyThatThrowsTurnsDownThatTriggerOnly() {
        run(client(builder -> builder.policy(trigger -> {
            if (trigger.version().equals("2")) {
                throw new IllegalStateException("a bug in the policy");
            }
            return true;
        })));

        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", 10));
        channel.push(served("app", "3", 10));

        assertThat(delivery.isAcknowledged()).isTrue();
        assertThat(ends()).containsExactly("2 Failed", "3 Succeeded");
        assertThat(((UpgradeEvent.Failed) events.get(0)).cause().reason()).isEqualTo(Reason.POLICY);
    }

    @Test
    void aChannelThatThrowsHarmsNoUpgrade() {
        OtaClient ota = client(
                new TalkingChannel(
                        channel,
                        event -> {
                            throw new IllegalStateException("a bug in the channel");
                        },
                        Mono.empty()),
                UnaryOperator.identity());
        run(ota);

        channel.push(served("mcu", "2", 10));
        channel.push(served("app", "2", 5_000));
        channel.push(served("mcu", "3", 10));

        assertThat(ends()).containsExactly("2 Failed", "2 Succeeded", "3 Failed");
    }

    @Test
    void anInstallerThatThrowsFailsThatUpgradeOnly() {
        run(client(builder -> builder.installer("app", verified -> {
            if (verified.trigger().version().equals("2")) {
                throw new IllegalStateException("a bug in the installer");
            }
            return Mono.just(Installer.Effect.IMMEDIATE);
        })));

        channel.push(served("app", "2", 10));
        channel.push(served("app", "3", 10));

        assertThat(ends()).containsExactly("2 Failed", "3 Succeeded");
    }

    @Test
    void aSubscriberThatIsBusyHoldsUpNoAdmissionAndBreaksNothing() {
        CountDownLatch busy = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(1);
        OtaClient ota = client();
        running.add(ota.upgrades()
                .subscribe(
                        event -> {
                            events.add(event);
                            if (event instanceof UpgradeEvent.Admitted
                                    && event.trigger().version().equals("2")) {
                                busy.countDown();
                                await(done);
                            }
                        },
                        errors::add));
        store.hold();
        channel.push(served("app", "2", 10));
        Schedulers.boundedElastic().schedule(store::release);
        await(busy);

        assertThat(CompletableFuture.runAsync(() -> channel.push(served("mcu", "3", 10))))
                .as("a push, while the subscriber is busy for twice as long")
                .succeedsWithin(SOON);
        done.countDown();

        Awaitility.await()
                .atMost(SOON)
                .untilAsserted(() -> assertThat(ends()).containsExactlyInAnyOrder("2 Succeeded", "3 Failed"));
    }

    @Test
    void aSubscriberThatRequestsNothingHoldsUpNoAdmission() {
        OtaClient ota = client();
        BaseSubscriber<UpgradeEvent> slow = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                // Requests nothing yet.
            }

            @Override
            protected void hookOnNext(UpgradeEvent event) {
                events.add(event);
            }
        };
        ota.upgrades().subscribe(slow);
        running.add(slow);

        for (int i = 0; i < 1_000; i++) {
            channel.push(served(new DeviceId("sensor", "s" + i), "app", "2", 10 + i));
        }
        assertThat(channel.deliveries()).allMatch(MemoryChannel.MemoryDelivery::isAcknowledged);
        slow.requestUnbounded();

        assertThat(ends()).hasSize(1_000).containsOnly("2 Succeeded");
    }

    @Test
    void aSecondSubscriptionTakesNothingFromTheFirst() {
        OtaClient ota = client();
        run(ota);
        ota.upgrades()
                .as(StepVerifier::create)
                .expectError(IllegalStateException.class)
                .verify(SOON);
        source.hangAfter(0);
        channel.push(served("app", "2", 10));
        channel.push(served("app", "3", 10));

        channel.push(served("app", "4", 10));

        assertThat(ends()).containsExactly("3 Cancelled");
    }

    // ---- by hand --------------------------------------------------------------------------------------------------

    @Test
    void upgradesThatAreStartedByHandLetGoOfTheirFiles() {
        OtaClient ota = client();
        UpgradeTrigger trigger = served("app", "2", 10);

        ota.download(trigger).flatMap(ota::verify).flatMap(ota::install).block(SOON);
        ota.upgrade(trigger).blockLast(SOON);

        assertThat(memory.referenced()).isZero();
        assertThat(installations).hasValue(2);
    }

    @Test
    void aDownloadByHandThatIsCancelledLetsGoOfItsFiles() {
        byte[] first = bytes("first", 10);
        byte[] second = bytes("second", 5_000);
        URI one = URI.create("https://files.example.com/one");
        URI two = URI.create("https://files.example.com/two");
        source.serve(one, first).serve(two, second);
        UpgradeTrigger trigger = new UpgradeTrigger(
                channel.device(),
                "app",
                "2",
                List.of(
                        new Artifact("one", one, first.length, List.of(sha256(first))),
                        new Artifact("two", two, second.length, List.of(sha256(second)))),
                Map.of());
        source.fault(UnaryOperator.identity()).hangAfter(2);

        client().download(trigger).subscribe().dispose();

        assertThat(memory.referenced()).isZero();
    }

    // ---- fixtures -------------------------------------------------------------------------------------------------

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(2 * SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Disposable run(OtaClient ota) {
        Disposable subscription = ota.upgrades().subscribe(events::add, errors::add);
        running.add(subscription);
        return subscription;
    }

    private OtaClient client() {
        return client(UnaryOperator.identity());
    }

    private OtaClient client(UnaryOperator<OtaClient.Builder> customizer) {
        return client(channel, customizer);
    }

    private OtaClient client(UpgradeChannel platform, UnaryOperator<OtaClient.Builder> customizer) {
        return customizer
                .apply(OtaClient.builder(platform)
                        .source(source)
                        .store(store)
                        .scheduler(time)
                        .installer(
                                "app",
                                verified -> verified.file()
                                        .read()
                                        .doOnNext(ByteBuf::release)
                                        .then(Mono.fromSupplier(() -> {
                                            installations.incrementAndGet();
                                            return Installer.Effect.IMMEDIATE;
                                        }))))
                .build();
    }

    private UpgradeTrigger served(String module, String version, int size) {
        return served(channel.device(), module, version, size);
    }

    private UpgradeTrigger served(DeviceId device, String module, String version, int size) {
        byte[] content = bytes(device + module + version, size);
        URI location = URI.create("https://files.example.com/" + device + "/" + module + "-" + version);
        source.serve(location, content);
        return new UpgradeTrigger(
                device, module, version, new Artifact(module, location, content.length, List.of(sha256(content))));
    }

    private static byte[] bytes(String seed, int size) {
        byte[] bytes = new byte[size];
        byte[] pattern = seed.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < size; i++) {
            bytes[i] = pattern[i % pattern.length];
        }
        return bytes;
    }

    private static Digest sha256(byte[] content) {
        return Digest.of(
                Digest.Algorithm.SHA_256,
                Digest.Algorithm.SHA_256.newMessageDigest().digest(content));
    }

    private List<String> ends() {
        return events.stream()
                .filter(UpgradeEvent.Ended.class::isInstance)
                .map(event -> event.trigger().version() + " " + event.getClass().getSimpleName())
                .toList();
    }

    private TalkingChannel hardOfHearing(Mono<Void> hearing) {
        return new TalkingChannel(
                channel, event -> event instanceof UpgradeEvent.Ended ? hearing : channel.report(event), Mono.empty());
    }

    /** A channel that reports events in a way of its own. */
    private record TalkingChannel(
            MemoryChannel channel, Function<UpgradeEvent, Mono<Void>> talk, Mono<Void> beforeVersions)
            implements UpgradeChannel {

        @Override
        public DeviceId device() {
            return channel.device();
        }

        @Override
        public Flux<Delivery> triggers() {
            return channel.triggers();
        }

        @Override
        public Mono<Void> report(DeviceId reporting, String module, String version) {
            return beforeVersions.then(channel.report(reporting, module, version));
        }

        @Override
        public Mono<Void> report(UpgradeEvent event) {
            return talk.apply(event);
        }
    }

    /** A store whose journal can be made to wait. As on a disk, what was begun is done, in order, whoever cancels. */
    private static final class HeldStore implements ArtifactStore {

        private final MemoryStore memory;
        private final Queue<Runnable> held = new ArrayDeque<>();
        private volatile boolean holding;
        private volatile boolean holdingRemovals;
        private UnaryOperator<Flux<UpgradeJournal.Entry>> entries = UnaryOperator.identity();

        HeldStore(MemoryStore memory) {
            this.memory = memory;
        }

        void hold() {
            holding = true;
        }

        void holdRemovals() {
            holdingRemovals = true;
        }

        void release() {
            holding = false;
            holdingRemovals = false;
            for (Runnable change = held.poll(); change != null; change = held.poll()) {
                change.run();
            }
        }

        void entries(UnaryOperator<Flux<UpgradeJournal.Entry>> fault) {
            entries = fault;
        }

        private Mono<Void> submit(boolean holds, Supplier<Mono<Void>> change) {
            return Mono.create(sink -> {
                Runnable work = () -> change.get().subscribe(done -> {}, sink::error, sink::success);
                if (holds) {
                    held.add(work);
                } else {
                    work.run();
                }
            });
        }

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return memory.find(digests);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return memory.open(artifact);
        }

        @Override
        public UpgradeJournal journal() {
            UpgradeJournal journal = memory.journal();
            return new UpgradeJournal() {
                @Override
                public Flux<Entry> entries() {
                    return entries.apply(journal.entries());
                }

                @Override
                public Mono<Void> put(Entry entry) {
                    return Mono.defer(() -> submit(holding, () -> journal.put(entry)));
                }

                @Override
                public Mono<Void> remove(UpgradeKey key) {
                    return Mono.defer(() -> submit(holding || holdingRemovals, () -> journal.remove(key)));
                }
            };
        }

        @Override
        public Mono<Void> close() {
            return memory.close();
        }
    }
}
