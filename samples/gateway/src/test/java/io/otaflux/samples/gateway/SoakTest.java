package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Artifact;
import io.otaflux.Digest;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

/** Hundreds of whole upgrades in one process, which is started over on the inside again and again. */
@Tag("faults")
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class SoakTest {

    private static final int LIVES = 30;
    private static final int UPGRADES = 10;
    private static final int SIZE = 400_000;
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    /** What the virtual machine may take more by the end, for code and for what the test kit remembers. */
    private static final long SLACK = 16 << 20;

    @TempDir
    Path directory;

    /** What the process holds when everything was given back. */
    private record Held(long descriptors, long threads, long heap, long direct, long resident) {

        static Held now() {
            System.gc();
            return new Held(
                    count("/proc/self/fd"),
                    count("/proc/self/task"),
                    ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed(),
                    ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                            .filter(pool -> pool.getName().equals("direct"))
                            .mapToLong(BufferPoolMXBean::getMemoryUsed)
                            .sum(),
                    residentNow());
        }

        private static long count(String of) {
            try (Stream<Path> entries = Files.list(Path.of(of))) {
                return entries.count();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static long residentNow() {
            try (Stream<String> status = Files.lines(Path.of("/proc/self/status"))) {
                return status.filter(line -> line.startsWith("VmRSS:"))
                        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                        .sum();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @Test
    void threeHundredUpgradesLeaveNothingOpenAndNothingThatGrows() {
        try (NginxServer nginx = NginxServer.start(directory.resolve("nginx"))) {
            // What is made once and stays: classes, the event loops, the pools of buffers.
            for (int life = 0; life < LIVES / 3; life++) {
                live(nginx, life);
            }
            Held before = Held.now();
            int first = LIVES / 3;
            Held halfWay = before;
            for (int life = first; life < first + LIVES; life++) {
                if (life == first + LIVES / 2) {
                    halfWay = Held.now();
                }
                live(nginx, life);
            }

            // Idle threads go after ten seconds.
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(Held.now().threads()).isLessThanOrEqualTo(before.threads()));
            await().atMost(PATIENCE)
                    .untilAsserted(
                            () -> assertThat(Held.now().descriptors()).isLessThanOrEqualTo(before.descriptors()));
            Held after = Held.now();
            assertThat(after.heap()).as("heap").isLessThan(before.heap() + SLACK);
            assertThat(after.direct()).as("direct memory").isLessThan(before.direct() + SLACK);
            // Resident memory is for people to look at: the virtual machine takes what it may.
            System.err.printf(
                    "figure: soak of %d upgrades: descriptors %+d, threads %+d, heap %+d KiB, direct memory %+d KiB,"
                            + " resident %+d KiB in the first half and %+d KiB in the second%n",
                    LIVES * UPGRADES,
                    after.descriptors() - before.descriptors(),
                    after.threads() - before.threads(),
                    (after.heap() - before.heap()) >> 10,
                    (after.direct() - before.direct()) >> 10,
                    (halfWay.resident() - before.resident()) >> 10,
                    (after.resident() - halfWay.resident()) >> 10);
        }
    }

    /** One client from its start to its end, with some upgrades in between. */
    private void live(NginxServer nginx, int life) {
        MemoryChannel channel = new MemoryChannel();
        HttpArtifactSource source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .build();
        FileArtifactStore store = FileArtifactStore.builder(directory.resolve("store"))
                .quota(4 * SIZE)
                .build();
        OtaClient ota = OtaClient.builder(channel)
                .source(source)
                .store(store)
                .installer("app", FileInstaller.to(directory.resolve("app.bin")))
                .build();
        var running = ota.upgrades().subscribe();
        for (int upgrade = 0; upgrade < UPGRADES; upgrade++) {
            String version = life + "." + upgrade;
            Payload payload = Payload.image(version, SIZE);
            Artifact artifact = new Artifact(
                    "app",
                    nginx.put("app.bin", payload.bytes()),
                    SIZE,
                    List.of(new Digest(Digest.Algorithm.SHA_256, payload.sha256())));
            channel.push(new UpgradeTrigger(channel.device(), "app", version, artifact));
            int wanted = upgrade + 1;
            await(version)
                    .atMost(PATIENCE)
                    .pollInterval(Duration.ofMillis(5))
                    .until(() -> channel.events(UpgradeEvent.Succeeded.class).size() == wanted);
        }
        running.dispose();
        ota.dispose();
        Mono.whenDelayError(source.close(), store.close()).block(PATIENCE);
    }
}
