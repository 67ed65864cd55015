package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** Many devices, threads of their own for store, source, channel and timer, and faults at random moments. */
class OtaClientStressTest {

    private static final int DEVICES = 200;
    private static final int VERSIONS = 4;
    private static final int CONCURRENCY = 8;
    private static final Duration SOON = Duration.ofSeconds(30);

    private final long seed = System.nanoTime();
    private final Scheduler disk = Schedulers.newSingle("disk");
    private final Scheduler network = Schedulers.newParallel("network", 3);
    private final MemoryStore store = MemoryStore.on(disk);
    private final MemoryChannel channel = new MemoryChannel();
    private final MemorySource source = new MemorySource();
    private final Queue<Throwable> errors = new ConcurrentLinkedQueue<>();
    private final Queue<UpgradeEvent> ends = new ConcurrentLinkedQueue<>();
    private final Map<String, AtomicInteger> installing = new ConcurrentHashMap<>();
    private final Map<UpgradeKey, AtomicInteger> installations = new ConcurrentHashMap<>();

    @AfterEach
    void stop() {
        disk.dispose();
        network.dispose();
    }

    @Test
    void everyUpgradeIsInstalledOnceWhateverTheNetworkDoes() throws InterruptedException {
        OtaClient ota = client();
        Disposable running = subscribe(ota);

        push();
        awaitTheLastVersionOfAll();
        running.dispose();

        assertThat(ends)
                .as("seed " + seed)
                .noneMatch(UpgradeEvent.Failed.class::isInstance)
                .doesNotHaveDuplicates();
        assertThat(installations.values()).as("seed " + seed).allMatch(times -> times.get() == 1);
        assertNothingIsLeft();
    }

    @Test
    void everyUpgradeComesToItsEndWhoeverCancels() throws InterruptedException {
        OtaClient ota = client();
        Random random = new Random(seed);
        CountDownLatch pushed = new CountDownLatch(1);
        Schedulers.boundedElastic().schedule(() -> {
            push();
            pushed.countDown();
        });
        for (int i = 0; i < 150; i++) {
            Disposable running = subscribe(ota);
            // A real pause between subscription and cancellation, of a length that nothing depends on.
            new CountDownLatch(1).await(random.nextInt(12_000), TimeUnit.MICROSECONDS);
            running.dispose();
        }
        assertThat(pushed.await(SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();

        Disposable running = subscribe(ota);
        awaitTheLastVersionOfAll();
        running.dispose();

        assertThat(ends).as("seed " + seed).noneMatch(UpgradeEvent.Failed.class::isInstance);
        assertNothingIsLeft();
    }

    private void assertNothingIsLeft() {
        assertThat(errors).as("seed " + seed).isEmpty();
        Awaitility.await("seed " + seed).atMost(SOON).untilAsserted(() -> {
            assertThat(store.journaled())
                    .hasSize(DEVICES)
                    .allMatch(entry -> entry.state() == UpgradeJournal.State.SUCCEEDED
                            && entry.trigger().version().equals("v" + VERSIONS));
            assertThat(channel.deliveries()).allMatch(MemoryChannel.MemoryDelivery::isAcknowledged);
            assertThat(source.ledger().leaked()).isEmpty();
            assertThat(store.referenced()).isZero();
        });
        assertThat(channel.deliveries())
                .as("seed " + seed)
                .noneMatch(MemoryChannel.MemoryDelivery::isAcknowledgedTwice);
        assertAllPlacesAreFree();
    }

    /** As many at once as ever: no place was lost on the way. */
    private void assertAllPlacesAreFree() {
        CountDownLatch together = new CountDownLatch(CONCURRENCY);
        OtaClient ota = client(verified -> Mono.<Installer.Effect>never().doOnSubscribe(s -> together.countDown()));
        List<Disposable> running = new ArrayList<>();
        for (int i = 0; i < CONCURRENCY; i++) {
            running.add(ota.upgrade(trigger(i, VERSIONS)).subscribe());
        }
        Awaitility.await().atMost(SOON).until(() -> together.getCount() == 0);
        running.forEach(Disposable::dispose);
    }

    private void push() {
        Random random = new Random(seed);
        Map<Integer, Integer> versions = new HashMap<>();
        List<Integer> devices = new ArrayList<>();
        for (int device = 0; device < DEVICES; device++) {
            devices.add(device);
        }
        while (!devices.isEmpty()) {
            int index = random.nextInt(devices.size());
            int device = devices.get(index);
            int version = versions.getOrDefault(device, 1);
            channel.push(trigger(device, version));
            if (random.nextInt(3) == 0) {
                if (version == VERSIONS) {
                    devices.remove(index);
                }
                versions.put(device, version + 1);
            }
        }
    }

    private void awaitTheLastVersionOfAll() {
        Awaitility.await("seed " + seed)
                .atMost(Duration.ofSeconds(30))
                .pollInterval(Duration.ofMillis(20))
                .untilAsserted(() -> assertThat(store.journaled())
                        .filteredOn(entry -> entry.state() == UpgradeJournal.State.SUCCEEDED)
                        .extracting(entry -> entry.trigger().version())
                        .hasSize(DEVICES)
                        .containsOnly("v" + VERSIONS));
    }

    private Disposable subscribe(OtaClient ota) {
        return ota.upgrades().filter(UpgradeEvent.Ended.class::isInstance).subscribe(ends::add, errors::add);
    }

    private OtaClient client() {
        return client(this::install);
    }

    private OtaClient client(Installer installer) {
        return OtaClient.builder(channel)
                .source(new FaultySource())
                .store(new BusyStore())
                .concurrency(CONCURRENCY)
                .backoff(new Backoff(Duration.ofMillis(1), Duration.ofMillis(4), 1_000))
                .minimumThroughput(new Throughput(1, Duration.ofMillis(100)))
                .scheduler(network)
                .installer("app", installer)
                .build();
    }

    private Mono<Installer.Effect> install(Verified verified) {
        return Mono.defer(() -> {
            AtomicInteger now =
                    installing.computeIfAbsent(verified.trigger().device().name(), device -> new AtomicInteger());
            if (now.incrementAndGet() > 1) {
                errors.add(new AssertionError("two installations at once: " + verified));
            }
            return verified.file()
                    .read()
                    .doOnNext(ByteBuf::release)
                    .then(Mono.fromSupplier(() -> {
                        installations
                                .computeIfAbsent(verified.trigger().key(), key -> new AtomicInteger())
                                .incrementAndGet();
                        return Installer.Effect.IMMEDIATE;
                    }))
                    .doFinally(end -> now.decrementAndGet());
        });
    }

    /** Some contents are the same for many devices. */
    private UpgradeTrigger trigger(int device, int version) {
        byte[] content = ("content " + device % 50 + " of " + version + " ")
                .repeat(50 + 7 * device)
                .substring(0, 500 + 60 * (device % 50))
                .getBytes(StandardCharsets.UTF_8);
        URI location = URI.create("https://files.example.com/" + device % 50 + "/" + version);
        source.chunk(300).serve(location, content);
        Digest digest = Digest.of(
                Digest.Algorithm.SHA_256,
                Digest.Algorithm.SHA_256.newMessageDigest().digest(content));
        return new UpgradeTrigger(
                new DeviceId("sensor", "s" + device),
                "app",
                "v" + version,
                new Artifact("app", location, content.length, List.of(digest)));
    }

    /** It refuses, breaks off, hangs and delivers on threads of its own. */
    private final class FaultySource implements ArtifactSource {

        private final Random random = new Random(seed);

        @Override
        public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
            return Flux.defer(() -> {
                        int fate = fate();
                        if (fate < 5) {
                            return Flux.error(new TransferException(Reason.SERVER_BUSY, "503", null));
                        }
                        if (fate < 7) {
                            return Flux.<T>never();
                        }
                        return source.read(
                                request,
                                content -> consumer.apply(new Content(
                                        content.offset(),
                                        content.size(),
                                        content.validator(),
                                        faulty(fate, content.bytes()))));
                    })
                    .subscribeOn(network);
        }

        private Flux<ByteBuf> faulty(int fate, Flux<ByteBuf> bytes) {
            Flux<ByteBuf> cut = bytes;
            if (fate < 25) {
                cut = bytes.take(fate % 4)
                        .concatWith(Flux.error(new TransferException(Reason.CONNECTION_LOST, "reset", null)));
            } else if (fate < 28) {
                cut = bytes.take(fate % 4).concatWith(Flux.never());
            }
            return cut.subscribeOn(network);
        }

        private synchronized int fate() {
            return random.nextInt(100);
        }
    }

    /** Everything it is asked comes back on its thread, in order, and what was begun is done whoever cancels. */
    private final class BusyStore implements ArtifactStore {

        private <T> Mono<T> later(Mono<T> work) {
            return Mono.create(sink -> {
                disk.schedule(() -> work.subscribe(sink::success, sink::error, sink::success));
            });
        }

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests).subscribeOn(disk);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact).subscribeOn(disk);
        }

        @Override
        public UpgradeJournal journal() {
            UpgradeJournal journal = store.journal();
            return new UpgradeJournal() {
                @Override
                public Flux<Entry> entries() {
                    return journal.entries().subscribeOn(disk);
                }

                @Override
                public Mono<Void> put(Entry entry) {
                    return later(journal.put(entry));
                }

                @Override
                public Mono<Void> remove(UpgradeKey key) {
                    return later(journal.remove(key));
                }
            };
        }

        @Override
        public Mono<Void> close() {
            return store.close();
        }
    }
}
