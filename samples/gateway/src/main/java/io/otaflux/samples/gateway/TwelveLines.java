package io.otaflux.samples.gateway;

import io.otaflux.OtaClient;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Path;
import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All it takes: a device that keeps {@code app.jar} in its directory up to date.
 *
 * <pre>
 * DEVICE_SECRET=… java … TwelveLines HOST PORT PRODUCT_KEY DEVICE_NAME VERSION DIRECTORY [NETWORK...]
 * </pre>
 *
 * <p>Files come from the public Internet, and from networks that are named, for example {@code 192.168.0.0/16}.
 *
 * <p>When power or network fails, what was durable is not fetched again, and the platform hears what it has missed.
 */
public final class TwelveLines {

    private static final Logger log = LoggerFactory.getLogger(TwelveLines.class);

    private TwelveLines() {}

    public static void main(String[] args) {
        Path directory = Path.of(args[5]);
        String[] networks = Arrays.copyOfRange(args, 6, args.length);

        AliyunDevice device = AliyunDevice.builder()
                .host(args[0])
                .port(Integer.parseInt(args[1]))
                .credentials(args[2], args[3], System.getenv().getOrDefault("DEVICE_SECRET", ""))
                .build();

        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(HttpArtifactSource.builder().allowNetworks(networks).build())
                .store(FileArtifactStore.in(directory.resolve("ota")))
                .installer("app", FileInstaller.to(directory.resolve("app.jar")))
                .build();

        ota.report("app", args[4])
                .thenMany(ota.upgrades())
                .doOnNext(event -> log.info("{}", event))
                .blockLast();
    }
}
