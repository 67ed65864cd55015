package io.otaflux.benchmarks.compare;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.http.HttpArtifactSource;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Downloads one file again and again with OtaFlux as a user has it: hashed, checkpointed, synchronised, verified, and moved
 * to its target.
 *
 * <p>Arguments: location, its SHA-256, its size, a directory, and for https the PEM file of the authority to trust.
 */
public final class OtaFluxDownload {

    private static final Duration PATIENCE = Duration.ofMinutes(30);

    private OtaFluxDownload() {}

    public static void main(String... args) throws Exception {
        URI location = URI.create(args[0]);
        Digest digest = new Digest(Digest.Algorithm.SHA_256, args[1]);
        long size = Long.parseLong(args[2]);
        Path directory = Path.of(args[3]);
        Path target = directory.resolve("otaflux.bin");
        HttpArtifactSource.Builder settings = HttpArtifactSource.builder().allowOrigin(location);
        if (args.length > 4) {
            settings.trustedCertificates(Path.of(args[4]));
        } else {
            settings.allowHttp(true);
        }
        HttpArtifactSource source = settings.build();
        FileArtifactStore store = FileArtifactStore.in(directory.resolve("store"));
        DeviceId device = new DeviceId("product", "device");
        OtaClient client = OtaClient.builder(UpgradeChannel.none(device))
                .source(source)
                .store(store)
                .build();
        AtomicInteger version = new AtomicInteger();
        Repetitions.of(
                () -> {
                    UpgradeTrigger trigger = new UpgradeTrigger(
                            device,
                            "app",
                            Integer.toString(version.incrementAndGet()),
                            new Artifact("app", location, size, List.of(digest)));
                    client.download(trigger)
                            .flatMap(client::verify)
                            .flatMap(verified -> verified.file().moveTo(target))
                            .block(PATIENCE);
                },
                () -> Fetch.discard(target, digest.hex()));
        client.dispose();
        source.close().block(PATIENCE);
        store.close().block(PATIENCE);
    }
}
