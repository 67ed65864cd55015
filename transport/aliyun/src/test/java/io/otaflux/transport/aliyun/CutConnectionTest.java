package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import io.otaflux.Artifact;
import io.otaflux.Backoff;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.CutProxy.End;
import io.otaflux.testkit.CutProxy.Faults;
import io.otaflux.testkit.CutProxy.Way;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** Pushes over a network that cuts every connection at a random byte, sometimes in order and sometimes by a reset. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class CutConnectionTest {

    private static final byte[] CONTENT = {1, 2, 3};
    private static final URI LOCATION = URI.create("https://files.example.com/f?token=1");

    /** What takes pushes at a port, and says what it installed. */
    private interface Agent {

        AutoCloseable start(int port, Consumer<UpgradeTrigger> installed);
    }

    @Test
    void everyPushIsInstalledOnceHoweverOftenItsConnectionIsCut() {
        pushThroughCuts(60, 6, PATIENCE, CutConnectionTest::engine);
    }

    @Test
    @Tag("faults")
    void hundredsOfPushesThroughDozensOfCutsAreInstalledOnce() {
        for (int round = 0; round < 2; round++) {
            System.err.println("figure: " + pushThroughCuts(400, 40, Duration.ofMinutes(2), CutConnectionTest::engine));
        }
    }

    @Test
    @Tag("faults")
    void anAgentThatLeavesOneGuardOutIsCaught() {
        Duration patience = Duration.ofSeconds(5);
        Mutant.assertCaught(
                "one installation for repeated pushes",
                () -> pushThroughCuts(80, 8, patience, byHand(triggers -> triggers)));
        Mutant.assertCaught(
                "an acknowledgement for a repeated push too",
                () -> pushThroughCuts(80, 8, patience, byHand(triggers -> {
                    Set<String> seen = ConcurrentHashMap.newKeySet();
                    return triggers.filter(
                            delivery -> seen.add(delivery.trigger().module()));
                })));
        Mutant.assertCaught(
                "an acknowledgement for what a dead connection delivered",
                () -> pushThroughCuts(80, 8, patience, CutConnectionTest::oneClientForAllConnections));
    }

    private static String pushThroughCuts(int pushes, int cuts, Duration patience, Agent agent) {
        long seed = new Random().nextLong();
        String what = "seed " + seed;
        Random random = new Random(seed);
        Map<String, AtomicInteger> installs = new ConcurrentHashMap<>();
        try (MosquittoBroker broker = MosquittoBroker.start();
                CutProxy proxy = CutProxy.to(broker.port())) {
            TestPlatform.enrol(broker.port());
            proxy.script(number -> proxy.cuts() < cuts ? cut(random) : new Faults());
            try (TestPlatform platform = TestPlatform.on(broker);
                    AutoCloseable running = agent.start(
                            proxy.port(),
                            trigger -> installs.computeIfAbsent(trigger.module(), module -> new AtomicInteger())
                                    .incrementAndGet())) {
                assertThat(running).isNotNull();
                for (int i = 0; i < pushes; i++) {
                    platform.push(trigger("m" + i));
                }
                int pushed = pushes;
                eventually(patience, () -> assertThat(installs).as(what).hasSize(pushes));
                // On a fast machine all is over before the network was bad enough.
                while (proxy.cuts() < cuts && pushed < 10 * pushes) {
                    int all = pushed + 1;
                    platform.push(trigger("m" + pushed++));
                    eventually(patience, () -> assertThat(installs).as(what).hasSize(all));
                }
                platform.push(trigger("fresh"));
                eventually(patience, () -> assertThat(installs).as(what).containsKey("fresh"));
                assertThat(installs.values())
                        .as(what)
                        .allSatisfy(count -> assertThat(count).hasValue(1));
                if (proxy.cuts() < cuts) {
                    throw new IllegalStateException(what + ": the network was too good, " + proxy.cuts() + " cuts");
                }
            }
            assertNothingIsOwed(broker);
            return "pushes through cut connections: " + installs.size() + " pushes, " + proxy.cuts() + " cuts, "
                    + (sent(broker) - installs.size()) + " deliveries repeated, each installed once, nothing stuck";
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Most are cut by what comes, since that is more; some in the middle of the login or of an acknowledgement. */
    private static Faults cut(Random random) {
        End end = End.values()[random.nextInt(2)];
        return random.nextInt(4) == 0
                ? new Faults().cut(Way.TO_SERVER, random.nextInt(400), end)
                : new Faults().cut(Way.TO_CLIENT, random.nextInt(4000), end);
    }

    /** Whatever was acknowledged by now is not delivered to the next life. */
    private static void assertNothingIsOwed(MosquittoBroker broker) {
        AliyunDevice next = TestPlatform.device(broker.port()).build();
        next.connect().block(PATIENCE);
        StepVerifier.create(next.upgrades().triggers())
                .expectSubscription()
                .expectNoEvent(Duration.ofMillis(300))
                .thenCancel()
                .verify(PATIENCE);
        next.close().block(PATIENCE);
    }

    private static AutoCloseable engine(int port, Consumer<UpgradeTrigger> installed) {
        AliyunDevice device = TestPlatform.device(port).build();
        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(new MemorySource().serve(LOCATION, CONTENT))
                .store(MemoryStore.on(Schedulers.single()))
                .backoff(Backoff.none())
                .installer(verified -> Mono.fromSupplier(() -> {
                    installed.accept(verified.trigger());
                    return Installer.Effect.IMMEDIATE;
                }))
                .build();
        Disposable running = ota.upgrades().subscribe();
        return () -> {
            device.close().block(PATIENCE);
            running.dispose();
        };
    }

    /** Without the engine: each trigger that is left of the deliveries is installed and acknowledged. */
    private static Agent byHand(Function<Flux<UpgradeChannel.Delivery>, Flux<UpgradeChannel.Delivery>> deliveries) {
        return (port, installed) -> {
            AliyunDevice device = TestPlatform.device(port).build();
            Disposable running = device.upgrades()
                    .triggers()
                    .transform(deliveries)
                    .subscribe(delivery -> {
                        installed.accept(delivery.trigger());
                        delivery.acknowledge();
                    });
            return () -> {
                device.close().block(PATIENCE);
                running.dispose();
            };
        };
    }

    /** The library's own reconnection, and acknowledgements for nothing but what the present connection delivered. */
    private static AutoCloseable oneClientForAllConnections(int port, Consumer<UpgradeTrigger> installed) {
        Login login = TestPlatform.login();
        AtomicInteger connection = new AtomicInteger();
        Mqtt3AsyncClient client = MqttClient.builder()
                .useMqttVersion3()
                .identifier(login.clientIdentifier())
                .serverHost("127.0.0.1")
                .serverPort(port)
                .simpleAuth()
                .username(login.userName())
                .password(login.password().value().getBytes(UTF_8))
                .applySimpleAuth()
                .automaticReconnect()
                .initialDelay(20, TimeUnit.MILLISECONDS)
                .maxDelay(100, TimeUnit.MILLISECONDS)
                .applyAutomaticReconnect()
                .addDisconnectedListener(context -> connection.incrementAndGet())
                .buildAsync();
        Set<String> seen = ConcurrentHashMap.newKeySet();
        client.publishes(
                MqttGlobalPublishFilter.ALL,
                publish -> {
                    int deliveredBy = connection.get();
                    Schedulers.parallel()
                            .schedule(
                                    () -> {
                                        UpgradeTrigger trigger = read(publish);
                                        if (seen.add(trigger.module())) {
                                            installed.accept(trigger);
                                        }
                                        if (deliveredBy == connection.get()) {
                                            publish.acknowledge();
                                        }
                                    },
                                    20,
                                    TimeUnit.MILLISECONDS);
                },
                true);
        client.connectWith().cleanSession(false).send();
        return client::disconnect;
    }

    private static UpgradeTrigger read(Mqtt3Publish publish) {
        return ((Push.Upgrade) PushReader.read(DEVICE, publish.getPayloadAsBytes())).trigger();
    }

    private static UpgradeTrigger trigger(String module) {
        Artifact artifact =
                new Artifact(module, LOCATION, CONTENT.length, List.of(ArtifactStoreContract.sha256(CONTENT)));
        return new UpgradeTrigger(DEVICE, module, "1", List.of(artifact), Map.of());
    }

    private static long sent(MosquittoBroker broker) {
        return broker.log()
                .lines()
                .filter(line -> line.contains("Sending PUBLISH to a1B2c3D4e5F.dev01|") && line.contains("/upgrade/"))
                .count();
    }
}
