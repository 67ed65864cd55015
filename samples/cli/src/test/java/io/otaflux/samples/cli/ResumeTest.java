package io.otaflux.samples.cli;

import static io.otaflux.testkit.FaultServer.file;
import static io.otaflux.testkit.FaultServer.wholeFile;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.OtaException.Reason;
import io.otaflux.Throughput;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.FaultServer.Fault;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Interrupted transfers through the whole of it: the engine, the source on a socket, the store on a disk. */
@Timeout(300)
class ResumeTest {

    private static final Duration PATIENCE = Duration.ofSeconds(120);
    private static final byte[] CONTENT = DownloadCommandTest.content(200_000);
    private static final byte[] OTHER = DownloadCommandTest.content(200_000 + 1);
    private static final int HALF = 100_000;

    private final BufferLedger ledger = new BufferLedger();

    @TempDir
    private Path directory;

    private HttpArtifactSource source;
    private int stores;

    @BeforeEach
    void open() {
        source = HttpArtifactSource.builder()
                .allowNetworks("127.0.0.0/8")
                .allowHttp(true)
                .allocator(ledger.allocator())
                .stallTimeout(Duration.ofSeconds(2))
                .build();
    }

    @AfterEach
    void nothingIsLeft() {
        Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
        source.close().block(PATIENCE);
    }

    // Guards, each with a client that does without it

    @Test
    void aContentThatChangesStartsOver() {
        startsOver(source);

        Mutant.assertCaught(
                "If-Range",
                () -> startsOver(
                        asking(request -> new ArtifactSource.Request(request.artifact(), request.offset(), null))));
    }

    private void startsOver(ArtifactSource asked) {
        byte[] after = Arrays.copyOf(OTHER, CONTENT.length);
        try (FaultServer server = new FaultServer(file(CONTENT, "\"v1\"").at(HALF, Fault.cut()))) {
            server.afterwards(file(after, "\"v2\""));
            arrives(asked, store(), artifact(server.uri("/a"), after), after);
            assertThat(server.requests()).hasSize(2);
        }
    }

    @Test
    void aServerThatIgnoresRangesStartsOver() {
        isNotContinued(source);

        Mutant.assertCaught(
                "200 is not 206",
                () -> isNotContinued(answering((request, content) -> new ArtifactSource.Content(
                        request.offset(), content.size(), content.validator(), content.bytes()))));
    }

    private void isNotContinued(ArtifactSource asked) {
        try (FaultServer server = new FaultServer(wholeFile(CONTENT).at(HALF, Fault.cut()))) {
            server.afterwards(wholeFile(CONTENT));
            arrives(asked, store(), artifact(server.uri("/a"), CONTENT), CONTENT);
        }
    }

    @Test
    void whatRottedOnTheDiskIsFound() throws IOException {
        rotIsFound(FileArtifactStore::in);

        // As if the digest's inner state had been kept, which saves reading the bytes again.
        Mutant.assertCaught(
                "hashing the prefix again", () -> rotIsFound(at -> new Forgetful(FileArtifactStore.in(at))));
    }

    private void rotIsFound(Function<Path, ArtifactStore> opening) throws IOException {
        Path state = directory.resolve("rotten-" + stores++);
        try (FaultServer server = new FaultServer(file(CONTENT, "\"v1\"").at(HALF, Fault.cut()))) {
            server.afterwards(file(CONTENT, "\"v1\""));
            Artifact artifact = artifact(server.uri("/a"), CONTENT);
            assertThat(upgrade(source, opening.apply(state), artifact, Backoff.none(), target()))
                    .isInstanceOf(UpgradeEvent.Failed.class);
            flip(part(state), HALF / 2);

            UpgradeEvent end = upgrade(source, opening.apply(state), artifact, Backoff.none(), target());

            assertThat(end)
                    .isInstanceOfSatisfying(
                            UpgradeEvent.Failed.class,
                            failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.DIGEST_MISMATCH));
            arrives(source, opening.apply(state), artifact, CONTENT);
        }
    }

    @Test
    void noByteBeyondTheDeclaredLengthIsWritten() {
        Path state = directory.resolve("endless");
        AtomicLong largest = new AtomicLong();
        AtomicLong sent = new AtomicLong();
        Answer endless = peer -> {
            Answer.text("HTTP/1.1 200 OK\r\n\r\n").answer(peer);
            while (true) {
                peer.send(CONTENT);
                sent.addAndGet(CONTENT.length);
                largest.accumulateAndGet(size(state), Math::max);
            }
        };
        try (FaultServer server = new FaultServer(endless);
                Watch watch = new Watch(() -> largest.accumulateAndGet(size(state), Math::max))) {
            UpgradeEvent end = upgrade(
                    source, FileArtifactStore.in(state), artifact(server.uri("/a"), CONTENT), Backoff.none(), target());
            assertThat(watch.looks()).isPositive();

            assertThat(end)
                    .isInstanceOfSatisfying(
                            UpgradeEvent.Failed.class,
                            failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.ENDLESS_DATA));
            assertThat(largest.get()).isLessThanOrEqualTo(CONTENT.length);
            assertThat(target()).doesNotExist();
        }
    }

    @Test
    void aServerThatDripsIsLeftAndWhatCameIsKept() {
        Path state = directory.resolve("dripping");
        Throughput minimum = new Throughput(16_384, Duration.ofSeconds(2));
        try (FaultServer server =
                new FaultServer(file(CONTENT, "\"v1\"").at(HALF, Fault.drip(Duration.ofMillis(20))))) {
            server.afterwards(file(CONTENT, "\"v1\""));
            Artifact artifact = artifact(server.uri("/a"), CONTENT);
            long began = System.nanoTime();

            UpgradeEvent end = upgrade(source, FileArtifactStore.in(state), artifact, minimum);

            long millis = Duration.ofNanos(System.nanoTime() - began).toMillis();
            assertThat(end)
                    .isInstanceOfSatisfying(
                            UpgradeEvent.Failed.class,
                            failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.TOO_SLOW));
            System.err.println("figure: a server that drips: left after " + millis + " ms, window "
                    + minimum.window().toMillis() + " ms");
            arrives(source, FileArtifactStore.in(state), artifact, CONTENT);
            assertThat(server.requests()).hasSize(2);
            assertThat(server.requests().get(1)).containsPattern("(?i)range: bytes=1\\d{5}-");
        }
    }

    // The channel's part

    @ParameterizedTest
    @ValueSource(ints = {401, 403, 404, 410})
    void aLocationThatExpiresIsRenewedOnceAndTheTransferGoesOn(int status) {
        MemoryChannel channel = new MemoryChannel();
        try (FaultServer server = new FaultServer(
                file(CONTENT, "\"v1\"").at(HALF, Fault.cut()),
                FaultServer.answer(status + " Expired", "", "Content-Length: 0"),
                file(CONTENT, "\"v1\""))) {
            UpgradeTrigger trigger = trigger(channel.device(), artifact(server.uri("/a?Expires=1"), CONTENT));
            channel.pending(trigger(channel.device(), artifact(server.uri("/a?Expires=2"), CONTENT)));
            channel.push(trigger);
            ArtifactStore store = store();
            UpgradeEvent end = client(source, store, quick(), target(), channel)
                    .build()
                    .upgrades()
                    .ofType(UpgradeEvent.Ended.class)
                    .cast(UpgradeEvent.class)
                    .blockFirst(PATIENCE);
            store.close().block(PATIENCE);

            assertThat(end).isInstanceOf(UpgradeEvent.Succeeded.class);
            assertThat(target()).hasBinaryContent(CONTENT);
            assertThat(server.requests()).hasSize(3);
            assertThat(server.requests().get(2))
                    .startsWith("GET /a?Expires=2 ")
                    .containsIgnoringCase("range: bytes=" + HALF + "-");
        }
    }

    // Figures

    @Tag("faults")
    @ParameterizedTest
    @EnumSource(CutProxy.End.class)
    void fiftyCutsCostNextToNothing(CutProxy.End how) throws IOException {
        int size = 64 << 20;
        int cuts = 50;
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[] content = new byte[size];
        random.nextBytes(content);
        long[] offsets = random.longs(cuts, 0, size).sorted().toArray();

        try (FaultServer server = new FaultServer().afterwards(file(content, "\"v1\""));
                CutProxy proxy = CutProxy.to(server.port()).script(number -> {
                    long before = number == 1 || number > cuts ? 0 : offsets[number - 2];
                    return number > cuts
                            ? new CutProxy.Faults()
                            : new CutProxy.Faults().cut(CutProxy.Way.TO_CLIENT, offsets[number - 1] - before, how);
                })) {
            URI location = URI.create("http://127.0.0.1:" + proxy.port() + "/a");
            AtomicLong arrived = new AtomicLong();
            ArtifactSource counting = answering((request, answer) -> new ArtifactSource.Content(
                    answer.offset(),
                    answer.size(),
                    answer.validator(),
                    answer.bytes().doOnNext(buffer -> arrived.addAndGet(buffer.readableBytes()))));
            UpgradeEvent end = upgrade(counting, store(), artifact(location, content), quick(), target());

            assertThat(end).as("seed %d", seed).isInstanceOf(UpgradeEvent.Succeeded.class);
            assertThat(Arrays.equals(Files.readAllBytes(target()), content)).isTrue();
            // What was in the send buffer when a connection is reset never leaves, though the proxy has written it.
            long wire = how == CutProxy.End.RST ? arrived.get() : proxy.forwarded(CutProxy.Way.TO_CLIENT);
            double extra = 100.0 * (wire - size) / size;
            System.err.printf(
                    Locale.ROOT,
                    "figure: %d cuts (%s) of 64 MiB: %.2f %% extra bytes (%d %s), seed %d%n",
                    proxy.cuts(),
                    how,
                    extra,
                    wire,
                    how == CutProxy.End.RST ? "arrived" : "on the wire with all heads",
                    seed);
            assertThat(proxy.cuts()).as("seed %d", seed).isEqualTo(cuts);
            assertThat(extra).as("seed %d", seed).isBetween(0.0, 5.0);
        }
    }

    @Tag("faults")
    @Test
    void randomFaultsEndWellAndLeaveNothing() throws IOException {
        int transfers = 200;
        long seed = System.nanoTime();
        Random random = new Random(seed);
        AtomicInteger faults = new AtomicInteger();
        HttpArtifactSource hasty = HttpArtifactSource.builder()
                .allowNetworks("127.0.0.0/8")
                .allowHttp(true)
                .allocator(ledger.allocator())
                .receiveBufferSize(16_384)
                .stallTimeout(Duration.ofMillis(300))
                .build();
        try {
            for (int i = 0; i < transfers; i++) {
                byte[] content = new byte[1 + random.nextInt(CONTENT.length)];
                random.nextBytes(content);
                String tag = random.nextInt(4) == 0 ? null : "\"" + i + "\"";
                Answer healthy = random.nextInt(4) == 0 ? wholeFile(content) : file(content, tag);
                try (FaultServer server = new FaultServer().afterwards(healthy)) {
                    for (int fault = random.nextInt(4); fault > 0; fault--) {
                        server.then(healthy.at(random.nextInt(content.length), Fault.random(random)));
                        faults.incrementAndGet();
                    }
                    UpgradeEvent end =
                            upgrade(hasty, store(), artifact(server.uri("/" + i), content), quick(), target());

                    assertThat(end).as("transfer %d, seed %d", i, seed).isInstanceOf(UpgradeEvent.Succeeded.class);
                    assertThat(Arrays.equals(Files.readAllBytes(target()), content))
                            .as("transfer %d, seed %d", i, seed)
                            .isTrue();
                }
            }
            Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
            System.err.println("figure: " + transfers + " transfers with " + faults + " random faults: " + transfers
                    + " right, 0 of " + ledger.handedOut() + " buffers leaked, seed " + seed);
        } finally {
            hasty.close().block(PATIENCE);
        }
    }

    // What it takes

    private ArtifactStore store() {
        return FileArtifactStore.in(directory.resolve("store-" + stores++));
    }

    private Path target() {
        return directory.resolve("target");
    }

    private static Backoff quick() {
        return new Backoff(Duration.ofMillis(1), Duration.ofMillis(10), 10);
    }

    private static Artifact artifact(URI location, byte[] content) {
        return new Artifact(
                "a", location, content.length, List.of(Digest.sha256(DownloadCommandTest.hex("SHA-256", content))));
    }

    private static UpgradeTrigger trigger(DeviceId device, Artifact artifact) {
        return new UpgradeTrigger(device, "app", "2", artifact);
    }

    private void arrives(ArtifactSource asked, ArtifactStore store, Artifact artifact, byte[] content) {
        UpgradeEvent end = upgrade(asked, store, artifact, quick(), target());

        assertThat(end).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(target()).hasBinaryContent(content);
    }

    private UpgradeEvent upgrade(ArtifactSource asked, ArtifactStore store, Artifact artifact, Throughput minimum) {
        MemoryChannel channel = new MemoryChannel();
        return ended(
                client(asked, store, Backoff.none(), target(), channel)
                        .minimumThroughput(minimum)
                        .build(),
                channel,
                store,
                artifact);
    }

    private static UpgradeEvent upgrade(
            ArtifactSource asked, ArtifactStore store, Artifact artifact, Backoff backoff, Path target) {
        MemoryChannel channel = new MemoryChannel();
        return ended(client(asked, store, backoff, target, channel).build(), channel, store, artifact);
    }

    private static UpgradeEvent ended(OtaClient ota, MemoryChannel channel, ArtifactStore store, Artifact artifact) {
        try {
            UpgradeEvent end = ota.upgrade(trigger(channel.device(), artifact)).blockLast(PATIENCE);
            assertThat(end).isNotNull();
            return end;
        } finally {
            store.close().block(PATIENCE);
        }
    }

    private static OtaClient.Builder client(
            ArtifactSource asked, ArtifactStore store, Backoff backoff, Path target, MemoryChannel channel) {
        return OtaClient.builder(channel)
                .source(asked)
                .store(store)
                .backoff(backoff)
                .installer(verified -> verified.file().moveTo(target).thenReturn(Installer.Effect.IMMEDIATE));
    }

    private ArtifactSource asking(Function<ArtifactSource.Request, ArtifactSource.Request> change) {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(change.apply(request), consumer);
            }
        };
    }

    private interface Answering {

        ArtifactSource.Content change(ArtifactSource.Request request, ArtifactSource.Content content);
    }

    private ArtifactSource answering(Answering answering) {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(request, content -> consumer.apply(answering.change(request, content)));
            }
        };
    }

    private static Path part(Path state) throws IOException {
        try (Stream<Path> files = Files.list(state)) {
            return files.filter(file -> file.toString().endsWith(".part"))
                    .findFirst()
                    .orElseThrow();
        }
    }

    private static long size(Path state) {
        if (!Files.isDirectory(state)) {
            return 0;
        }
        try {
            return Files.size(part(state));
        } catch (IOException | RuntimeException gone) {
            return 0;
        }
    }

    private static void flip(Path file, long at) throws IOException {
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
            bytes.seek(at);
            int before = bytes.read();
            bytes.seek(at);
            bytes.write(before ^ 1);
        }
    }

    /** Looks again and again. */
    private static final class Watch implements AutoCloseable {

        private final AtomicInteger looks = new AtomicInteger();
        private final Thread thread;
        private volatile boolean over;

        Watch(Runnable look) {
            thread = new Thread(() -> {
                while (!over) {
                    look.run();
                    looks.incrementAndGet();
                    Thread.onSpinWait();
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        int looks() {
            return looks.get();
        }

        @Override
        public void close() {
            over = true;
        }
    }

    /** A store that believes that what it wrote is still there. */
    private record Forgetful(ArtifactStore store) implements ArtifactStore {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact).map(Trusting::new);
        }

        @Override
        public UpgradeJournal journal() {
            return store.journal();
        }

        @Override
        public Mono<Void> close() {
            return store.close();
        }
    }

    private record Trusting(ArtifactStore.Writer writer) implements ArtifactStore.Writer {

        @Override
        public long offset() {
            return writer.offset();
        }

        @Override
        public @Nullable String validator() {
            return writer.validator();
        }

        @Override
        public Mono<Void> replay(Hasher hasher) {
            return Mono.fromRunnable(() -> hasher.update(Unpooled.wrappedBuffer(CONTENT, 0, (int) writer.offset())));
        }

        @Override
        public Mono<Void> begin(long start, long size, @Nullable String validator) {
            return writer.begin(start, size, validator);
        }

        @Override
        public Flux<Long> append(Flux<ByteBuf> bytes, Hasher hasher) {
            return writer.append(bytes, hasher);
        }

        @Override
        public Mono<ArtifactStore.Stored> commit(List<Digest> digests) {
            return writer.commit(digests);
        }

        @Override
        public Mono<Void> discard() {
            return writer.discard();
        }

        @Override
        public Mono<Void> close() {
            return writer.close();
        }
    }
}
