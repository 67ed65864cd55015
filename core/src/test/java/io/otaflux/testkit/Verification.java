package io.otaflux.testkit;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Makes {@link Verified} upgrades for tests of installers, the only way there is: by downloading bytes into a store and
 * verifying them.
 */
public final class Verification {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final DeviceId DEVICE = new DeviceId("product", "device");

    private final Map<URI, byte[]> contents = new ConcurrentHashMap<>();
    private final OtaClient client;
    private volatile UnaryOperator<Flux<ByteBuf>> reads = UnaryOperator.identity();

    /** @param store where the bytes are kept; it stays open */
    public Verification(ArtifactStore store) {
        this.client = OtaClient.builder(UpgradeChannel.none(DEVICE))
                .source(new Source())
                .store(new Reading(store))
                .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                .build();
    }

    /** An upgrade of {@code module} to {@code version} with one file for each of {@code files}, verified. */
    public Verified upgrade(String module, String version, byte[]... files) {
        List<Artifact> artifacts = new ArrayList<>();
        for (byte[] content : files) {
            Digest digest = ArtifactStoreContract.sha256(content);
            URI location = URI.create("https://example.com/" + digest.hex());
            contents.put(location, content);
            String name = artifacts.isEmpty() ? "app.bin" : "app-" + artifacts.size() + ".bin";
            artifacts.add(new Artifact(name, location, content.length, List.of(digest)));
        }
        UpgradeTrigger trigger = new UpgradeTrigger(DEVICE, module, version, artifacts, Map.of());
        return Objects.requireNonNull(
                client.download(trigger).flatMap(client::verify).block(SOON));
    }

    /** From now on, what is read of stored files goes through {@code change}. */
    public void reads(UnaryOperator<Flux<ByteBuf>> change) {
        this.reads = change;
    }

    private final class Source implements ArtifactSource {

        @Override
        public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
            return Flux.defer(() -> {
                byte[] content =
                        Objects.requireNonNull(contents.get(request.artifact().location()));
                return consumer.apply(new Content(
                        0,
                        content.length,
                        null,
                        Mono.fromSupplier(() -> Unpooled.copiedBuffer(content)).flux()));
            });
        }
    }

    private final class Reading implements ArtifactStore {

        private final ArtifactStore store;

        Reading(ArtifactStore store) {
            this.store = store;
        }

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests).map(ReadFile::new);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact);
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

    private final class ReadFile implements ArtifactStore.Stored {

        private final ArtifactStore.Stored file;

        ReadFile(ArtifactStore.Stored file) {
            this.file = file;
        }

        @Override
        public Digest digest() {
            return file.digest();
        }

        @Override
        public List<Digest> digests() {
            return file.digests();
        }

        @Override
        public long size() {
            return file.size();
        }

        @Override
        public Flux<ByteBuf> read() {
            return reads.apply(file.read());
        }

        @Override
        public Mono<Void> moveTo(Path target) {
            return file.moveTo(target);
        }

        @Override
        public Mono<Void> evict() {
            return file.evict();
        }

        @Override
        public void release() {
            file.release();
        }
    }
}
