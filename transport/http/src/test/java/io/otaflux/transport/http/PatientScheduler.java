package io.otaflux.transport.http;

import java.util.concurrent.Executor;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.scheduler.Scheduler;

/**
 * Runs every task that was handed to it, also those of a worker that is disposed before their turn comes.
 *
 * <p>{@code publishOn} disposes its worker when it is cancelled. The schedulers of Reactor then forget a task that waits,
 * and where that task was the one that would have emptied the queue, its buffers are released by nobody.
 */
final class PatientScheduler implements Scheduler {

    private final Executor executor;

    PatientScheduler(Executor executor) {
        this.executor = executor;
    }

    @Override
    public Disposable schedule(Runnable task) {
        executor.execute(task);
        return Disposables.never();
    }

    @Override
    public Worker createWorker() {
        return new Worker() {
            @Override
            public Disposable schedule(Runnable task) {
                return PatientScheduler.this.schedule(task);
            }

            @Override
            public void dispose() {
                // What was scheduled runs; it sees for itself that it was cancelled.
            }
        };
    }
}
