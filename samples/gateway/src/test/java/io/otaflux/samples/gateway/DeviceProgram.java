package io.otaflux.samples.gateway;

import io.otaflux.Backoff;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** A device as a process of its own, for tests that kill it or give it little memory. It ends with its first upgrade. */
final class DeviceProgram {

    private DeviceProgram() {}

    /** Takes the broker's port, the directory for its files, and the checkpoint interval in bytes. */
    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[1]);
        AliyunDevice device = Gateway.device(Integer.parseInt(args[0])).build();
        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(HttpArtifactSource.builder()
                        .allowHttp(true)
                        .allowNetworks("127.0.0.0/8")
                        .build())
                .store(FileArtifactStore.builder(home.resolve("store"))
                        .checkpointBytes(Long.parseLong(args[2]))
                        .build())
                .backoff(new Backoff(Duration.ofMillis(50), Duration.ofMillis(200), 50))
                .installer("app", FileInstaller.to(home.resolve("app.bin")))
                .build();
        UpgradeEvent end = ota.report("app", "1.0.0")
                .thenMany(ota.upgrades())
                .doOnNext(event -> {
                    if (event instanceof UpgradeEvent.Received received) {
                        System.out.println("received " + received.bytes());
                    } else if (event instanceof UpgradeEvent.Ended) {
                        System.out.println(event);
                    }
                })
                .ofType(UpgradeEvent.Ended.class)
                .blockFirst();
        Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM"))
                .forEach(System.out::println);
        System.exit(end instanceof UpgradeEvent.Succeeded ? 0 : 1);
    }
}
