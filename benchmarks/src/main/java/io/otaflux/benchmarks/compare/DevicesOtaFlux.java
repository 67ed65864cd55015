package io.otaflux.benchmarks.compare;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
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
        ManySmallFiles.fetchRepeatedly(
                Path.of(args[3]),
                2 * devices,
                directory -> run(source, new Pushes(base, digests, size, devices), directory));
        source.close().block(PATIENCE);
    }

    private static int run(HttpArtifactSource source, Pushes channel, Path directory) {
        FileArtifactStore store = FileArtifactStore.in(directory);
        OtaClient ota = OtaClient.builder(channel)
                .source(source)
                .store(store)
                .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                .build();
        int succeeded = ota.upgrades()
                .ofType(UpgradeEvent.Ended.class)
                .take(2L * channel.devices())
                .filter(UpgradeEvent.Succeeded.class::isInstance)
                .count()
                .blockOptional(PATIENCE)
                .orElse(0L)
                .intValue();
        ota.dispose();
        store.close().block(PATIENCE);
        return succeeded;
    }

    /** A platform in this process that pushes everything as fast as it is taken. */
    private record Pushes(URI base, List<String> digests, int size, int devices) implements UpgradeChannel {

        @Override
        public DeviceId device() {
            return new DeviceId("product", "gateway");
        }

        @Override
        public Flux<Delivery> triggers() {
            return Flux.range(1, devices)
                    .flatMapIterable(number -> List.of(delivery(number, "shared", 0), delivery(number, "own", number)))
                    .mergeWith(Flux.never());
        }

        private Delivery delivery(int device, String module, int file) {
            Artifact artifact = new Artifact(
                    module,
                    base.resolve(Integer.toString(file)),
                    size,
                    List.of(new Digest(Digest.Algorithm.SHA_256, digests.get(file))));
            return new Push(new UpgradeTrigger(new DeviceId("product", "device-" + device), module, "1", artifact));
        }

        @Override
        public Mono<Void> report(DeviceId device, String module, String version) {
            return Mono.empty();
        }

        @Override
        public Mono<Void> report(UpgradeEvent event) {
            return Mono.empty();
        }
    }

    private record Push(UpgradeTrigger trigger) implements UpgradeChannel.Delivery {

        @Override
        public void acknowledge() {
            // Nothing here would deliver it again.
        }
    }
}
