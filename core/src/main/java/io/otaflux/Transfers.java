package io.otaflux;

import io.netty.buffer.ByteBuf;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.Collection;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;

/**
 * Brings artifacts from a source into a store: hashed in flight, resumed after interruptions, and each content once, for
 * however many ask for it at the same time.
 */
final class Transfers {

    /** How often a content may change at its source in mid-transfer before that is an error. */
    private static final int MAX_CHANGES = 3;

    /**
     * The context key under which Reactor's operators look for what to do with a value that arrives after their end. A
     * buffer that a socket's thread emits while the watchdog's thread ends the stream goes there, not to the discard hook.
     */
    private static final String DROPPED = "reactor.onNextDropped.local";

    private static final Consumer<Object> RELEASE = ReferenceCountUtil::release;

    private final ArtifactSource source;
    private final ArtifactStore store;
    private final Backoff backoff;
    private final Throughput minimum;
    private final Permits permits;
    private final Scheduler timer;
    /** By content. Guarded by itself, together with the number of those who have joined. */
    private final Map<Object, Shared> running = new HashMap<>();

    Transfers(
            ArtifactSource source,
            ArtifactStore store,
            Backoff backoff,
            Throughput minimum,
            Permits permits,
            Scheduler timer) {
        this.source = source;
        this.store = store;
        this.backoff = backoff;
        this.minimum = minimum;
        this.permits = permits;
        this.timer = timer;
    }

    /** What a transfer emits: any number of moves and breaks, then one arrival. */
    sealed interface Step {

        /** {@code bytes} of {@code size} are durable. */
        record Moved(long bytes, long size) implements Step {}

        /** It broke off and goes on after {@code retryIn}. */
        record Broke(TransferException cause, Duration retryIn) implements Step {}

        /** It is in the store, and referenced for whoever receives this. */
        record Arrived(ArtifactStore.Stored stored) implements Step {}

        /** It was committed; everybody who waits for it finds it by this digest. */
        record Committed(Digest digest) implements Step {}
    }

    /**
     * Fetches {@code artifact}, or finds it in the store, or joins a transfer of the same content.
     *
     * @param located whether the location is complete, so that it can be asked at all
     * @param relocation emits the artifact with a fresh location, or nothing
     */
    Flux<Step> fetch(Artifact artifact, boolean located, Mono<Artifact> relocation) {
        return InOrder.orElse(arrived(artifact.digests()), Flux.defer(() -> join(artifact, located, relocation)))
                .transform(Transfers::letGoOfWhatIsLate);
    }

    private Flux<Step> arrived(Collection<Digest> digests) {
        return store.find(digests).<Step>map(Step.Arrived::new).flux();
    }

    /** A file that was found when nobody waited for it any more must not stay referenced. */
    private static Flux<Step> letGoOfWhatIsLate(Flux<Step> steps) {
        return steps.doOnDiscard(Object.class, Transfers::letGo)
                .contextWrite(context -> context.put(DROPPED, (Consumer<Object>) Transfers::letGo));
    }

    private static void letGo(Object late) {
        if (late instanceof ArtifactStore.Stored stored) {
            stored.release();
        } else if (late instanceof Step.Arrived arrived) {
            arrived.stored().release();
        }
    }

    private Flux<Step> join(Artifact artifact, boolean located, Mono<Artifact> relocation) {
        Object content = artifact.digest().<Object>map(digest -> digest).orElse(artifact.location());
        return Flux.using(
                () -> enter(content, transfer(artifact, located, relocation)),
                place -> InOrder.resumed(
                        InOrder.each(
                                place.shared().steps(),
                                step -> step instanceof Step.Committed committed
                                        ? InOrder.orElse(
                                                arrived(List.of(committed.digest())),
                                                Flux.defer(() -> InOrder.orElse(
                                                        evicted(artifact, committed.digest()),
                                                        join(artifact, located, relocation))))
                                        : Flux.just(step)),
                        // What failed was somebody else's location or length; ours may be good.
                        e -> !place.first() && (e instanceof SourceException || e instanceof LengthMismatchException),
                        e -> Flux.defer(() -> join(artifact, located, relocation))),
                place -> leave(place.shared()));
    }

    /**
     * A part in a transfer.
     *
     * @param first whether it is the own one, and not one that was under way
     */
    private record Place(Shared shared, boolean first) {}

    private Place enter(Object content, Flux<Step> transfer) {
        synchronized (running) {
            Shared before = running.get(content);
            Shared shared = before == null ? new Shared(content, transfer) : before;
            running.put(content, shared);
            shared.joined++;
            return new Place(shared, before == null);
        }
    }

    /** The last one cancels it. Nobody joins it after that: what is found in {@link #running} goes on. */
    private void leave(Shared shared) {
        synchronized (running) {
            if (--shared.joined > 0) {
                return;
            }
            running.remove(shared.content, shared);
        }
        shared.cancel();
    }

    private void over(Shared shared) {
        synchronized (running) {
            running.remove(shared.content, shared);
        }
    }

    /**
     * A transfer for all who have joined it. It begins with the first of them and is cancelled by the last one.
     *
     * <p>{@code replay(1).refCount(1)} would read better. But whoever joins it in the instant in which the last of the others
     * cancels is disconnected with an error, and a transfer begins that nobody waits for and nobody can cancel.
     */
    private final class Shared extends BaseSubscriber<Step> {

        private final Object content;
        private final Flux<Step> transfer;
        private final Sinks.Many<Step> steps = Sinks.many().replay().latest();
        private final AtomicBoolean begun = new AtomicBoolean();
        private int joined;

        Shared(Object content, Flux<Step> transfer) {
            this.content = content;
            this.transfer = letGoOfWhatIsLate(transfer);
        }

        /** The latest step, all that follow, and its end. */
        Flux<Step> steps() {
            return steps.asFlux().mergeWith(Mono.fromRunnable(this::begin));
        }

        private void begin() {
            if (begun.compareAndSet(false, true)) {
                transfer.subscribe(this);
            }
        }

        @Override
        protected void hookOnNext(Step step) {
            // Before those who wait know of a commit, or of the end: whoever then asks again must not find this one.
            if (step instanceof Step.Committed) {
                over(this);
            }
            steps.emitNext(step, Sinks.EmitFailureHandler.FAIL_FAST);
        }

        @Override
        protected void hookOnComplete() {
            over(this);
            steps.emitComplete(Sinks.EmitFailureHandler.FAIL_FAST);
        }

        @Override
        protected void hookOnError(Throwable error) {
            over(this);
            steps.emitError(error, Sinks.EmitFailureHandler.FAIL_FAST);
        }
    }

    /**
     * The artifact was evicted between its commit and here. If it is the right one, there was no room to keep it. If not,
     * somebody else who waited for it saw that first, and fetching it once more for each of them would not mend it.
     */
    private static Flux<Step> evicted(Artifact artifact, Digest actual) {
        return artifact.digest()
                .filter(expected -> expected.algorithm() == actual.algorithm() && !expected.matches(actual))
                .<Flux<Step>>map(expected -> Flux.error(
                        new DigestMismatchException(OtaException.Stage.VERIFY, artifact.name(), expected, actual)))
                .orElseGet(Flux::empty);
    }

    private Flux<Step> transfer(Artifact artifact, boolean located, Mono<Artifact> relocation) {
        return Flux.usingWhen(
                store.open(artifact),
                writer -> InOrder.orElse(
                        committed(artifact),
                        Flux.defer(() -> new Transfer(artifact, located, relocation, writer).run())),
                ArtifactStore.Writer::close);
    }

    /** Somebody may have committed it since the store was asked first; with its writer open, nobody does any more. */
    private Flux<Step> committed(Artifact artifact) {
        return store.find(artifact.digests())
                .doOnNext(ArtifactStore.Stored::release)
                .<Step>map(stored -> new Step.Committed(stored.digest()))
                .flux();
    }

    private static boolean mayHaveMoved(SourceException e) {
        return EnumSet.of(OtaException.Reason.FORBIDDEN, OtaException.Reason.NOT_FOUND)
                .contains(e.reason());
    }

    /** One transfer: all its attempts, with the digest that runs through them. One subscription, one thread at a time. */
    private final class Transfer {

        private final Mono<Artifact> relocation;
        private final ArtifactStore.Writer writer;
        private final Hasher hasher;
        private final AtomicLong received = new AtomicLong();

        private Artifact artifact;
        private boolean located;
        private long size;
        private boolean relocated;
        private boolean complete;
        /** Whether what is here was put together from several answers, or from what an earlier process left. */
        private boolean pieced;

        private boolean anew;
        private volatile boolean answered;
        private int changes;
        private int failures;
        private long furthest;
        private Duration pause = Duration.ZERO;

        Transfer(Artifact artifact, boolean located, Mono<Artifact> relocation, ArtifactStore.Writer writer) {
            this.artifact = artifact;
            this.located = located;
            this.relocation = relocation;
            this.writer = writer;
            this.size = artifact.size();
            this.furthest = writer.offset();
            Set<Digest.Algorithm> declared = Artifact.algorithms(artifact.digests());
            this.hasher = new Hasher(declared.isEmpty() ? Set.of(Digest.Algorithm.SHA_256) : declared);
        }

        Flux<Step> run() {
            return InOrder.of(Flux.defer(this::attempt), Flux.defer(() -> complete ? commit() : goOn()));
        }

        private Flux<Step> goOn() {
            Flux<Step> attempts = InOrder.repeated(
                    Flux.defer(this::attempt), ends -> InOrder.each(ends.takeWhile(end -> !complete), end -> paused()));
            return InOrder.of(InOrder.after(paused(), attempts), Flux.defer(this::commit));
        }

        private Mono<Long> paused() {
            return Mono.defer(() -> pause.isZero() ? Mono.just(0L) : Mono.delay(pause, timer));
        }

        /** One attempt. It completes in failure too when there is to be another one. */
        private Flux<Step> attempt() {
            pause = Duration.ZERO;
            Flux<Step> asking = permits.around(Flux.defer(() -> {
                Flux<Step> answer = Flux.defer(this::ask);
                return hasher.bytes() == writer.offset() ? answer : InOrder.of(align(), answer);
            }));
            return InOrder.resumed(
                    located || isWhole() ? asking : InOrder.after(locate(), asking), OtaException.class, this::broke);
        }

        private Mono<Void> locate() {
            return relocate(new SourceException(
                    OtaException.Reason.NOT_FOUND,
                    artifact.name() + ": the platform offers no location for it any more",
                    null));
        }

        private boolean isWhole() {
            return size != Artifact.UNKNOWN_SIZE && writer.offset() == size;
        }

        private Mono<Void> relocate(SourceException otherwise) {
            return InOrder.orElse(relocation, Mono.error(otherwise))
                    .doOnNext(fresh -> {
                        artifact = fresh;
                        located = true;
                    })
                    .then();
        }

        /** Brings the digest to where the durable bytes are, after a restart or a failed write. */
        private Flux<Step> align() {
            hasher.reset();
            pieced = writer.offset() > 0;
            return writer.offset() == 0
                    ? Flux.empty()
                    : writer.replay(hasher)
                            .<Step>then(Mono.fromSupplier(() -> new Step.Moved(writer.offset(), size)))
                            .flux();
        }

        private Flux<Step> ask() {
            if (isWhole()) {
                complete = true;
                return Flux.empty();
            }
            // Without a digest a validator is all that keeps two contents apart; without either nothing goes on.
            boolean provable = writer.validator() != null || !artifact.digests().isEmpty();
            ArtifactSource.Request request =
                    new ArtifactSource.Request(artifact, provable ? writer.offset() : 0, writer.validator());
            answered = false;
            return Cutoff.of(
                    source.<Step>read(request, content -> take(request, content)), watch(() -> !answered), this::flaw);
        }

        private Publisher<Step> take(ArtifactSource.Request request, ArtifactSource.Content content) {
            answered = true;
            if (content.offset() != 0 && content.offset() != request.offset()) {
                return Mono.error(new SourceException(
                        OtaException.Reason.BAD_RESPONSE,
                        artifact.name() + ": the source went on at byte " + content.offset() + " (expected: "
                                + request.offset() + ")",
                        null));
            }
            if (size != Artifact.UNKNOWN_SIZE && content.size() != Artifact.UNKNOWN_SIZE && content.size() != size) {
                if (artifact.size() != Artifact.UNKNOWN_SIZE) {
                    return Mono.error(new LengthMismatchException(artifact.name(), size, content.size()));
                }
                if (content.offset() != 0) {
                    return Mono.error(new SourceException(
                            OtaException.Reason.BAD_RESPONSE,
                            artifact.name() + ": the source went on with another length, " + content.size()
                                    + " (expected: " + size + ")",
                            null));
                }
            }
            pieced = content.offset() > 0;
            if (!pieced) {
                hasher.reset();
            }
            if (!pieced
                    && request.offset() > 0
                    && content.validator() != null
                    && request.validator() != null
                    && !content.validator().equals(request.validator())) {
                furthest = 0;
                if (++changes > MAX_CHANGES) {
                    return Mono.error(new SourceException(
                            OtaException.Reason.CHANGED_TOO_OFTEN,
                            artifact.name() + ": changed " + changes + " times while it was fetched",
                            null));
                }
            }
            if (artifact.size() == Artifact.UNKNOWN_SIZE) {
                size = content.size();
            }
            return InOrder.after(writer.begin(content.offset(), size, content.validator()), Flux.defer(() -> {
                        // Slowness ends the bytes and not the append, so that what came is made durable.
                        Flux<ByteBuf> watched = Cutoff.of(bounded(content.bytes(), content.offset()), watch(() -> true))
                                .doOnDiscard(ByteBuf.class, ByteBuf::release)
                                .contextWrite(context -> context.put(DROPPED, RELEASE));
                        return writer.append(watched, hasher);
                    }))
                    .map(offset -> new Step.Moved(offset, size));
        }

        /** Lets no byte through that is beyond the declared length, whatever the source does. */
        private Flux<ByteBuf> bounded(Flux<ByteBuf> bytes, long start) {
            AtomicLong end = new AtomicLong(start);
            return bytes.handle((buffer, sink) -> {
                int length = buffer.readableBytes();
                long reached = end.addAndGet(length);
                if (size != Artifact.UNKNOWN_SIZE && reached > size) {
                    buffer.release();
                    sink.error(new LengthMismatchException(artifact.name(), size, reached));
                } else {
                    received.addAndGet(length);
                    sink.next(buffer);
                }
            });
        }

        /** What is wrong with an answer that has come to its end. */
        private @Nullable TransferException flaw() {
            if (size != Artifact.UNKNOWN_SIZE && writer.offset() < size) {
                return new TransferException(
                        OtaException.Reason.CONNECTION_LOST,
                        artifact.name() + ": the source ended at byte " + writer.offset() + " (expected: " + size + ")",
                        null);
            }
            complete = true;
            return null;
        }

        /** Emits an error when a window brings too little while {@code watching}; otherwise never ends. */
        private Mono<TransferException> watch(BooleanSupplier watching) {
            return Mono.create(sink -> {
                AtomicLong before = new AtomicLong(received.get());
                long window = minimum.window().toNanos();
                sink.onDispose(timer.schedulePeriodically(
                        () -> {
                            long now = received.get();
                            long moved = now - before.getAndSet(now);
                            if (moved < minimum.bytes() && watching.getAsBoolean()) {
                                sink.success(new TransferException(
                                        OtaException.Reason.TOO_SLOW,
                                        artifact.name() + ": " + moved + " bytes in " + minimum.window()
                                                + " (expected: >= " + minimum.bytes() + ")",
                                        null));
                            }
                        },
                        window,
                        window,
                        TimeUnit.NANOSECONDS));
            });
        }

        private Flux<Step> broke(OtaException e) {
            // What a source that starts over sends again is none.
            boolean progress = writer.offset() > furthest;
            furthest = Math.max(furthest, writer.offset());
            if (progress) {
                relocated = false;
            }
            if (e instanceof SourceException gone && mayHaveMoved(gone) && !relocated && located) {
                return InOrder.resumed(
                        relocate(gone)
                                .doOnSuccess(done -> relocated = true)
                                .<Step>then(Mono.empty())
                                .flux(),
                        // The platform could not be asked, which says nothing about what it would have said.
                        TransferException.class,
                        unasked -> again(unasked, progress));
            }
            return e instanceof TransferException interrupted ? again(interrupted, progress) : Flux.error(e);
        }

        private Flux<Step> again(TransferException interrupted, boolean progress) {
            // A drip is progress of a kind that must not go on for ever.
            if (progress && interrupted.reason() != OtaException.Reason.TOO_SLOW) {
                failures = 0;
            }
            if (++failures > backoff.attempts()) {
                return Flux.error(interrupted);
            }
            pause = backoff.pause(failures, interrupted.retryAfter().orElse(null));
            return Flux.just(new Step.Broke(interrupted, pause));
        }

        private Flux<Step> commit() {
            Mono<Void> begun = size == 0 ? writer.begin(0, 0, null) : Mono.empty();
            List<Digest> digests = hasher.finish();
            if (pieced && !anew && digests.stream().anyMatch(this::isWrong)) {
                // A byte has rotted on the disk, or a server gave the same validator to two contents.
                anew = true;
                complete = false;
                furthest = 0;
                return InOrder.after(writer.discard(), Flux.defer(this::run));
            }
            return begun.then(Mono.defer(() -> writer.commit(digests)))
                    .doOnNext(ArtifactStore.Stored::release)
                    .<Step>map(stored -> new Step.Committed(stored.digest()))
                    .flux();
        }

        private boolean isWrong(Digest actual) {
            return artifact.digests().stream()
                    .anyMatch(expected -> expected.algorithm() == actual.algorithm() && !expected.matches(actual));
        }
    }
}
