package io.otaflux.testkit;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * An artifact store and its journal in memory. {@link #reopen()} gives a store over the same medium, as a restarted process
 * would have it.
 *
 * <p>By default it works on the thread that calls it, which makes it fit for virtual time; {@link #on} gives it a thread
 * of its own, as every store for real has.
 */
public final class MemoryStore implements ArtifactStore {

    private static final int CHUNK = 64 * 1024;

    private final Medium medium;
    private final Scheduler scheduler;
    private final Set<MemoryWriter> writers = ConcurrentHashMap.newKeySet();
    private final Map<Object, Queue<Waiting>> open = new HashMap<>();
    private final Map<Digest, Integer> references = new ConcurrentHashMap<>();

    public MemoryStore() {
        this(new Medium(), Schedulers.immediate());
    }

    private MemoryStore(Medium medium, Scheduler scheduler) {
        this.medium = medium;
        this.scheduler = scheduler;
    }

    /** A store that works on {@code scheduler}. */
    public static MemoryStore on(Scheduler scheduler) {
        return new MemoryStore(new Medium(), scheduler);
    }

    /** What survives a restart. */
    private static final class Medium {

        private final Map<Object, Part> parts = new ConcurrentHashMap<>();
        private final List<Committed> artifacts = new CopyOnWriteArrayList<>();
        private final Map<UpgradeKey, UpgradeJournal.Entry> journal = new LinkedHashMap<>();
        private volatile @Nullable StorageException journalFault;
        private volatile long capacity = Long.MAX_VALUE;
    }

    private record Committed(List<Digest> digests, byte[] bytes) {

        Digest name() {
            return digests.stream().max(Comparator.comparing(Digest::algorithm)).orElseThrow();
        }
    }

    private static final class Part {

        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private @Nullable String validator;
    }

    /** A store over the same medium. */
    public MemoryStore reopen() {
        return new MemoryStore(medium, scheduler);
    }

    /** Lets every later write to the journal fail with {@code fault}; null mends it. */
    public void failJournal(@Nullable StorageException fault) {
        medium.journalFault = fault;
    }

    /** Lets artifacts larger than {@code bytes} not fit. */
    public void capacity(long bytes) {
        medium.capacity = bytes;
    }

    /** How many artifacts are referenced at the moment. */
    public int referenced() {
        return references.size();
    }

    /** The names of all committed artifacts. */
    public Set<Digest> committed() {
        return Set.copyOf(medium.artifacts.stream().map(Committed::name).toList());
    }

    /** What the journal has. */
    public List<UpgradeJournal.Entry> journaled() {
        synchronized (medium.journal) {
            return List.copyOf(medium.journal.values());
        }
    }

    @Override
    public Mono<Stored> find(Collection<Digest> digests) {
        return stored(() -> digests.stream()
                .max(Comparator.comparing(Digest::algorithm))
                .flatMap(strongest -> medium.artifacts.stream()
                        .filter(artifact -> artifact.digests().contains(strongest))
                        .findFirst())
                .orElse(null));
    }

    /** Referenced for whoever receives it; for nobody, if that one is gone by then. */
    private Mono<Stored> stored(Supplier<@Nullable Committed> search) {
        return Mono.create(sink -> {
            Committed committed = search.get();
            if (committed == null) {
                sink.success();
                return;
            }
            MemoryStored stored = new MemoryStored(committed);
            sink.onCancel(stored::release);
            sink.success(stored);
        });
    }

    @Override
    public Mono<Writer> open(Artifact artifact) {
        Object content = artifact.digest().<Object>map(digest -> digest).orElseGet(() -> place(artifact.location()));
        return Mono.create(sink -> {
            Waiting waiting = new Waiting(sink);
            sink.onCancel(() -> stop(waiting));
            MemoryWriter writer;
            synchronized (open) {
                Queue<Waiting> queue = open.get(content);
                if (waiting.cancelled) {
                    return;
                }
                if (queue != null) {
                    queue.add(waiting);
                    return;
                }
                open.put(content, new ArrayDeque<>());
                writer = new MemoryWriter(content);
                waiting.granted = writer;
            }
            sink.success(writer);
        });
    }

    /** A writer that was granted at the moment of cancellation may never arrive; closing twice does no harm. */
    private void stop(Waiting waiting) {
        MemoryWriter granted;
        synchronized (open) {
            waiting.cancelled = true;
            open.values().forEach(queue -> queue.remove(waiting));
            granted = waiting.granted;
        }
        if (granted != null) {
            granted.close().subscribe();
        }
    }

    private void closed(Object content) {
        Waiting next;
        MemoryWriter writer;
        synchronized (open) {
            Queue<Waiting> queue = open.get(content);
            next = queue == null ? null : queue.poll();
            if (next == null) {
                open.remove(content);
                return;
            }
            writer = new MemoryWriter(content);
            next.granted = writer;
        }
        next.sink.success(writer);
    }

    private static final class Waiting {

        private final MonoSink<Writer> sink;
        private @Nullable MemoryWriter granted;
        private boolean cancelled;

        Waiting(MonoSink<Writer> sink) {
            this.sink = sink;
        }
    }

    @Override
    public UpgradeJournal journal() {
        return new MemoryJournal();
    }

    @Override
    public Mono<Void> close() {
        return Flux.defer(() -> Flux.fromIterable(List.copyOf(writers)))
                .concatMap(Writer::close)
                .then();
    }

    private static String place(URI location) {
        return location.getScheme() + "://" + location.getHost() + ":" + location.getPort() + location.getPath();
    }

    private final class MemoryWriter implements Writer {

        private final Object content;
        private final Part part;
        private volatile @Nullable FluxSink<Long> running;
        private boolean closed;

        MemoryWriter(Object content) {
            this.content = content;
            writers.add(this);
            this.part = medium.parts.computeIfAbsent(content, key -> new Part());
        }

        @Override
        public long offset() {
            return part.bytes.size();
        }

        @Override
        public @Nullable String validator() {
            return part.validator;
        }

        @Override
        public Mono<Void> replay(Hasher hasher) {
            return Mono.fromRunnable(() -> hasher.update(ByteBuffer.wrap(part.bytes.toByteArray())));
        }

        @Override
        public Mono<Void> begin(long start, long size, @Nullable String validator) {
            return Mono.defer(() -> {
                if (start != 0 && start != offset()) {
                    return Mono.error(
                            new IllegalArgumentException("start: " + start + " (expected: 0 or " + offset() + ")"));
                }
                if (size > medium.capacity) {
                    return Mono.error(new StorageException(
                            Reason.NO_SPACE, "needs " + size + " bytes (available: " + medium.capacity + ")", null));
                }
                if (start == 0) {
                    part.bytes.reset();
                }
                part.validator = validator;
                return Mono.empty();
            });
        }

        @Override
        public Flux<Long> append(Flux<ByteBuf> bytes, Hasher hasher) {
            // Demand for offsets must not hold up the bytes, not even at their end: hence a sink that drops.
            return Flux.create(
                    sink -> {
                        Appending appending = new Appending(sink, hasher);
                        running = sink;
                        sink.onDispose(appending);
                        bytes.subscribe(appending);
                    },
                    FluxSink.OverflowStrategy.DROP);
        }

        /** Every buffer that arrives is written, or at least released, by the task that its arrival schedules. */
        private final class Appending extends BaseSubscriber<ByteBuf> {

            private static final int AHEAD = 4;

            private final FluxSink<Long> sink;
            private final Hasher hasher;

            Appending(FluxSink<Long> sink, Hasher hasher) {
                this.sink = sink;
                this.hasher = hasher;
            }

            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                subscription.request(AHEAD);
            }

            @Override
            protected void hookOnNext(ByteBuf buffer) {
                scheduler.schedule(() -> {
                    append(buffer, hasher);
                    sink.next(offset());
                    request(1);
                });
            }

            @Override
            protected void hookOnError(Throwable error) {
                scheduler.schedule(() -> sink.error(error));
            }

            @Override
            protected void hookOnComplete() {
                scheduler.schedule(sink::complete);
            }
        }

        private synchronized void append(ByteBuf buffer, Hasher hasher) {
            if (!closed) {
                hasher.update(buffer);
                part.bytes.writeBytes(ByteBufUtil.getBytes(buffer));
            }
            buffer.release();
        }

        @Override
        public Mono<Stored> commit(List<Digest> digests) {
            return stored(() -> {
                Committed committed = new Committed(List.copyOf(digests), part.bytes.toByteArray());
                medium.parts.remove(content);
                if (medium.artifacts.stream().noneMatch(a -> a.name().equals(committed.name()))) {
                    medium.artifacts.add(committed);
                }
                return committed;
            });
        }

        @Override
        public Mono<Void> discard() {
            return Mono.fromRunnable(() -> {
                part.bytes.reset();
                part.validator = null;
            });
        }

        @Override
        public Mono<Void> close() {
            return Mono.fromRunnable(() -> {
                synchronized (this) {
                    if (closed) {
                        return;
                    }
                    closed = true;
                }
                writers.remove(this);
                FluxSink<Long> appending = running;
                if (appending != null) {
                    appending.error(new StorageException(Reason.IO_FAILED, "the store was closed", null));
                }
                closed(content);
            });
        }
    }

    private final class MemoryStored implements Stored {

        private final Committed committed;
        private boolean released;

        MemoryStored(Committed committed) {
            this.committed = committed;
            references.merge(committed.name(), 1, Integer::sum);
        }

        @Override
        public Digest digest() {
            return committed.name();
        }

        @Override
        public List<Digest> digests() {
            return committed.digests();
        }

        @Override
        public long size() {
            return committed.bytes().length;
        }

        @Override
        public Flux<ByteBuf> read() {
            byte[] bytes = committed.bytes();
            return Flux.range(0, (bytes.length + CHUNK - 1) / CHUNK)
                    .map(i -> Unpooled.wrappedBuffer(bytes, i * CHUNK, Math.min(CHUNK, bytes.length - i * CHUNK)))
                    .subscribeOn(scheduler);
        }

        @Override
        public Mono<Void> moveTo(Path target) {
            return Mono.fromCallable(() -> {
                        try {
                            return Files.write(target, committed.bytes());
                        } catch (IOException e) {
                            throw new StorageException(Reason.IO_FAILED, "could not write " + target, e);
                        }
                    })
                    .then(evict());
        }

        @Override
        public Mono<Void> evict() {
            return Mono.fromRunnable(
                    () -> medium.artifacts.removeIf(a -> a.name().equals(digest())));
        }

        @Override
        public synchronized void release() {
            if (!released) {
                released = true;
                references.computeIfPresent(committed.name(), (name, count) -> count == 1 ? null : count - 1);
            }
        }
    }

    private final class MemoryJournal implements UpgradeJournal {

        @Override
        public Flux<Entry> entries() {
            return Flux.defer(() -> Flux.fromIterable(journaled()));
        }

        @Override
        public Mono<Void> put(Entry entry) {
            return write(() -> medium.journal.put(entry.trigger().key(), withoutCredentials(entry)));
        }

        @Override
        public Mono<Void> remove(UpgradeKey key) {
            return write(() -> medium.journal.remove(key));
        }

        private Mono<Void> write(Runnable change) {
            return Mono.defer(() -> {
                StorageException fault = medium.journalFault;
                if (fault != null) {
                    return Mono.error(fault);
                }
                synchronized (medium.journal) {
                    change.run();
                }
                return Mono.empty();
            });
        }

        private Entry withoutCredentials(Entry entry) {
            UpgradeTrigger trigger = entry.trigger();
            List<Artifact> artifacts = trigger.artifacts().stream()
                    .map(artifact -> artifact.at(withoutCredentials(artifact.location())))
                    .toList();
            return new Entry(
                    new UpgradeTrigger(
                            trigger.device(),
                            trigger.module(),
                            trigger.version(),
                            artifacts,
                            trigger.tags(),
                            trigger.delta()),
                    entry.locationsComplete() && artifacts.equals(trigger.artifacts()),
                    entry.state(),
                    entry.reported(),
                    entry.detail());
        }

        private URI withoutCredentials(URI location) {
            if (location.isOpaque()) {
                return location;
            }
            String authority = location.getRawAuthority();
            String host = authority == null ? "" : authority.substring(authority.indexOf('@') + 1);
            return URI.create(location.getScheme() + "://" + host + location.getRawPath());
        }
    }
}
