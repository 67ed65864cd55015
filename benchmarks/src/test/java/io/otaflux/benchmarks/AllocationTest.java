package io.otaflux.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.util.ResourceLeakDetector;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.reactivestreams.Publisher;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;

/**
 * The bytes of an artifact come to the disk without being copied, and almost without anything being made on their way. What
 * is counted is the heap that all threads of this process take while a large file comes, less what they take for a small one.
 * So it does not matter how fast anything is; the server is a process of its own.
 */
class AllocationTest {

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int MEBI = 1 << 20;
    private static final int SMALL = 16;
    private static final int LARGE = 48;

    /** How often it is tried until all is there that is loaded, compiled and pooled once. */
    private static final int ATTEMPTS = 6;

    /** Of the heap, for each MiB of a file. A copy takes a thousand times as much, and one object per 8 KiB twice. */
    private static final long BOUND = 1024;

    private final ResourceLeakDetector.Level leaks = ResourceLeakDetector.getLevel();
    private final Logger logger = (Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);
    private final Level logged = logger.getLevel();

    @TempDir
    private Path directory;

    @BeforeEach
    void countOnlyWhatTheProgramMakes() {
        // It makes a record of every touch of every buffer, which nobody has who does not look for leaks.
        ResourceLeakDetector.setLevel(ResourceLeakDetector.Level.DISABLED);
        // Where everything is logged, Netty has something to say about each read.
        logger.setLevel(Level.WARN);
    }

    @AfterEach
    void lookForLeaksAgain() {
        ResourceLeakDetector.setLevel(leaks);
        logger.setLevel(logged);
    }

    @Test
    void bytesFromMemoryToTheDiskTakeNoHeap() {
        assertThatNothingIsMade("memory", Zeros::of);
    }

    @Test
    @RequiresProgram(value = "nginx", debianPackage = "nginx-light")
    void bytesFromAServerToTheDiskTakeNoHeap() throws IOException {
        try (NginxServer server = NginxServer.start(directory.resolve("nginx"))) {
            for (int size : List.of(SMALL, LARGE)) {
                Path file = directory.resolve("nginx/files/" + size);
                try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
                    sparse.setLength((long) size * MEBI);
                }
            }
            HttpArtifactSource source = HttpArtifactSource.builder()
                    .allowHttp(true)
                    .allowOrigin(server.uri(""))
                    .build();

            assertThatNothingIsMade("http", size -> new Zeros(server.uri(Integer.toString(size)), source));
            Mutant.assertCaught(
                    "passing on the buffers of the socket as they are",
                    () -> assertThatNothingIsMade(
                            "copies",
                            size -> new Zeros(
                                    server.uri(Integer.toString(size)), changing(source, AllocationTest::copied))));

            source.close().block(PATIENCE);
        }
    }

    @Test
    void aCopyOfEachBufferIsNoticed() {
        Mutant.assertCaught(
                "handing buffers on without asByteArray",
                () -> assertThatNothingIsMade(
                        "asByteArray", size -> Zeros.of(size).through(AllocationTest::copied)));
    }

    @Test
    void smallBuffersAreNoticed() {
        Mutant.assertCaught(
                "buffers as large as they were received",
                () -> assertThatNothingIsMade("8 KiB", size -> Zeros.of(size).through(AllocationTest::split)));
    }

    @Test
    void oneSmallObjectForEach8KiBIsNoticed() {
        Mutant.assertCaught(
                "nothing made for pieces of a buffer",
                () -> assertThatNothingIsMade(
                        "objects", size -> Zeros.of(size).through(bytes -> bytes.doOnNext(Objects::make))));
    }

    private void assertThatNothingIsMade(String what, Function<Integer, Zeros> artifacts) {
        long small = Long.MAX_VALUE;
        long large = Long.MAX_VALUE;
        List<Long> all = new ArrayList<>();
        FileArtifactStore store = FileArtifactStore.in(directory.resolve("store"));
        try {
            for (int i = 0; i < ATTEMPTS && (i < 2 || all.get(i - 1) >= BOUND); i++) {
                large = Math.min(large, allocatedBy(store, artifacts.apply(LARGE), LARGE));
                small = Math.min(small, allocatedBy(store, artifacts.apply(SMALL), SMALL));
                all.add((large - small) / (LARGE - SMALL));
            }
        } finally {
            store.close().block(PATIENCE);
        }
        System.err.println("figure: bytes of heap per MiB, " + what + ", from attempt to attempt: " + all
                + ", and for one file at once: " + (small - SMALL * all.get(all.size() - 1)));
        assertThat(all.get(all.size() - 1)).as("bytes of heap per MiB").isLessThan(BOUND);
    }

    private long allocatedBy(FileArtifactStore store, Zeros zeros, int mebibytes) {
        OtaClient client = OtaClient.builder(UpgradeChannel.none(Scene.DEVICE))
                .source(zeros.source())
                .store(store)
                .build();
        Artifact artifact =
                new Artifact("app", zeros.location(), (long) mebibytes * MEBI, List.of(Zeros.digest(mebibytes)));
        UpgradeTrigger trigger = new UpgradeTrigger(Scene.DEVICE, "app", "1", artifact);
        Allocation allocation = new Allocation();
        client.download(trigger)
                .flatMap(client::verify)
                .flatMap(verified -> verified.file().moveTo(directory.resolve("target")))
                .block(PATIENCE);
        long bytes = allocation.bytes();
        client.dispose();
        return bytes;
    }

    private static Flux<ByteBuf> copied(Flux<ByteBuf> bytes) {
        return bytes.map(buffer -> {
            byte[] copy = ByteBufUtil.getBytes(buffer);
            buffer.release();
            return Unpooled.wrappedBuffer(copy);
        });
    }

    /** As they come from Reactor Netty by default. */
    private static Flux<ByteBuf> split(Flux<ByteBuf> bytes) {
        return bytes.concatMapIterable(buffer -> {
            List<ByteBuf> parts = new ArrayList<>();
            while (buffer.isReadable()) {
                parts.add(buffer.readRetainedSlice(Math.min(8192, buffer.readableBytes())));
            }
            buffer.release();
            return parts;
        });
    }

    private static ArtifactSource changing(ArtifactSource source, UnaryOperator<Flux<ByteBuf>> change) {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return source.read(
                        request,
                        content -> consumer.apply(new Content(
                                content.offset(), content.size(), content.validator(), change.apply(content.bytes()))));
            }
        };
    }

    /** Makes the smallest things there are, and lets everybody see them, so that no compiler leaves them out. */
    private static final class Objects {

        private static volatile Object last = new Object();

        static void make(ByteBuf buffer) {
            for (int i = 0; i < buffer.readableBytes(); i += 8192) {
                last = new Object();
            }
        }
    }

    /** A file of nothing but zeros, and who has it. */
    private record Zeros(URI location, ArtifactSource source) {

        /** In memory, in buffers of 1 MiB that are there already. */
        static Zeros of(int mebibytes) {
            ByteBuf mebibyte = Unpooled.unreleasableBuffer(
                    Unpooled.directBuffer(MEBI, MEBI).writeZero(MEBI));
            return new Zeros(URI.create("https://localhost/zeros"), new ArtifactSource() {
                @Override
                public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                    return Flux.defer(() -> consumer.apply(new Content(
                            0,
                            (long) mebibytes * MEBI,
                            null,
                            Flux.range(0, mebibytes).map(i -> mebibyte.duplicate()))));
                }
            });
        }

        Zeros through(UnaryOperator<Flux<ByteBuf>> change) {
            return new Zeros(location, changing(source, change));
        }

        static Digest digest(int mebibytes) {
            Hasher hasher = new Hasher(Set.of(Digest.Algorithm.SHA_256));
            ByteBuf mebibyte = Unpooled.wrappedBuffer(new byte[MEBI]);
            for (int i = 0; i < mebibytes; i++) {
                hasher.update(mebibyte);
            }
            return hasher.finish().get(0);
        }
    }
}
