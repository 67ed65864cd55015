package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.util.concurrent.Queues;
import reactor.util.context.Context;

/** The writer of one part file. */
final class PartWriter implements ArtifactStore.Writer {

    /*
     * Everything that touches the files runs on `serial`, one task at a time, so nothing here needs a lock; the volatile
     * fields are for those who ask from elsewhere.
     *
     *   counted <= durable <= written = what the hasher of the running append has seen since its start, and the file's
     *   good length
     *
     * Between two appends the file may be longer than `durable`, when the first of them was cancelled: close() keeps those
     * bytes, and the next begin or append cuts them off, because its hasher has not seen them.
     *
     * At any instant all bytes of the file are of the content that the checkpoint beside it names, those behind its offset
     * too: what is left of other content is cut off before, and the checkpoint is there before the first byte is written.
     * So whoever comes after a process that was killed may count all of them, if nothing but the process died.
     *
     * An artifact that is no larger than Checkpoints.least() has no checkpoint while it is under way for less than
     * Checkpoints.interval(): it is worth less than the two files and the synchronisations that a checkpoint takes. When it
     * is whole, its bytes are durable and nothing counts them but the commit, which comes next; if that does not, close()
     * does, as with all that was left in the middle. A process that dies before has to fetch it anew.
     *
     * A small artifact of which nothing is here yet has no file either until there is something to write. So it can begin
     * on the thread that asks for it, and one that comes in one piece is created, hashed, written, synchronised and renamed
     * in one go.
     *
     * A cancelled append is never interrupted. The thread that is writing a buffer finishes it, sees that nobody wants the
     * next one, and releases what is queued.
     */

    /**
     * How many bytes may be on their way from the source to the medium, if buffers stay as large as the latest ones: enough
     * for two of the largest to arrive while two are hashed and written, so that each side is woken half as often as there
     * are buffers. Small buffers may be many, because asking for more costs a turn of the source's thread each time.
     */
    private static final int WINDOW = 8 << 20;

    private static final int FEWEST_BUFFERS = 2;
    private static final int MOST_BUFFERS = 32;

    /** After how many buffers the thread goes back to the pool. */
    private static final int TURN = 16;

    private static final int REPLAY_SIZE = 256 * 1024;

    private static final String KIND = "checkpoint";

    private static final long NOT_SMALL = -1;

    private final FileArtifactStore store;
    private final String artifact;
    private final String key;
    private final Disk disk;
    private final Serial serial;
    private final Checkpoints checkpoints;
    private final Path part;
    private final Path checkpoint;
    /** What the checkpoint is marked with; empty where only what it counts is counted. */
    private final String boot;

    private final AtomicBoolean closing = new AtomicBoolean();
    private final Sinks.Empty<Void> closed = Sinks.empty();

    private @Nullable FileChannel channel;
    private boolean begun;
    /** Whether the file is still to be created. */
    private boolean postponed;

    private @Nullable Appending running;
    private @Nullable StorageException broken;
    private boolean checkpointed;
    /** The validator and the boot in the checkpoint on the medium, where there is one. */
    private @Nullable String checkpointedValidator;

    private String checkpointedBoot = "";

    /** How many bytes the checkpoint counts. */
    private long counted;
    /** How large the whole is, where it is so small that it needs no checkpoint; otherwise -1. */
    private long small = NOT_SMALL;

    /** Whether it has been committed, and nothing has begun after that. */
    private volatile boolean spent;

    private volatile long durable;
    private volatile long written;
    private volatile long promised;
    private volatile @Nullable String validator;

    /**
     * Opens the part that earlier writers left, if they did, and cuts off what does not count of it.
     *
     * @param left whether they may have left something; if not, no file is touched
     */
    PartWriter(
            FileArtifactStore store,
            Artifact artifact,
            String key,
            Disk disk,
            Serial serial,
            Checkpoints checkpoints,
            boolean left)
            throws IOException {
        this.store = store;
        this.artifact = artifact.name();
        this.key = key;
        this.disk = disk;
        this.serial = serial;
        this.checkpoints = checkpoints;
        this.part = store.directory().resolve(key + FileArtifactStore.PART);
        this.checkpoint = store.directory().resolve(key + FileArtifactStore.CHECKPOINT);
        // Without a digest nobody would notice bytes that are not what they should be.
        this.boot = artifact.digest().isPresent() ? disk.boot() : "";
        if (!left) {
            return;
        }
        if (!Files.exists(part, LinkOption.NOFOLLOW_LINKS)) {
            // What counted the bytes of the one before could not be deleted with it.
            store.forget(checkpoint);
        } else {
            FileChannel opened = disk.open(part);
            channel = opened;
            try {
                recover(opened, artifact.size());
            } catch (IOException e) {
                StorageException failure = failed("Could not open", e);
                opened.close();
                throw failure;
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
        }
    }

    private void recover(FileChannel opened, long size) throws IOException {
        long length = opened.size();
        long promisedToKeep = readCheckpoint();
        long good = Math.min(promisedToKeep, length);
        if (length > good && survived() && (size == Artifact.UNKNOWN_SIZE || length <= size)) {
            disk.sync(opened);
            good = length;
        }
        // If the medium lost what it had promised to keep, the checkpoint must not count bytes that come later.
        if (good == 0) {
            forgetCheckpoint();
            validator = null;
        } else if (good != promisedToKeep) {
            writeCheckpoint(good, validator);
        }
        if (length > good) {
            disk.truncate(opened, good);
        }
        counted = good;
        durable = good;
        written = good;
        promised = good;
    }

    /** @return how many bytes it counts */
    private long readCheckpoint() throws IOException {
        Map<String, String> values = SmallFile.read(checkpoint, KIND).orElse(Map.of());
        long offset;
        try {
            offset = Long.parseLong(values.getOrDefault("offset", ""));
        } catch (NumberFormatException e) {
            return 0;
        }
        checkpointed = true;
        checkpointedValidator = values.get("validator");
        checkpointedBoot = values.getOrDefault("boot", "");
        validator = checkpointedValidator;
        return Math.max(0, offset);
    }

    /** Whether the kernel still has all that was written to the part when the last process ended. */
    private boolean survived() {
        return checkpointed && !boot.isEmpty() && boot.equals(checkpointedBoot);
    }

    @Override
    public long offset() {
        return durable;
    }

    @Override
    public @Nullable String validator() {
        return validator;
    }

    long written() {
        return written;
    }

    long promised() {
        return promised;
    }

    /** Called by the store, with its lock on the room held. */
    void promise(long more) {
        long sum = promised + more;
        promised = sum;
    }

    @Override
    public Mono<Void> replay(Hasher hasher) {
        return Mono.defer(() -> {
            AtomicBoolean gone = new AtomicBoolean();
            return this.<Void>work("Could not read back", () -> {
                        replay(hasher, gone);
                        return null;
                    })
                    .doOnCancel(() -> gone.set(true));
        });
    }

    private void replay(Hasher hasher, AtomicBoolean gone) throws IOException {
        FileChannel file = channel;
        if (durable == 0 || file == null) {
            return;
        }
        ByteBuf buffer = ByteBufAllocator.DEFAULT.directBuffer(REPLAY_SIZE, REPLAY_SIZE);
        try {
            ByteBuffer window = buffer.nioBuffer(0, REPLAY_SIZE);
            for (long position = 0; position < durable && !gone.get(); ) {
                window.clear().limit((int) Math.min(REPLAY_SIZE, durable - position));
                int read = file.read(window, position);
                if (read < 0) {
                    throw new StorageException(
                            Reason.CORRUPT,
                            part + ": ends at " + position + " bytes (expected: " + durable + ")",
                            null);
                }
                hasher.update(window.flip());
                position += read;
            }
        } finally {
            buffer.release();
        }
    }

    @Override
    public Mono<Void> begin(long start, long size, @Nullable String contentValidator) {
        return usable(Work.<Void>begin(
                serial::here,
                result -> {
                    checkUsable();
                    if (postpones(start, size)) {
                        postponed = true;
                        small = size;
                        validator = contentValidator;
                        begun = true;
                        result.succeed(null);
                    } else {
                        serial.execute(() -> result.as(() -> attempt("Could not begin", () -> {
                            beginNow(start, size, contentValidator);
                            return null;
                        })));
                    }
                },
                unclaimed -> {}));
    }

    /** Whether there is nothing to do before the first byte is here, and room for all of them. */
    private boolean postpones(long start, long size) {
        boolean fresh = start == 0 && written == 0 && channel == null && !checkpointed;
        spent = false;
        return fresh
                && size != Artifact.UNKNOWN_SIZE
                && size <= checkpoints.least()
                && (size <= promised || store.claimAtOnce(this, size - promised));
    }

    private FileChannel createPostponed() throws IOException {
        postponed = false;
        FileChannel file = disk.open(part);
        channel = file;
        if (file.size() > 0) {
            // Nobody here wrote that.
            disk.truncate(file, 0);
        }
        return file;
    }

    private void beginNow(long start, long size, @Nullable String contentValidator) throws IOException {
        if (start != 0 && start != durable) {
            throw new IllegalArgumentException("start: " + start + " (expected: 0 or " + durable + ")");
        }
        begun = false;
        postponed = false;
        if (start == 0) {
            empty();
        }
        long missing = Math.max(size, durable) - promised;
        if (missing > 0) {
            store.claim(this, artifact, missing);
        }
        FileChannel file = channel;
        if (file == null) {
            file = createPostponed();
        }
        cutOffWhatWasCancelled(file);
        small = size != Artifact.UNKNOWN_SIZE && size <= checkpoints.least() ? size : NOT_SMALL;
        boolean current = checkpointed
                && Objects.equals(contentValidator, checkpointedValidator)
                && boot.equals(checkpointedBoot);
        if (!current && (durable > 0 || (small == NOT_SMALL && !boot.isEmpty()))) {
            writeCheckpoint(durable, contentValidator);
        }
        validator = contentValidator;
        begun = true;
    }

    private void forgetCheckpoint() throws IOException {
        if (checkpointed) {
            store.forget(checkpoint);
            checkpointed = false;
            counted = 0;
        }
    }

    /** Goes back to offset 0. The checkpoint goes first: it must never count bytes of other content. */
    private void empty() throws IOException {
        forgetCheckpoint();
        if (channel != null) {
            disk.truncate(channel, 0);
        }
        validator = null;
        durable = 0;
        counted = 0;
        written = 0;
        promised = 0;
    }

    @Override
    public Flux<Long> append(Flux<ByteBuf> bytes, Hasher hasher) {
        // All calls of the sink come from `serial`, and offsets without demand are dropped.
        return Flux.push(
                sink -> {
                    Appending appending = new Appending(sink, hasher);
                    sink.onCancel(appending::stop);
                    serial.here(() -> {
                        if (postponed) {
                            appending.begin(bytes);
                        } else {
                            execute(() -> appending.begin(bytes), sink::error);
                        }
                    });
                },
                FluxSink.OverflowStrategy.DROP);
    }

    @Override
    public Mono<ArtifactStore.Stored> commit(List<Digest> digests) {
        return usable(Work.begin(
                serial,
                result -> attempt("Could not commit", () -> {
                    commitNow(digests, result);
                    return null;
                }),
                ArtifactStore.Stored::release));
    }

    private void commitNow(List<Digest> digests, Work.Result<ArtifactStore.Stored> result) throws IOException {
        FileChannel file = postponed ? createPostponed() : channel;
        if (file == null) {
            throw new IllegalStateException(artifact + ": there is nothing to commit");
        }
        cutOffWhatWasCancelled(file);
        if (durable == 0) {
            // Nothing has synchronised an empty file yet.
            disk.sync(file);
        }
        if (!checkpointed) {
            Runnable rest = store.commitWithOthers(part, durable, digests, result);
            committed(file);
            rest.run();
            return;
        }
        ArtifactStore.Stored stored = store.commit(part, durable, digests);
        committed(file);
        // The rest is tidying up: an orphaned checkpoint goes when the store is opened the next time.
        disk.delete(checkpoint);
        checkpointed = false;
        result.succeed(stored);
    }

    /** The file has another name now, under which nobody writes to it. */
    private void committed(FileChannel file) throws IOException {
        channel = null;
        begun = false;
        validator = null;
        counted = 0;
        durable = 0;
        written = 0;
        promised = 0;
        spent = true;
        file.close();
    }

    @Override
    public Mono<Void> discard() {
        return work("Could not discard", () -> {
            empty();
            begun = false;
            postponed = false;
            return null;
        });
    }

    @Override
    public Mono<Void> close() {
        return Mono.defer(() -> {
            closeNow();
            return closed.asMono();
        });
    }

    /** Closes the writer without telling anybody when it is done. */
    void closeNow() {
        if (closing.compareAndSet(false, true)) {
            if (spent) {
                // There is no file any more.
                serial.here(this::finish);
            } else {
                serial.execute(this::finish);
            }
        }
    }

    private void finish() {
        Throwable failure = null;
        try {
            Appending interrupted = running;
            if (interrupted != null) {
                interrupted.abort();
            }
            if (broken == null) {
                settle();
            }
            if (durable == 0) {
                deletePart();
            }
        } catch (IOException | RuntimeException e) {
            failure = failed("Could not close", e);
        }
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            failure = failure == null ? failed("Could not close", e) : failure;
        }
        channel = null;
        store.closed(this, key, durable, failure == null && broken == null && !checkpointed);
        if (failure == null) {
            closed.tryEmitEmpty();
        } else {
            closed.tryEmitError(failure);
        }
    }

    /** Closes the file of a writer that nobody has seen. */
    void abandon() {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            throw disk.failure(Stage.DOWNLOAD, "Could not close", part, e);
        }
    }

    private void deletePart() throws IOException {
        if (channel != null) {
            channel.close();
            channel = null;
            disk.delete(part);
            disk.delete(checkpoint);
        }
    }

    /** Makes durable what was written, and then counts it. */
    private void settle() throws IOException {
        FileChannel file = channel;
        if (file == null || written == counted) {
            return;
        }
        if (written != durable) {
            disk.sync(file);
        }
        writeCheckpoint(written, validator);
        durable = written;
    }

    private boolean isSmallAndWhole() {
        return written == small;
    }

    private void writeCheckpoint(long offset, @Nullable String contentValidator) throws IOException {
        Map<String, String> values = new TreeMap<>();
        values.put("offset", Long.toString(offset));
        if (contentValidator != null) {
            values.put("validator", contentValidator);
        }
        if (!boot.isEmpty()) {
            values.put("boot", boot);
        }
        if (offset > 0) {
            SmallFile.write(disk, checkpoint, KIND, values);
        } else {
            // It counts nothing, so that a power cut may take it.
            SmallFile.writeForThisBoot(disk, checkpoint, KIND, values);
        }
        checkpointed = true;
        counted = offset;
        checkpointedValidator = contentValidator;
        checkpointedBoot = boot;
    }

    private void cutOffWhatWasCancelled(FileChannel file) throws IOException {
        if (written > durable) {
            disk.truncate(file, durable);
            written = durable;
        }
    }

    private <T> Mono<T> work(String what, Callable<@Nullable T> blocking) {
        return usable(Work.<T>on(serial, () -> attempt(what, blocking), unclaimed -> {}));
    }

    private <T> @Nullable T attempt(String what, Callable<@Nullable T> blocking) throws Exception {
        checkUsable();
        try {
            return blocking.call();
        } catch (IOException e) {
            throw failed(what, e);
        }
    }

    private <T> Mono<T> usable(Mono<T> work) {
        return work.onErrorMap(RejectedExecutionException.class, this::closedException);
    }

    private void checkUsable() {
        if (closing.get()) {
            throw closedException(null);
        }
        if (broken != null) {
            throw broken;
        }
        if (running != null && !running.stopped) {
            throw new IllegalStateException(artifact + ": is being appended to");
        }
    }

    private StorageException closedException(@Nullable Throwable cause) {
        return new StorageException(Reason.IO_FAILED, "Writer of " + part + ": is closed", cause);
    }

    private void execute(Runnable task, Consumer<Throwable> rejected) {
        try {
            serial.execute(task);
        } catch (RejectedExecutionException e) {
            rejected.accept(closedException(e));
        }
    }

    private Throwable failed(String what, Exception cause) {
        return cause instanceof IOException io ? failed(what, io) : cause;
    }

    /** What to tell about {@code cause}; after a failed synchronisation this also gives up the part. */
    private StorageException failed(String what, IOException cause) {
        StorageException failure = disk.failure(Stage.DOWNLOAD, what, part, cause);
        if (cause instanceof Disk.SyncFailedException) {
            broken = failure;
            counted = 0;
            durable = 0;
            written = 0;
            promised = 0;
            try {
                store.forget(checkpoint);
                deletePart();
            } catch (IOException e) {
                // What stays behind is what an earlier checkpoint counts, which was durable then.
                failure.addSuppressed(e);
            }
        }
        return failure;
    }

    /** One subscription to {@link #append}. */
    private final class Appending extends BaseSubscriber<ByteBuf> {

        private final FluxSink<Long> sink;
        private final Hasher hasher;
        private final Queue<ByteBuf> queue = Queues.<ByteBuf>get(MOST_BUFFERS).get();
        /** Above zero while somebody drains the queue or is about to. */
        private final AtomicInteger work = new AtomicInteger();

        /** As long as the artifact has no file: how large it is. Otherwise -1. */
        private long whole = NOT_SMALL;

        private volatile boolean sourceEnded;
        private @Nullable Throwable sourceError;
        /** Nothing is written any more; what is queued, and what still comes, is released. */
        private volatile boolean stopped;

        /** How many buffers were asked for and have not been written yet. */
        private int awaited = FEWEST_BUFFERS;
        /** How large buffers are: as the largest of late, which is forgotten little by little. */
        private int usualLength = 1;

        private @Nullable Disposable alarm;

        Appending(FluxSink<Long> sink, Hasher hasher) {
            this.sink = sink;
            this.hasher = hasher;
        }

        @Override
        public Context currentContext() {
            return Context.of(sink.contextView());
        }

        void begin(Flux<ByteBuf> bytes) {
            if (stopped) {
                return;
            }
            try {
                checkUsable();
                FileChannel file = channel;
                if (!begun || (file == null && !postponed)) {
                    throw new IllegalStateException(artifact + ": append without begin");
                }
                if (file == null) {
                    whole = small;
                } else {
                    cutOffWhatWasCancelled(file);
                    file.position(durable);
                }
            } catch (IOException | RuntimeException e) {
                sink.error(failed("Could not append to", e));
                return;
            }
            running = this;
            bytes.subscribe(this);
        }

        /** The subscriber has gone. */
        void stop() {
            stopped = true;
            cancel();
            schedule();
        }

        /** The writer is being closed under a subscriber who is still there. */
        void abort() {
            if (!stopped) {
                end(closedException(null));
            }
        }

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            request(FEWEST_BUFFERS);
        }

        @Override
        protected void hookOnNext(ByteBuf bytes) {
            if (stopped) {
                bytes.release();
                return;
            }
            // Where that is all, the end is about to come, and both are one way.
            boolean all = bytes.readableBytes() == whole;
            if (!queue.offer(bytes)) {
                bytes.release();
                throw new IllegalStateException("more buffers than were requested");
            }
            if (!all) {
                schedule();
            }
        }

        @Override
        protected void hookOnComplete() {
            sourceEnded = true;
            schedule();
        }

        @Override
        protected void hookOnError(Throwable error) {
            sourceError = error;
            sourceEnded = true;
            schedule();
        }

        private void schedule() {
            if (work.getAndIncrement() == 0) {
                if (stopped) {
                    drain();
                } else {
                    // After the store is closed there is nobody to write, but what is queued still has to be released.
                    execute(this::drain, this::drainClosed);
                }
            }
        }

        private void drainClosed(Throwable closed) {
            stopped = true;
            drain();
        }

        private void drain() {
            int turn = TURN;
            while (true) {
                int seen = work.get();
                while (!stopped) {
                    boolean last = sourceEnded;
                    ByteBuf bytes = queue.poll();
                    if (bytes != null) {
                        write(bytes);
                    } else if (last) {
                        end(sourceError);
                    } else {
                        break;
                    }
                    if (--turn == 0 && !stopped) {
                        execute(this::drain, this::drainClosed);
                        return;
                    }
                }
                if (stopped) {
                    releaseQueue();
                }
                if (work.addAndGet(-seen) == 0) {
                    return;
                }
            }
        }

        private void releaseQueue() {
            for (ByteBuf bytes = queue.poll(); bytes != null; bytes = queue.poll()) {
                bytes.release();
            }
        }

        private void write(ByteBuf bytes) {
            try {
                FileChannel file = postponed ? createPostponed() : channel;
                if (file == null) {
                    throw closedException(null);
                }
                int length = bytes.readableBytes();
                long end = written + length;
                long missing = end - promised;
                if (missing > 0) {
                    store.claim(PartWriter.this, artifact, missing);
                }
                disk.write(file, bytes);
                // Only now, so that what was hashed is what was written even if half of a buffer was.
                hasher.update(bytes);
                written = end;
                if (written - durable >= checkpoints.bytes) {
                    checkpoint();
                } else if (alarm == null && length > 0 && !isSmallAndWhole()) {
                    alarm = Schedulers.parallel()
                            .schedule(
                                    () -> execute(this::onAlarm, closed -> {}),
                                    checkpoints.interval.toNanos(),
                                    TimeUnit.NANOSECONDS);
                }
                awaited--;
                usualLength = Math.max(length, usualLength - usualLength / 16);
                int wanted = Math.max(FEWEST_BUFFERS, Math.min(MOST_BUFFERS, WINDOW / usualLength));
                if (awaited <= wanted / 2) {
                    int more = wanted - awaited;
                    awaited = wanted;
                    request(more);
                }
            } catch (IOException | RuntimeException e) {
                fail(e);
            } finally {
                bytes.release();
            }
        }

        private void onAlarm() {
            if (stopped) {
                return;
            }
            try {
                checkpoint();
            } catch (IOException | RuntimeException e) {
                fail(e);
            }
        }

        private void checkpoint() throws IOException {
            disarm();
            long before = durable;
            settle();
            if (durable != before) {
                sink.next(durable);
            }
        }

        /** Makes durable what is whole and about to be committed. */
        private void keep() throws IOException {
            FileChannel file = channel;
            if (file != null && written != durable) {
                disk.sync(file);
                durable = written;
                sink.next(durable);
            }
        }

        private void disarm() {
            Disposable armed = alarm;
            if (armed != null) {
                armed.dispose();
                alarm = null;
            }
        }

        private void fail(Exception cause) {
            Throwable failure = failed("Could not write", cause);
            FileChannel file = channel;
            if (broken == null && file != null) {
                try {
                    // Whatever of the buffer did get written was not hashed.
                    disk.truncate(file, written);
                } catch (IOException e) {
                    failure.addSuppressed(e);
                }
            }
            cancel();
            end(failure);
        }

        /** Makes durable what came, and tells how it ended. */
        private void end(@Nullable Throwable error) {
            Throwable outcome = error;
            if (broken == null) {
                try {
                    if (error == null && isSmallAndWhole()) {
                        keep();
                    } else {
                        checkpoint();
                    }
                } catch (IOException | RuntimeException e) {
                    Throwable failure = failed("Could not write", e);
                    if (error != null) {
                        failure.addSuppressed(error);
                    }
                    outcome = failure;
                }
            }
            disarm();
            boolean cancelled = stopped;
            stopped = true;
            cancel();
            releaseQueue();
            if (cancelled || sink.isCancelled()) {
                return;
            }
            if (outcome == null) {
                sink.complete();
            } else {
                sink.error(outcome);
            }
        }
    }

    /**
     * When to make durable what was written.
     *
     * @param bytes after how many bytes
     * @param interval after how much time, if there were fewer
     */
    record Checkpoints(long bytes, Duration interval) {

        /** How large an artifact is at most that has none within the interval. */
        long least() {
            return bytes / 16;
        }
    }
}
