package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException.Stage;
import io.otaflux.Verified;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import reactor.core.Exceptions;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * A file that is being made of verified bytes. The bytes come on the threads of the store, cancellation on any thread; the
 * monitor keeps the file from being closed in the middle of a write.
 */
final class Copy {

    private static final Logger log = Loggers.getLogger(Copy.class);

    private static final int THREADS = 4;
    private static final AtomicInteger THREAD_NUMBER = new AtomicInteger();

    /** Where installers block. */
    static final Executor THREAD_POOL = pool();

    private final Disk disk;
    private final Path file;
    private final FileChannel channel;
    private boolean closed;
    private boolean kept;

    private Copy(Disk disk, Path file) throws IOException {
        this.disk = disk;
        this.file = file;
        this.channel = disk.create(file);
    }

    private static Executor pool() {
        ThreadPoolExecutor pool =
                new ThreadPoolExecutor(THREADS, THREADS, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), work -> {
                    Thread thread = new Thread(work, "otaflux-install-" + THREAD_NUMBER.incrementAndGet());
                    thread.setDaemon(true);
                    return thread;
                });
        pool.allowCoreThreadTimeOut(true);
        return pool;
    }

    /**
     * Copies {@code verified} to {@code file}, which must not be there, and when all bytes are durable and have turned out
     * to be the verified ones, does {@code then}, which is not interrupted. Unless all of that succeeds, what is called
     * {@code file} afterwards is deleted.
     */
    static <T> Mono<T> of(Disk disk, Verified.File verified, Path file, Callable<T> then) {
        return Mono.usingWhen(
                        work(disk, file, () -> new Copy(disk, file), Copy::discardUnclaimed),
                        copy -> verified.read()
                                .doOnNext(copy::write)
                                .then(work(disk, file, () -> copy.complete(then), unclaimed -> {})),
                        copy -> work(disk, file, copy::discard, unclaimed -> {}))
                .onErrorMap(IOException.class, e -> disk.failure(Stage.INSTALL, "Could not write", file, e));
    }

    /** Blocking work of an installer on {@code path}. */
    static <T> Mono<T> work(Disk disk, Path path, Callable<T> blocking) {
        return work(disk, path, blocking, unclaimed -> {});
    }

    private static <T> Mono<T> work(Disk disk, Path path, Callable<T> blocking, Consumer<T> unclaimed) {
        return Work.on(THREAD_POOL, blocking, unclaimed)
                .onErrorMap(IOException.class, e -> disk.failure(Stage.INSTALL, "Could not install to", path, e));
    }

    private synchronized void write(ByteBuf bytes) {
        try {
            if (!closed) {
                disk.write(channel, bytes);
            }
        } catch (IOException e) {
            throw Exceptions.propagate(e);
        } finally {
            bytes.release();
        }
    }

    private synchronized <T> T complete(Callable<T> then) throws Exception {
        if (closed) {
            throw new IOException("the installation was cancelled");
        }
        disk.sync(channel);
        closed = true;
        channel.close();
        T result = then.call();
        kept = true;
        return result;
    }

    private synchronized boolean discard() throws IOException {
        if (!closed) {
            closed = true;
            channel.close();
        }
        return !kept && disk.delete(file);
    }

    private void discardUnclaimed() {
        try {
            discard();
        } catch (IOException e) {
            log.warn("Could not remove {}", file, e);
        }
    }
}
