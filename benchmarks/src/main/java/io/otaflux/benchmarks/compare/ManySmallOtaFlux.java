package io.otaflux.benchmarks.compare;

import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.OtaClient;
import io.otaflux.OtaException;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.http.HttpArtifactSource;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A trigger for each of many files, each for a device of its own: journaled and acknowledged, downloaded, verified, and
 * durable in a store.
 */
public final class ManySmallOtaFlux {

    private static final Duration PATIENCE = Duration.ofMinutes(10);

    private ManySmallOtaFlux() {}

    /** @param args the URL of the files, their directory, their size, where to store them, how many at once */
    public static void main(String... args) throws Exception {
        URI base = URI.create(args[0]);
        List<String> digests = ManySmallFiles.digests(Path.of(args[1]));
        int size = Integer.parseInt(args[2]);
        int atOnce = Integer.parseInt(args[4]);
        HttpArtifactSource source =
                HttpArtifactSource.builder().allowHttp(true).allowOrigin(base).build();
        ManySmallFiles.fetchRepeatedly(
                Path.of(args[3]), digests.size(), directory -> run(source, base, digests, size, directory, atOnce));
        source.close().block(PATIENCE);
    }

    private static int run(
            HttpArtifactSource source, URI base, List<String> digests, int size, Path directory, int atOnce) {
        FileArtifactStore store = FileArtifactStore.in(directory);
        OtaClient ota = OtaClient.builder(new EagerChannel(
                        Flux.range(0, digests.size()).map(number -> trigger(base, digests, size, number))))
                .source(source)
                .store(store)
                .concurrency(atOnce)
                .build();
        AtomicInteger verified = new AtomicInteger();
        ota.triggers()
                .flatMap(
                        trigger -> ota.download(trigger)
                                .flatMap(ota::verify)
                                .doOnNext(done -> verified.incrementAndGet())
                                .then(Mono.just(trigger))
                                .onErrorResume(OtaException.class, e -> Mono.just(trigger)),
                        atOnce)
                .take(digests.size())
                .blockLast(PATIENCE);
        ota.dispose();
        store.close().block(PATIENCE);
        return verified.get();
    }

    private static UpgradeTrigger trigger(URI base, List<String> digests, int size, int number) {
        Artifact artifact = new Artifact(
                "app",
                base.resolve(Integer.toString(number)),
                size,
                List.of(new Digest(Digest.Algorithm.SHA_256, digests.get(number))));
        return new UpgradeTrigger(EagerChannel.device(number), "app", "1", artifact);
    }
}
