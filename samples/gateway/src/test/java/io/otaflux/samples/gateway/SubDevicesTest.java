package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.otaflux.DeviceId;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.samples.platform.Device;
import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.DeviceKey;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.AliyunGateway;
import io.otaflux.transport.aliyun.GatewayEvent;
import io.otaflux.transport.aliyun.GatewayException;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import io.otaflux.transport.aliyun.SubDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Both ends of a gateway's conversation about its sub-devices. */
class SubDevicesTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    @TempDir
    Path directory;

    private Platform platform;
    private SubDevice self;
    private AliyunDevice device;
    private AliyunGateway gateway;
    private String productSecret;
    private final List<SubDevice> subs = new ArrayList<>();
    private final List<AliyunDevice> devices = new ArrayList<>();
    private final List<GatewayEvent> events = new CopyOnWriteArrayList<>();

    @BeforeEach
    void start() throws Exception {
        platform = Platform.builder().dataDirectory(directory).start();
        platform.createProduct("gw");
        productSecret = platform.createProduct("sub").productSecret();
        for (int number = 1; number <= 3; number++) {
            DeviceCredentials sub = platform.createDevice("sub", "s" + number);
            subs.add(new SubDevice(sub.productKey(), sub.deviceName(), sub.deviceSecret()));
        }
        self = named("g1");
        device = connection(self);
        gateway = device.gateway();
        gateway.events().subscribe(events::add);
    }

    @AfterEach
    void stop() {
        devices.forEach(each -> each.close().block(PATIENCE));
        platform.close();
    }

    @Test
    void aTopologyIsMadeAskedForAndUnmade() {
        gateway.add(subs).block(PATIENCE);
        assertThat(gateway.get().block(PATIENCE)).containsExactlyInAnyOrderElementsOf(ids());
        assertThat(platform.topology("gw", "g1")).hasSize(3);

        gateway.delete(List.of(id(0))).block(PATIENCE);
        gateway.found(List.of(id(0))).block(PATIENCE);
        assertThat(gateway.get().block(PATIENCE)).containsExactlyInAnyOrder(id(1), id(2));
    }

    @Test
    void sessionsBeginAndEnd() {
        gateway.add(subs).thenMany(gateway.login(subs)).blockLast(PATIENCE);
        assertThat(online()).containsExactly("s1", "s2", "s3");
        device.upgrades().report(id(0), "app", "1.0.0").block(PATIENCE);
        eventually(() -> assertThat(platform.device("sub", "s1").versions()).containsEntry("app", "1.0.0"));

        gateway.logout(List.of(id(1), id(2))).block(PATIENCE);
        assertThat(online()).containsExactly("s1");
        gateway.login(subs.get(1)).block(PATIENCE);
        assertThat(online()).containsExactly("s1", "s2");
    }

    @Test
    void whatThePlatformDoesToADeviceIsToldAndUndone() {
        gateway.add(subs).thenMany(gateway.login(subs)).blockLast(PATIENCE);
        DeviceKey first = new DeviceKey("sub", "s1");

        platform.disable(first, true);
        eventually(() -> assertThat(refusals(id(0))).containsExactly(Refusal.DISABLED));
        assertThatThrownBy(() -> device.upgrades().report(id(0), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class);
        platform.disable(first, false);
        eventually(() -> assertThat(online()).containsExactly("s1", "s2", "s3"));
        assertThat(events).contains(new GatewayEvent.Enabled(id(0)));

        platform.deleteDevice(first);
        eventually(() -> assertThat(refusals(id(0))).containsExactly(Refusal.DISABLED, Refusal.DELETED));
        platform.unlink(new DeviceKey("gw", "g1"), new DeviceKey("sub", "s2"));
        eventually(() -> assertThat(refusals(id(1))).containsExactly(Refusal.NOT_IN_TOPOLOGY));
        assertThat(events).contains(new GatewayEvent.TopologyChanged(List.of(id(1))));
        assertThat(online()).containsExactly("s3");

        platform.invite(new DeviceKey("gw", "g1"), new DeviceKey("sub", "s2"));
        eventually(() -> assertThat(events).contains(new GatewayEvent.AddRequested(List.of(id(1)))));
        gateway.add(List.of(subs.get(1))).then(gateway.login(subs.get(1))).block(PATIENCE);
        assertThat(online()).containsExactly("s2", "s3");
    }

    @Test
    void aDeviceThatLogsInByItselfLeavesItsGatewayAndIsNotFetchedBack() {
        gateway.add(subs).thenMany(gateway.login(subs)).blockLast(PATIENCE);

        AliyunDevice itself = connection(subs.get(0));
        itself.connect().block(PATIENCE);

        eventually(() -> assertThat(refusals(id(0))).containsExactly(Refusal.LOGGED_IN_ELSEWHERE));
        itself.upgrades().report(id(0), "app", "7").block(PATIENCE);
        eventually(() -> assertThat(platform.device("sub", "s1").versions()).containsEntry("app", "7"));
        assertThat(refusals(id(0))).hasSize(1);
    }

    @Test
    void aDeviceOfAnotherGatewayIsRefusedByName() throws Exception {
        gateway.add(subs).block(PATIENCE);
        AliyunGateway other = connection(named("g2")).gateway();

        assertThatThrownBy(() -> other.add(List.of(subs.get(0))).block(PATIENCE))
                .isInstanceOfSatisfying(
                        GatewayException.class, e -> assertThat(e.refusal()).isEqualTo(Refusal.BOUND_ELSEWHERE));
        assertThatThrownBy(() -> other.login(subs.get(0)).block(PATIENCE))
                .isInstanceOfSatisfying(
                        GatewayException.class, e -> assertThat(e.refusal()).isEqualTo(Refusal.NOT_IN_TOPOLOGY));
    }

    @Test
    void aGatewayHasItsDevicesRegistered() {
        platform.allowDynamicRegistration("sub", true);
        List<DeviceId> fresh = IntStream.rangeClosed(10, 44)
                .mapToObj(number -> new DeviceId("sub", "s" + number))
                .toList();
        fresh.forEach(each -> platform.createDevice(each.product(), each.name()));

        List<SubDevice> registered =
                gateway.register(fresh.subList(0, 2)).collectList().block(PATIENCE);
        List<SubDevice> proxied = gateway.register(productSecret, fresh.subList(2, 35))
                .collectList()
                .block(PATIENCE);

        assertThat(registered).extracting(SubDevice::id).containsExactlyElementsOf(fresh.subList(0, 2));
        assertThat(proxied).hasSize(33);
        gateway.add(registered)
                .thenMany(gateway.login(registered))
                .thenMany(gateway.login(proxied))
                .blockLast(PATIENCE);
        assertThat(online()).hasSize(35);
        gateway.unregister(List.of(fresh.get(0))).block(PATIENCE);
        assertThat(online()).hasSize(34);
    }

    @Test
    void afterARestartOfTheGatewayTheUpgradesOfAllItsDevicesGoOn() throws Exception {
        IntStream.rangeClosed(4, 40).forEach(number -> {
            DeviceCredentials sub = platform.createDevice("sub", "s" + number);
            subs.add(new SubDevice(sub.productKey(), sub.deviceName(), sub.deviceSecret()));
        });
        Path image = Files.write(directory.resolve("image"), new byte[100_000]);
        FirmwarePackage firmware = platform.addPackage("sub", "app", "2.0.0", image, SignMethod.SHA256);
        AtomicInteger installations = new AtomicInteger();
        gateway.add(subs).block(PATIENCE);

        Job job;
        try (Life first = new Life(verified ->
                installations.incrementAndGet() <= 10 ? Mono.just(Installer.Effect.IMMEDIATE) : Mono.never())) {
            first.report("1.0.0");
            eventually(() -> assertThat(platform.devices("sub"))
                    .allMatch(each -> each.versions().containsKey("app")));
            first.run();
            job = platform.createJob(JobRequest.of(firmware.id()));
            eventually(() -> assertThat(succeeded(job)).isEqualTo(10));
        }
        device.close().block(PATIENCE);
        device = connection(self);
        gateway = device.gateway();
        try (Life second = new Life(verified -> Mono.just(Installer.Effect.IMMEDIATE))) {
            second.run();
            eventually(() -> assertThat(succeeded(job)).isEqualTo(40));
        }
        assertThat(platform.downloads()).isEqualTo(1);
    }

    private long succeeded(Job job) {
        return platform.tasks(job.id()).stream()
                .filter(task -> task.status() == TaskStatus.SUCCEEDED)
                .count();
    }

    /** From a start of the gateway's program to its end. */
    private final class Life implements AutoCloseable {

        private final FileArtifactStore store = FileArtifactStore.in(directory.resolve("store"));
        private final HttpArtifactSource source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .build();
        private final OtaClient ota;
        private final Disposable.Composite running = Disposables.composite();

        Life(Installer installer) {
            ota = OtaClient.builder(device.upgrades())
                    .source(source)
                    .store(store)
                    .installer("app", installer)
                    // Those that are not let through hold no place of the others.
                    .concurrency(subs.size())
                    .build();
            gateway.login(subs).blockLast(PATIENCE);
        }

        void report(String version) {
            Flux.fromIterable(subs)
                    .flatMap(sub -> ota.report(sub.id(), "app", version))
                    .blockLast(PATIENCE);
        }

        void run() {
            running.add(ota.upgrades().subscribe());
        }

        @Override
        public void close() {
            running.dispose();
            ota.dispose();
            source.close().then(store.close()).block(PATIENCE);
        }
    }

    private SubDevice named(String name) {
        DeviceCredentials login = platform.createDevice("gw", name);
        return new SubDevice(login.productKey(), login.deviceName(), login.deviceSecret());
    }

    private AliyunDevice connection(SubDevice as) {
        AliyunDevice made = AliyunDevice.builder()
                .host("127.0.0.1")
                .port(platform.mqttPort())
                .plainTcp()
                .credentials(as.productKey(), as.deviceName(), as.deviceSecret())
                .reconnect(Duration.ofMillis(50), Duration.ofMillis(200))
                .build();
        devices.add(made);
        return made;
    }

    private DeviceId id(int index) {
        return subs.get(index).id();
    }

    private List<DeviceId> ids() {
        return subs.stream().map(SubDevice::id).toList();
    }

    private List<String> online() {
        return platform.devices("sub").stream()
                .filter(Device::online)
                .map(Device::deviceName)
                .toList();
    }

    private List<Refusal> refusals(DeviceId of) {
        return events.stream()
                .filter(event -> event instanceof GatewayEvent.LoginRefused refused
                        && refused.device().equals(of))
                .map(event -> ((GatewayEvent.LoginRefused) event).cause().refusal())
                .toList();
    }

    private static void eventually(ThrowingRunnable assertion) {
        await().atMost(PATIENCE).untilAsserted(assertion);
    }
}
