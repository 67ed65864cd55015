package io.otaflux.storage;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Runs tasks one after another on the threads of a pool, in the order in which they came. When they have taken a
 * {@link #TURN} the thread goes back to the pool, so that a busy writer does not keep the others from theirs.
 */
final class Serial implements Executor {

    /** In nanoseconds. Small artifacts come to their end within one, without a way through the pool for each of their steps. */
    private static final long TURN = 1_000_000;

    private final Executor pool;
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final AtomicInteger waiting = new AtomicInteger();

    Serial(Executor pool) {
        this.pool = pool;
    }

    @Override
    public void execute(Runnable task) {
        tasks.add(task);
        if (waiting.getAndIncrement() == 0) {
            pool.execute(this::runNext);
        }
    }

    /**
     * Runs a task that touches no file: on this thread, if nothing else is under way or waits, and otherwise after that,
     * wherever that is.
     */
    void here(Runnable task) {
        tasks.add(new Light(task));
        if (waiting.getAndIncrement() == 0) {
            runLight();
        }
    }

    private void runLight() {
        boolean more = true;
        while (more) {
            boolean broken = true;
            try {
                if (!(tasks.peek() instanceof Light)) {
                    hand();
                    broken = false;
                    return;
                }
                tasks.remove().run();
                broken = false;
            } finally {
                if (broken) {
                    more = false;
                    if (waiting.decrementAndGet() > 0) {
                        hand();
                    }
                }
            }
            more = waiting.decrementAndGet() > 0;
        }
    }

    /** Leaves what waits to the pool; if that is closed, there are no files either that it could touch. */
    private void hand() {
        try {
            pool.execute(this::runNext);
        } catch (RejectedExecutionException e) {
            runNext();
        }
    }

    private void runNext() {
        long began = System.nanoTime();
        boolean more = true;
        while (more) {
            boolean broken = true;
            try {
                Runnable task = tasks.poll();
                if (task != null) {
                    task.run();
                }
                broken = false;
            } finally {
                more = waiting.decrementAndGet() > 0;
                if (more && (broken || System.nanoTime() - began >= TURN)) {
                    more = false;
                    pool.execute(this::runNext);
                }
            }
        }
    }

    private record Light(Runnable task) implements Runnable {

        @Override
        public void run() {
            task.run();
        }
    }
}
