package io.otaflux.benchmarks.compare;

import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.http.HttpArtifactSource;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Brings devices behind one client up to date, each with the artifact that all of them share and with one of its own: from
 * the trigger to success, with a journal, and with an installer that does nothing.
 */
public final class DevicesOtaFlux {

    private static final Duration PATIENCE = Duration.ofMinutes(10);

    private DevicesOtaFlux() {}

    /** @param args the URL of the artifacts, of which the first is shared, their directory, their size, where to store them */
    public static void main(String... args) throws Exception {
        URI base = URI.create(args[0]);
        List<String> digests = ManySmallFiles.digests(Path.of(args[1]));
        int size = Integer.parseInt(args[2]);
        int devices = Integer.parseInt(args[4]);
        HttpArtifactSource source =
                HttpArtifactSource.builder().allowHttp(true).allowOrigin(base).build();
        EagerChannel channel = new EagerChannel(Flux.range(1, devices)
                .flatMapIterable(device -> List.of(
                        trigger(base, digests, size, device, "shared", 0),
                        trigger(base, digests, size, device, "own", device))));
        ManySmallFiles.fetchRepeatedly(
                Path.of(args[3]), 2 * devices, directory -> run(source, channel, 2 * devices, directory));
        source.close().block(PATIENCE);
    }

    private static int run(HttpArtifactSource source, EagerChannel channel, int upgrades, Path directory) {
        FileArtifactStore store = FileArtifactStore.in(directory);
        OtaClient ota = OtaClient.builder(channel)
                .source(source)
                .store(store)
                .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                .build();
        int succeeded = ota.upgrades()
                .ofType(UpgradeEvent.Ended.class)
                .take(upgrades)
                .filter(UpgradeEvent.Succeeded.class::isInstance)
                .count()
                .blockOptional(PATIENCE)
                .orElse(0L)
                .intValue();
        ota.dispose();
        store.close().block(PATIENCE);
        return succeeded;
    }

    private static UpgradeTrigger trigger(
            URI base, List<String> digests, int size, int device, String module, int file) {
        Artifact artifact = new Artifact(
                module,
                base.resolve(Integer.toString(file)),
                size,
                List.of(new Digest(Digest.Algorithm.SHA_256, digests.get(file))));
        return new UpgradeTrigger(EagerChannel.device(device), module, "1", artifact);
    }
}
