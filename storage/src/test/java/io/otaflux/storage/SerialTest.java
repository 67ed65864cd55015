package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SerialTest {

    private static final Duration SOON = Duration.ofSeconds(30);

    private final ExecutorService pool = Executors.newFixedThreadPool(4, task -> new Thread(task, "pool"));
    private final Serial serial = new Serial(pool);

    @AfterEach
    void close() {
        pool.shutdownNow();
    }

    @Test
    void tasksOfAllThreadsAndKindsNeverOverlap() throws InterruptedException {
        AtomicInteger within = new AtomicInteger();
        AtomicInteger overlaps = new AtomicInteger();
        AtomicInteger done = new AtomicInteger();
        Runnable task = () -> {
            overlaps.addAndGet(within.getAndIncrement());
            Thread.onSpinWait();
            within.decrementAndGet();
            done.incrementAndGet();
        };
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Thread thread = new Thread(() -> {
                for (int j = 0; j < 5_000; j++) {
                    if (j % 3 == 0) {
                        serial.execute(task);
                    } else {
                        serial.here(task);
                    }
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Awaitility.await().atMost(SOON).until(() -> done.get() == 20_000);
        assertThat(overlaps).hasValue(0);
    }

    @Test
    void aLightTaskRunsOnTheThreadThatBringsItAndAHeavyOneNever() {
        List<String> ran = new CopyOnWriteArrayList<>();
        String here = Thread.currentThread().getName();
        serial.here(() -> {
            ran.add("light on " + Thread.currentThread().getName());
            serial.here(() -> ran.add("light on " + Thread.currentThread().getName()));
            serial.execute(() -> ran.add("heavy on " + Thread.currentThread().getName()));
        });
        Awaitility.await().atMost(SOON).until(() -> ran.size() == 3);
        assertThat(ran).containsExactly("light on " + here, "light on " + here, "heavy on pool");
    }

    @Test
    void aLightTaskWaitsForTheOneThatRuns() throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch end = new CountDownLatch(1);
        List<String> ran = new CopyOnWriteArrayList<>();
        serial.execute(() -> {
            begun.countDown();
            await(end);
            ran.add("first");
        });
        assertThat(begun.await(SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
        serial.here(() -> ran.add("second on " + Thread.currentThread().getName()));
        assertThat(ran).isEmpty();
        end.countDown();
        Awaitility.await().atMost(SOON).until(() -> ran.size() == 2);
        assertThat(ran).containsExactly("first", "second on pool");
    }

    @Test
    void aTaskThatThrowsDoesNotKeepTheOthersFromTheirs() {
        List<String> ran = new CopyOnWriteArrayList<>();
        assertThat(catchThrowable(() -> serial.here(() -> {
                    serial.here(() -> ran.add("next"));
                    throw new IllegalStateException("broken");
                })))
                .hasMessage("broken");
        Awaitility.await().atMost(SOON).until(() -> ran.size() == 1);
        serial.here(() -> ran.add("last"));
        Awaitility.await().atMost(SOON).until(() -> ran.size() == 2);
    }

    @Test
    void afterThePoolIsClosedWhatWaitsRunsAllTheSame() {
        pool.shutdown();
        List<String> ran = new CopyOnWriteArrayList<>();
        serial.here(() -> {
            ran.add("light");
            serial.execute(() -> ran.add("heavy"));
        });
        assertThat(ran).containsExactly("light", "heavy");
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
