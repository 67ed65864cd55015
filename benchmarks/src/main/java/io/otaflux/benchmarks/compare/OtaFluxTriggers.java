package io.otaflux.benchmarks.compare;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeKey;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.SubDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import reactor.core.publisher.Mono;

/** Takes on what waits in sessions: received, parsed, judged, deduplicated, journaled with fsync, acknowledged. */
final class OtaFluxTriggers {

    private OtaFluxTriggers() {}

    /** Takes the broker's port, how many pushes a session has, a directory, and the sessions. */
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        int count = Integer.parseInt(args[1]);
        List<SubDevice> devices = Pushes.devices(count);
        for (String session : List.of(args).subList(3, args.length)) {
            drain(port, count, devices, Path.of(args[2]).resolve(session), session);
            // What this repetition leaves is not to be collected at the expense of the next one.
            System.gc();
        }
        // The connections' threads would go on.
        System.exit(0);
    }

    private static void drain(int port, int count, List<SubDevice> devices, Path directory, String session)
            throws Exception {
        AliyunDevice gateway = AliyunDevice.builder()
                .host("127.0.0.1")
                .port(port)
                .plainTcp()
                .credentials(Pushes.PRODUCT, session, Pushes.SECRET)
                .build();
        FileArtifactStore store = FileArtifactStore.in(directory);
        OtaClient ota = OtaClient.builder(gateway.upgrades())
                .source(HttpArtifactSource.create())
                .store(store)
                .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                .build();
        Set<UpgradeKey> taken = new HashSet<>();
        CountDownLatch all = new CountDownLatch(count);
        System.out.println(Sample.of(() -> {
                    gateway.gateway().login(devices).subscribe(event -> {}, refused -> {});
                    ota.triggers().subscribe(trigger -> {
                        if (taken.add(trigger.key())) {
                            all.countDown();
                        }
                    });
                    all.await();
                })
                .line());
        gateway.close().block();
        long journaled = store.journal().entries().count().blockOptional().orElseThrow();
        if (journaled != count) {
            throw new IllegalStateException(journaled + " of " + count + " are in the journal");
        }
        store.close().block();
    }
}
