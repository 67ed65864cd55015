package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

/** What is asked of the platform, without a broker and without HTTP. */
class OperationsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final DeviceKey DEVICE = new DeviceKey("pk", "d1");

    private final PlatformState state = new PlatformState();
    private final Jobs jobs = new Jobs(state);
    private final Queue<DeviceKey> disconnected = new ConcurrentLinkedQueue<>();
    private StateLoop loop;
    private Operations operations;

    @BeforeEach
    void start(@TempDir Path directory) throws Exception {
        loop = new StateLoop(state, new StateLog(directory, state), changes -> {});
        operations = new Operations(loop, state, jobs, new DigestSigner(directory, null), () -> NOW, disconnected::add);
        loop.start();
        operations.createProduct("pk").block(PATIENCE);
        operations.createDevice(DEVICE).block(PATIENCE);
    }

    @AfterEach
    void stop() throws Exception {
        loop.close();
    }

    @Test
    void whoWatchesAJobAndDoesNotReadFailsAndIsNotWaitedFor() {
        Task task = operations
                .run(() -> {
                    jobs.informed(DEVICE, "app", "1", false, NOW);
                    jobs.addPackage(
                            PackageRequest.of("pk", "app", "2"),
                            List.of(new PackageFile(null, 5, "a", "b", null)),
                            NOW);
                    jobs.createJob(JobRequest.of("p1"), NOW);
                    return jobs.requireTask("t1");
                })
                .block(PATIENCE);
        AtomicLong heard = new AtomicLong();
        operations.events().subscribe(event -> heard.incrementAndGet());
        AtomicLong read = new AtomicLong();
        AtomicReference<@Nullable Throwable> end = new AtomicReference<>();
        BaseSubscriber<Task> slow = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                request(1);
            }

            @Override
            protected void hookOnNext(Task value) {
                read.incrementAndGet();
            }

            @Override
            protected void hookOnError(Throwable error) {
                end.set(error);
            }
        };
        operations.watch("j1").subscribe(slow);
        await().atMost(PATIENCE).until(() -> read.get() == 1);

        // Slowly enough for whoever reads.
        List<StateEntry> changes = List.of(StateEntry.of(task, task));
        operations.run(() -> jobs.takeEvents()).block(PATIENCE);
        int told = 0;
        while (told < 200_000) {
            for (int i = 0; i < 20_000; i++) {
                operations.announce(changes);
                told++;
            }
            long all = told;
            await().atMost(PATIENCE).until(() -> heard.get() >= all);
        }
        slow.request(Long.MAX_VALUE);

        await().atMost(PATIENCE).until(() -> end.get() != null);
        assertThat(end.get()).isInstanceOf(IllegalStateException.class);
        assertThat(read.get()).isBetween(2L, 140_000L);
    }

    @Test
    void aDeviceThatWasShutOutWhileItLoggedInIsDisconnected() {
        operations.disable(DEVICE, true).block(PATIENCE);
        DeviceKey deleted = new DeviceKey("pk", "d2");

        operations.connected(DEVICE);
        operations.connected(deleted);

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(disconnected).containsExactly(DEVICE, deleted));
        assertThat(operations.device(DEVICE).block(PATIENCE).disabled()).isTrue();
    }
}
