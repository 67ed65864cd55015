package io.otaflux.samples.gateway;

import static org.awaitility.Awaitility.await;

import io.otaflux.Backoff;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.DeviceEvent;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** One life of a device that runs the whole library: it takes on upgrades and remembers what it was told. */
final class Gateway implements AutoCloseable {

    static final Duration PATIENCE = Duration.ofSeconds(30);

    private final Path home;
    private final AliyunDevice device;
    private final BufferLedger ledger = new BufferLedger();
    private final HttpArtifactSource source;
    private final FileArtifactStore store;
    private final OtaClient ota;
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final List<DeviceEvent> deviceEvents = new CopyOnWriteArrayList<>();
    private volatile @Nullable Throwable failure;
    private @Nullable Disposable running;

    private Gateway(Path home, int port, UnaryOperator<OtaClient.Builder> settings) {
        this.home = home;
        this.device = device(port).build();
        this.source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .receiveBufferSize(64 * 1024)
                .allocator(ledger.allocator())
                .build();
        this.store = FileArtifactStore.builder(home.resolve("store"))
                .checkpointBytes(256 * 1024)
                .build();
        device.events().subscribe(deviceEvents::add);
        this.ota = settings.apply(OtaClient.builder(device.upgrades())
                        .source(source)
                        .store(store)
                        .backoff(new Backoff(Duration.ofMillis(50), Duration.ofMillis(200), 50))
                        .installer("app", FileInstaller.to(home.resolve("app.bin"))))
                .build();
    }

    /** A device on that broker, without TLS and with short waits. */
    static AliyunDevice.Builder device(int port) {
        return AliyunDevice.builder()
                .host("localhost")
                .port(port)
                .plainTcp()
                .credentials(Cloud.DEVICE.product(), Cloud.DEVICE.name(), Secrets.DEVICE_SECRET)
                .reconnect(Duration.ofMillis(500), Duration.ofMillis(1_500));
    }

    /** One whose module {@code app} is the file {@code app.bin}. */
    static Gateway start(Site site) {
        return start(site, "1.0.0", builder -> builder);
    }

    /** One that runs that version of {@code app}. */
    static Gateway start(Site site, String version, UnaryOperator<OtaClient.Builder> settings) {
        Gateway gateway = new Gateway(site.home(), site.broker().port(), settings);
        gateway.run("app", version);
        return gateway;
    }

    /** One whose firmware reports that version. */
    static Gateway startFirmware(Path home, int port, String version, UnaryOperator<OtaClient.Builder> settings) {
        Gateway gateway = new Gateway(home, port, settings);
        gateway.run("default", version);
        return gateway;
    }

    private void run(String module, String version) {
        running = ota.report(module, version).thenMany(ota.upgrades()).subscribe(events::add, error -> failure = error);
    }

    Path appFile() {
        return home.resolve("app.bin");
    }

    Path storeDirectory() {
        return home.resolve("store");
    }

    AliyunDevice device() {
        return device;
    }

    List<UpgradeEvent> events() {
        return events;
    }

    List<DeviceEvent> deviceEvents() {
        return deviceEvents;
    }

    <E extends UpgradeEvent> List<E> events(Class<E> type) {
        return events.stream().filter(type::isInstance).map(type::cast).toList();
    }

    /** The first event of that type about that version, as soon as there is one. */
    <E extends UpgradeEvent> E awaitEvent(Class<E> type, String version) {
        return await(type.getSimpleName() + " " + version)
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(10))
                .failFast(() -> {
                    Throwable error = failure;
                    if (error != null) {
                        throw new AssertionError("the stream ended", error);
                    }
                    Optional<UpgradeEvent.Ended> end = first(UpgradeEvent.Ended.class, version);
                    if (end.isPresent() && first(type, version).isEmpty()) {
                        throw new AssertionError("it ended otherwise: " + end);
                    }
                })
                .until(() -> first(type, version), Optional::isPresent)
                .orElseThrow();
    }

    private <E extends UpgradeEvent> Optional<E> first(Class<E> type, String version) {
        return events(type).stream()
                .filter(event -> event.trigger().version().equals(version))
                .findFirst();
    }

    /** Waits until that many bytes of an upgrade are durable. */
    UpgradeEvent.Received awaitBytes(long bytes) {
        return await(bytes + " bytes")
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(10))
                .until(
                        () -> events(UpgradeEvent.Received.class).stream()
                                .filter(event -> event.bytes() >= bytes)
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    UpgradeEvent.Succeeded awaitSuccess(String version) {
        return awaitEvent(UpgradeEvent.Succeeded.class, version);
    }

    /** Ends this life in good order; everything is given back. */
    @Override
    public void close() {
        if (running != null) {
            running.dispose();
        }
        ota.dispose();
        Mono.whenDelayError(device.close(), source.close(), store.close()).block(PATIENCE);
        ledger.assertNoLeaks();
    }
}
