package io.otaflux.storage;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Runs tasks one after another on the threads of a pool, in the order in which they came. After each task the thread goes
 * back to the pool, so that a busy writer does not keep the others from theirs.
 */
final class Serial implements Executor {

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

    private void runNext() {
        try {
            Runnable task = tasks.poll();
            if (task != null) {
                task.run();
            }
        } finally {
            if (waiting.decrementAndGet() > 0) {
                pool.execute(this::runNext);
            }
        }
    }
}
