package io.otaflux.samples.cli;

import io.otaflux.DeviceId;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.AliyunGateway;
import io.otaflux.transport.aliyun.GatewayEvent;
import io.otaflux.transport.aliyun.SubDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A gateway with sub-devices, in a process of its own, so that the memory it takes is the gateway's alone. It is told by its
 * standard input who it is and who is behind it, one line each, and says on its standard output how it gets on. It ends when
 * it is told nothing more.
 */
final class FleetGateway {

    static final String MODULE = "app";
    static final String BEFORE = "1.0.0";
    static final String LOGGED_IN = "logged in ";
    static final String REPORTED = "reported ";
    static final String ENDED = "ended ";
    static final String MEMORY = "memory ";

    private static final Duration GOODBYE = Duration.ofSeconds(30);
    private static final int AT_ONCE = 256;

    private final PrintStream out;
    private final AliyunDevice device;
    private final AliyunGateway gateway;
    private final HttpArtifactSource source;
    private final FileArtifactStore store;
    private final OtaClient ota;
    private final List<SubDevice> subDevices;

    private FleetGateway(Path home, int port, SubDevice self, List<SubDevice> subDevices, PrintStream out) {
        this.out = out;
        this.subDevices = subDevices;
        this.store = FileArtifactStore.in(home.resolve("store"));
        this.device = AliyunDevice.builder()
                .host("127.0.0.1")
                .port(port)
                .plainTcp()
                .credentials(self.productKey(), self.deviceName(), self.deviceSecret())
                .build();
        this.gateway = device.gateway();
        this.source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .build();
        this.ota = OtaClient.builder(device.upgrades())
                .source(source)
                .store(store)
                .installer(MODULE, new HandOver(home.resolve("devices")))
                .build();
    }

    /** Arguments: the directory of its state, the platform's MQTT port. The first line of the input is the gateway itself. */
    public static void main(String[] arguments) throws IOException {
        Logging.configureHere();
        Path home = Path.of(arguments[0]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<SubDevice> devices = new ArrayList<>();
        for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
            String[] parts = line.split(" ", 3);
            devices.add(new SubDevice(parts[0], parts[1], parts[2]));
        }
        Files.createDirectories(home.resolve("devices"));
        FleetGateway fleet = new FleetGateway(
                home, Integer.parseInt(arguments[1]), devices.get(0), devices.subList(1, devices.size()), System.out);
        fleet.run();
        // Nothing more is said; it is closed when nobody wants anything any more.
        in.lines().forEach(ignored -> {});
        fleet.close();
    }

    private void run() {
        AtomicInteger succeeded = new AtomicInteger();
        AtomicInteger failed = new AtomicInteger();
        AtomicInteger loggedIn = new AtomicInteger();
        gateway.add(subDevices)
                .thenMany(gateway.login(subDevices))
                .doOnNext(event -> {
                    if (event instanceof GatewayEvent.LoggedIn) {
                        loggedIn.incrementAndGet();
                    } else if (event instanceof GatewayEvent.LoginRefused refused) {
                        say("refused " + refused.device() + " " + Line.of(refused.cause()));
                    }
                })
                .then(Mono.fromRunnable(() -> say(LOGGED_IN + loggedIn)))
                .thenMany(Flux.fromIterable(subDevices))
                .flatMap(sub -> ota.report(sub.id(), MODULE, BEFORE).thenReturn(sub), AT_ONCE)
                .then(Mono.fromRunnable(() -> say(REPORTED + subDevices.size())))
                .thenMany(ota.upgrades())
                .ofType(UpgradeEvent.Ended.class)
                .doOnNext(event -> {
                    if (event instanceof UpgradeEvent.Succeeded) {
                        succeeded.incrementAndGet();
                    } else if (event instanceof UpgradeEvent.Failed failure) {
                        failed.incrementAndGet();
                        DeviceId whose = failure.trigger().device();
                        say("failed " + whose + " " + Line.of(failure.cause()));
                    }
                    if (succeeded.get() + failed.get() == subDevices.size()) {
                        say(ENDED + succeeded + " " + failed);
                    }
                })
                .subscribe(event -> {}, e -> say("gives up: " + Line.of(e)));
    }

    private void close() throws IOException {
        ota.dispose();
        Mono.whenDelayError(device.close(), source.close(), store.close()).block(GOODBYE);
        say(MEMORY + peakMemory());
    }

    /** The most that was ever resident, in bytes; 0 where the system does not say. */
    private static long peakMemory() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            return 0;
        }
        return Files.readAllLines(status).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                .findFirst()
                .orElse(0);
    }

    private void say(String line) {
        synchronized (out) {
            out.println(line);
            out.flush();
        }
    }
}
