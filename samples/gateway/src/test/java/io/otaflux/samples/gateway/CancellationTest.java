package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;

/** Whoever asked for an upgrade may lose interest at any moment; everything he held is given back. */
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
@ExtendWith(NoDroppedErrors.class)
class CancellationTest {

    private static final int CANCELS = 1_000;
    private static final int CONTENTS = 12;
    private static final int SIZE = 700_000;
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    @TempDir
    Path directory;

    @Test
    void nothingIsLeftOfAThousandUpgradesThatWereCancelledAnywhere() {
        long seed = System.nanoTime();
        System.err.println("seed of the cancellations: " + seed);
        Random random = new Random(seed);
        List<String> leaks = new CopyOnWriteArrayList<>();
        ByteBufUtil.setLeakListener((type, records) -> leaks.add(type + ": " + records));

        try (NginxServer nginx = NginxServer.start(directory.resolve("nginx"))) {
            List<UpgradeTrigger> triggers = new ArrayList<>();
            for (int i = 0; i < CONTENTS; i++) {
                Payload payload = Payload.of(SIZE, i);
                Artifact artifact = new Artifact(
                        "file",
                        nginx.put("file-" + i, payload.bytes()),
                        payload.size(),
                        List.of(new Digest(Digest.Algorithm.SHA_256, payload.sha256())));
                triggers.add(new UpgradeTrigger(Cloud.DEVICE, "module-" + i, "1", artifact));
            }
            // The first round starts the threads and opens the files that stay for the life of the process.
            cancelSome(triggers, new Random(seed), 20);
            Set<String> threads = threads();
            long descriptors = descriptors();

            cancelSome(triggers, random, CANCELS);

            await("descriptors")
                    .atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(descriptors()).isLessThanOrEqualTo(descriptors));
            await("threads")
                    .atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(threads()).isSubsetOf(threads));
        } finally {
            collectGarbage();
            ByteBufUtil.setLeakListener(null);
        }
        assertThat(leaks).as("buffers that nobody released, ledger or not").isEmpty();
    }

    private void cancelSome(List<UpgradeTrigger> triggers, Random random, int rounds) {
        BufferLedger ledger = new BufferLedger();
        HttpArtifactSource source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .allocator(ledger.allocator())
                .receiveBufferSize(32 * 1024)
                .maxConnections(8)
                .build();
        // Room for some of the contents only, so that there is always something to fetch.
        FileArtifactStore store = FileArtifactStore.builder(directory.resolve("store"))
                .quota(8L * SIZE)
                .checkpointBytes(64 * 1024)
                .build();
        OtaClient.Builder builder = OtaClient.builder(UpgradeChannel.none(Cloud.DEVICE))
                .source(source)
                .store(store);
        triggers.forEach(
                trigger -> builder.installer(trigger.module(), FileInstaller.to(directory.resolve(trigger.module()))));
        OtaClient ota = builder.build();
        AtomicInteger cancelled = new AtomicInteger();
        List<UpgradeEvent.Failed> failures = new CopyOnWriteArrayList<>();
        Set<String> reached = ConcurrentHashMap.newKeySet();
        try {
            Flux.range(0, rounds)
                    .flatMap(
                            round -> {
                                UpgradeTrigger trigger = triggers.get(random.nextInt(triggers.size()));
                                long micros = (long) (40_000 * Math.pow(random.nextDouble(), 2));
                                StringBuilder last = new StringBuilder("Nothing");
                                return ota.upgrade(trigger)
                                        .doOnNext(event -> {
                                            last.setLength(0);
                                            last.append(event.getClass().getSimpleName());
                                            if (event instanceof UpgradeEvent.Failed failed) {
                                                failures.add(failed);
                                            }
                                        })
                                        .doFinally(end -> {
                                            if (end == SignalType.CANCEL) {
                                                cancelled.incrementAndGet();
                                                reached.add(last.toString());
                                            }
                                        })
                                        .takeUntilOther(Mono.delay(Duration.ofNanos(micros * 1_000)))
                                        .then();
                            },
                            4)
                    .then()
                    .block(PATIENCE);
            if (rounds == CANCELS) {
                System.err.println(cancelled + " of " + rounds + " cancelled in mid-way, after " + reached + ", "
                        + ledger.handedOut() + " buffers");
                assertThat(cancelled.get()).isGreaterThan(rounds / 4);
                assertThat(reached).contains("Nothing", "Received");
            }
            assertThat(failures).isEmpty();
        } finally {
            ota.dispose();
            Mono.whenDelayError(source.close(), store.close()).block(PATIENCE);
        }
        ledger.assertNoLeaks();
    }

    /** A buffer that was never released is found when its wrapper is collected and the next buffer is made. */
    private static void collectGarbage() {
        for (int i = 0; i < 3; i++) {
            System.gc();
            ByteBufAllocator.DEFAULT.directBuffer(1).release();
        }
    }

    /** The names of the threads, without what tells one of a kind from another. */
    private static Set<String> threads() {
        Set<String> names = new TreeSet<>();
        Thread.getAllStackTraces()
                .keySet()
                .forEach(thread -> names.add(thread.getName().replaceAll("[0-9]+", "#")));
        // Those of installers end by themselves after seconds, and awaitility is who asks.
        names.removeIf(name -> name.startsWith("otaflux-install") || name.startsWith("awaitility"));
        return names;
    }

    private static long descriptors() {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
