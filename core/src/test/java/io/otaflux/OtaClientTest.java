package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.Mutant;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;
import reactor.test.scheduler.VirtualTimeScheduler;

class OtaClientTest {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final URI FILE = URI.create("https://files.example.com/app.bin?token=CANARY-secret");

    private final MemoryChannel channel = new MemoryChannel();
    private final MemorySource source = new MemorySource();
    private final MemoryStore store = new MemoryStore();
    private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    private final Map<String, byte[]> installed = new ConcurrentHashMap<>();
    private final AtomicInteger installations = new AtomicInteger();
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final List<Disposable> running = new ArrayList<>();

    @AfterEach
    void stopAndCountBuffers() {
        running.forEach(Disposable::dispose);
        source.ledger().assertNoLeaks();
    }

    // ---- the main job ---------------------------------------------------------------------------------------------

    @Test
    void aTriggerBecomesAConfirmedVersion() {
        byte[] content = bytes(10_500);
        UpgradeTrigger trigger = served("app", "2.0.0", content);
        OtaClient ota = client();

        ota.report("app", "1.0.0").block(SOON);
        run(ota);
        MemoryChannel.MemoryDelivery delivery = channel.push(trigger);

        assertThat(names(events))
                .startsWith("Admitted", "Received")
                .endsWith("Received", "Downloaded", "Verified", "Installed", "Succeeded");
        assertThat(installed.get("app")).isEqualTo(content);
        assertThat(channel.versions()).containsExactly("app=1.0.0", "app=2.0.0");
        assertThat(delivery.isAcknowledged()).isTrue();
        assertThat(store.referenced()).isZero();
        assertThat(store.journaled())
                .extracting(UpgradeJournal.Entry::state)
                .containsExactly(UpgradeJournal.State.SUCCEEDED);
    }

    @Test
    void theStagesComposedByHandDoTheSame() {
        byte[] content = bytes(3_000);
        OtaClient ota = client();
        Sinks.One<String> approval = Sinks.one();
        List<Installed> done = new CopyOnWriteArrayList<>();

        running.add(ota.triggers()
                .flatMap(trigger -> ota.download(trigger)
                        .flatMap(ota::verify)
                        .delayUntil(verified -> approval.asMono())
                        .flatMap(ota::install))
                .subscribe(done::add));
        channel.push(served("app", "2.0.0", content));

        assertThat(done).isEmpty();
        assertThat(installed).isEmpty();
        approval.tryEmitValue("yes");
        assertThat(done).hasSize(1);
        assertThat(channel.versions()).containsExactly("app=2.0.0");
        assertThat(store.referenced()).isZero();
    }

    @Test
    void theSchemeOfALocationDecidesWhichSourceIsAsked() {
        byte[] content = bytes(3_000);
        MemorySource blocks = new MemorySource();
        URI place = URI.create("BLOCKS://stream/7");
        blocks.serve(place, content);
        UpgradeTrigger trigger = new UpgradeTrigger(
                channel.device(), "app", "2", new Artifact("app", place, content.length, List.of(sha256(content))));
        run(client(builder -> builder.source("blocks", blocks)));

        channel.push(trigger);
        channel.push(served("app", "3", bytes(10)));

        assertThat(names(events)).filteredOn(name -> name.equals("Succeeded")).hasSize(2);
        assertThat(blocks.requests()).hasSize(1);
        assertThat(source.requests()).hasSize(1);
    }

    @Test
    void aSchemeWithoutASourceFailsTheUpgrade() {
        OtaClient ota = OtaClient.builder(channel)
                .source("blocks", new MemorySource())
                .store(store)
                .installer("app", installer())
                .build();
        run(ota);

        channel.push(served("app", "2", bytes(10)));

        assertThat(last()).isInstanceOfSatisfying(UpgradeEvent.Failed.class, failed -> {
            assertThat(failed.cause()).isInstanceOf(SourceException.class).hasMessageContaining("https", "blocks");
            assertThat(failed.cause().reason()).isEqualTo(Reason.LOCATION_REFUSED);
        });
        assertThatThrownBy(() -> OtaClient.builder(channel).source("a b", source))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aDeltaGoesOnlyToAnInstallerThatAcceptsDeltas() {
        deltasGoOnlyWhereTheyAreAccepted(false);

        Mutant.assertCaught("the question whether deltas are accepted", () -> deltasGoOnlyWhereTheyAreAccepted(true));
    }

    /** @param careless whether the installer of whole artifacts says that it accepts deltas */
    private void deltasGoOnlyWhereTheyAreAccepted(boolean careless) {
        List<UpgradeTrigger> seen = new ArrayList<>();
        OtaClient ota = client(builder -> builder.installer("app", new TakingDeltas(careless, seen))
                .installer("patched", new TakingDeltas(true, seen)));
        Disposable subscription = run(ota);
        int before = source.requests().size();

        channel.push(delta("patched"));
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(seen)
                .singleElement()
                .satisfies(trigger -> assertThat(trigger.delta()).isTrue());
        for (String module : List.of("app", "default", "unknown")) {
            channel.push(delta(module));
            assertThat(last()).as(module).isInstanceOfSatisfying(UpgradeEvent.Failed.class, failed -> {
                assertThat(failed.cause().reason()).isEqualTo(Reason.UNSUPPORTED);
                assertThat(failed.cause().stage()).isEqualTo(OtaException.Stage.TRANSPORT);
            });
        }
        assertThat(source.requests()).hasSize(before + 1);
        List<UpgradeEvent> byHand = ota.upgrade(delta("app")).collectList().block(SOON);
        assertThat(byHand).singleElement().isInstanceOf(UpgradeEvent.Failed.class);
        subscription.dispose();
    }

    @Test
    void aDeltaStaysOneWhenItIsPushedAgainWithoutSayingSo() {
        List<UpgradeTrigger> seen = new ArrayList<>();
        OtaClient ota = client(builder -> builder.installer("patched", new TakingDeltas(true, seen)));
        UpgradeTrigger delta = delta("patched");
        source.hangAfter(6);
        Disposable before = run(ota);
        channel.push(delta);
        channel.push(new UpgradeTrigger(delta.device(), "patched", "2", delta.artifacts(), Map.of()));
        before.dispose();
        run(ota);

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(seen)
                .singleElement()
                .satisfies(trigger -> assertThat(trigger.delta()).isTrue());
    }

    @Test
    void whatTurnsOutToBeADeltaWhenItsLocationIsRenewedIsRefused() {
        UpgradeTrigger trigger = served("app", "2", bytes(10_000));
        Artifact elsewhere = trigger.artifact().at(URI.create("https://files.example.com/app-2?token=fresh"));
        source.serve(elsewhere.location(), bytes(10_000));
        channel.pending(new UpgradeTrigger(trigger.device(), "app", "2", List.of(elsewhere), Map.of(), true));
        run(client());
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));

        channel.push(trigger);

        assertThat(last())
                .isInstanceOfSatisfying(
                        UpgradeEvent.Failed.class,
                        failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.UNSUPPORTED));
    }

    private UpgradeTrigger delta(String module) {
        UpgradeTrigger whole = served(module, "2", bytes(10));
        return new UpgradeTrigger(whole.device(), module, "2", whole.artifacts(), Map.of(), true);
    }

    private record TakingDeltas(boolean acceptsDeltas, List<UpgradeTrigger> seen) implements Installer {

        @Override
        public Mono<Effect> install(Verified verified) {
            seen.add(verified.trigger());
            return Mono.just(Effect.IMMEDIATE);
        }
    }

    @Test
    void anUpgradeOfSeveralFilesVerifiesAllBeforeItInstallsAny() {
        byte[] first = bytes(2_000);
        byte[] second = bytes(3_000);
        URI one = URI.create("https://files.example.com/one");
        URI two = URI.create("https://files.example.com/two");
        source.serve(one, first).serve(two, second);
        List<Artifact> artifacts = List.of(
                new Artifact("one", one, first.length, List.of(sha256(first))),
                new Artifact("two", two, second.length, List.of(sha256(bytes(1)))));
        UpgradeTrigger bad = new UpgradeTrigger(channel.device(), "app", "2", artifacts, Map.of());
        UpgradeTrigger good = new UpgradeTrigger(
                channel.device(),
                "app",
                "3",
                List.of(artifacts.get(0), new Artifact("two", two, second.length, List.of(sha256(second)))),
                Map.of());
        run(client());

        channel.push(bad);
        assertThat(last())
                .isInstanceOfSatisfying(
                        UpgradeEvent.Failed.class,
                        failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.DIGEST_MISMATCH));
        assertThat(installations).hasValue(0);

        channel.push(good);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(events)
                .filteredOn(e -> e instanceof UpgradeEvent.Received && e.trigger() == good)
                .last()
                .isEqualTo(new UpgradeEvent.Received(good, 5_000, 5_000));
    }

    @Test
    void nothingHappensBeforeSubscription() {
        OtaClient ota = client();
        UpgradeTrigger trigger = served("app", "2.0.0", bytes(10));

        ota.report("app", "1.0.0");
        ota.upgrades();
        ota.download(trigger);
        ota.upgrade(trigger);
        channel.push(trigger);

        assertThat(channel.versions()).isEmpty();
        assertThat(source.requests()).isEmpty();
        assertThat(channel.deliveries().get(0).isAcknowledged()).isFalse();
    }

    @Test
    void thereIsOneSubscriptionAtATime() {
        OtaClient ota = client();
        Disposable first = ota.upgrades().subscribe();

        ota.triggers()
                .as(StepVerifier::create)
                .expectError(IllegalStateException.class)
                .verify(SOON);

        first.dispose();
        ota.triggers().as(StepVerifier::create).thenCancel().verify(SOON);
    }

    @Test
    void anInstallerIsNotEvenCalledBeforeTheArtifactIsVerified() {
        byte[] content = bytes(2_000);
        PublisherProbe<Installer.Effect> installation = PublisherProbe.empty();
        UpgradeTrigger wrong = new UpgradeTrigger(
                channel.device(), "app", "2", artifact(served("app", "2", content), sha256(bytes(1))));
        AtomicInteger called = new AtomicInteger();

        run(client(builder -> builder.installer("app", verified -> {
            called.incrementAndGet();
            return installation.mono();
        })));
        channel.push(wrong);

        assertThat(called).hasValue(0);
        installation.assertWasNotSubscribed();
        assertThat(last()).isInstanceOf(UpgradeEvent.Failed.class);
    }

    // ---- dedupe and order -----------------------------------------------------------------------------------------

    @Test
    void aHundredPushesOfOneUpgradeAreOneInstallation() {
        UpgradeTrigger trigger = served("app", "2.0.0", bytes(5_000));
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> bytes.delaySubscription(go.asMono()));
        run(client());

        for (int i = 0; i < 50; i++) {
            channel.push(trigger);
        }
        go.tryEmitEmpty();
        for (int i = 0; i < 50; i++) {
            channel.push(trigger);
        }

        assertThat(installations).hasValue(1);
        assertThat(source.requests()).hasSize(1);
        assertThat(channel.deliveries()).hasSize(100).allMatch(MemoryChannel.MemoryDelivery::isAcknowledged);
        assertThat(channel.deliveries()).noneMatch(MemoryChannel.MemoryDelivery::isAcknowledgedTwice);
        assertThat(names(events)).containsOnlyOnce("Succeeded");
        assertThat(channel.versions())
                .as("a repeated push after the end says that the platform has not heard")
                .hasSize(51)
                .containsOnly("app=2.0.0");
    }

    @Test
    void aNewerTriggerSupersedesTheQueuedOneAndTheRunningOneFinishes() {
        UpgradeTrigger second = served("app", "2", bytes(2_000));
        UpgradeTrigger third = served("app", "3", bytes(3_000));
        UpgradeTrigger fourth = served("app", "4", bytes(4_000));
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> bytes.delaySubscription(go.asMono()));
        run(client());

        channel.push(second);
        channel.push(third);
        channel.push(fourth);
        assertThat(names(events)).containsExactly("Admitted", "Cancelled");
        assertThat(((UpgradeEvent.Cancelled) last()).trigger()).isEqualTo(third);
        assertThat(store.journaled()).as("the superseded one is forgotten").hasSize(2);
        go.tryEmitEmpty();

        assertThat(events)
                .filteredOn(UpgradeEvent.Succeeded.class::isInstance)
                .extracting(event -> event.trigger().version())
                .containsExactly("2", "4");
        assertThat(channel.versions()).containsExactly("app=2", "app=4");
        assertThat(store.journaled()).hasSize(1);
    }

    @Test
    void aFailedUpgradeMayBePushedAgain() {
        byte[] content = bytes(2_000);
        UpgradeTrigger trigger = served("app", "2", content);
        source.remove(trigger.artifact().location());
        run(client());
        channel.push(trigger);
        assertThat(last()).isInstanceOf(UpgradeEvent.Failed.class);

        served("app", "2", content);
        channel.push(trigger);

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void whatTheDeviceRunsAlreadyIsReportedAgainAndNotInstalled() {
        OtaClient ota = client();
        ota.report("app", "2.0.0").block(SOON);
        run(ota);

        channel.push(served("app", "2.0.0", bytes(100)));

        assertThat(installations).hasValue(0);
        assertThat(channel.versions()).containsExactly("app=2.0.0", "app=2.0.0");
    }

    @Test
    void aDeviceThatWasSetBackByHandIsUpgradedAgain() {
        UpgradeTrigger trigger = served("app", "2.0.0", bytes(100));
        OtaClient ota = client();
        run(ota);
        channel.push(trigger);

        ota.report("app", "1.0.0").block(SOON);
        channel.push(trigger);

        assertThat(installations).hasValue(2);
    }

    @Test
    void theSameBytesForManyDevicesAreFetchedOnce() {
        byte[] content = bytes(8_000);
        Sinks.Empty<Void> go = Sinks.empty();
        source.fault(bytes -> bytes.delaySubscription(go.asMono()));
        run(client());

        for (int i = 0; i < 500; i++) {
            URI location = URI.create("https://files.example.com/same?device=" + i);
            source.serve(location, content);
            channel.push(new UpgradeTrigger(
                    new DeviceId("sensor", "s" + i),
                    "app",
                    "2",
                    new Artifact("app", location, content.length, List.of(sha256(content)))));
        }
        go.tryEmitEmpty();

        assertThat(names(events).stream().filter("Succeeded"::equals)).hasSize(500);
        assertThat(source.requests()).hasSize(1);
        assertThat(store.referenced()).isZero();
    }

    @Test
    void aLocationThatIsBadForOneDeviceIsNotBadForAnother() {
        byte[] content = bytes(8_000);
        URI gone = URI.create("https://files.example.com/gone");
        URI good = URI.create("https://files.example.com/good");
        source.serve(good, content);
        Sinks.Empty<Void> go = Sinks.empty();
        Artifact first = new Artifact("app", gone, content.length, List.of(sha256(content)));
        run(client(builder -> builder.source(new SlowToRefuse(source, go.asMono()))));

        channel.push(new UpgradeTrigger(new DeviceId("sensor", "a"), "app", "2", first));
        channel.push(new UpgradeTrigger(new DeviceId("sensor", "b"), "app", "2", first.at(good)));
        go.tryEmitEmpty();

        assertThat(events)
                .filteredOn(UpgradeEvent.Ended.class::isInstance)
                .extracting(event -> event.trigger().device().name() + " " + name(event))
                .containsExactlyInAnyOrder("a Failed", "b Succeeded");
    }

    private record SlowToRefuse(ArtifactSource source, Mono<Void> until) implements ArtifactSource {

        @Override
        public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
            return source.read(request, consumer)
                    .onErrorResume(SourceException.class, e -> until.thenMany(Flux.error(e)));
        }
    }

    // ---- transfers ------------------------------------------------------------------------------------------------

    @Test
    void anInterruptedTransferGoesOnFromTheDurableByte() {
        byte[] content = bytes(10_000);
        source.breakAfter(4, lost()).breakAfter(3, lost());
        run(client());

        channel.push(served("app", "2", content));
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 4_000L, 7_000L);
        assertThat(source.requests().get(1).validator()).isNotNull();
        assertThat(installed.get("app")).isEqualTo(content);
        assertThat(names(events).stream().filter("Interrupted"::equals)).hasSize(2);
    }

    @Test
    void aSourceThatStartsOverIsHashedAnew() {
        byte[] content = bytes(10_000);
        source.withoutResume().breakAfter(4, lost());
        run(client());

        channel.push(served("app", "2", content));
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertThat(installed.get("app")).isEqualTo(content);
    }

    @Test
    void contentThatChangesInMidTransferIsNeverMixed() {
        byte[] before = bytes(10_000);
        byte[] after = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", after);
        URI location = trigger.artifact().location();
        source.serve(location, before);
        source.breakAfter(4, lost());
        run(client());

        channel.push(trigger);
        source.serve(location, after);
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertThat(installed.get("app")).isEqualTo(after);
    }

    @Test
    void contentThatChangesAgainAndAgainIsAnError() {
        UpgradeTrigger trigger = served("app", "2", bytes(10_000));
        source.withoutResume();
        run(client());
        URI location = trigger.artifact().location();
        for (int i = 0; i < 10; i++) {
            source.fault(bytes -> {
                source.serve(location, bytes(10_000));
                return bytes.take(4).concatWith(Mono.error(lost()));
            });
        }

        channel.push(trigger);
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertFailed(Reason.CHANGED_TOO_OFTEN);
    }

    @Test
    void transientFailuresAreTriedAgainOnlyWithinTheBudget() {
        run(client(builder -> builder.backoff(new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(8), 5))));
        for (int i = 0; i < 100; i++) {
            source.refuse(lost());
        }

        channel.push(served("app", "2", bytes(100)));
        time.advanceTimeBy(Duration.ofHours(1));

        assertFailed(Reason.CONNECTION_LOST);
        assertThat(source.requests()).as("one try and five more").hasSize(6);
    }

    @Test
    void progressRenewsTheBudget() {
        run(client(builder -> builder.backoff(new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(8), 1))));
        for (int i = 0; i < 9; i++) {
            source.breakAfter(1, lost());
        }

        channel.push(served("app", "2", bytes(10_000)));
        time.advanceTimeBy(Duration.ofHours(1));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void whatASourceThatStartsOverSendsAgainIsNoProgress() {
        source.withoutResume();
        run(client(builder -> builder.backoff(new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(8), 3))));
        for (int i = 0; i < 50; i++) {
            source.breakAfter(1, lost()).breakAfter(2, lost());
        }

        channel.push(served("app", "2", bytes(10_000)));
        time.advanceTimeBy(Duration.ofHours(1));

        assertFailed(Reason.CONNECTION_LOST);
        assertThat(source.requests())
                .as("two that brought something new, and three")
                .hasSize(5);
    }

    @Test
    void whatNothingCouldTellApartIsNotPutTogether() {
        byte[] before = bytes(10_000);
        byte[] after = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", after);
        Artifact artifact = trigger.artifact();
        source.serve(artifact.location(), before).breakAfter(4, lost());
        ArtifactSource withoutValidators = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(
                        request,
                        content ->
                                consumer.apply(new Content(content.offset(), content.size(), null, content.bytes())));
            }
        };
        run(client(builder -> builder.source(withoutValidators).acceptMissingDigests(true)));

        channel.push(new UpgradeTrigger(
                channel.device(),
                "app",
                "2",
                new Artifact(artifact.name(), artifact.location(), artifact.size(), List.of())));
        source.serve(artifact.location(), after);
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertThat(installed.get("app")).isEqualTo(after);
    }

    @Test
    void permanentFailuresAreNotTriedAgain() {
        source.refuse(new SourceException(Reason.BAD_RESPONSE, 400, "400", null));
        run(client());

        channel.push(served("app", "2", bytes(100)));
        time.advanceTimeBy(Duration.ofHours(1));

        assertFailed(Reason.BAD_RESPONSE);
        assertThat(source.requests()).hasSize(1);
    }

    @Test
    void aSourceThatAsksToWaitIsGivenItsTimeUpToTheLargestBackoff() {
        Backoff backoff = new Backoff(Duration.ofMillis(1), Duration.ofSeconds(60), 5);
        run(client(builder -> builder.backoff(backoff)));
        source.refuse(new TransferException(Reason.SERVER_BUSY, "503", null, Duration.ofSeconds(30)))
                .refuse(new TransferException(Reason.SERVER_BUSY, "503", null, Duration.ofDays(1)));

        channel.push(served("app", "2", bytes(100)));
        time.advanceTimeBy(Duration.ofSeconds(29));
        assertThat(source.requests()).hasSize(1);
        time.advanceTimeBy(Duration.ofSeconds(31));
        assertThat(source.requests())
                .as("at most as long again as it asked for")
                .hasSize(2);
        time.advanceTimeBy(Duration.ofSeconds(29));
        assertThat(source.requests()).hasSize(2);
        time.advanceTimeBy(Duration.ofSeconds(91));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void theBackoffIsFullJitter() {
        Backoff backoff = new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(10), 10);
        for (int retry = 1; retry <= 100; retry++) {
            long bound = Math.min(10_000, 1_000L << Math.min(20, retry - 1));
            long least = Long.MAX_VALUE;
            long most = 0;
            for (int i = 0; i < 300; i++) {
                long delay = backoff.delay(retry).toMillis();
                least = Math.min(least, delay);
                most = Math.max(most, delay);
            }
            assertThat(least).as("retry " + retry).isBetween(0L, bound / 5);
            assertThat(most).as("retry " + retry).isBetween(bound * 4 / 5, bound);
        }
    }

    @Test
    void aDripIsTooSlow() {
        byte[] content = bytes(10_000);
        run(client(builder -> builder.minimumThroughput(new Throughput(3_000, Duration.ofSeconds(10)))
                .backoff(Backoff.none())));
        source.fault(bytes -> Flux.interval(Duration.ofSeconds(5), time)
                .map(tick -> source.ledger().buffer(bytes(1_000))));

        channel.push(served("app", "2", content));
        time.advanceTimeBy(Duration.ofSeconds(10));

        assertFailed(Reason.TOO_SLOW);
    }

    @Test
    void aTransferThatHangsIsTriedAgainAndKeepsWhatCame() {
        byte[] content = bytes(10_000);
        run(client());
        source.hangAfter(6);

        channel.push(served("app", "2", content));
        time.advanceTimeBy(Duration.ofMinutes(5));

        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 6_000L);
        assertThat(installed.get("app")).isEqualTo(content);
    }

    @Test
    void aSourceThatNeverAnswersIsTooSlowToo() {
        ArtifactSource mute = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return Flux.never();
            }
        };
        run(client(builder -> builder.source(mute).backoff(Backoff.none())));

        channel.push(served("app", "2", bytes(10)));
        time.advanceTimeBy(Duration.ofMinutes(2));

        assertFailed(Reason.TOO_SLOW);
    }

    @Test
    void hangingDevicesHoldUpNobodyForLongerThanTheWatchdog() {
        run(client(builder -> builder.concurrency(2)));
        source.hangAfter(0).hangAfter(0);
        channel.push(served(new DeviceId("p", "hanging1"), "app", "2", bytes(100)));
        channel.push(served(new DeviceId("p", "hanging2"), "app", "2", bytes(101)));

        channel.push(served(new DeviceId("p", "healthy"), "app", "2", bytes(102)));
        assertThat(events).noneMatch(UpgradeEvent.Succeeded.class::isInstance);
        time.advanceTimeBy(Throughput.DEFAULT.window());

        assertThat(events)
                .filteredOn(UpgradeEvent.Succeeded.class::isInstance)
                .extracting(event -> event.trigger().device().name())
                .contains("healthy");
    }

    @Test
    void whoWaitsToTryAgainHoldsNoPlace() {
        run(client(
                builder -> builder.concurrency(1).backoff(new Backoff(Duration.ofHours(1), Duration.ofHours(1), 10))));
        source.refuse(lost());
        channel.push(served(new DeviceId("p", "failing"), "app", "2", bytes(100)));

        channel.push(served(new DeviceId("p", "healthy"), "app", "2", bytes(102)));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void concurrencyIsBounded() {
        AtomicInteger now = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Sinks.Empty<Void> go = Sinks.empty();
        run(client(builder -> builder.concurrency(3)));
        for (int i = 0; i < 20; i++) {
            source.fault(bytes -> bytes.doOnSubscribe(s -> most.accumulateAndGet(now.incrementAndGet(), Math::max))
                    .delaySubscription(go.asMono())
                    .doFinally(end -> now.decrementAndGet()));
            channel.push(served(new DeviceId("p", "d" + i), "app", "2", bytes(100 + i)));
        }
        go.tryEmitEmpty();

        assertThat(names(events).stream().filter("Succeeded"::equals)).hasSize(20);
        assertThat(source.requests()).hasSize(20);
        assertThat(most.get()).isLessThanOrEqualTo(3);
    }

    @Test
    void endlessDataIsCutAtTheDeclaredLength() {
        byte[] content = bytes(5_000);
        source.fault(bytes ->
                bytes.concatWith(Flux.range(0, 1_000).map(i -> source.ledger().buffer(bytes(1_000)))));
        run(client());

        channel.push(served("app", "2", content));

        assertFailed(Reason.ENDLESS_DATA);
    }

    @Test
    void anArtifactThatEndsTooSoonGoesOn() {
        byte[] content = bytes(5_000);
        source.fault(bytes -> bytes.take(2));
        run(client());

        channel.push(served("app", "2", content));
        time.advanceTimeBy(Duration.ofMinutes(1));

        assertThat(installed.get("app")).isEqualTo(content);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 999, 1_000, 1_001, 65_536})
    void everySizeArrives(int size) {
        byte[] content = bytes(size);
        run(client());

        channel.push(served("app", "2", content));

        assertThat(installed.get("app")).isEqualTo(content);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aLocationThatIsPushedWhileThePlatformIsAskedForOneIsAsGood() {
        byte[] content = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", content);
        Sinks.Empty<UpgradeTrigger> answer = Sinks.empty();
        UpgradeChannel reticent = new UpgradeChannel() {
            @Override
            public DeviceId device() {
                return channel.device();
            }

            @Override
            public Flux<Delivery> triggers() {
                return channel.triggers();
            }

            @Override
            public Mono<Void> report(DeviceId device, String module, String version) {
                return channel.report(device, module, version);
            }

            @Override
            public Mono<Void> report(UpgradeEvent event) {
                return channel.report(event);
            }

            @Override
            public Mono<UpgradeTrigger> refresh(UpgradeTrigger stale) {
                return answer.asMono();
            }
        };
        source.hangAfter(6);
        Disposable before = run(client());
        channel.push(trigger);
        before.dispose();

        OtaClient restarted = OtaClient.builder(reticent)
                .source(source)
                .store(store.reopen())
                .scheduler(time)
                .installer("app", installer())
                .build();
        run(restarted);
        channel.push(trigger);
        answer.tryEmitEmpty();

        assertThat(installed.get("app")).isEqualTo(content);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void anExpiredLocationIsRenewedOnceAndTheTransferGoesOn() {
        byte[] content = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", content);
        UpgradeTrigger fresh = new UpgradeTrigger(
                trigger.device(),
                "app",
                "2",
                trigger.artifact().at(URI.create("https://files.example.com/app-2?token=fresh")));
        channel.pending(fresh);
        run(client());
        source.breakAfter(4, lost());

        channel.push(trigger);
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));
        time.advanceTimeBy(Duration.ofMinutes(5));

        assertThat(source.requests())
                .extracting(request ->
                        request.offset() + " " + request.artifact().location().getQuery())
                .containsExactly("0 token=CANARY-secret", "4000 token=CANARY-secret", "4000 token=fresh");
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aPlatformThatCannotBeAskedNowIsAskedAgain() {
        byte[] content = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", content);
        channel.pending(new UpgradeTrigger(
                trigger.device(),
                "app",
                "2",
                trigger.artifact().at(URI.create("https://files.example.com/app-2?token=fresh"))));
        channel.unanswered(2, new TransferException(Reason.SERVER_BUSY, "ask later", null));
        run(client());
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));

        channel.push(trigger);
        time.advanceTimeBy(Duration.ofMinutes(30));

        assertThat(events)
                .filteredOn(UpgradeEvent.Interrupted.class::isInstance)
                .hasSize(2);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aPlatformThatCanNeverBeAskedExhaustsTheBudget() {
        UpgradeTrigger trigger = served("app", "2", bytes(100));
        channel.unanswered(100, new TransferException(Reason.SERVER_BUSY, "ask later", null));
        run(client());
        for (int i = 0; i < 100; i++) {
            source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));
        }

        channel.push(trigger);
        time.advanceTimeBy(Duration.ofHours(12));

        assertFailed(Reason.SERVER_BUSY);
    }

    @Test
    void aLocationThatStaysForbiddenIsAnError() {
        UpgradeTrigger trigger = served("app", "2", bytes(100));
        channel.pending(trigger);
        run(client());
        for (int i = 0; i < 5; i++) {
            source.refuse(new SourceException(Reason.FORBIDDEN, 403, "403", null));
        }

        channel.push(trigger);

        assertFailed(Reason.FORBIDDEN);
        assertThat(source.requests()).hasSize(2);
    }

    // ---- verification ---------------------------------------------------------------------------------------------

    @Test
    void wrongBytesAreThrownOutAndTheNextTriggerWorks() {
        byte[] content = bytes(2_000);
        UpgradeTrigger wrong = new UpgradeTrigger(
                channel.device(), "app", "2", artifact(served("app", "2", content), sha256(bytes(1))));
        run(client());

        channel.push(wrong);
        assertFailed(Reason.DIGEST_MISMATCH);
        assertThat(store.committed()).isEmpty();
        channel.push(served("app", "3", bytes(500)));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
    }

    @Test
    void md5AloneIsRefusedUnlessThePlatformKnowsNoBetter() {
        byte[] content = bytes(2_000);
        UpgradeTrigger md5 =
                new UpgradeTrigger(channel.device(), "app", "2", artifact(served("app", "2", content), md5(content)));
        run(client());
        channel.push(md5);
        assertFailed(Reason.WEAK_DIGEST);
        assertThat(source.requests()).isEmpty();

        events.clear();
        running.get(0).dispose();
        channel.sendingWeakDigests();
        run(client());
        channel.push(md5);

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(events)
                .filteredOn(Verified.class::isInstance)
                .singleElement()
                .satisfies(verified ->
                        assertThat(((Verified) verified).assurance()).isEqualTo(Verified.Assurance.WEAK_INTEGRITY));
    }

    @Test
    void anArtifactWithoutADigestIsRefusedUnlessAllowed() {
        byte[] content = bytes(2_000);
        Artifact artifact = served("app", "2", content).artifact();
        UpgradeTrigger none = new UpgradeTrigger(
                channel.device(),
                "app",
                "2",
                new Artifact("app", artifact.location(), Artifact.UNKNOWN_SIZE, List.of()));
        run(client());
        channel.push(none);
        assertFailed(Reason.NO_DIGEST);

        running.get(0).dispose();
        run(client(builder -> builder.acceptMissingDigests(true)));
        channel.push(none);

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(installed.get("app")).isEqualTo(content);
    }

    @Test
    void whatThePolicyTurnsDownIsNotFetched() {
        run(client(builder -> builder.policy(trigger -> !trigger.version().equals("2"))));

        channel.push(served("app", "2", bytes(10)));
        assertFailed(Reason.POLICY);
        assertThat(source.requests()).isEmpty();
        channel.push(served("app", "3", bytes(10)));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aModuleWithoutAnInstallerFailsBeforeAnythingIsFetched() {
        run(client());

        channel.push(served("mcu", "2", bytes(10)));

        assertFailed(Reason.NO_INSTALLER);
        assertThat(source.requests()).isEmpty();
    }

    @Test
    void bytesThatChangeBetweenVerificationAndInstallationAreNotInstalled() {
        byte[] content = bytes(2_000);
        MemoryStore tampered = store;
        run(client(builder -> builder.store(new TamperingStore(tampered))));

        channel.push(served("app", "2", content));

        assertFailed(Reason.DIGEST_MISMATCH);
        assertThat(installed).doesNotContainKey("app");
        assertThat(store.committed())
                .as("what the same upgrade would find when it is pushed again")
                .isEmpty();
    }

    // ---- installation and confirmation ----------------------------------------------------------------------------

    @Test
    void aFailingInstallerIsATypedFailure() {
        run(client(builder -> builder.installer("app", verified -> Mono.error(new IllegalStateException("boom")))));

        channel.push(served("app", "2", bytes(10)));

        assertFailed(Reason.INSTALL_FAILED);
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
        assertThat(store.referenced()).isZero();
    }

    @Test
    void aHangingInstallerIsEndedByTheDeadline() {
        run(client(builder -> builder.installer("app", verified -> Mono.never()).deadline(Duration.ofMinutes(10))));

        channel.push(served("app", "2", bytes(10)));
        time.advanceTimeBy(Duration.ofMinutes(10));

        assertFailed(Reason.DEADLINE);
        assertThat(((UpgradeEvent.Failed) last()).cause().stage()).isEqualTo(OtaException.Stage.INSTALL);
    }

    @Test
    void theDeadlineEndsADownloadThatNeverArrives() {
        run(client(builder -> builder.deadline(Duration.ofHours(2))
                .backoff(new Backoff(Duration.ofMinutes(1), Duration.ofMinutes(1), 10))));
        source.chunk(10);
        for (int i = 0; i < 1_000; i++) {
            source.breakAfter(1, lost());
        }

        channel.push(served("app", "2", bytes(100_000)));
        time.advanceTimeBy(Duration.ofHours(2));

        assertFailed(Reason.DEADLINE);
    }

    @Test
    void successWaitsForThePlatform() {
        UpgradeTrigger trigger = served("app", "2", bytes(10));
        Sinks.Empty<Void> go = Sinks.empty();
        run(client(
                builder -> builder.installer("app", verified -> go.asMono().thenReturn(Installer.Effect.IMMEDIATE))));
        channel.push(trigger);
        channel.cut();

        go.tryEmitEmpty();
        assertThat(last()).isInstanceOf(Installed.class);
        channel.restore();

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(channel.versions()).containsExactly("app=2");
    }

    @Test
    void anInstallationThatNeedsARestartIsConfirmedByTheReportAfterIt() {
        UpgradeTrigger trigger = served("default", "2", bytes(10));
        AtomicInteger confirmed = new AtomicInteger();
        Installer firmware = new RestartingInstaller(confirmed, false);
        run(client(builder -> builder.installer("default", firmware)));
        channel.push(trigger);
        assertThat(last()).isInstanceOf(Installed.class);
        assertThat(channel.versions()).isEmpty();
        running.get(0).dispose();

        OtaClient restarted = client(builder -> builder.store(store.reopen()).installer("default", firmware));
        restarted.report("default", "2").block(SOON);
        run(restarted);

        assertThat(last()).isEqualTo(new UpgradeEvent.Succeeded(last().trigger()));
        assertThat(confirmed).hasValue(1);
        assertThat(channel.versions()).containsExactly("default=2");
    }

    @Test
    void aDeviceThatComesBackWithItsOldVersionHasRolledBack() {
        Installer firmware = new RestartingInstaller(new AtomicInteger(), false);
        run(client(builder -> builder.installer("default", firmware)));
        channel.push(served("default", "2", bytes(10)));
        running.get(0).dispose();

        OtaClient restarted = client(builder -> builder.store(store.reopen()).installer("default", firmware));
        restarted.report("default", "1").block(SOON);
        run(restarted);

        assertFailed(Reason.ROLLED_BACK);
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
    }

    @Test
    void aRollBackIsSettledBeforeThePlatformHearsOfTheOldVersion() {
        Installer firmware = new RestartingInstaller(new AtomicInteger(), false);
        run(client(builder -> builder.installer("default", firmware)));
        channel.push(served("default", "2", bytes(10)));
        running.get(0).dispose();
        channel.cut();

        OtaClient restarted = client(builder -> builder.store(store.reopen()).installer("default", firmware));
        running.add(restarted.report("default", "1").subscribe());

        assertThat(channel.versions()).isEmpty();
        assertThat(store.journaled())
                .extracting(UpgradeJournal.Entry::state)
                .containsExactly(UpgradeJournal.State.FAILED);
        channel.restore();
        assertThat(channel.versions()).containsExactly("default=1");
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
    }

    @Test
    void anAgentThatRestartsBeforeTheDeviceDoesIsNotARollBack() {
        Installer firmware = new RestartingInstaller(new AtomicInteger(), true);
        run(client(builder -> builder.installer("default", firmware)));
        channel.push(served("default", "2", bytes(10)));
        running.get(0).dispose();
        events.clear();

        OtaClient restarted = client(builder -> builder.store(store.reopen()).installer("default", firmware));
        restarted.report("default", "1").block(SOON);
        run(restarted);

        assertThat(events).isEmpty();
        restarted.report("default", "2").block(SOON);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    // ---- restart --------------------------------------------------------------------------------------------------

    @Test
    void aRestartedProcessGoesOnWhereItWas() {
        byte[] content = bytes(10_000);
        UpgradeTrigger trigger = served("app", "2", content);
        channel.pending(trigger);
        source.hangAfter(6);
        Disposable before = run(client());
        channel.push(trigger);
        before.dispose();

        run(client(builder -> builder.store(store.reopen())));

        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 6_000L);
        assertThat(source.requests().get(1).artifact().location())
                .as("the journal has no credentials, so the platform was asked for a fresh location")
                .isEqualTo(trigger.artifact().location());
        assertThat(installed.get("app")).isEqualTo(content);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void anUpgradeThatIsNotOfferedAnyMoreEnds() {
        source.hangAfter(6);
        Disposable before = run(client());
        channel.push(served("app", "2", bytes(10_000)));
        before.dispose();

        run(client(builder -> builder.store(store.reopen())));

        assertFailed(Reason.NOT_FOUND);
        assertThat(store.journaled()).isEmpty();
    }

    @Test
    void anInstalledVersionThatThePlatformNeverHeardOfIsReportedAfterTheRestart() {
        channel.push(served("app", "2", bytes(10)));
        channel.cut();
        Disposable before = run(client());
        assertThat(last()).isInstanceOf(Installed.class);
        before.dispose();
        channel.restore();
        assertThat(channel.versions()).isEmpty();

        run(client(builder -> builder.store(store.reopen())));

        assertThat(channel.versions()).containsExactly("app=2");
        assertThat(installations).hasValue(1);
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aFailureThatThePlatformNeverHeardOfIsReportedAfterTheRestart() {
        UpgradeTrigger trigger = served("mcu", "2", bytes(10));
        channel.push(trigger);
        channel.cut();
        OtaClient before = client();
        Disposable subscription = run(before);
        assertFailed(Reason.NO_INSTALLER);
        subscription.dispose();
        before.dispose();
        channel.restore();
        assertThat(channel.events(UpgradeEvent.Failed.class)).isEmpty();

        run(client(builder -> builder.store(store.reopen())));

        assertThat(channel.events(UpgradeEvent.Failed.class)).singleElement().satisfies(failed -> {
            assertThat(failed.cause().reason()).isEqualTo(Reason.NO_INSTALLER);
            assertThat(failed.cause().stage()).isEqualTo(OtaException.Stage.INSTALL);
        });
        assertThat(store.journaled()).isEmpty();
    }

    @Test
    void anUpgradeThatSucceededBeforeTheRestartIsNotInstalledAgain() {
        UpgradeTrigger trigger = served("app", "2", bytes(10));
        Disposable before = run(client());
        channel.push(trigger);
        before.dispose();

        run(client(builder -> builder.store(store.reopen())));
        channel.push(trigger);

        assertThat(installations).hasValue(1);
        assertThat(channel.versions()).containsExactly("app=2", "app=2");
    }

    @Test
    void aTriggerIsNotAcknowledgedBeforeItIsJournaled() {
        Sinks.Empty<Void> written = Sinks.empty();
        OtaClient ota = client(builder -> builder.store(new SlowJournalStore(store, written.asMono())));
        run(ota);

        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", bytes(10)));
        assertThat(delivery.isAcknowledged()).isFalse();
        assertThat(events).isEmpty();
        written.tryEmitEmpty();

        assertThat(delivery.isAcknowledged()).isTrue();
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void aTriggerThatCannotBeJournaledFailsAndIsReported() {
        store.failJournal(new StorageException(Reason.NO_SPACE, "full", null));
        run(client());

        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", bytes(10)));

        assertFailed(Reason.NO_SPACE);
        assertThat(delivery.isAcknowledged()).isTrue();
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1);
        store.failJournal(null);
        channel.push(served("app", "3", bytes(10)));
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void noMoreThan256DeliveriesAreOnTheirWayIntoTheJournal() {
        AtomicInteger emitted = new AtomicInteger();
        AtomicInteger acknowledged = new AtomicInteger();
        Sinks.Empty<Void> written = Sinks.empty();
        UpgradeChannel flooding = new Flooding(channel, 1_000, emitted, acknowledged);
        running.add(OtaClient.builder(flooding)
                .source(source)
                .store(new SlowJournalStore(store, written.asMono()))
                .scheduler(time)
                .build()
                .triggers()
                .subscribe());

        assertThat(emitted).hasValue(256);
        assertThat(acknowledged).hasValue(0);
        written.tryEmitEmpty();

        assertThat(emitted).hasValue(1_000);
        assertThat(acknowledged).hasValue(1_000);
    }

    /** Emits upgrades of as many modules as soon as they are asked for. */
    private record Flooding(UpgradeChannel channel, int modules, AtomicInteger emitted, AtomicInteger acknowledged)
            implements UpgradeChannel {

        @Override
        public DeviceId device() {
            return channel.device();
        }

        @Override
        public Flux<Delivery> triggers() {
            return Flux.range(0, modules)
                    .<Delivery>map(number -> new Delivery() {
                        @Override
                        public UpgradeTrigger trigger() {
                            Artifact artifact = new Artifact("app", FILE, 100, List.of(sha256(new byte[0])));
                            return new UpgradeTrigger(device(), "m" + number, "1", artifact);
                        }

                        @Override
                        public void acknowledge() {
                            acknowledged.incrementAndGet();
                        }
                    })
                    .doOnNext(delivery -> emitted.incrementAndGet())
                    .concatWith(Flux.never());
        }

        @Override
        public Mono<Void> report(DeviceId device, String module, String version) {
            return channel.report(device, module, version);
        }

        @Override
        public Mono<Void> report(UpgradeEvent event) {
            return channel.report(event);
        }
    }

    @Test
    void aBugOfTheJournalEndsTheSubscription() {
        List<Throwable> errors = new CopyOnWriteArrayList<>();
        OtaClient ota = client(
                builder -> builder.store(new SlowJournalStore(store, Mono.error(new IllegalStateException("a bug")))));
        running.add(ota.upgrades().subscribe(events::add, errors::add));

        MemoryChannel.MemoryDelivery delivery = channel.push(served("app", "2", bytes(10)));

        assertThat(errors).singleElement().isInstanceOf(IllegalStateException.class);
        assertThat(delivery.isAcknowledged()).isFalse();
    }

    // ---- cancellation ---------------------------------------------------------------------------------------------

    @Test
    void cancellingAndSubscribingAgainGoesOn() {
        byte[] content = bytes(10_000);
        source.hangAfter(6);
        OtaClient ota = client();
        Disposable first = run(ota);
        channel.push(served("app", "2", content));
        first.dispose();
        source.ledger().assertNoLeaks();

        run(ota);

        assertThat(source.requests()).extracting(ArtifactSource.Request::offset).containsExactly(0L, 6_000L);
        assertThat(installed.get("app")).isEqualTo(content);
    }

    @Test
    void anUpgradeThatIsDeclinedByHandMakesRoomForTheNext() {
        OtaClient ota = client();
        List<UpgradeTrigger> seen = new CopyOnWriteArrayList<>();
        running.add(ota.triggers().subscribe(seen::add));
        channel.push(served("app", "2", bytes(10)));
        channel.push(served("app", "3", bytes(10)));
        assertThat(seen).hasSize(1);

        assertThat(ota.cancel(seen.get(0), "not tonight").block(SOON)).isTrue();

        assertThat(seen).extracting(UpgradeTrigger::version).containsExactly("2", "3");
        assertThat(channel.events(UpgradeEvent.Cancelled.class)).hasSize(1);
        assertThat(ota.cancel(seen.get(0), "again").block(SOON)).isFalse();
    }

    @Test
    void aDownloadThatIsWithdrawnStops() {
        OtaClient ota = client();
        run(ota);
        source.hangAfter(3);
        UpgradeTrigger trigger = served("app", "2", bytes(10_000));
        channel.push(trigger);

        assertThat(ota.cancel(trigger, "withdrawn").block(SOON)).isTrue();

        assertThat(names(events)).endsWith("Cancelled").containsOnlyOnce("Cancelled");
        source.ledger().assertNoLeaks();
        channel.push(served("app", "3", bytes(10)));
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void anInstallationThatHasBegunCannotBeWithdrawn() {
        Sinks.Empty<Void> go = Sinks.empty();
        OtaClient ota = client(
                builder -> builder.installer("app", verified -> go.asMono().thenReturn(Installer.Effect.IMMEDIATE)));
        run(ota);
        UpgradeTrigger trigger = served("app", "2", bytes(10));
        channel.push(trigger);

        assertThat(ota.cancel(trigger, "too late").block(SOON)).isFalse();
        go.tryEmitEmpty();

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void anUpgradeThatWasStartedByHandHoldsNoFileAfterItsEnd() {
        byte[] content = bytes(2_000);
        UpgradeTrigger trigger = served("app", "2", content);
        UpgradeTrigger wrong = new UpgradeTrigger(
                channel.device(), "app", "3", artifact(served("app", "3", content), sha256(bytes(1))));
        OtaClient ota = client(builder -> builder.installer("stuck", verified -> Mono.never()));

        ota.download(trigger).flatMap(ota::verify).flatMap(ota::install).block(SOON);
        assertThat(store.referenced()).as("after the stages").isZero();

        ota.download(wrong)
                .flatMap(ota::verify)
                .as(StepVerifier::create)
                .expectError(DigestMismatchException.class)
                .verify(SOON);
        assertThat(store.referenced()).as("after a failed stage").isZero();

        ota.upgrade(served("stuck", "2", content)).subscribe().dispose();
        assertThat(store.referenced()).as("after cancelling all of it").isZero();

        ota.download(served("stuck", "2", content))
                .flatMap(ota::verify)
                .flatMap(ota::install)
                .subscribe()
                .dispose();
        assertThat(store.referenced()).as("after cancelling a stage").isZero();
    }

    @Test
    void aThousandCancelsAtRandomPointsLeakNothing() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[] content = bytes(50_000);
        for (int i = 0; i < 1_000; i++) {
            MemoryStore fresh = new MemoryStore();
            MemoryChannel platform = new MemoryChannel();
            OtaClient ota = OtaClient.builder(platform)
                    .source(source)
                    .store(fresh)
                    .scheduler(time)
                    .installer("app", installer())
                    .build();
            int after = random.nextInt(55);
            AtomicInteger seen = new AtomicInteger();
            source.serve(FILE, content);
            Disposable[] subscription = new Disposable[1];
            source.fault(bytes -> bytes.doOnNext(buffer -> {
                if (seen.incrementAndGet() == after) {
                    subscription[0].dispose();
                }
            }));
            subscription[0] = Disposables.swap();
            ((Disposable.Swap) subscription[0]).update(ota.upgrades().subscribe());
            platform.push(new UpgradeTrigger(
                    platform.device(),
                    "app",
                    "2",
                    new Artifact("app", FILE, content.length, List.of(sha256(content)))));
            subscription[0].dispose();
        }
        assertThat(source.ledger().leaked()).as("seed " + seed).isEmpty();
    }

    @Test
    void aRefusalByThePlatformEndsTheStream() {
        List<Throwable> errors = new CopyOnWriteArrayList<>();
        running.add(client().upgrades().subscribe(events::add, errors::add));

        channel.refuse();

        assertThat(errors).singleElement().isInstanceOf(ChannelException.class);
    }

    @Test
    void aFloodOfTriggersSupersedesAndNeverGrows() {
        run(client());
        source.hangAfter(0);
        channel.push(served("app", "0", bytes(100)));

        for (int i = 1; i <= 20_000; i++) {
            channel.push(new UpgradeTrigger(
                    channel.device(),
                    "app",
                    "v" + i,
                    new Artifact(
                            "app", FILE, 100, List.of(sha256(Integer.toString(i).getBytes(StandardCharsets.UTF_8))))));
        }

        assertThat(store.journaled()).hasSize(2);
        assertThat(names(events).stream().filter("Cancelled"::equals)).hasSize(19_999);
    }

    @Test
    void noEventAndNoErrorShowsACredential() {
        source.breakAfter(1, lost());
        run(client());
        channel.push(served("app", "2", bytes(5_000)));
        channel.push(served("mcu", "2", bytes(10)));
        time.advanceTimeBy(Duration.ofMinutes(1));

        assertThat(events)
                .hasSizeGreaterThan(5)
                .allSatisfy(event -> assertThat(event.toString()).doesNotContain("CANARY-secret"));
        assertThat(store.journaled().toString()).doesNotContain("CANARY-secret");
    }

    @Test
    void aBuilderWithoutSourceOrStoreIsRefused() {
        assertThatThrownBy(() -> OtaClient.builder(channel).source(source).build())
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("store");
    }

    // ---- fixtures -------------------------------------------------------------------------------------------------

    private Disposable run(OtaClient ota) {
        Disposable subscription = ota.upgrades().subscribe(events::add);
        running.add(subscription);
        return subscription;
    }

    private OtaClient client() {
        return client(UnaryOperator.identity());
    }

    private OtaClient client(UnaryOperator<OtaClient.Builder> customizer) {
        return customizer
                .apply(OtaClient.builder(channel)
                        .source(source)
                        .store(store)
                        .scheduler(time)
                        .installer("app", installer())
                        .installer("default", installer()))
                .build();
    }

    private Installer installer() {
        return verified -> verified.file()
                .read()
                .reduce(new byte[0], OtaClientTest::concat)
                .map(content -> {
                    installed.put(verified.trigger().module(), content);
                    installations.incrementAndGet();
                    return Installer.Effect.IMMEDIATE;
                });
    }

    private static byte[] concat(byte[] before, ByteBuf buffer) {
        byte[] all = Arrays.copyOf(before, before.length + buffer.readableBytes());
        buffer.readBytes(all, before.length, buffer.readableBytes()).release();
        return all;
    }

    private UpgradeTrigger served(String module, String version, byte[] content) {
        return served(channel.device(), module, version, content);
    }

    private UpgradeTrigger served(DeviceId device, String module, String version, byte[] content) {
        URI location = FILE.resolve(module + "-" + version
                + (device.equals(channel.device()) ? "" : "-" + device.name()) + "?token=CANARY-secret");
        source.serve(location, content);
        return new UpgradeTrigger(
                device, module, version, new Artifact(module, location, content.length, List.of(sha256(content))));
    }

    private static Artifact artifact(UpgradeTrigger trigger, Digest digest) {
        Artifact artifact = trigger.artifact();
        return new Artifact(artifact.name(), artifact.location(), artifact.size(), List.of(digest));
    }

    private static TransferException lost() {
        return new TransferException(Reason.CONNECTION_LOST, "reset", null);
    }

    private void assertFailed(Reason reason) {
        assertThat(last())
                .isInstanceOfSatisfying(
                        UpgradeEvent.Failed.class,
                        failed -> assertThat(failed.cause().reason()).isEqualTo(reason));
    }

    private UpgradeEvent last() {
        assertThat(events).isNotEmpty();
        return events.get(events.size() - 1);
    }

    private static List<String> names(List<UpgradeEvent> events) {
        return events.stream().map(OtaClientTest::name).toList();
    }

    private static String name(UpgradeEvent event) {
        return event.getClass().getSimpleName();
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }

    private static Digest sha256(byte[] content) {
        return digest(Digest.Algorithm.SHA_256, content);
    }

    private static Digest md5(byte[] content) {
        return digest(Digest.Algorithm.MD5, content);
    }

    private static Digest digest(Digest.Algorithm algorithm, byte[] content) {
        return Digest.of(algorithm, algorithm.newMessageDigest().digest(content));
    }

    /** An installer of firmware: the new version runs after a restart. */
    private record RestartingInstaller(AtomicInteger confirmed, boolean waits) implements Installer {

        @Override
        public Mono<Effect> install(Verified verified) {
            return verified.file().read().doOnNext(ByteBuf::release).then(Mono.just(Effect.AFTER_RESTART));
        }

        @Override
        public Mono<Void> confirm(UpgradeTrigger trigger) {
            return Mono.fromRunnable(confirmed::incrementAndGet);
        }

        @Override
        public boolean awaitsRestart(UpgradeTrigger trigger) {
            return waits;
        }
    }

    /** A store whose journal takes its time. */
    private record SlowJournalStore(MemoryStore store, Mono<Void> until) implements ArtifactStore {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact);
        }

        @Override
        public UpgradeJournal journal() {
            UpgradeJournal journal = store.journal();
            return new UpgradeJournal() {
                @Override
                public Flux<Entry> entries() {
                    return journal.entries();
                }

                @Override
                public Mono<Void> put(Entry entry) {
                    return until.then(journal.put(entry));
                }

                @Override
                public Mono<Void> remove(UpgradeKey key) {
                    return until.then(journal.remove(key));
                }
            };
        }

        @Override
        public Mono<Void> close() {
            return store.close();
        }
    }

    /** A store that gives other bytes back than were written: somebody got at the file. */
    private record TamperingStore(MemoryStore store) implements ArtifactStore {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests).map(Tampered::new);
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

        private record Tampered(Stored stored) implements Stored {

            @Override
            public Digest digest() {
                return stored.digest();
            }

            @Override
            public List<Digest> digests() {
                return stored.digests();
            }

            @Override
            public long size() {
                return stored.size();
            }

            @Override
            public Flux<ByteBuf> read() {
                return stored.read().map(ByteBuf::copy).doOnNext(b -> b.setByte(0, b.getByte(0) ^ 1));
            }

            @Override
            public Mono<Void> moveTo(Path target) {
                return stored.moveTo(target);
            }

            @Override
            public Mono<Void> evict() {
                return stored.evict();
            }

            @Override
            public void release() {
                stored.release();
            }
        }
    }
}
