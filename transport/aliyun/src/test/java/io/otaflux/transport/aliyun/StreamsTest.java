package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.netty.buffer.ByteBufUtil;
import io.otaflux.Artifact;
import io.otaflux.Backoff;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.CutProxy.End;
import io.otaflux.testkit.CutProxy.Faults;
import io.otaflux.testkit.CutProxy.Way;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.aliyun.StreamPlatform.Asked;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Upgrades whose bytes come over MQTT, on a real broker, up to their installation. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class StreamsTest {

    private static final long STREAM = 12332;

    private final byte[] content = bytes(1_000_000);
    private final StreamPlatform streams = new StreamPlatform();
    private final MemoryStore store = MemoryStore.on(Schedulers.single());
    private final List<byte[]> installed = new CopyOnWriteArrayList<>();

    @Test
    void aPushWithoutAUrlIsFetchedOverTheConnectionAndInstalled() throws Exception {
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker);
                AutoCloseable serving = serve(broker);
                AutoCloseable agent = agent(broker.port(), 64 * 1024)) {
            assertThat(List.of(serving, agent)).doesNotContainNull();
            assertThat(broker.log()).doesNotContain("download_reply");
            push(platform);

            eventually(PATIENCE, () -> assertThat(installed).containsExactly(content));
            eventually(PATIENCE, () -> assertThat(platform.steps()).contains("1", "100"));
            assertThat(platform.versions()).contains("default=1.1");
            assertThat(broker.log()).containsPattern("\\t/sys/a1B2c3D4e5F/dev01/thing/file/download_reply \\(QoS 0\\)");
        }
    }

    @Test
    void lostDamagedRepeatedAndLateRepliesDoNoHarm() throws Exception {
        List<byte[]> late = new CopyOnWriteArrayList<>();
        streams.fault((number, asked, reply) -> switch (number) {
            case 3 -> List.of();
            case 4 -> {
                byte[] damaged = reply.clone();
                damaged[reply.length / 2] ^= 1;
                yield List.of(damaged);
            }
            case 5 -> List.of(reply, reply);
            case 6 -> {
                late.add(reply);
                yield List.of();
            }
            case 7 -> List.of(reply, late.get(0));
            default -> List.of(reply);
        });
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker);
                AutoCloseable serving = serve(broker);
                AutoCloseable agent = agent(broker.port(), 128 * 1024)) {
            assertThat(List.of(serving, agent)).doesNotContainNull();
            push(platform);

            eventually(PATIENCE, () -> assertThat(installed).containsExactly(content));
        }
    }

    @Test
    void aTransferWhoseConnectionIsCutGoesOnWhereItWas() throws Exception {
        try (MosquittoBroker broker = MosquittoBroker.start();
                CutProxy proxy = CutProxy.to(broker.port());
                TestPlatform platform = TestPlatform.on(broker);
                AutoCloseable serving = serve(broker)) {
            proxy.script(number ->
                    number <= 3 ? new Faults().cut(Way.TO_CLIENT, 250_000, End.values()[number % 2]) : new Faults());
            try (AutoCloseable agent = agent(proxy.port(), 16 * 1024)) {
                assertThat(List.of(serving, agent)).doesNotContainNull();
                push(platform);

                eventually(PATIENCE, () -> assertThat(installed).containsExactly(content));
                assertThat(proxy.cuts()).isEqualTo(3);
                assertResumed(3);
            }
        }
    }

    @Test
    void aTransferGoesOnInTheNextLifeOfTheProcess() throws Exception {
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker);
                AutoCloseable serving = serve(broker)) {
            // Nothing after the middle, until the process has ended.
            streams.fault((number, asked, reply) -> asked.offset() > 500_000 ? List.of() : List.of(reply));
            try (AutoCloseable agent = agent(broker.port(), 16 * 1024)) {
                assertThat(List.of(serving, agent)).doesNotContainNull();
                push(platform);
                await().atMost(PATIENCE)
                        .until(() -> streams.asked().stream().anyMatch(asked -> asked.offset() > 520_000));
            }
            assertThat(installed).isEmpty();
            int before = streams.asked().size();
            streams.fault((number, asked, reply) -> List.of(reply));

            MemoryStore kept = store.reopen();
            try (AutoCloseable agent = agent(broker.port(), 16 * 1024, kept)) {
                assertThat(agent).isNotNull();
                eventually(PATIENCE, () -> assertThat(installed).containsExactly(content));
            }
            List<Asked> after = streams.asked().subList(before, streams.asked().size());
            assertThat(after.get(0).offset()).isZero();
            assertThat(after.get(0).size()).isEqualTo(Downloads.SMALLEST_BLOCK);
            assertThat(after.subList(1, after.size()))
                    .allSatisfy(asked -> assertThat(asked.offset()).isGreaterThan(300_000));
        }
    }

    /** What was here before a cut was not asked for again, but for the few blocks that were under way. */
    private void assertResumed(int interruptions) {
        long asked = streams.asked().stream().mapToLong(Asked::size).sum();
        assertThat(asked).isLessThan(content.length + interruptions * 400_000L);
        assertThat(streams.asked())
                .filteredOn(one -> one.offset() == 0 && one.size() > Downloads.SMALLEST_BLOCK)
                .hasSizeLessThanOrEqualTo(2);
    }

    private AutoCloseable serve(MosquittoBroker broker) throws Exception {
        streams.serve(STREAM, content);
        return streams.on(broker);
    }

    /** Pushes it, and answers with it when it is asked. */
    private void push(TestPlatform platform) {
        Artifact artifact = new Artifact(
                "default",
                Downloads.location(STREAM, 1),
                content.length,
                List.of(ArtifactStoreContract.sha256(content)));
        UpgradeTrigger trigger = new UpgradeTrigger(DEVICE, "default", "1.1", List.of(artifact), Map.of());
        platform.pending(trigger);
        platform.push(trigger);
    }

    private AutoCloseable agent(int port, int blockSize) {
        return agent(port, blockSize, store);
    }

    private AutoCloseable agent(int port, int blockSize, MemoryStore place) {
        AliyunDevice device = TestPlatform.device(port)
                .timeout(Duration.ofSeconds(2))
                .reconnect(Duration.ofMillis(20), Duration.ofMillis(50))
                .build();
        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(AliyunDevice.STREAM_SCHEME, device.streams(blockSize, 4))
                .store(place)
                .backoff(new Backoff(Duration.ofMillis(20), Duration.ofMillis(100), 20))
                .installer(verified -> verified.file()
                        .read()
                        .reduceWith(ByteArrayOutputStream::new, (all, buffer) -> {
                            all.writeBytes(ByteBufUtil.getBytes(buffer));
                            buffer.release();
                            return all;
                        })
                        .map(all -> {
                            installed.add(all.toByteArray());
                            return Installer.Effect.IMMEDIATE;
                        }))
                .build();
        Disposable running = ota.upgrades().subscribe();
        // Here it begins to hear of pushes.
        device.connect().then(Mono.defer(() -> ota.report("default", "1.0"))).block(PATIENCE);
        return () -> {
            running.dispose();
            device.close().block(PATIENCE);
        };
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }
}
