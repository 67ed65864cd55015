package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Digest;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.SynchronousSink;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * An {@link ArtifactStore} in one directory of a file system, which one store of one process uses at a time.
 *
 * <pre>{@code
 * ArtifactStore store = FileArtifactStore.in(Path.of("/var/lib/gateway/ota"));
 * }</pre>
 *
 * <p>When power is cut or the process is killed, committed artifacts and the journal are as they were. After a power cut a
 * transfer goes on from its last checkpoint, at most {@linkplain Builder#checkpointInterval one second} or
 * {@linkplain Builder#checkpointBytes 16 MiB} before the end. After the process was killed it goes on from the last byte that
 * was written, on Linux and where the artifact has a digest; otherwise from the checkpoint, too. Only an artifact of at most
 * 1 MiB, a sixteenth of {@code checkpointBytes}, has no checkpoint in its first second, and is fetched anew. When the medium fails to take a synchronisation, the part
 * that was being written is thrown away, because what the kernel still shows of it cannot be trusted; it is fetched anew.
 *
 * <p>Room is made before the first byte of an artifact is written: if the quota or the medium is short of it, the committed
 * artifacts that nobody references go, the one unused for longest first, then parts that nobody is writing. If that is not
 * enough, nothing goes and the artifact is refused with {@link OtaException.Reason#NO_SPACE}.
 *
 * <p>Reading, writing and synchronising happen on up to {@value #THREADS} daemon threads named {@code otaflux-store-n}. More
 * writers than that share them fairly; a writer's own steps never overlap.
 */
public final class FileArtifactStore implements ArtifactStore {

    /*
     * On disk:
     *
     *   lock                       locked by the process that has the store open; empty
     *   journal                    see FileUpgradeJournal
     *   sha256-<hex>               a committed artifact, named by its digest (or md5-, sha1-, sha512-)
     *   sha256-<hex>.digests       the digests known of it, if there are others than the one in its name
     *   <key>.part                 what has come of an artifact so far
     *   <key>.checkpoint           how much of the part is durable, of which content it is, and in which boot of the
     *                              machine it was written
     *   *.tmp                      left over from a crash; deleted when the store is opened
     *
     * The key of a part is the strongest digest that its artifact is known by, in the form of the names above, or else
     * location-<hex>, the SHA-256 of its location without user-info, query and fragment. The small files are one line with
     * a CRC each, see SmallFile.
     *
     * The bytes of a part are synchronised before the checkpoint that counts them is renamed into place. So of a part as
     * long as the checkpoint says or longer, that many bytes are good, whatever happened. A part without a checkpoint counts
     * for nothing. A checkpoint is removed, durably, before the bytes it is about are.
     *
     * What lies beyond the checkpoint is of the same content, see PartWriter. If the machine has not been booted since, the
     * kernel still has all of it, though the process that wrote it was killed: it is synchronised when the part is opened,
     * and counts. Otherwise it is cut off. The first checkpoint, of offset 0, is written before the first byte comes and is
     * not synchronised. For an artifact without a digest, and where the kernel does not tell its boots apart, only the
     * checkpoint counts.
     *
     * A commit is a rename: a name without suffix is whole. It counts when the directory has been synchronised after it,
     * once for all that were renamed while the synchronisation before was under way. The times of last use are the files'
     * modification times.
     *
     * Locks, in the order in which they may be taken: room, one of names, index. Files are touched under the first two only,
     * on threads of the pool; index guards memory and is never held for long, since release() comes from any thread.
     */

    /** The most threads that one store uses. */
    static final int THREADS = 4;

    /** What {@link Stored#read()} reads at once. */
    private static final int READ_SIZE = 256 * 1024;

    /** How far the time of last use that the medium knows may be behind. */
    private static final long TOUCH_MILLIS = 1_000;

    /** Which part of the room that was found may be promised without another look, and for how long, in nanoseconds. */
    private static final int SPARE = 8;

    private static final long MEASURED = TimeUnit.MILLISECONDS.toNanos(500);

    private static final String LOCK = "lock";
    private static final String JOURNAL = "journal";
    static final String PART = ".part";
    static final String CHECKPOINT = ".checkpoint";
    private static final String DIGESTS = ".digests";

    private static final Pattern FILE_NAME = Pattern.compile(
            "((?:md5|sha1|sha256|sha512|location)-[0-9a-f]{32,128})(\\.part|\\.checkpoint|\\.digests)?");

    /** The directories that are open in this process, because a file lock is of the whole process. */
    private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

    private static final AtomicInteger THREAD_NUMBER = new AtomicInteger();

    private final Path directory;
    private final long quota;
    private final long freeSpaceReserve;
    private final Disk disk;
    private final PartWriter.Checkpoints checkpoints;

    private final ThreadPoolExecutor pool;
    private final Executor threads;

    private final Scheduler scheduler;
    private final FileChannel lockFile;
    private final FileUpgradeJournal journal;
    private final Turns turns = new Turns();

    private final ReentrantLock room = new ReentrantLock();
    /** What may be promised without another look at the medium; guarded by {@link #room}. */
    private long spare;
    /** When the medium was looked at last. */
    private long measured;

    private final Object[] names = new Object[16];

    private final Object index = new Object();
    private final Map<String, Committed> committed = new HashMap<>();
    /** Those of {@link #committed} by each of their digests; of those that share one, the latest. */
    private final Map<Digest, Committed> known = new HashMap<>();
    /** How many bytes are committed, or renamed to be. */
    private long committedBytes;
    /** How many of them nobody references. */
    private long idleBytes;
    /** What was renamed and is not known to be durable yet. */
    private final Map<String, Commit> commits = new HashMap<>();
    /** Those of {@link #commits} whose rename the next synchronisation of the directory covers. */
    private List<Commit> unsynchronised = new ArrayList<>();

    private boolean synchronising;
    /** What closed writers left, or may have left where the medium failed them. */
    private final Map<String, ClosedPart> closedParts = new HashMap<>();
    /** The sum of their sizes. */
    private long closedBytes;

    private final Set<PartWriter> writers = new HashSet<>();
    private volatile boolean closed;
    private final Mono<Void> closing;

    /** @throws StorageException when the directory cannot be used, or is in use */
    private FileArtifactStore(Builder builder) {
        this.quota = builder.quota;
        this.freeSpaceReserve = builder.freeSpaceReserve;
        this.disk = builder.disk;
        this.checkpoints = new PartWriter.Checkpoints(builder.checkpointBytes, builder.checkpointInterval);
        for (int i = 0; i < names.length; i++) {
            names[i] = new Object();
        }
        this.directory = prepare(builder.directory);
        this.pool = new ThreadPoolExecutor(
                THREADS, THREADS, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), FileArtifactStore::thread);
        pool.allowCoreThreadTimeOut(true);
        this.threads = narrowed(pool);
        this.scheduler = Schedulers.fromExecutor(threads);
        this.lockFile = lock();
        try {
            recover();
            this.journal = FileUpgradeJournal.open(directory.resolve(JOURNAL), disk, threads);
        } catch (RuntimeException e) {
            unlock();
            throw e;
        }
        this.closing = Mono.defer(this::closeNow).cache();
    }

    /**
     * Opens a store in {@code directory} with default settings, creating the directory, for its owner alone, where there
     * is none. This reads the directory and blocks for as long as that takes.
     *
     * @throws StorageException when the directory cannot be used; {@link OtaException.Reason#STORE_LOCKED} when another
     *     process, or another store of this one, uses it
     */
    public static FileArtifactStore in(Path directory) {
        return builder(directory).build();
    }

    /** Settings of a store in {@code directory}. */
    public static Builder builder(Path directory) {
        return new Builder(directory);
    }

    private static Thread thread(Runnable work) {
        Thread thread = new Thread(work, "otaflux-store-" + THREAD_NUMBER.incrementAndGet());
        thread.setDaemon(true);
        return thread;
    }

    /**
     * The pool as a plain executor. A scheduler over an {@code ExecutorService} interrupts the thread of a task that is
     * disposed of, and an interrupt closes the channel which that thread is using.
     */
    @SuppressWarnings("UnnecessaryMethodReference") // An object that is nothing but an Executor is the purpose.
    private static Executor narrowed(ThreadPoolExecutor pool) {
        return pool::execute;
    }

    private Path prepare(Path wanted) {
        try {
            disk.createDirectories(wanted, ownerOnly(wanted));
            return wanted.toRealPath();
        } catch (IOException e) {
            throw disk.failure(Stage.DOWNLOAD, "Could not use the store", wanted.toAbsolutePath(), e);
        }
    }

    static FileAttribute<?>[] ownerOnly(Path path) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))
                }
                : new FileAttribute<?>[0];
    }

    private FileChannel lock() {
        // Looked up before the file is opened: closing any descriptor of a locked file gives up the lock of the
        // process.
        if (!OPEN.add(directory)) {
            throw locked("another store in this process");
        }
        FileChannel channel = null;
        try {
            channel = disk.open(directory.resolve(LOCK));
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return channel;
            }
            channel.close();
        } catch (IOException e) {
            OPEN.remove(directory);
            throw disk.failure(Stage.DOWNLOAD, "Could not lock the store", directory.resolve(LOCK), e);
        }
        OPEN.remove(directory);
        throw locked("another process");
    }

    private StorageException locked(String user) {
        return new StorageException(
                Reason.STORE_LOCKED,
                "Store " + directory + ": is in use by " + user + " (expected: one at a time)",
                null);
    }

    private void unlock() {
        try {
            lockFile.close();
        } catch (IOException e) {
            throw disk.failure(Stage.DOWNLOAD, "Could not unlock the store", directory.resolve(LOCK), e);
        } finally {
            OPEN.remove(directory);
        }
    }

    /** Takes in what earlier processes left. */
    private void recover() {
        Map<String, BasicFileAttributes> found = new HashMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                BasicFileAttributes attributes =
                        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
                boolean ours = FILE_NAME.matcher(name).matches() || name.equals(JOURNAL) || name.equals(LOCK);
                if (ours && !attributes.isRegularFile()) {
                    throw new StorageException(
                            Reason.CORRUPT, "Store file " + file + ": is no regular file; somebody put it there", null);
                }
                if (name.endsWith(SmallFile.TEMPORARY)) {
                    disk.delete(file);
                } else if (ours) {
                    found.put(name, attributes);
                }
            }
            for (Map.Entry<String, BasicFileAttributes> file : found.entrySet()) {
                recover(file.getKey(), file.getValue(), found);
            }
        } catch (IOException e) {
            throw disk.failure(Stage.DOWNLOAD, "Could not read the store", directory, e);
        }
    }

    private void recover(String name, BasicFileAttributes attributes, Map<String, BasicFileAttributes> found)
            throws IOException {
        Matcher matcher = FILE_NAME.matcher(name);
        if (!matcher.matches()) {
            return;
        }
        String key = matcher.group(1);
        String suffix = matcher.group(2);
        long time = attributes.lastModifiedTime().toMillis();
        if (suffix == null) {
            digestOf(name)
                    .ifPresent(digest ->
                            add(new Committed(name, digest, digestsOf(name, digest), attributes.size(), time)));
        } else if (suffix.equals(PART)) {
            if (found.containsKey(key + CHECKPOINT)) {
                left(key, new ClosedPart(attributes.size(), time));
            } else {
                disk.delete(directory.resolve(name));
            }
        } else if (!found.containsKey(suffix.equals(CHECKPOINT) ? key + PART : key)) {
            // What it is about is gone.
            disk.delete(directory.resolve(name));
        }
    }

    private static String nameOf(Digest digest) {
        return digest.algorithm().toString().replace("-", "").toLowerCase(Locale.ROOT) + "-" + digest.hex();
    }

    private static Optional<Digest> digestOf(String name) {
        int dash = name.indexOf('-');
        try {
            return Optional.of(new Digest(Digest.Algorithm.named(name.substring(0, dash)), name.substring(dash + 1)));
        } catch (IllegalArgumentException e) {
            // A location, or a digest of the wrong length: nothing that was committed here.
            return Optional.empty();
        }
    }

    /** The other digests are worth another download at most, so damage to their list is not an error. */
    private List<Digest> digestsOf(String name, Digest digest) {
        try {
            return SmallFile.read(directory.resolve(name + DIGESTS), "digests")
                    .map(values -> JournalRecord.parseDigests(values.getOrDefault("all", "")))
                    .filter(digests -> digests.contains(digest))
                    .orElse(List.of(digest));
        } catch (IOException | IllegalArgumentException e) {
            return List.of(digest);
        }
    }

    static String keyOf(Artifact artifact) {
        return artifact.digest()
                .map(FileArtifactStore::nameOf)
                .orElseGet(() -> "location-" + Locations.fingerprint(artifact.location()));
    }

    private static Digest strongest(Collection<Digest> digests) {
        if (digests.isEmpty()) {
            throw new IllegalArgumentException("digests: none (expected: at least one)");
        }
        return Collections.max(digests, Comparator.comparing(Digest::algorithm));
    }

    @Override
    public Mono<Stored> find(Collection<Digest> digests) {
        if (digests.isEmpty()) {
            return Mono.empty();
        }
        Digest digest = strongest(digests);
        return Mono.defer(() -> {
            // The medium is asked only where it is to be told the time of use.
            boolean touching = isStale(digest);
            return work(
                    touching ? threads : Runnable::run,
                    "Could not look for an artifact in",
                    directory,
                    () -> find(digest, touching),
                    Stored::release);
        });
    }

    private boolean isStale(Digest digest) {
        synchronized (index) {
            Committed file = known.get(digest);
            return file != null && System.currentTimeMillis() - file.lastTouched >= TOUCH_MILLIS;
        }
    }

    private @Nullable Stored find(Digest digest, boolean touching) throws IOException {
        checkOpen();
        StoredFile found;
        synchronized (index) {
            Committed file = known.get(digest);
            if (file == null) {
                return null;
            }
            file.lastUsed = System.currentTimeMillis();
            found = new StoredFile(file);
        }
        if (touching) {
            try {
                touch(found.file);
            } catch (IOException | RuntimeException e) {
                found.release();
                throw e;
            }
        }
        return found;
    }

    private void touch(Committed file) throws IOException {
        long now = System.currentTimeMillis();
        synchronized (index) {
            file.lastTouched = now;
        }
        try {
            Files.getFileAttributeView(path(file), BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS)
                    .setTimes(FileTime.fromMillis(now), null, null);
        } catch (NoSuchFileException e) {
            // Evicted by somebody in this instant; whoever reads it will be told.
        }
    }

    @Override
    public Mono<Writer> open(Artifact artifact) {
        return Mono.create(sink -> new Opening(artifact, sink).begin());
    }

    @Override
    public UpgradeJournal journal() {
        return journal;
    }

    @Override
    public Mono<Void> close() {
        return closing;
    }

    private Mono<Void> closeNow() {
        List<PartWriter> open;
        synchronized (index) {
            closed = true;
            open = List.copyOf(writers);
        }
        return Flux.fromIterable(open)
                .flatMapDelayError(PartWriter::close, Integer.MAX_VALUE, 1)
                .then()
                .onErrorResume(failure -> finish().then(Mono.error(failure)))
                .switchIfEmpty(Mono.defer(this::finish));
    }

    /** Waits, on a thread of its own, for the threads of the store to come to their end. */
    private Mono<Void> finish() {
        return Mono.create(sink -> {
            Thread last = thread(() -> {
                try {
                    journal.close();
                    pool.shutdown();
                    while (!pool.awaitTermination(1, TimeUnit.MINUTES)) {
                        // Somebody is still writing to a disk that has stalled, and the lock must not go before he
                        // ends.
                    }
                    unlock();
                    sink.success();
                } catch (InterruptedException | RuntimeException e) {
                    sink.error(e);
                }
            });
            last.start();
        });
    }

    private void checkOpen() {
        if (closed) {
            throw new StorageException(Reason.IO_FAILED, "Store " + directory + ": is closed", null);
        }
    }

    private <T> Mono<T> work(
            Executor executor, String what, Path path, Callable<@Nullable T> blocking, Consumer<T> unclaimed) {
        return Work.on(executor, blocking, unclaimed)
                .onErrorMap(IOException.class, e -> disk.failure(Stage.DOWNLOAD, what, path, e))
                .onErrorMap(
                        RejectedExecutionException.class,
                        e -> new StorageException(Reason.IO_FAILED, "Store " + directory + ": is closed", e));
    }

    Path directory() {
        return directory;
    }

    private Path path(Committed file) {
        return directory.resolve(file.name);
    }

    private Object lockOf(String name) {
        return names[Math.floorMod(name.hashCode(), names.length)];
    }

    /**
     * The writer of {@code key} is closed and left {@code size} bytes behind.
     *
     * @param tidy whether it is certain that there is nothing else
     */
    void closed(PartWriter writer, String key, long size, boolean tidy) {
        synchronized (index) {
            writers.remove(writer);
            if (size > 0 || !tidy) {
                left(key, new ClosedPart(size, System.currentTimeMillis()));
            }
        }
        turns.give(key);
    }

    private void left(String key, ClosedPart part) {
        synchronized (index) {
            taken(key);
            closedParts.put(key, part);
            closedBytes += part.size;
        }
    }

    /** Forgets what was left of {@code key}; answers whether there may be something. */
    private boolean taken(String key) {
        synchronized (index) {
            ClosedPart part = closedParts.remove(key);
            closedBytes -= part == null ? 0 : part.size;
            return part != null;
        }
    }

    private void add(Committed file) {
        synchronized (index) {
            remove(committed.get(file.name));
            committed.put(file.name, file);
            file.digests.forEach(digest -> known.put(digest, file));
            file.present = true;
            committedBytes += file.size;
            idleBytes += file.references == 0 ? file.size : 0;
        }
    }

    private boolean remove(@Nullable Committed file) {
        synchronized (index) {
            if (file == null || !committed.remove(file.name, file)) {
                return false;
            }
            file.digests.forEach(digest -> known.remove(digest, file));
            file.present = false;
            committedBytes -= file.size;
            idleBytes -= file.references == 0 ? file.size : 0;
            return true;
        }
    }

    /**
     * Makes the synchronised file {@code part} the artifact with these digests, durably; or drops it in favour of the one
     * that is there.
     */
    Stored commit(Path part, long size, List<Digest> digests) throws IOException {
        Commit renamed;
        String name = nameOf(strongest(digests));
        synchronized (lockOf(name)) {
            Stored present = present(name, size);
            if (present != null) {
                return dropped(part, present);
            }
            renamed = rename(part, name, size, digests);
        }
        try {
            disk.syncDirectory(directory);
        } catch (IOException e) {
            failed(renamed, disk.failure(Stage.DOWNLOAD, "Could not commit", part, e));
            throw e;
        }
        StoredFile stored;
        synchronized (index) {
            stored = new StoredFile(renamed.file);
        }
        durable(renamed);
        return stored;
    }

    /**
     * The same, told to {@code result}, with one synchronisation for all who commit in this way at the same time.
     *
     * @return what is left to do when the part is not needed any more
     */
    Runnable commitWithOthers(Path part, long size, List<Digest> digests, Work.Result<Stored> result)
            throws IOException {
        String name = nameOf(strongest(digests));
        Stored present;
        synchronized (lockOf(name)) {
            present = present(name, size);
            if (present == null) {
                Commit commit = underWay(name, size);
                if (commit == null) {
                    commit = rename(part, name, size, digests);
                } else {
                    disk.delete(part);
                }
                Commit joined = commit;
                return () -> join(joined, result);
            }
        }
        Stored dropped = dropped(part, present);
        return () -> result.succeed(dropped);
    }

    private @Nullable Stored present(String name, long size) {
        synchronized (index) {
            Committed file = committed.get(name);
            // One of another length is damaged, whatever its name says.
            return file != null && file.size == size ? new StoredFile(file) : null;
        }
    }

    private @Nullable Commit underWay(String name, long size) {
        synchronized (index) {
            Commit commit = commits.get(name);
            return commit != null && commit.file.size == size ? commit : null;
        }
    }

    private Commit rename(Path part, String name, long size, List<Digest> digests) throws IOException {
        if (digests.size() > 1) {
            String all = digests.stream().map(Digest::toString).collect(Collectors.joining(","));
            SmallFile.write(disk, directory.resolve(name + DIGESTS), "digests", Map.of("all", all));
        }
        disk.rename(part, directory.resolve(name));
        Commit commit = new Commit(
                new Committed(name, strongest(digests), List.copyOf(digests), size, System.currentTimeMillis()));
        synchronized (index) {
            commits.put(name, commit);
            committedBytes += size;
        }
        return commit;
    }

    private void join(Commit commit, Work.Result<Stored> result) {
        boolean first;
        synchronized (index) {
            // One that was synchronised in the meantime is synchronised once more, which does no harm.
            commit.waiting.add(result);
            unsynchronised.add(commit);
            first = !synchronising;
            synchronising = true;
        }
        if (first && pool.getQueue().isEmpty()) {
            // Nobody else is about to join, and there is nothing better to do.
            synchronise();
        } else if (first) {
            synchroniseSoon();
        }
    }

    private void synchroniseSoon() {
        try {
            threads.execute(this::synchronise);
        } catch (RejectedExecutionException e) {
            synchronise();
        }
    }

    /** Makes what was renamed until now durable, and has another thread see to what is renamed meanwhile. */
    private void synchronise() {
        List<Commit> group;
        synchronized (index) {
            group = unsynchronised;
            unsynchronised = new ArrayList<>();
        }
        IOException failure = null;
        try {
            disk.syncDirectory(directory);
        } catch (IOException e) {
            failure = e;
        }
        boolean more;
        synchronized (index) {
            more = !unsynchronised.isEmpty();
            synchronising = more;
        }
        if (more) {
            synchroniseSoon();
        }
        for (Commit commit : group) {
            if (failure == null) {
                durable(commit);
            } else {
                failed(commit, disk.failure(Stage.DOWNLOAD, "Could not commit", path(commit.file), failure));
            }
        }
    }

    private void durable(Commit commit) {
        StorageException before;
        synchronized (index) {
            before = commit.failure;
        }
        if (before != null) {
            // Joined too late; another synchronisation would not mend what one did not take.
            failed(commit, before);
            return;
        }
        List<Work.Result<Stored>> waiting;
        List<Stored> stored = new ArrayList<>();
        synchronized (index) {
            if (commits.remove(commit.file.name, commit)) {
                committedBytes -= commit.file.size;
                add(commit.file);
            }
            waiting = List.copyOf(commit.waiting);
            commit.waiting.clear();
            waiting.forEach(result -> stored.add(new StoredFile(commit.file)));
        }
        for (int i = 0; i < waiting.size(); i++) {
            waiting.get(i).succeed(stored.get(i));
        }
    }

    private void failed(Commit commit, StorageException failure) {
        List<Work.Result<Stored>> waiting;
        synchronized (index) {
            commit.failure = failure;
            if (commits.remove(commit.file.name, commit)) {
                committedBytes -= commit.file.size;
            }
            waiting = List.copyOf(commit.waiting);
            commit.waiting.clear();
        }
        waiting.forEach(result -> result.fail(failure));
    }

    private Stored dropped(Path part, Stored inFavourOf) throws IOException {
        try {
            disk.delete(part);
        } catch (IOException e) {
            inFavourOf.release();
            throw e;
        }
        return inFavourOf;
    }

    /**
     * Promises {@code bytes} more to {@code writer}, throwing out what is not in use where that is needed.
     *
     * @throws StorageException when there is not enough room, and then nothing was thrown out
     */
    void claim(PartWriter writer, String artifact, long bytes) throws IOException {
        room.lock();
        try {
            Shortage shortage = shortage(bytes);
            if (shortage.bytes > shortage.evictable) {
                throw new StorageException(
                        Reason.NO_SPACE,
                        artifact + ": needs " + bytes + " bytes in " + directory + " but "
                                + Math.max(0, bytes - shortage.bytes + shortage.evictable) + " are available ("
                                + shortage.limit + ")",
                        null);
            }
            while (shortage.bytes > 0 && evictOldest()) {
                shortage = shortage(bytes);
            }
            if (shortage.bytes > 0) {
                throw new StorageException(
                        Reason.NO_SPACE,
                        artifact + ": needs " + bytes + " bytes in " + directory + ", still " + shortage.bytes
                                + " short after eviction (" + shortage.limit + ")",
                        null);
            }
            spare = -shortage.bytes / SPARE;
            measured = System.nanoTime();
            writer.promise(bytes);
        } finally {
            room.unlock();
        }
    }

    /**
     * The same without touching the medium, where it had much more room a moment ago. Answers false where that is not
     * certain.
     */
    boolean claimAtOnce(PartWriter writer, long bytes) {
        if (!room.tryLock()) {
            // Somebody makes room, and may take long.
            return false;
        }
        try {
            if (bytes > spare || System.nanoTime() - measured > MEASURED) {
                return false;
            }
            spare -= bytes;
            writer.promise(bytes);
            return true;
        } finally {
            room.unlock();
        }
    }

    private Shortage shortage(long bytes) throws IOException {
        long used;
        long outstanding = 0;
        long evictable;
        synchronized (index) {
            used = committedBytes + closedBytes;
            evictable = idleBytes + closedBytes;
            for (PartWriter writer : writers) {
                used += writer.promised();
                outstanding += writer.promised() - writer.written();
            }
        }
        long overQuota = used + bytes - quota;
        long overMedium = bytes + outstanding + freeSpaceReserve - disk.usableSpace(directory);
        return overQuota >= overMedium
                ? new Shortage(overQuota, evictable, "quota " + quota + " bytes")
                : new Shortage(overMedium, evictable, "free space, less a reserve of " + freeSpaceReserve + " bytes");
    }

    private boolean evictOldest() throws IOException {
        Committed oldest;
        synchronized (index) {
            oldest = committed.values().stream()
                    .filter(file -> file.references == 0)
                    .min(Comparator.comparingLong(file -> file.lastUsed))
                    .orElse(null);
        }
        return oldest != null ? evict(oldest, true) : evictOldestPart();
    }

    private boolean evictOldestPart() throws IOException {
        List<String> oldestFirst;
        synchronized (index) {
            oldestFirst = closedParts.entrySet().stream()
                    .sorted(Comparator.comparingLong(part -> part.getValue().lastUsed))
                    .map(Map.Entry::getKey)
                    .toList();
        }
        for (String key : oldestFirst) {
            if (turns.tryTake(key)) {
                try {
                    forget(directory.resolve(key + CHECKPOINT));
                    disk.delete(directory.resolve(key + PART));
                    taken(key);
                } finally {
                    turns.give(key);
                }
                return true;
            }
        }
        return false;
    }

    /** Removes a checkpoint durably, which comes before the bytes that it counts go or give way to others. */
    void forget(Path checkpoint) throws IOException {
        if (disk.delete(checkpoint)) {
            disk.syncDirectory(directory);
        }
    }

    private boolean evict(Committed file, boolean onlyUnreferenced) throws IOException {
        synchronized (lockOf(file.name)) {
            synchronized (index) {
                if (onlyUnreferenced && file.references > 0) {
                    return true;
                }
                if (!remove(file)) {
                    return true;
                }
            }
            try {
                disk.delete(path(file));
            } catch (IOException e) {
                // It is still there, takes its room, and can be evicted another time.
                synchronized (index) {
                    if (!committed.containsKey(file.name)) {
                        add(file);
                    }
                }
                throw e;
            }
            disk.delete(directory.resolve(file.name + DIGESTS));
            disk.syncDirectory(directory);
        }
        return true;
    }

    private void moveTo(Committed file, Path target) throws IOException {
        Path targetDirectory = target.toAbsolutePath().getParent();
        if (targetDirectory == null || Files.isDirectory(target, LinkOption.NOFOLLOW_LINKS)) {
            throw new StorageException(Reason.IO_FAILED, "Could not move to " + target + ": it is a directory", null);
        }
        synchronized (lockOf(file.name)) {
            boolean last;
            synchronized (index) {
                last = file.references <= 1 && remove(file);
            }
            boolean moved = false;
            try {
                moved = last && rename(path(file), target);
                if (!moved) {
                    copy(path(file), target);
                }
                disk.syncDirectory(targetDirectory);
            } catch (IOException e) {
                if (last && !moved) {
                    add(file);
                }
                throw e;
            }
            if (last) {
                disk.delete(path(file));
                disk.delete(directory.resolve(file.name + DIGESTS));
                disk.syncDirectory(directory);
            }
        }
    }

    private boolean rename(Path source, Path target) throws IOException {
        try {
            disk.rename(source, target);
            return true;
        } catch (AtomicMoveNotSupportedException e) {
            return false;
        }
    }

    /** Copies to another file system, or for somebody besides whom others use the file. */
    private void copy(Path source, Path target) throws IOException {
        Path temporary =
                target.resolveSibling("." + target.getFileName() + "." + System.nanoTime() + SmallFile.TEMPORARY);
        try {
            disk.copy(source, temporary);
            disk.rename(temporary, target);
        } catch (IOException e) {
            throw disk.deleted(temporary, e);
        }
    }

    @Override
    public String toString() {
        return "FileArtifactStore[" + directory + "]";
    }

    /** One subscription to {@link #open}: waits for its turn, then opens the files. */
    private final class Opening implements Runnable {

        private final Artifact artifact;
        private final String key;
        private final MonoSink<Writer> sink;
        private final AtomicReference<@Nullable PartWriter> made = new AtomicReference<>();
        private volatile boolean gone;
        private boolean left;

        Opening(Artifact artifact, MonoSink<Writer> sink) {
            this.artifact = artifact;
            this.key = keyOf(artifact);
            this.sink = sink;
        }

        void begin() {
            sink.onCancel(this::giveUp);
            turns.take(key, this);
        }

        /** The turn has come. */
        @Override
        public void run() {
            synchronized (index) {
                left = closedParts.containsKey(key);
            }
            if (!left) {
                // No file is touched.
                openFiles();
                return;
            }
            try {
                pool.execute(this::openFiles);
            } catch (RejectedExecutionException e) {
                turns.give(key);
                sink.error(new StorageException(Reason.IO_FAILED, "Store " + directory + ": is closed", e));
            }
        }

        private void openFiles() {
            if (gone) {
                turns.give(key);
                return;
            }
            PartWriter writer;
            try {
                writer = register(new PartWriter(
                        FileArtifactStore.this, artifact, key, disk, new Serial(threads), checkpoints, left));
            } catch (IOException | RuntimeException e) {
                turns.give(key);
                sink.error(
                        e instanceof IOException io
                                ? disk.failure(Stage.DOWNLOAD, "Could not open", directory.resolve(key + PART), io)
                                : e);
                return;
            }
            made.set(writer);
            if (gone) {
                closeUnclaimed();
            } else {
                sink.success(writer);
            }
        }

        private PartWriter register(PartWriter writer) {
            synchronized (index) {
                if (!closed) {
                    writers.add(writer);
                    taken(key);
                    return writer;
                }
            }
            writer.abandon();
            throw new StorageException(Reason.IO_FAILED, "Store " + directory + ": is closed", null);
        }

        /** Called if and only if the writer is not delivered, also when the two race. */
        private void giveUp() {
            gone = true;
            turns.withdraw(key, this);
            closeUnclaimed();
        }

        private void closeUnclaimed() {
            PartWriter writer = made.getAndSet(null);
            if (writer != null) {
                writer.closeNow();
            }
        }
    }

    private final class StoredFile implements Stored {

        private final Committed file;
        private final AtomicBoolean released = new AtomicBoolean();

        /** Made with the index locked. */
        StoredFile(Committed file) {
            this.file = file;
            if (file.references++ == 0 && file.present) {
                idleBytes -= file.size;
            }
        }

        @Override
        public Digest digest() {
            return file.digest;
        }

        @Override
        public List<Digest> digests() {
            return file.digests;
        }

        @Override
        public long size() {
            return file.size;
        }

        @Override
        public Flux<ByteBuf> read() {
            return Flux.generate(
                            () -> openToRead(file),
                            (FileChannel channel, SynchronousSink<ByteBuf> sink) -> readNext(file, channel, sink),
                            FileArtifactStore::closeAfterReading)
                    .subscribeOn(scheduler);
        }

        @Override
        public Mono<Void> moveTo(Path target) {
            return work(
                    threads,
                    "Could not move an artifact to",
                    target,
                    () -> {
                        FileArtifactStore.this.moveTo(file, target);
                        return null;
                    },
                    nothing -> {});
        }

        @Override
        public Mono<Void> evict() {
            return work(
                    threads,
                    "Could not evict",
                    path(file),
                    () -> {
                        FileArtifactStore.this.evict(file, false);
                        return null;
                    },
                    nothing -> {});
        }

        @Override
        public void release() {
            if (released.compareAndSet(false, true)) {
                synchronized (index) {
                    if (--file.references == 0 && file.present) {
                        idleBytes += file.size;
                    }
                }
            }
        }

        @Override
        public String toString() {
            return "Stored[" + file.digest + ", " + file.size + " bytes]";
        }
    }

    private FileChannel openToRead(Committed file) {
        try {
            return Disk.openToRead(path(file));
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private StorageException unreadable(Committed file, IOException e) {
        return disk.failure(Stage.DOWNLOAD, "Could not read the artifact", path(file), e);
    }

    private FileChannel readNext(Committed file, FileChannel channel, SynchronousSink<ByteBuf> sink) {
        ByteBuf buffer = ByteBufAllocator.DEFAULT.directBuffer(READ_SIZE, READ_SIZE);
        try {
            checkOpen();
            if (buffer.writeBytes(channel, READ_SIZE) < 0) {
                sink.complete();
            } else {
                sink.next(buffer.retain());
            }
        } catch (IOException e) {
            sink.error(unreadable(file, e));
        } catch (RuntimeException e) {
            sink.error(e);
        } finally {
            buffer.release();
        }
        return channel;
    }

    private static void closeAfterReading(FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A committed artifact; what changes of it is guarded by {@link #index}. */
    private static final class Committed {

        private final String name;
        private final Digest digest;
        private final List<Digest> digests;
        private final long size;
        private long lastUsed;
        /** The time that the medium knows. */
        private long lastTouched;

        private int references;
        /** Whether {@link #committed} has it. */
        private boolean present;

        Committed(String name, Digest digest, List<Digest> digests, long size, long lastUsed) {
            this.name = name;
            this.digest = digest;
            this.digests = digests;
            this.size = size;
            this.lastUsed = lastUsed;
            this.lastTouched = lastUsed;
        }
    }

    /** A renamed file that is durable when the directory has been synchronised; guarded by {@link #index}. */
    private static final class Commit {

        private final Committed file;
        private final List<Work.Result<Stored>> waiting = new ArrayList<>(1);
        private @Nullable StorageException failure;

        Commit(Committed file) {
            this.file = file;
        }
    }

    private record ClosedPart(long size, long lastUsed) {}

    /**
     * @param bytes how much is missing; not positive where nothing is
     * @param evictable how much could be thrown out
     * @param limit which limit is the tighter one
     */
    private record Shortage(long bytes, long evictable, String limit) {}

    /** Settings of a {@link FileArtifactStore}. */
    public static final class Builder {

        private final Path directory;
        private long quota = Long.MAX_VALUE / 2;
        private long freeSpaceReserve = 16 << 20;
        private long checkpointBytes = 16 << 20;
        private Duration checkpointInterval = Duration.ofSeconds(1);
        private Disk disk = Disk.REAL;

        private Builder(Path directory) {
            this.directory = Objects.requireNonNull(directory, "directory");
        }

        /** How many bytes all artifacts, whole and partial, may take. Defaults to no limit. */
        public Builder quota(long bytes) {
            this.quota = positive("quota", bytes);
            return this;
        }

        /** How many bytes of the medium stay free for others. Defaults to 16 MiB. */
        public Builder freeSpaceReserve(long bytes) {
            if (bytes < 0) {
                throw new IllegalArgumentException("freeSpaceReserve: " + bytes + " (expected: >= 0)");
            }
            this.freeSpaceReserve = bytes;
            return this;
        }

        /**
         * After how many bytes what was written is made durable. A smaller number loses less to a power cut on a fast
         * connection and synchronises the medium more often. Defaults to 16 MiB.
         */
        public Builder checkpointBytes(long bytes) {
            this.checkpointBytes = positive("checkpointBytes", bytes);
            return this;
        }

        /** After how much time what was written is made durable, if there was less of it. Defaults to 1 second. */
        public Builder checkpointInterval(Duration interval) {
            positive("checkpointInterval", interval.toNanos());
            this.checkpointInterval = interval;
            return this;
        }

        /** For tests, which stop at any change of the medium. */
        Builder disk(Disk watched) {
            this.disk = watched;
            return this;
        }

        private static long positive(String what, long value) {
            if (value <= 0) {
                throw new IllegalArgumentException(what + ": " + value + " (expected: > 0)");
            }
            return value;
        }

        /**
         * Opens the store.
         *
         * @throws StorageException as {@link FileArtifactStore#in} does
         */
        public FileArtifactStore build() {
            return new FileArtifactStore(this);
        }
    }

    /** Opens stores with default settings for programs that configure none. */
    public static final class Provider implements ArtifactStore.Provider {

        @Override
        public ArtifactStore open(Path directory) {
            return in(directory);
        }
    }
}
