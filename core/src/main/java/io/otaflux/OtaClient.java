package io.otaflux;

import io.otaflux.UpgradeJournal.State;
import java.nio.file.Path;
import java.security.PublicKey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.Exceptions;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;
import reactor.core.publisher.SynchronousSink;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * Keeps a device, and the devices behind it, up to date.
 *
 * <pre>{@code
 * OtaClient ota = OtaClient.builder(device.upgrades())
 *     .source(HttpArtifactSource.create())
 *     .store(FileArtifactStore.in(stateDirectory))
 *     .installer("app", FileInstaller.to(appJar))
 *     .build();
 *
 * ota.report("app", "1.0.0")
 *     .thenMany(ota.upgrades())
 *     .subscribe(event -> log.info("{}", event));
 * }</pre>
 *
 * <p>{@link #upgrades()} does everything. Whoever wants a say in between composes the stages by hand:
 *
 * <pre>{@code
 * ota.triggers()
 *     .flatMap(trigger -> ota.download(trigger)
 *         .flatMap(ota::verify)
 *         .delayUntil(operator::approves)
 *         .flatMap(ota::install)
 *         .onErrorComplete(OtaException.class)
 *         .onErrorComplete(CancellationException.class))
 *     .subscribe();
 * }</pre>
 *
 * <p>Either way a trigger is journaled before it is acknowledged, repeated pushes of one upgrade are one upgrade, one
 * upgrade runs per device and module, and the platform hears of progress, failure and the new version. What was durable
 * when the power failed is not fetched again: a client on the same store goes on from there.
 *
 * <p>Signals arrive on threads of the store, the channel or the scheduler; a subscriber must not block them for long.
 */
public final class OtaClient {

    private static final Logger log = Loggers.getLogger(OtaClient.class);

    private static final int INTAKE = 256;
    private static final int QUARTER = INTAKE / 4;
    private static final Duration FOREVER = Duration.ofMillis(Long.MAX_VALUE);

    private final UpgradeChannel channel;
    private final UpgradeJournal journal;
    private final Map<String, Installer> installers;
    private final @Nullable Installer fallback;
    private final Predicate<UpgradeTrigger> policy;
    private final @Nullable Origin origin;
    private final boolean weakDigests;
    private final boolean missingDigests;
    private final Duration deadline;
    private final Scheduler scheduler;
    private final LongSupplier nanoClock;
    private final Permits permits;
    private final Transfers transfers;

    private final Lanes lanes = new Lanes();
    private final Asides asides = new Asides();
    private final Mono<Void> recovery;
    private final AtomicBoolean subscribed = new AtomicBoolean();
    private final Disposable.Composite background = Disposables.composite();

    /** The ends that the platform has yet to hear of. Whoever removes one may change the journal's entry. */
    private final Map<UpgradeKey, UpgradeEvent> owed = new HashMap<>();

    private final AtomicReference<@Nullable FluxSink<Turn>> ready = new AtomicReference<>();
    private volatile Listening listening = Listening.none();

    private OtaClient(Builder builder, ArtifactSource source, ArtifactStore store) {
        this.channel = builder.channel;
        this.journal = store.journal();
        this.installers = Map.copyOf(builder.installers);
        this.fallback = builder.fallback;
        this.policy = builder.policy;
        this.origin = builder.origin;
        // A signature over a digest that somebody can make two files with does not say which of them was signed.
        this.weakDigests = builder.weakDigests == null
                ? builder.origin == null && builder.channel.sendsWeakDigests()
                : builder.weakDigests;
        this.missingDigests = builder.missingDigests;
        this.deadline = builder.deadline;
        Scheduler given = builder.scheduler;
        this.scheduler = given == null ? Schedulers.parallel() : given;
        // Schedulers tell the time of day, which is set now and then, by years where the battery of the clock is empty.
        this.nanoClock = given == null ? System::nanoTime : () -> given.now(TimeUnit.NANOSECONDS);
        this.permits = new Permits(builder.concurrency);
        this.transfers = new Transfers(source, store, builder.backoff, builder.minimumThroughput, permits, scheduler);
        this.recovery = journal.entries()
                .collectList()
                .flatMapMany(this::restore)
                .then()
                // An error is not kept: what could not be read now may be readable later.
                .cache(done -> FOREVER, e -> Duration.ZERO, () -> FOREVER);
    }

    /** Starts the configuration of a client that listens to {@code channel}. */
    public static Builder builder(UpgradeChannel channel) {
        return new Builder(channel);
    }

    /**
     * Tells the platform which version of a module this device runs; see {@link #report(DeviceId, String, String)}.
     *
     * @return a {@code Mono} that completes when the platform has it
     */
    public Mono<Void> report(String module, String version) {
        return report(channel.device(), module, version);
    }

    /**
     * Tells the platform which version of a module {@code device} runs. Do it once at each start, for every module, with
     * what is really running: it is how a platform knows what to send, and how an upgrade that needed a restart is
     * confirmed, or found to have been rolled back. Reporting the version of an upgrade that is not installed yet ends it
     * as succeeded: somebody else installed it.
     *
     * @return a {@code Mono} that completes when the platform has it, and waits while there is no connection. It errors
     *     with {@link ChannelException} when the platform refuses this device. Nothing happens before subscription;
     *     cancelling it may leave the version unreported
     */
    public Mono<Void> report(DeviceId device, String module, String version) {
        Names.MODULE.check("module", module);
        Names.VERSION.check("version", version);
        return recovery.then(Mono.defer(() -> {
            Upgrade reached = lanes.running(device, module)
                    .filter(upgrade -> upgrade.trigger().version().equals(version)
                            && upgrade.state() == State.ADMITTED
                            && upgrade.reachElsewhere())
                    .orElse(null);
            if (reached != null) {
                return confirmReached(reached);
            }
            Upgrade awaiting = lanes.running(device, module)
                    .filter(upgrade -> upgrade.state() == State.AWAITING_RESTART)
                    .orElse(null);
            if (awaiting == null || stillWaits(awaiting, version)) {
                UpgradeKey belied = lanes.reported(device, module, version);
                Mono<Void> forget = belied == null ? Mono.empty() : journal.remove(belied);
                return forget.then(channel.report(device, module, version));
            }
            if (awaiting.trigger().version().equals(version)) {
                return confirmAside(awaiting);
            }
            InstallException rolledBack = new InstallException(
                    OtaException.Reason.ROLLED_BACK,
                    device + " " + module + ": runs " + version + " after the restart (expected: "
                            + awaiting.trigger().version() + ")",
                    null);
            UpgradeKey belied = lanes.reported(device, module, version);
            Mono<Void> forget = belied == null ? Mono.empty() : journal.remove(belied);
            // The failure first: a platform that hears a version may send again what it takes for unfinished.
            return forget.then(fail(awaiting, rolledBack))
                    .doOnNext(asides::emit)
                    .then(channel.report(device, module, version));
        }));
    }

    private boolean stillWaits(Upgrade awaiting, String version) {
        UpgradeTrigger trigger = awaiting.trigger();
        Installer installer = installer(trigger.module());
        return !trigger.version().equals(version) && installer != null && installer.awaitsRestart(trigger);
    }

    /**
     * Takes on upgrades for as long as it is subscribed to and brings each to its end: the whole road, for all devices.
     * Nothing happens before subscription. Cancelling stops what is under way after its current durable step and gives
     * back every resource; a later subscription, or a client in a later process, goes on from there.
     *
     * @return a {@code Flux} that never completes. A failed upgrade is an {@link UpgradeEvent.Failed}; an {@code onError}
     *     is the platform refusing this device ({@link ChannelException}) or a bug. Only one subscription at a time to
     *     this or {@link #triggers()}; a second one errors with {@link IllegalStateException}
     */
    public Flux<UpgradeEvent> upgrades() {
        return alone(
                Flux.defer(() -> turns().flatMap(this::road, Integer.MAX_VALUE).mergeWith(asides.flux())));
    }

    /** {@code flux}, unless somebody is subscribed already. */
    private <T> Flux<T> alone(Flux<T> flux) {
        return Flux.defer(() -> subscribed.compareAndSet(false, true)
                ? flux.doFinally(end -> subscribed.set(false))
                : Flux.error(new IllegalStateException("triggers() or upgrades() is already subscribed to")));
    }

    /**
     * The road of an upgrade whose turn it is. A cancellation may reach it late, when the next subscriber is there already;
     * only then may that one begin with the same upgrade.
     */
    private Flux<UpgradeEvent> road(Turn turn) {
        return Flux.defer(() -> {
            Upgrade upgrade = turn.upgrade();
            Object worker = new Object();
            return upgrade.handOver(turn, worker)
                    ? upgrade(upgrade).doFinally(end -> {
                        upgrade.pause(worker);
                        start(upgrade);
                    })
                    : Flux.empty();
        });
    }

    /** What a subscriber was told to work on. */
    private static final class Turn {

        private final Upgrade upgrade;
        private final FluxSink<Turn> subscriber;

        Turn(Upgrade upgrade, FluxSink<Turn> subscriber) {
            this.upgrade = upgrade;
            this.subscriber = subscriber;
        }

        Upgrade upgrade() {
            return upgrade;
        }

        FluxSink<Turn> subscriber() {
            return subscriber;
        }
    }

    /**
     * Emits each upgrade whose turn it is: journaled, acknowledged, not a repetition, and the only one of its device and
     * module until it has ended. It ends when {@link #install} completes, when a stage fails, or by {@link #cancel};
     * whoever composes the stages by hand and declines an upgrade calls the latter.
     *
     * @return a {@code Flux} that never completes and errors like {@link #upgrades()}
     */
    public Flux<UpgradeTrigger> triggers() {
        return alone(turns().map(turn -> turn.upgrade().trigger()));
    }

    private Flux<Turn> turns() {
        return Flux.defer(() -> {
            Listening before = listening;
            Listening now = new Listening();
            listening = now;
            Flux<Turn> turns = Flux.create(sink -> {
                ready.set(sink);
                sink.onDispose(() -> stop(sink));
            });
            Flux<UpgradeChannel.Delivery> deliveries =
                    InOrder.after(before.end().then(recovery), Flux.defer(() -> {
                        lanes.running().forEach(this::start);
                        return now.to(channel, lanes);
                    }));
            Flux<Turn> intake = Flux.create(sink -> {
                Intake taking = new Intake(sink);
                sink.onDispose(taking);
                deliveries.subscribe(taking);
            });
            return turns.mergeWith(intake)
                    // Withdrawn while it waited for demand.
                    .filter(turn -> !turn.upgrade().hasEnded())
                    .doFinally(end -> now.stop(before));
        });
    }

    private void stop(FluxSink<Turn> sink) {
        ready.compareAndSet(sink, null);
        lanes.running().forEach(upgrade -> {
            if (upgrade.worker() instanceof Turn turn && turn.subscriber() == sink) {
                upgrade.pause(turn);
                start(upgrade);
            }
        });
    }

    /**
     * One subscription to the channel. A cancellation may find it on another thread that is just about to subscribe; the
     * next subscription must not begin before this one has ended there.
     */
    private static final class Listening {

        private final Sinks.Empty<Void> end = Sinks.empty();
        private boolean begun;
        private boolean stopped;

        /** One that has ended. */
        static Listening none() {
            Listening none = new Listening();
            none.end.tryEmitEmpty();
            return none;
        }

        Flux<UpgradeChannel.Delivery> to(UpgradeChannel channel, Lanes lanes) {
            synchronized (this) {
                if (stopped) {
                    return Flux.never();
                }
                begun = true;
            }
            return channel.triggers().doFinally(signal -> {
                // The channel emits them again to the next subscriber.
                lanes.open().forEach(Upgrade::returnDeliveries);
                end.tryEmitEmpty();
            });
        }

        void stop(Listening before) {
            synchronized (this) {
                stopped = true;
                if (begun) {
                    return;
                }
            }
            before.end().subscribe(nothing -> {}, e -> {}, end::tryEmitEmpty);
        }

        Mono<Void> end() {
            return end.asMono();
        }
    }

    /**
     * The whole road for one trigger: download, verify, install, confirm.
     *
     * @return a {@code Flux} that completes after an {@link UpgradeEvent.Ended}, or after {@link Installed} when the
     *     device must restart first or the platform refuses to hear of it; also without one when somebody else ended the
     *     upgrade, whose end {@link #upgrades()} emits. It does not error but for bugs. Cancelling it leaves the upgrade
     *     open
     */
    public Flux<UpgradeEvent> upgrade(UpgradeTrigger trigger) {
        return Flux.defer(() -> upgrade(known(trigger)));
    }

    private Flux<UpgradeEvent> upgrade(Upgrade upgrade) {
        return Flux.defer(() -> {
            Flux<UpgradeEvent> admitted = upgrade.isTracked()
                    ? Flux.just(tell(upgrade, new UpgradeEvent.Admitted(upgrade.trigger())))
                    : Flux.empty();
            Flux<UpgradeEvent> road = InOrder.each(
                    InOrder.of(admitted, withInstaller(upgrade), downloading(upgrade)),
                    event -> event instanceof Downloaded downloaded
                            ? InOrder.of(
                                    Mono.just(event),
                                    verifying(upgrade, downloaded)
                                            .flatMapMany(verified ->
                                                    InOrder.of(Mono.just(verified), installing(upgrade, verified))))
                            : Mono.just(event));
            return InOrder.resumed(road, OtaException.class, e -> fail(upgrade, e))
                    // Whoever withdrew it sees to its end.
                    .onErrorComplete(Upgrade.Withdrawal.class)
                    .doOnCancel(() -> abandon(upgrade));
        });
    }

    /** Lets go of what was started by hand: nobody will ask for it again. */
    private static void abandon(Upgrade upgrade) {
        if (!upgrade.isTracked()) {
            upgrade.end();
            upgrade.release();
        }
    }

    /**
     * Brings the bytes of {@code trigger} into the store, hashing them on the way: from the source, from where an earlier
     * attempt or process stopped, or not at all when they are there. Those of the same content are fetched once.
     *
     * @return a {@code Mono} that emits when all bytes are durable, and errors with an {@link OtaException}, after which
     *     the upgrade has failed and the platform is told, or with {@link CancellationException}
     *     after {@link #cancel}. Cancelling it keeps what is durable. The files are referenced until the upgrade ends;
     *     whoever goes no further with one that no platform asked for releases {@link Downloaded#files()}
     */
    public Mono<Downloaded> download(UpgradeTrigger trigger) {
        return Mono.defer(() -> {
            Upgrade upgrade = known(trigger);
            return ending(upgrade, downloading(upgrade).ofType(Downloaded.class).last())
                    .doOnCancel(() -> abandon(upgrade));
        });
    }

    /**
     * Compares exact lengths and digests with what the platform named, and signatures with the key, where one is
     * configured. Nothing is read again: the digests were taken in flight. Wrong bytes are thrown out of the store.
     *
     * @return a {@code Mono} that errors with {@link DigestMismatchException}, {@link LengthMismatchException}, or
     *     {@link RefusedException} where digest or signature proves too little; the upgrade then has failed
     */
    public Mono<Verified> verify(Downloaded downloaded) {
        return Mono.defer(() -> {
            Upgrade upgrade = downloaded.upgrade();
            return ending(upgrade, verifying(upgrade, downloaded));
        });
    }

    /**
     * Installs, and confirms the new version to the platform unless the device must restart first.
     *
     * @return a {@code Mono} that emits when the installation is durable and the platform has been told, or cannot be told
     *     before the restart. It errors with an {@link OtaException} after which the upgrade has failed. Cancelling it
     *     leaves the old or the new version, never half of one
     */
    public Mono<Installed> install(Verified verified) {
        return Mono.defer(() -> {
            Upgrade upgrade = verified.upgrade();
            Mono<Installed> installed = InOrder.of(withInstaller(upgrade), installing(upgrade, verified))
                    .ofType(Installed.class)
                    .last();
            return ending(upgrade, installed);
        });
    }

    /**
     * Gives up an upgrade whose installation has not begun; from then on it is too late. A stage that is under way stops
     * and errors with {@link CancellationException}; the same upgrade may be pushed, and taken on, again.
     *
     * @param reason why, for the event and the platform; no credentials
     * @return a {@code Mono} that emits whether the upgrade was given up: false when there is no such upgrade or it is too
     *     late
     */
    public Mono<Boolean> cancel(UpgradeTrigger trigger, String reason) {
        return Mono.defer(() -> lanes.find(trigger.key())
                .filter(upgrade -> upgrade.withdraw(reason))
                .map(upgrade ->
                        cancelled(upgrade, reason).doOnNext(asides::emit).thenReturn(true))
                .orElseGet(() -> Mono.just(false)));
    }

    /**
     * Ends an upgrade as failed: the application found something wrong that the stages cannot know of.
     *
     * @param cause what it found; the platform is told its stage, its reason and its message
     * @return a {@code Mono} that emits whether the upgrade was ended: false when there is no such upgrade or its
     *     installation has begun. A stage that is under way stops as with {@link #cancel}
     */
    public Mono<Boolean> fail(UpgradeTrigger trigger, OtaException cause) {
        return Mono.defer(() -> lanes.find(trigger.key())
                .filter(upgrade -> upgrade.withdraw("failed"))
                .map(upgrade -> failed(upgrade, cause).doOnNext(asides::emit).thenReturn(true))
                .orElseGet(() -> Mono.just(false)));
    }

    /**
     * Stops what runs in the background: reports that the platform has not received. They are journaled and go out when a
     * client runs again on the same store. The channel, the source and the store stay with whoever made them.
     */
    public void dispose() {
        background.dispose();
    }

    // ---- admission ----------------------------------------------------------------------------------------------

    /**
     * Takes in what a channel delivers. No more than {@value #INTAKE} deliveries are on their way into the journal; the channel
     * keeps the others. Of those that came while the journal was being synchronised the next synchronisation takes all.
     */
    private final class Intake extends BaseSubscriber<UpgradeChannel.Delivery> implements Upgrade.Place {

        private final FluxSink<Turn> sink;
        private final AtomicInteger vacated = new AtomicInteger();

        Intake(FluxSink<Turn> sink) {
            this.sink = sink;
        }

        @Override
        protected void hookOnSubscribe(Subscription deliveries) {
            deliveries.request(INTAKE);
        }

        @Override
        protected void hookOnNext(UpgradeChannel.Delivery delivery) {
            admit(delivery, this);
        }

        @Override
        protected void hookOnComplete() {
            sink.complete();
        }

        @Override
        protected void hookOnError(Throwable refused) {
            sink.error(refused);
        }

        /** The channel is asked for a quarter at a time, which is fewer questions than one for each. */
        @Override
        public void vacate() {
            if (vacated.incrementAndGet() % QUARTER == 0) {
                request(QUARTER);
            }
        }

        @Override
        public void fail(Throwable bug) {
            cancel();
            sink.error(bug);
        }
    }

    private void admit(UpgradeChannel.Delivery delivery, Upgrade.Place place) {
        UpgradeTrigger trigger = delivery.trigger();
        RefusedException refusal = judge(trigger);
        if (refusal != null) {
            delivery.acknowledge();
            UpgradeEvent failed = new UpgradeEvent.Failed(trigger, refusal);
            asides.emit(failed);
            inBackground("refusal report", Mono.defer(() -> channel.report(failed)));
            place.vacate();
            return;
        }
        Lanes.Verdict verdict = lanes.offer(trigger);
        Upgrade running = verdict.running();
        if (running != null && running.state() == State.INSTALLED) {
            // One that is installed, and that the platform refused to hear of, holds its lane. Whoever pushes listens
            // again.
            start(running);
        }
        if (verdict instanceof Lanes.Verdict.Taken taken) {
            taken.upgrade().deliver(delivery, place);
            admit(taken.upgrade(), taken.superseded());
        } else if (verdict instanceof Lanes.Verdict.Repeated repeated) {
            repeated.upgrade().deliver(delivery, place);
        } else {
            delivery.acknowledge();
            inBackground(
                    "version report",
                    Mono.defer(() -> channel.report(trigger.device(), trigger.module(), trigger.version())));
            place.vacate();
        }
    }

    /**
     * Journals, acknowledges and starts an upgrade. That is not part of the subscription which brought the trigger: the
     * upgrade has its place in its lane already, and would keep it for ever if a cancellation came in between.
     */
    private void admit(Upgrade upgrade, @Nullable Upgrade superseded) {
        synchronized (owed) {
            if (!owed.isEmpty()) {
                owed.remove(upgrade.trigger().key());
            }
        }
        journal.put(entry(upgrade, State.ADMITTED, false, null)).subscribe(new Admission(upgrade, superseded));
    }

    /** Sees one upgrade into the journal, without an operator for each of the steps: there may be tens of thousands at once. */
    private final class Admission implements CoreSubscriber<Void> {

        private final Upgrade upgrade;
        private final @Nullable Upgrade superseded;

        Admission(Upgrade upgrade, @Nullable Upgrade superseded) {
            this.upgrade = upgrade;
            this.superseded = superseded;
        }

        @Override
        public void onSubscribe(Subscription journaling) {
            journaling.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(Void never) {}

        @Override
        public void onComplete() {
            try {
                upgrade.journaled();
                if (superseded == null) {
                    start(upgrade);
                } else {
                    then(supersede(superseded, upgrade.trigger()));
                }
            } catch (RuntimeException bug) {
                // It must not reach the journal, which has others to tell.
                Operators.onErrorDropped(bug, currentContext());
            }
        }

        @Override
        public void onError(Throwable e) {
            if (e instanceof OtaException cause) {
                // Not journaled, so not taken on. The platform hears why and may push it again.
                upgrade.settle();
                Mono<Void> failed = fail(upgrade, cause).doOnNext(asides::emit).then();
                then(superseded == null ? failed : failed.then(supersede(superseded, upgrade.trigger())));
            } else {
                upgrade.unsettled(e);
            }
        }

        private void then(Mono<Void> rest) {
            rest.subscribe(done -> {}, upgrade::unsettled, () -> start(upgrade));
        }
    }

    private Mono<Void> supersede(Upgrade superseded, UpgradeTrigger newer) {
        return close(superseded, up -> cancelled(up, "superseded by " + newer.version()))
                .doOnNext(asides::emit)
                .then();
    }

    private @Nullable RefusedException judge(UpgradeTrigger trigger) {
        RefusedException refusal = isDeltaForNobody(trigger) ? refusedDelta(trigger) : judgeArtifacts(trigger);
        if (refusal != null) {
            return refusal;
        }
        try {
            return policy.test(trigger)
                    ? null
                    : refusedByPolicy(trigger.key() + ": turned down by this device's policy");
        } catch (RuntimeException e) {
            // One trigger that the policy stumbles over must not keep out those behind it.
            log.error("The policy threw at {}", trigger.key(), e);
            return refusedByPolicy(trigger.key() + ": " + e.getClass().getSimpleName() + " in this device's policy");
        }
    }

    private boolean isDeltaForNobody(UpgradeTrigger trigger) {
        Installer installer = installer(trigger.module());
        return trigger.delta() && (installer == null || !installer.acceptsDeltas());
    }

    private static RefusedException refusedDelta(UpgradeTrigger trigger) {
        return new RefusedException(
                OtaException.Stage.TRANSPORT,
                OtaException.Reason.UNSUPPORTED,
                trigger.key() + ": a delta (expected: whole artifacts, since no installer here accepts deltas)");
    }

    private @Nullable RefusedException judgeArtifacts(UpgradeTrigger trigger) {
        for (Artifact artifact : trigger.artifacts()) {
            RefusedException refusal = judge(artifact);
            if (refusal != null) {
                return refusal;
            }
        }
        return null;
    }

    private static RefusedException refusedByPolicy(String message) {
        return new RefusedException(OtaException.Stage.TRANSPORT, OtaException.Reason.POLICY, message);
    }

    private @Nullable RefusedException judge(Artifact artifact) {
        Digest digest = artifact.digest().orElse(null);
        if (digest == null && !missingDigests) {
            return new RefusedException(
                    OtaException.Stage.VERIFY,
                    OtaException.Reason.NO_DIGEST,
                    artifact.name() + ": has no digest (expected: one)");
        }
        if (digest != null && !digest.algorithm().isCollisionResistant() && !weakDigests) {
            return new RefusedException(
                    OtaException.Stage.VERIFY,
                    OtaException.Reason.WEAK_DIGEST,
                    artifact.name() + ": has only " + digest.algorithm() + " (expected: SHA-256 or SHA-512)");
        }
        return origin == null ? null : origin.judge(artifact);
    }

    /** Emits the upgrade if it is its turn, it is safe in the journal, and nobody works on it. */
    private void start(Upgrade upgrade) {
        FluxSink<Turn> sink = ready.get();
        if (sink == null || !upgrade.isJournaled() || !lanes.hasTurn(upgrade)) {
            return;
        }
        if (upgrade.state() == State.INSTALLED) {
            // Not the subscriber's work: it goes on when that one cancels.
            if (upgrade.start(this)) {
                inBackground("confirmation", confirmAside(upgrade).doFinally(end -> upgrade.pause(this)));
            }
        } else if (upgrade.state() == State.ADMITTED) {
            Turn turn = new Turn(upgrade, sink);
            if (upgrade.start(turn)) {
                sink.next(turn);
                if (ready.get() != sink) {
                    // Nobody was there to take it any more; the next subscriber is told, or was not because of this.
                    upgrade.pause(turn);
                    start(upgrade);
                }
            }
        }
    }

    // ---- recovery -----------------------------------------------------------------------------------------------

    private Mono<Void> restore(List<UpgradeJournal.Entry> entries) {
        return InOrder.each(Flux.fromIterable(entries), this::restore)
                // Everything is known by now; what could not be removed comes back after the next restart.
                .doOnError(OtaException.class, e -> log.warn("Could not tidy the journal: {}", e.toString()))
                .onErrorComplete(OtaException.class)
                .then();
    }

    private Mono<Void> restore(UpgradeJournal.Entry entry) {
        UpgradeTrigger trigger = entry.trigger();
        if (!entry.state().isFinal()) {
            Upgrade superseded = lanes.restore(Upgrade.restored(entry));
            return superseded == null
                    ? Mono.empty()
                    : journal.remove(superseded.trigger().key());
        }
        if (entry.state() == State.SUCCEEDED) {
            lanes.restoreSuccess(trigger.key());
            return Mono.empty();
        }
        String detail = Objects.requireNonNullElse(entry.detail(), "");
        UpgradeEvent end = entry.state() == State.FAILED
                ? new UpgradeEvent.Failed(trigger, JournaledException.read(detail))
                : new UpgradeEvent.Cancelled(trigger, detail);
        owe(end);
        return Mono.empty();
    }

    /** Tells the platform of an end for as long as it takes, and only then forgets it. */
    private void owe(UpgradeEvent end) {
        UpgradeKey key = end.trigger().key();
        synchronized (owed) {
            owed.put(key, end);
        }
        inBackground("report", Mono.defer(() -> channel.report(end)).then(Mono.defer(() -> {
            synchronized (owed) {
                // The same upgrade may have been taken on again by now, and then the entry is that one's. Begun
                // under the lock, so that the journal gets it before the entry of one that is taken on next.
                return owed.remove(key, end) ? begun(journal.remove(key)) : Mono.empty();
            }
        })));
    }

    /** Begins {@code work}, which goes on to its end whether or not anybody stays to see it. */
    private static <T> Mono<T> begun(Mono<T> work) {
        Mono<T> shared = work.cache();
        shared.subscribe(done -> {}, e -> {});
        return shared;
    }

    private void inBackground(String what, Mono<?> work) {
        Disposable.Swap running = Disposables.swap();
        background.add(running);
        running.update(work.doFinally(end -> background.remove(running))
                .subscribe(done -> {}, e -> log.warn("OTA {} failed: {}", what, e.toString())));
    }

    // ---- stages -------------------------------------------------------------------------------------------------

    /** The upgrade that {@code trigger} belongs to; a new one, unknown to the journal, when it was started by hand. */
    private Upgrade known(UpgradeTrigger trigger) {
        return lanes.find(trigger.key()).orElseGet(() -> Upgrade.byHand(trigger));
    }

    private <T> Flux<T> withInstaller(Upgrade upgrade) {
        return Flux.defer(() -> {
            UpgradeTrigger trigger = upgrade.trigger();
            if (installer(trigger.module()) == null) {
                return Flux.error(new RefusedException(
                        OtaException.Stage.INSTALL,
                        OtaException.Reason.NO_INSTALLER,
                        "No installer for module " + trigger.module() + " (expected one of: " + installers.keySet()
                                + ")"));
            }
            return isDeltaForNobody(trigger) ? Flux.error(refusedDelta(trigger)) : Flux.empty();
        });
    }

    private @Nullable Installer installer(String module) {
        return installers.getOrDefault(module, fallback);
    }

    private Flux<UpgradeEvent> downloading(Upgrade upgrade) {
        return Flux.defer(() -> {
            UpgradeTrigger trigger = upgrade.trigger();
            RefusedException unproven = judgeOrigin(trigger);
            if (unproven != null) {
                return Flux.error(unproven);
            }
            List<ArtifactStore.Stored> files = new ArrayList<>();
            AtomicLong before = new AtomicLong();
            Function<Integer, Flux<UpgradeEvent>> fetch = index -> {
                Artifact artifact = upgrade.trigger().artifacts().get(index);
                return transfers
                        .fetch(artifact, upgrade.isLocated(), Mono.defer(() -> relocation(upgrade, index)))
                        .handle((Transfers.Step step, SynchronousSink<UpgradeEvent> sink) -> {
                            if (step instanceof Transfers.Step.Moved moved) {
                                sink.next(tell(
                                        upgrade,
                                        new UpgradeEvent.Received(
                                                trigger, before.get() + moved.bytes(), size(trigger, moved.size()))));
                            } else if (step instanceof Transfers.Step.Broke broke) {
                                sink.next(tell(
                                        upgrade,
                                        new UpgradeEvent.Interrupted(trigger, broke.cause(), broke.retryIn())));
                            } else if (step instanceof Transfers.Step.Arrived arrived) {
                                upgrade.refer(arrived.stored());
                                files.add(arrived.stored());
                                before.addAndGet(arrived.stored().size());
                            }
                        });
            };
            int artifacts = trigger.artifacts().size();
            Flux<UpgradeEvent> fetching =
                    artifacts == 1 ? fetch.apply(0) : InOrder.each(Flux.range(0, artifacts), fetch);
            Flux<UpgradeEvent> downloaded = InOrder.of(
                    fetching, Mono.fromSupplier(() -> tell(upgrade, new Downloaded(upgrade, trigger, files))));
            return limited(
                    upgrade,
                    OtaException.Stage.DOWNLOAD,
                    InOrder.mapped(downloaded, OtaClient::untranslated, OtaClient::unexpectedSource));
        });
    }

    /** Those that were started by hand, or admitted by a process that had no key, have not been judged. */
    private @Nullable RefusedException judgeOrigin(UpgradeTrigger trigger) {
        return origin == null
                ? null
                : trigger.artifacts().stream()
                        .map(origin::judge)
                        .filter(Objects::nonNull)
                        .findFirst()
                        .orElse(null);
    }

    private static long size(UpgradeTrigger trigger, long sizeOfArtifact) {
        return trigger.artifacts().size() == 1 ? sizeOfArtifact : trigger.size();
    }

    /** A fresh location, if what the platform offers now is still the same upgrade. */
    private Mono<Artifact> relocation(Upgrade upgrade, int index) {
        UpgradeTrigger before = upgrade.trigger();
        Mono<Artifact> offered = channel.refresh(before).handle((fresh, sink) -> {
            if (!fresh.key().equals(before.key())) {
                return;
            }
            RefusedException refusal = isDeltaForNobody(fresh) ? refusedDelta(fresh) : judgeArtifacts(fresh);
            if (refusal != null) {
                sink.error(refusal);
                return;
            }
            upgrade.relocate(fresh);
            sink.next(fresh.artifacts().get(index));
        });
        // It may have been pushed again in the meantime, by a platform that does not answer questions.
        return InOrder.orElse(
                offered,
                Mono.fromSupplier(() -> upgrade.trigger().artifacts().get(index))
                        .filter(now -> !now.location()
                                .equals(before.artifacts().get(index).location())));
    }

    private Mono<Verified> verifying(Upgrade upgrade, Downloaded downloaded) {
        return Mono.defer(() -> {
            List<Verified.File> files = new ArrayList<>();
            Verified.Assurance assurance = Verified.Assurance.ORIGIN;
            for (int i = 0; i < downloaded.files().size(); i++) {
                Artifact artifact = downloaded.trigger().artifacts().get(i);
                ArtifactStore.Stored stored = downloaded.files().get(i);
                OtaException wrong = judge(artifact);
                if (wrong == null) {
                    wrong = compare(artifact, stored);
                }
                if (wrong != null) {
                    return stored.evict().then(Mono.error(wrong));
                }
                Verified.Assurance proof = assurance(artifact);
                assurance = proof.compareTo(assurance) < 0 ? proof : assurance;
                files.add(new Verified.File(artifact, stored));
            }
            Verified verified = new Verified(upgrade, downloaded.trigger(), files, assurance);
            return Mono.just(upgrade.hasEnded() ? verified : tell(upgrade, verified));
        });
    }

    private static @Nullable OtaException compare(Artifact artifact, ArtifactStore.Stored stored) {
        if (artifact.size() != Artifact.UNKNOWN_SIZE && artifact.size() != stored.size()) {
            return new LengthMismatchException(artifact.name(), artifact.size(), stored.size());
        }
        for (Digest expected : artifact.digests()) {
            for (Digest actual : stored.digests()) {
                if (actual.algorithm() == expected.algorithm() && !actual.matches(expected)) {
                    return new DigestMismatchException(OtaException.Stage.VERIFY, artifact.name(), expected, actual);
                }
            }
        }
        return null;
    }

    private Verified.Assurance assurance(Artifact artifact) {
        Verified.Assurance strong = origin == null ? Verified.Assurance.INTEGRITY : Verified.Assurance.ORIGIN;
        return artifact.digest()
                .map(digest -> digest.algorithm().isCollisionResistant() ? strong : Verified.Assurance.WEAK_INTEGRITY)
                .orElse(Verified.Assurance.LENGTH);
    }

    private Flux<UpgradeEvent> installing(Upgrade upgrade, Verified verified) {
        return Flux.defer(() -> {
            UpgradeTrigger trigger = verified.trigger();
            Installer installer = Objects.requireNonNull(installer(trigger.module()), "installer");
            if (!upgrade.beginInstallation()) {
                return Flux.error(new Upgrade.Withdrawal("withdrawn"));
            }
            Flux<Installer.Effect> effects = InOrder.mapped(
                    InOrder.orElse(
                            permits.around(Flux.defer(() -> installer.install(verified))),
                            Mono.error(() -> new InstallException(
                                    trigger.key() + ": the installer completed without an effect (expected: one)",
                                    null))),
                    OtaClient::untranslated,
                    e -> new InstallException(
                            trigger.key() + ": " + e.getClass().getSimpleName() + " in the installer", e));
            Flux<UpgradeEvent> installed = InOrder.each(
                    effects,
                    effect -> write(
                                    upgrade,
                                    effect == Installer.Effect.IMMEDIATE ? State.INSTALLED : State.AWAITING_RESTART,
                                    false,
                                    null)
                            .then(Mono.fromSupplier(() -> tell(upgrade, new Installed(trigger, effect)))));
            return InOrder.of(
                            limited(upgrade, OtaException.Stage.INSTALL, installed),
                            Mono.defer(
                                    () -> upgrade.state() == State.AWAITING_RESTART ? Mono.empty() : confirm(upgrade)))
                    .doOnError(
                            ChannelException.class,
                            e -> log.warn(
                                    "{} is installed, and the platform refuses to hear it: {}",
                                    trigger.key(),
                                    e.toString()))
                    .onErrorComplete(ChannelException.class);
        });
    }

    /** Tells the platform that the new version runs, and everybody else that it is there to stay. */
    private Mono<UpgradeEvent> confirm(Upgrade upgrade) {
        UpgradeTrigger trigger = upgrade.trigger();
        Installer installer = installer(trigger.module());
        Mono<Void> told = Mono.defer(() -> channel.report(trigger.device(), trigger.module(), trigger.version()))
                .then(Mono.defer(() -> installer == null ? Mono.empty() : installer.confirm(trigger)));
        return InOrder.mapped(
                        told,
                        OtaClient::untranslated,
                        e -> new InstallException(
                                trigger.key() + ": " + e.getClass().getSimpleName() + " while confirming", e))
                .then(Mono.defer(() -> upgrade.end() ? succeeded(upgrade) : Mono.empty()));
    }

    private Mono<UpgradeEvent> succeeded(Upgrade upgrade) {
        UpgradeEvent end = new UpgradeEvent.Succeeded(upgrade.trigger());
        // The new version runs and the platform knows. A journal that fails now can only make it be told once more.
        return ended(
                upgrade,
                end,
                lenient(upgrade, write(upgrade, State.SUCCEEDED, true, null))
                        .then(Mono.defer(() -> {
                            UpgradeKey before = lanes.succeeded(end.trigger().key());
                            return before == null ? Mono.empty() : lenient(upgrade, journal.remove(before));
                        }))
                        .then(Mono.fromRunnable(() -> tell(upgrade, end))));
    }

    /**
     * The same, beside the road. It errors with {@link ChannelException} when the platform refuses to hear it; the new
     * version runs all the same, and whoever is heard again confirms it.
     */
    private Mono<Void> confirmAside(Upgrade upgrade) {
        return confirmed(upgrade, confirm(upgrade)).doOnNext(asides::emit).then();
    }

    /** The same of what was reached without installing it here. It goes on when the one who reported that cancels. */
    private Mono<Void> confirmReached(Upgrade upgrade) {
        Sinks.Empty<Void> done = Sinks.empty();
        inBackground(
                "confirmation",
                confirmed(upgrade, confirm(upgrade).doOnError(e -> upgrade.unreach()))
                        .doOnNext(asides::emit)
                        .then()
                        .doOnSuccess(nothing -> done.tryEmitEmpty())
                        .doOnError(done::tryEmitError));
        return done.asMono();
    }

    private Mono<UpgradeEvent> confirmed(Upgrade upgrade, Mono<UpgradeEvent> confirmation) {
        return InOrder.resumed(
                confirmation,
                OtaException.class,
                e -> e instanceof ChannelException ? Mono.error(e) : fail(upgrade, e));
    }

    private Mono<UpgradeEvent> fail(Upgrade upgrade, OtaException cause) {
        return close(upgrade, open -> failed(open, cause));
    }

    /** Brings an upgrade to a bad end. Empty when it has ended already. */
    private static Mono<UpgradeEvent> close(Upgrade upgrade, Function<Upgrade, Mono<UpgradeEvent>> end) {
        return Mono.defer(() -> upgrade.giveUp() ? end.apply(upgrade) : Mono.empty());
    }

    private Mono<UpgradeEvent> failed(Upgrade upgrade, OtaException cause) {
        return closed(
                upgrade,
                State.FAILED,
                JournaledException.write(cause),
                new UpgradeEvent.Failed(upgrade.trigger(), cause));
    }

    private Mono<UpgradeEvent> cancelled(Upgrade upgrade, String reason) {
        return closed(upgrade, State.CANCELLED, reason, new UpgradeEvent.Cancelled(upgrade.trigger(), reason));
    }

    private Mono<UpgradeEvent> closed(Upgrade upgrade, State state, String detail, UpgradeEvent end) {
        // The disk that failed the upgrade may fail the journal too. The platform must hear of it still.
        return ended(
                upgrade,
                end,
                lenient(upgrade, write(upgrade, state, false, detail)).then(Mono.fromRunnable(() -> {
                    if (upgrade.isTracked()) {
                        owe(end);
                    }
                })));
    }

    private static Mono<Void> lenient(Upgrade upgrade, Mono<Void> change) {
        return change.doOnError(
                        OtaException.class,
                        e -> log.warn(
                                "Could not journal the end of {}: {}",
                                upgrade.trigger().key(),
                                e.toString()))
                .onErrorComplete(OtaException.class);
    }

    /**
     * Does what belongs to the end of an upgrade, emits it, and only then begins the next one of its lane. Nobody else will
     * bring it to an end any more, so all of that happens also when whoever waits for it cancels.
     */
    private Mono<UpgradeEvent> ended(Upgrade upgrade, UpgradeEvent end, Mono<Void> work) {
        Mono<Void> done = begun(work);
        return done.thenReturn(end)
                .doFinally(signal -> done.subscribe(
                        nothing -> {},
                        e -> log.error("Could not end {}", upgrade.trigger().key(), e),
                        () -> leave(upgrade)));
    }

    /** Lets go of what an ended upgrade held, and of its lane. */
    private void leave(Upgrade upgrade) {
        upgrade.release();
        Upgrade next = lanes.leave(upgrade);
        if (next != null) {
            start(next);
        }
    }

    private Mono<Void> write(Upgrade upgrade, State state, boolean reported, @Nullable String detail) {
        Mono<Void> written = upgrade.isTracked() ? journal.put(entry(upgrade, state, reported, detail)) : Mono.empty();
        return written.doOnSuccess(done -> upgrade.reach(state));
    }

    private static UpgradeJournal.Entry entry(Upgrade upgrade, State state, boolean reported, @Nullable String detail) {
        return new UpgradeJournal.Entry(upgrade.trigger(), upgrade.isLocated(), state, reported, detail);
    }

    /** Ends the upgrade when a stage that was called by hand fails. */
    private <T> Mono<T> ending(Upgrade upgrade, Mono<T> stage) {
        return InOrder.mapped(
                InOrder.resumed(stage, OtaException.class, e -> fail(upgrade, e).then(Mono.<T>error(e))),
                Upgrade.Withdrawal.class::isInstance,
                e -> {
                    CancellationException cancelled = new CancellationException(e.getMessage());
                    cancelled.initCause(e);
                    return cancelled;
                });
    }

    /** Ends a stage when the upgrade's time is up or it is withdrawn. Only the time in which it was worked on counts. */
    private <T> Flux<T> limited(Upgrade upgrade, OtaException.Stage stage, Flux<T> work) {
        return Flux.defer(() -> {
            long began = nanoClock.getAsLong();
            Duration left = deadline.minus(upgrade.active());
            Mono<DeadlineException> late = Mono.delay(left.isNegative() ? Duration.ZERO : left, scheduler)
                    .map(passed -> new DeadlineException(stage, deadline));
            return Cutoff.of(work, Mono.<Throwable>firstWithSignal(late, upgrade.withdrawal()))
                    .doFinally(end -> upgrade.spent(Duration.ofNanos(nanoClock.getAsLong() - began)));
        });
    }

    /** Tells the platform of something that is under way; it may miss it, so nobody waits. */
    private <E extends UpgradeEvent> E tell(Upgrade upgrade, E event) {
        if (upgrade.isTracked()) {
            inBackground("progress report", Mono.defer(() -> channel.report(event)));
        }
        return event;
    }

    private static boolean untranslated(Throwable e) {
        Exceptions.throwIfJvmFatal(e);
        return !(e instanceof OtaException) && !(e instanceof Upgrade.Withdrawal);
    }

    private static OtaException unexpectedSource(Throwable e) {
        return new SourceException(
                OtaException.Reason.BAD_RESPONSE, e.getClass().getSimpleName() + " while downloading", e);
    }

    /** Configures an {@link OtaClient}. Not thread-safe, and free to be used again after {@link #build()}. */
    public static final class Builder {

        private final UpgradeChannel channel;
        private final Map<String, Installer> installers = new HashMap<>();
        private final Map<String, ArtifactSource> sources = new HashMap<>();
        private @Nullable ArtifactSource source;
        private @Nullable ArtifactStore store;
        private @Nullable Installer fallback;
        private Predicate<UpgradeTrigger> policy = trigger -> true;
        private @Nullable Origin origin;
        private @Nullable Boolean weakDigests;
        private boolean missingDigests;
        private int concurrency = 16;
        private Backoff backoff = Backoff.DEFAULT;
        private Throughput minimumThroughput = Throughput.DEFAULT;
        private Duration deadline = Duration.ofHours(24);
        private @Nullable Scheduler scheduler;

        private Builder(UpgradeChannel channel) {
            this.channel = Objects.requireNonNull(channel, "channel");
        }

        /**
         * Where artifacts come from whose location has no {@linkplain #source(String, ArtifactSource) source of its
         * scheme}. One source of either kind is required.
         */
        public Builder source(ArtifactSource source) {
            this.source = Objects.requireNonNull(source, "source");
            return this;
        }

        /**
         * Where artifacts come from whose location has this scheme, such as {@code https}, in any case. An upgrade whose
         * scheme has no source fails with {@link SourceException}.
         */
        public Builder source(String scheme, ArtifactSource source) {
            if (!scheme.matches("[A-Za-z][A-Za-z0-9+.-]*")) {
                throw new IllegalArgumentException("scheme: not one of a URI");
            }
            sources.put(Sources.key(scheme), Objects.requireNonNull(source, "source"));
            return this;
        }

        /** Where artifacts and the journal are kept. Required. One client per store. */
        public Builder store(ArtifactStore store) {
            this.store = Objects.requireNonNull(store, "store");
            return this;
        }

        /** How {@code module} is installed. Without one, upgrades of the module fail before anything is downloaded. */
        public Builder installer(String module, Installer installer) {
            installers.put(Names.MODULE.check("module", module), Objects.requireNonNull(installer, "installer"));
            return this;
        }

        /** How modules without an installer of their own are installed. Defaults to none. */
        public Builder installer(Installer installer) {
            this.fallback = Objects.requireNonNull(installer, "installer");
            return this;
        }

        /**
         * Which upgrades are taken on at all; one that is turned down fails with {@link OtaException.Reason#POLICY} and is
         * reported. Asked on the channel's thread, so it must not block. Defaults to all.
         */
        public Builder policy(Predicate<UpgradeTrigger> policy) {
            this.policy = Objects.requireNonNull(policy, "policy");
            return this;
        }

        /**
         * Who must have made every artifact: whoever holds the private half of this key. An artifact without a signature
         * is then refused before any download ({@link OtaException.Reason#UNSIGNED}), and so is one whose signature is not
         * that of its digest ({@link OtaException.Reason#BAD_SIGNATURE}). A signature is one by RSA (PKCS#1 v1.5) and
         * SHA-256 over the bytes of the artifact's strongest digest. Defaults to nobody in particular: signatures are
         * ignored.
         *
         * @throws IllegalArgumentException when it is no RSA key of at least 2048 bits
         */
        public Builder publicKey(PublicKey key) {
            this.origin = Origin.of(key);
            return this;
        }

        /**
         * The same with the key from a PEM file, {@code PUBLIC KEY} or {@code CERTIFICATE}, which is read at once. Of a
         * certificate only the key counts.
         *
         * @throws IllegalArgumentException when the file cannot be read, or is not one RSA key of at least 2048 bits: a
         *     client that cannot check what it was told to check is not built
         */
        public Builder publicKey(Path file) {
            this.origin = Origin.read(file);
            return this;
        }

        /**
         * Whether MD5 or SHA-1 alone is enough. Such a digest shows that nothing broke on the way; it does not keep out
         * somebody who made the file on purpose, who can make two of one digest, and have the harmless one signed. Defaults
         * to what the platform's protocol is capable of, {@link UpgradeChannel#sendsWeakDigests()}, and to false with a
         * {@linkplain #publicKey(PublicKey) public key}.
         */
        public Builder acceptWeakDigests(boolean accept) {
            this.weakDigests = accept;
            return this;
        }

        /** Whether an artifact without any digest is taken on. Only its length is checked then. Defaults to false. */
        public Builder acceptMissingDigests(boolean accept) {
            this.missingDigests = accept;
            return this;
        }

        /** How many transfers and installations run at once, over all devices. Defaults to 16. */
        public Builder concurrency(int concurrency) {
            if (concurrency < 1) {
                throw new IllegalArgumentException("concurrency: " + concurrency + " (expected: >= 1)");
            }
            this.concurrency = concurrency;
            return this;
        }

        /** How a transfer that broke off is tried again. Defaults to {@link Backoff#DEFAULT}. */
        public Builder backoff(Backoff backoff) {
            this.backoff = Objects.requireNonNull(backoff, "backoff");
            return this;
        }

        /** The least a transfer must bring, or it is broken off and tried again. Defaults to {@link Throughput#DEFAULT}. */
        public Builder minimumThroughput(Throughput minimumThroughput) {
            this.minimumThroughput = Objects.requireNonNull(minimumThroughput, "minimumThroughput");
            return this;
        }

        /** How long one upgrade may be worked on, all attempts together, before it fails. Defaults to 24 hours. */
        public Builder deadline(Duration deadline) {
            if (deadline.isNegative() || deadline.isZero()) {
                throw new IllegalArgumentException("deadline: " + deadline + " (expected: > 0)");
            }
            this.deadline = deadline;
            return this;
        }

        /**
         * What tells the time for waits and limits. Defaults to {@link Schedulers#parallel()}, with a clock that never
         * jumps.
         */
        public Builder scheduler(Scheduler scheduler) {
            this.scheduler = Objects.requireNonNull(scheduler, "scheduler");
            return this;
        }

        /** @throws IllegalStateException when the source or the store is missing */
        public OtaClient build() {
            if ((source == null && sources.isEmpty()) || store == null) {
                throw new IllegalStateException("source and store are required");
            }
            return new OtaClient(this, Sources.of(sources, source), store);
        }
    }
}
