package io.otaflux.samples.platform;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs commands against the state one at a time on one thread, and lets nobody hear of a change before it is on disk.
 *
 * <p>Whatever waits when the thread is free is run together and made durable by one fsync: many devices reporting at once
 * cost one disk write, one device alone does not wait for others. Then, still in order, the changes are announced and the
 * commands' results are given out. A write that fails ends the loop: every later command fails with the same reason,
 * because what is in memory and what is on disk would differ.
 */
final class StateLoop implements AutoCloseable {

    private static final Logger log = LoggerFactory.getLogger(StateLoop.class);

    private final BlockingQueue<Command<?>> queue = new LinkedBlockingQueue<>();
    private final PlatformState state;
    private final StateLog stateLog;
    private final Consumer<List<StateEntry>> committed;
    private final Thread thread;
    private boolean closing;
    private @Nullable UncheckedIOException broken;

    /** @param committed hears of every change once it is durable, on the loop's thread */
    StateLoop(PlatformState state, StateLog stateLog, Consumer<List<StateEntry>> committed) {
        this.state = state;
        this.stateLog = stateLog;
        this.committed = committed;
        this.thread = new Thread(this::run, "platform-state");
        this.thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    /**
     * Queues a command. The future completes, on the loop's thread, when what the command changed is durable, or fails with
     * what the command threw; a command throws before it changes anything.
     */
    <T> CompletableFuture<T> submit(Supplier<T> work) {
        Command<T> command = new Command<>(work, new CompletableFuture<>());
        synchronized (queue) {
            if (closing) {
                command.result.completeExceptionally(new IllegalStateException("the platform is closed"));
            } else {
                queue.add(command);
            }
        }
        return command.result;
    }

    /** Runs what is queued, then ends the thread and closes the log. */
    @Override
    public void close() throws IOException {
        synchronized (queue) {
            if (closing) {
                return;
            }
            closing = true;
            queue.add(new Command<>(() -> null, new CompletableFuture<>()));
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        stateLog.close();
    }

    private void run() {
        List<Command<?>> batch = new ArrayList<>();
        while (true) {
            try {
                batch.add(queue.take());
            } catch (InterruptedException e) {
                log.warn("the state thread does not end by interrupt, only by close()");
                continue;
            }
            queue.drainTo(batch);
            batch.forEach(this::execute);
            commit();
            batch.forEach(command -> command.publish(broken));
            batch.clear();
            synchronized (queue) {
                if (closing && queue.isEmpty()) {
                    return;
                }
            }
        }
    }

    private void execute(Command<?> command) {
        if (broken == null) {
            command.execute();
        }
    }

    private void commit() {
        List<StateEntry> changes = state.takeChanges();
        if (broken != null) {
            return;
        }
        try {
            stateLog.append(changes);
        } catch (IOException e) {
            log.error("the state cannot be written any more; the platform answers nothing from here on", e);
            broken = new UncheckedIOException("the platform's state could not be written: " + e.getMessage(), e);
            return;
        }
        try {
            committed.accept(changes);
        } catch (RuntimeException e) {
            log.error("announcing a change failed; the change itself is kept", e);
        }
    }

    private static final class Command<T> {

        private final Supplier<T> work;
        private final CompletableFuture<T> result;
        private @Nullable T value;
        private @Nullable RuntimeException failure;

        Command(Supplier<T> work, CompletableFuture<T> result) {
            this.work = work;
            this.result = result;
        }

        void execute() {
            try {
                value = work.get();
            } catch (RuntimeException e) {
                failure = e;
            }
        }

        void publish(@Nullable UncheckedIOException broken) {
            if (broken != null) {
                result.completeExceptionally(broken);
            } else if (failure != null) {
                result.completeExceptionally(failure);
            } else {
                result.complete(value);
            }
        }
    }
}
