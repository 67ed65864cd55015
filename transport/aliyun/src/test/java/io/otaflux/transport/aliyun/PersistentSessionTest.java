package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.CutProxy.End;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What the broker keeps for a device must reach it, through the end of one process and the beginning of the next. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class PersistentSessionTest {

    private static final byte[] CONTENT = {1, 2, 3};
    private static final URI LOCATION = URI.create("https://files.example.com/f?token=1");

    /** How long what must not come, or must have come, is waited for when a guard is left out. */
    private static final Duration SHORT = Duration.ofSeconds(2);

    private MosquittoBroker broker;
    private TestPlatform platform;
    private final List<String> installed = new CopyOnWriteArrayList<>();

    @BeforeEach
    void open() throws Exception {
        broker = MosquittoBroker.start();
        platform = TestPlatform.on(broker);
        TestPlatform.enrol(broker.port());
    }

    @AfterEach
    void close() {
        platform.close();
        broker.close();
    }

    // ---- A process dies before its journal has the push ----

    @Test
    void aPushThatWasNotJournaledWhenTheProcessDiedComesAgain() throws Exception {
        dieBeforeTheJournalHasIt("kept", PATIENCE, channel -> channel);

        Mutant.assertCaught(
                "acknowledging only after journaling",
                () -> dieBeforeTheJournalHasIt("lost", SHORT, AcknowledgingAtOnce::new));
    }

    private void dieBeforeTheJournalHasIt(String module, Duration patience, UnaryOperator<UpgradeChannel> how)
            throws Exception {
        try (CutProxy proxy = CutProxy.to(broker.port())) {
            AliyunDevice device = TestPlatform.device(proxy.port()).build();
            CountDownLatch writing = new CountDownLatch(1);
            Disposable life = engine(how.apply(device.upgrades()), new HangingJournal(writing), trigger -> true);
            platform.push(trigger(module, "1"));
            assertThat(writing.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
            // Goes the same way as an acknowledgement before it, which the broker has therefore, too.
            device.upgrades().report(DEVICE, "alive", "1").block(PATIENCE);

            proxy.freeze();
            proxy.dropAll(End.RST);
            life.dispose();
            device.close().block(PATIENCE);
        }
        AliyunDevice next = TestPlatform.device(broker.port()).build();
        Disposable life = engine(next.upgrades(), new MemoryStore(), trigger -> true);
        try {
            eventually(patience, () -> assertThat(installed).contains(module + " 1"));
        } finally {
            life.dispose();
            next.close().block(PATIENCE);
        }
    }

    // ---- What was queued for a process that begins ----

    @Test
    void whatTheBrokerHasQueuedReachesANewProcessAtOnce() throws Exception {
        takeWhatIsQueued(PATIENCE, seen -> {
            AliyunDevice device = TestPlatform.device(broker.port()).build();
            device.upgrades().triggers().subscribe(delivery -> take(delivery, seen));
            return () -> device.close().block(PATIENCE);
        });

        Mutant.assertCaught(
                "listening before connecting",
                () -> takeWhatIsQueued(SHORT, seen -> {
                    Mqtt3AsyncClient client = client();
                    client.connectWith().cleanSession(false).send().get(20, TimeUnit.SECONDS);
                    subscribe(client);
                    client.publishes(
                            MqttGlobalPublishFilter.ALL,
                            publish -> {
                                seen.add(read(publish).module());
                                publish.acknowledge();
                            },
                            true);
                    return () -> client.disconnect().get(20, TimeUnit.SECONDS);
                }));
    }

    private void takeWhatIsQueued(Duration patience, Life life) throws Exception {
        for (int i = 0; i < 15; i++) {
            platform.push(trigger("m" + i, "1"));
        }
        List<String> seen = new CopyOnWriteArrayList<>();
        try (AutoCloseable running = life.begin(seen)) {
            assertThat(running).isNotNull();
            eventually(patience, () -> assertThat(seen).hasSize(15));
        }
    }

    // ---- What a process that ends has not worked on ----

    @Test
    void whatAProcessHasNotTakenWhenItEndsIsLeftToTheNext() {
        for (int i = 0; i < 8; i++) {
            platform.push(trigger("m" + i, "1"));
        }
        List<String> first = new CopyOnWriteArrayList<>();
        AliyunDevice ending = TestPlatform.device(broker.port()).build();
        ending.upgrades().triggers().doOnNext(delivery -> take(delivery, first)).subscribe(new TakingTwo());
        await().atMost(PATIENCE).until(() -> first.size() == 2);
        ending.close().block(PATIENCE);

        List<String> second = new CopyOnWriteArrayList<>();
        AliyunDevice next = TestPlatform.device(broker.port()).build();
        next.upgrades().triggers().subscribe(delivery -> take(delivery, second));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(second).contains("m2", "m3", "m4", "m5", "m6", "m7"));
        next.close().block(PATIENCE);
    }

    private static void take(UpgradeChannel.Delivery delivery, List<String> taken) {
        taken.add(delivery.trigger().module());
        delivery.acknowledge();
    }

    // ---- What comes again and again ----

    @Test
    void aRetainedPushIsInstalledOnceHoweverOftenItComes() {
        MemoryStore store = new MemoryStore();
        platform.pushRetained(trigger("app", "2"));
        AliyunDevice first = TestPlatform.device(broker.port()).build();
        Disposable life = engine(first.upgrades(), store, trigger -> true);
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.versions()).contains("app=2"));

        broker.restart();
        await().atMost(PATIENCE).until(() -> delivered() >= 2);
        life.dispose();
        first.close().block(PATIENCE);

        AliyunDevice second = TestPlatform.device(broker.port()).build();
        long before = delivered();
        Disposable next = engine(second.upgrades(), store.reopen(), trigger -> true);
        await().atMost(PATIENCE).until(() -> delivered() > before);
        // It is behind the retained one, so when this is installed, that was decided.
        platform.push(trigger("last", "1"));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(installed).contains("last 1"));
        assertThat(installed).containsExactly("app 2", "last 1");
        next.dispose();
        second.close().block(PATIENCE);
    }

    @Test
    void anOldVersionIsTurnedDownByThePolicyAndThePlatformIsToldWhy() {
        AliyunDevice device = TestPlatform.device(broker.port()).build();
        Disposable life =
                engine(device.upgrades(), new MemoryStore(), trigger -> Integer.parseInt(trigger.version()) >= 3);

        platform.push(trigger("app", "3"));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(installed).contains("app 3"));
        platform.push(trigger("app", "2"));
        platform.push(trigger("app", "4"));

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(installed).containsExactly("app 3", "app 4"));
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(platform.heard(Topics.of(DEVICE).progress()))
                        .anySatisfy(step ->
                                assertThat(step.params().path("desc").asText()).startsWith(Reason.POLICY.name())));
        life.dispose();
        device.close().block(PATIENCE);
    }

    // ---- The parts ----

    /** A process that takes pushes; what it has taken goes into the list. Closing ends it. */
    private interface Life {

        AutoCloseable begin(List<String> taken) throws Exception;
    }

    private Disposable engine(UpgradeChannel channel, ArtifactStore store, Predicate<UpgradeTrigger> policy) {
        return OtaClient.builder(channel)
                .source(new MemorySource().serve(LOCATION, CONTENT))
                .store(store)
                .policy(policy)
                .installer(verified -> Mono.fromSupplier(() -> {
                    UpgradeTrigger trigger = verified.trigger();
                    installed.add(trigger.module() + " " + trigger.version());
                    return Installer.Effect.IMMEDIATE;
                }))
                .build()
                .upgrades()
                .subscribe(event -> {}, closed -> {});
    }

    private Mqtt3AsyncClient client() {
        Login login = TestPlatform.login();
        return MqttClient.builder()
                .useMqttVersion3()
                .identifier(login.clientIdentifier())
                .serverHost("127.0.0.1")
                .serverPort(broker.port())
                .simpleAuth()
                .username(login.userName())
                .password(login.password().value().getBytes(UTF_8))
                .applySimpleAuth()
                .buildAsync();
    }

    /** The answer comes behind what the broker has queued. */
    private static void subscribe(Mqtt3AsyncClient client) throws Exception {
        client.subscribeWith().topicFilter("nothing").send().get(20, TimeUnit.SECONDS);
    }

    private long delivered() {
        return broker.log()
                .lines()
                .filter(line -> line.contains("Sending PUBLISH to a1B2c3D4e5F.dev01|") && line.contains("/upgrade/"))
                .count();
    }

    private static UpgradeTrigger read(Mqtt3Publish publish) {
        return ((Push.Upgrade) PushReader.read(DEVICE, publish.getPayloadAsBytes())).trigger();
    }

    private static UpgradeTrigger trigger(String module, String version) {
        Artifact artifact =
                new Artifact(module, LOCATION, CONTENT.length, List.of(ArtifactStoreContract.sha256(CONTENT)));
        return new UpgradeTrigger(DEVICE, module, version, List.of(artifact), Map.of());
    }

    private static final class TakingTwo extends BaseSubscriber<Object> {

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            request(2);
        }
    }

    /** A channel that does not wait for the journal. */
    private record AcknowledgingAtOnce(UpgradeChannel channel) implements UpgradeChannel {

        @Override
        public DeviceId device() {
            return channel.device();
        }

        @Override
        public Flux<Delivery> triggers() {
            return channel.triggers().doOnNext(Delivery::acknowledge);
        }

        @Override
        public Mono<Void> report(DeviceId device, String module, String version) {
            return channel.report(device, module, version);
        }

        @Override
        public Mono<Void> report(UpgradeEvent event) {
            return channel.report(event);
        }
    }

    /** A store whose journal begins to write and never ends. */
    private record HangingJournal(CountDownLatch writing) implements ArtifactStore, UpgradeJournal {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return Mono.empty();
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return Mono.never();
        }

        @Override
        public UpgradeJournal journal() {
            return this;
        }

        @Override
        public Mono<Void> close() {
            return Mono.empty();
        }

        @Override
        public Flux<Entry> entries() {
            return Flux.empty();
        }

        @Override
        public Mono<Void> put(Entry entry) {
            return Mono.<Void>never().doOnSubscribe(subscription -> writing.countDown());
        }

        @Override
        public Mono<Void> remove(UpgradeKey key) {
            return Mono.empty();
        }
    }
}
