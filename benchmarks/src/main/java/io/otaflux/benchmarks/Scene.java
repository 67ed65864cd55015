package io.otaflux.benchmarks;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;

/** One artifact, a source that has it in memory, and a store on the disk under {@code java.io.tmpdir}. */
final class Scene implements AutoCloseable {

    static final DeviceId DEVICE = new DeviceId("product", "device");

    /** The size of the buffers that the HTTP source receives into. */
    private static final int CHUNK = 1 << 20;

    private final AtomicLong versions = new AtomicLong();
    private final ByteBuf content;
    private final Digest digest;
    private final Path directory;
    private final ArtifactStore store;

    Scene(int size) {
        this(size, store -> store);
    }

    Scene(int size, UnaryOperator<FileArtifactStore.Builder> settings) {
        byte[] bytes = new byte[size];
        new Random(1).nextBytes(bytes);
        // Not an allocator's: one in 128 of theirs is watched for leaks, and so would be each slice of this one.
        content = Unpooled.wrappedBuffer(
                ByteBuffer.allocateDirect(size).put(bytes).flip());
        Hasher hasher = new Hasher(Set.of(Digest.Algorithm.SHA_256));
        hasher.update(content);
        digest = hasher.finish().get(0);
        try {
            directory = Files.createTempDirectory("otaflux-benchmark");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        store = settings.apply(FileArtifactStore.builder(directory.resolve("store")))
                .build();
    }

    ArtifactStore store() {
        return store;
    }

    Path target() {
        return directory.resolve("target");
    }

    Digest digest() {
        return digest;
    }

    int size() {
        return content.readableBytes();
    }

    /** An upgrade that nobody has seen before, always of the same bytes. */
    UpgradeTrigger trigger() {
        long version = versions.incrementAndGet();
        URI location = URI.create("https://localhost/" + version);
        return new UpgradeTrigger(
                DEVICE, "app", Long.toString(version), new Artifact("app", location, size(), List.of(digest)));
    }

    /** Hands out slices of one buffer: nothing is copied, as from a socket whose bytes are there already. */
    ArtifactSource source() {
        return new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                int start = Math.toIntExact(request.offset());
                return Flux.defer(() -> consumer.apply(new Content(start, size(), null, bytes(start, CHUNK))));
            }
        };
    }

    /** What comes from {@code start} on, in buffers of {@code chunk} bytes. */
    Flux<ByteBuf> bytes(int start, int chunk) {
        int left = size() - start;
        return Flux.range(0, (left + chunk - 1) / chunk)
                .map(i -> content.retainedSlice(start + i * chunk, Math.min(chunk, left - i * chunk)));
    }

    @Override
    public void close() throws IOException {
        store.close().block(Duration.ofSeconds(30));
        content.release();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
