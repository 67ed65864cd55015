package io.otaflux.samples.cli;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/**
 * What a command runs and what has to be given back at its end, last thing first, once: when the command is done, or, on
 * Ctrl-C or SIGTERM, by the virtual machine's shutdown, which waits for it.
 *
 * <p>On a signal the main thread is never told: whatever it would do or say by then is no longer wanted. The process ends
 * with 130 or 143, as programs do that a signal ended.
 */
final class Foreground implements AutoCloseable {

    private static final Logger log = LoggerFactory.getLogger(Foreground.class);

    private final Deque<Runnable> steps = new ArrayDeque<>();
    private final Thread hook = new Thread(this::interrupted, "otaflux-shutdown");
    private boolean closed;
    private Runnable farewell = () -> {};

    Foreground() {
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /** Does {@code step} at the end, before those that were given earlier. */
    synchronized void atEnd(Runnable step) {
        steps.push(step);
    }

    /** Says something after a signal, when everything was given back. */
    synchronized void afterSignal(Runnable words) {
        farewell = words;
    }

    /** Subscribes, and waits for the end. What {@code work} errors with is thrown. */
    <T> void run(Flux<T> work, Consumer<? super T> listener) {
        CountDownLatch ended = new CountDownLatch(1);
        AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        Disposable running = work.subscribe(
                listener,
                e -> {
                    failure.set(e);
                    ended.countDown();
                },
                ended::countDown);
        atEnd(running::dispose);
        await(ended);
        Throwable cause = failure.get();
        if (cause instanceof RuntimeException unchecked) {
            throw unchecked;
        }
        if (cause != null) {
            throw new IllegalStateException(cause);
        }
    }

    /** Waits until a signal ends the process. */
    void untilSignal() {
        await(new CountDownLatch(1));
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CommandFailedException(ExitCode.RESUMABLE, "interrupted", e);
        }
    }

    private void interrupted() {
        synchronized (this) {
            if (!closed) {
                giveBack();
                farewell.run();
            }
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            if (!closed) {
                giveBack();
            }
        }
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            log.debug("a signal came when everything was done", e);
        }
    }

    private void giveBack() {
        closed = true;
        while (!steps.isEmpty()) {
            try {
                steps.pop().run();
            } catch (RuntimeException e) {
                log.warn("something did not close cleanly: {}", Line.of(e));
            }
        }
    }
}
