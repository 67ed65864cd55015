package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Backoff;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Many devices lose one broker at the same moment. They must not come back at the same moment. */
class ReconnectStormTest {

    private static final int DEVICES = 2000;

    private final List<AliyunDevice> devices = new ArrayList<>();

    @AfterEach
    void close() {
        Flux.fromIterable(devices).flatMap(AliyunDevice::close).blockLast(PATIENCE);
    }

    @Test
    void devicesAreSpreadOverTheTimeTheyMayWait() {
        System.err.println("figure: " + spread(Backoff.DEFAULT::delay));

        Random random = new Random();
        Mutant.assertCaught("jitter", () -> spread(ReconnectStormTest::doubling));
        Mutant.assertCaught(
                "jitter over the whole wait",
                () -> spread(retry ->
                        Duration.ofMillis((long) (doubling(retry).toMillis() * (0.75 + random.nextDouble() / 2)))));
    }

    /** Goes through the waits of all devices until their broker is back. */
    private static String spread(IntFunction<Duration> delay) {
        List<String> peaks = new ArrayList<>();
        for (int outage : List.of(1, 10, 60)) {
            List<Long> connects = new ArrayList<>();
            for (int device = 0; device < DEVICES; device++) {
                long now = 0;
                for (int retry = 1; now <= outage * 1000L; retry++) {
                    now += delay.apply(retry).toMillis();
                }
                connects.add(now - outage * 1000L);
            }
            // Evenly over the wait they would be a tenth in the first case, and ever fewer after that.
            assertThat(peak(connects, 100))
                    .as("connects within 0.1 s after an outage of %d s", outage)
                    .isLessThan(DEVICES / 8);
            peaks.add(peak(connects, 1000) + " after " + outage + " s");
        }
        return "reconnects of " + DEVICES + " devices in virtual time, most in one second by length of the outage: "
                + String.join(", ", peaks);
    }

    private static Duration doubling(int retry) {
        return Duration.ofMillis(Math.min(120_000, 1000L << Math.min(20, retry - 1)));
    }

    /** The most of these times that fall together. */
    private static int peak(List<Long> times, long together) {
        Map<Long, Long> counts =
                times.stream().collect(Collectors.groupingBy(at -> at / together, Collectors.counting()));
        return counts.values().stream().mapToInt(Long::intValue).max().orElse(0);
    }

    @Test
    @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
    void aRestartedBrokerSeesItsDevicesComeOneAfterTheOther() {
        int count = 60;
        Duration first = Duration.ofSeconds(4);
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            List<Long> connects = new CopyOnWriteArrayList<>();
            for (int i = 0; i < count; i++) {
                devices.add(TestPlatform.device(broker.port())
                        .credentials("pk", "dev" + i, TestPlatform.SECRET)
                        .reconnect(first, first)
                        .build());
            }
            devices.forEach(device -> device.events()
                    .ofType(DeviceEvent.Connected.class)
                    .subscribe(event -> connects.add(System.nanoTime())));
            Mono.when(devices.stream().map(AliyunDevice::connect).toList()).block(PATIENCE);
            await().atMost(PATIENCE).until(() -> connects.size() == count);
            connects.clear();

            broker.restart();
            await().atMost(PATIENCE).until(() -> connects.size() == count);

            int peak = peak(connects, 1_000_000_000);
            System.err.println("figure: " + count + " devices after a restart of their broker: " + count
                    + " back, at most " + peak + " in a second (waits of up to " + first.toSeconds() + " s)");
            // Evenly it would be 15.
            assertThat(peak).isLessThan(count * 2 / 3);
        }
    }

    @Test
    void devicesThatStartTogetherComeOneAfterTheOtherIfTheyAreToldTo() {
        Duration splay = Duration.ofSeconds(3);
        try (RefusingBroker broker = RefusingBroker.answering(3)) {
            long start = System.nanoTime();
            List<Long> firsts = new CopyOnWriteArrayList<>();
            IntStream.range(0, 20)
                    .forEach(i -> devices.add(TestPlatform.device(broker.port())
                            .credentials("pk", "dev" + i, TestPlatform.SECRET)
                            .splay(splay)
                            .reconnect(Duration.ofMinutes(10), Duration.ofMinutes(10))
                            .build()));
            devices.forEach(device -> {
                device.events().next().subscribe(event -> firsts.add(System.nanoTime() - start));
                device.connect().subscribe(connected -> {}, closed -> {});
            });

            await().atMost(PATIENCE).until(() -> firsts.size() == 20);
            // All within one second of three would be a chance of one in a thousand million.
            assertThat(peak(firsts, 1_000_000_000)).isLessThan(20);
        }
    }
}
