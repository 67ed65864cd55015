package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Artifact;
import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.CutProxy.End;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** What is reported while there is no connection reaches the platform in order, when there is one again. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class OfflineReportsTest {

    private static final byte[] CONTENT = {1, 2, 3};
    private static final URI LOCATION = URI.create("https://files.example.com/f?token=1");

    private final List<DeviceEvent> events = new CopyOnWriteArrayList<>();
    private MosquittoBroker broker;
    private CutProxy proxy;
    private TestPlatform platform;

    @BeforeEach
    void open() throws Exception {
        broker = MosquittoBroker.start();
        proxy = CutProxy.to(broker.port());
        platform = TestPlatform.on(broker);
    }

    @AfterEach
    void close() {
        platform.close();
        proxy.close();
        broker.close();
    }

    @Test
    void theFirstStepTheLatestAndTheEndArriveInOrder() {
        AliyunDevice device = device();
        UpgradeChannel channel = device.upgrades();
        UpgradeTrigger app = trigger("app", "2");
        UpgradeTrigger mcu = trigger("mcu", "5");
        channel.report(DEVICE, "app", "1").block(PATIENCE);
        channel.report(new UpgradeEvent.Admitted(app)).block(PATIENCE);
        await().atMost(PATIENCE).until(() -> said().contains("app 1%"));

        away();
        for (int percent = 10; percent <= 60; percent++) {
            channel.report(new UpgradeEvent.Received(app, percent, 100)).block(PATIENCE);
        }
        var mcuFailed = channel.report(
                        new UpgradeEvent.Failed(mcu, new SourceException(Reason.NOT_FOUND, "gone", null)))
                .toFuture();
        channel.report(new UpgradeEvent.Received(app, 90, 100)).block(PATIENCE);
        var appSucceeded = channel.report(DEVICE, "app", "2").toFuture();
        assertThat(List.of(mcuFailed, appSucceeded)).noneMatch(report -> report.isDone());
        back();

        assertThat(appSucceeded).succeedsWithin(PATIENCE);
        assertThat(mcuFailed).isDone();
        await().atMost(PATIENCE)
                .untilAsserted(
                        () -> assertThat(said()).containsExactly("app=1", "app 1%", "mcu -2%", "app 90%", "app=2"));
        device.close().block(PATIENCE);
    }

    @Test
    void everyReportSurvivesAnyNumberOfCuts() {
        AliyunDevice device = device();
        UpgradeChannel channel = device.upgrades();
        proxy.script(number -> number <= 12
                ? new CutProxy.Faults().cut(CutProxy.Way.TO_CLIENT, 4 + 3 * number, End.values()[number % 2])
                : new CutProxy.Faults());
        proxy.dropAll(End.RST);

        Flux.range(1, 30).flatMap(i -> channel.report(DEVICE, "m" + i, "1")).blockLast(PATIENCE);

        assertThat(proxy.cuts()).isGreaterThan(10);
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.versions()).contains("m1=1", "m17=1", "m30=1"));
        assertThat(platform.versions().stream().distinct()).hasSize(30);
        device.close().block(PATIENCE);
    }

    @Test
    void aRestartedProcessFirstTellsTheEndThatThePlatformHasNotHeard() throws Exception {
        MemoryStore store = new MemoryStore();
        CountDownLatch installing = new CountDownLatch(1);
        Sinks.One<Installer.Effect> effect = Sinks.one();
        AliyunDevice first = device();
        Disposable life = engine(first.upgrades(), store, verified -> {
            installing.countDown();
            return effect.asMono();
        });
        first.connect().block(PATIENCE);
        platform.push(trigger("app", "2"));
        assertThat(installing.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        await().atMost(PATIENCE).until(() -> said().contains("app 1%"));
        away();
        effect.tryEmitError(new InstallException("no", null));
        await().atMost(PATIENCE)
                .until(() ->
                        store.journaled().stream().anyMatch(entry -> entry.state() == UpgradeJournal.State.FAILED));
        life.dispose();
        first.close().block(PATIENCE);
        assertThat(said()).as("the end").doesNotContain("app -4%");
        int before = platform.heard().size();

        platform.push(trigger("app", "3"));
        back();
        AliyunDevice second = device();
        Disposable next = engine(second.upgrades(), store.reopen(), verified -> Mono.just(Installer.Effect.IMMEDIATE));

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(said(before)).contains("app=3"));
        assertThat(said(before)).startsWith("app -4%", "app 1%").endsWith("app=3");
        await().atMost(PATIENCE)
                .untilAsserted(() ->
                        assertThat(store.journaled()).noneMatch(entry -> entry.state() == UpgradeJournal.State.FAILED));
        next.dispose();
        second.close().block(PATIENCE);
    }

    private static Disposable engine(UpgradeChannel channel, MemoryStore store, Installer installer) {
        return OtaClient.builder(channel)
                .source(new MemorySource().serve(LOCATION, CONTENT))
                .store(store)
                .installer(installer)
                .build()
                .upgrades()
                .subscribe(event -> {}, closed -> {});
    }

    private AliyunDevice device() {
        AliyunDevice device = TestPlatform.device(proxy.port()).build();
        device.events().subscribe(events::add);
        return device;
    }

    private void away() {
        events.clear();
        proxy.freeze();
        proxy.dropAll(End.RST);
        await().atMost(PATIENCE).until(() -> events.stream().anyMatch(DeviceEvent.Disconnected.class::isInstance));
    }

    private void back() {
        proxy.dropAll(End.RST);
        proxy.thaw();
    }

    /** Everything that the platform heard in order, without what a reconnection repeats. */
    private List<String> said() {
        return said(0);
    }

    private List<String> said(int from) {
        Topics topics = Topics.of(DEVICE);
        List<String> said = new CopyOnWriteArrayList<>();
        for (TestPlatform.Heard heard :
                platform.heard().subList(from, platform.heard().size())) {
            String module = heard.params().path("module").asText();
            String text = heard.topic().equals(topics.inform())
                    ? module + "=" + heard.params().path("version").asText()
                    : module + " " + heard.params().path("step").asText() + "%";
            if (!heard.topic().equals(topics.query()) && !said.contains(text)) {
                said.add(text);
            }
        }
        return said;
    }

    private static UpgradeTrigger trigger(String module, String version) {
        Artifact artifact =
                new Artifact(module, LOCATION, CONTENT.length, List.of(ArtifactStoreContract.sha256(CONTENT)));
        return new UpgradeTrigger(DEVICE, module, version, List.of(artifact), Map.of());
    }
}
