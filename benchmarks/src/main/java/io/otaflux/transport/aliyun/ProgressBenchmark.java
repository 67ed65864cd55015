package io.otaflux.transport.aliyun;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One download that moves a thousand times, on each of {@code devices} at once, from the event to the messages that are left
 * to send. It stands in the package of what it measures, which nobody outside sees.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 4, time = 1)
public class ProgressBenchmark {

    private static final int MOVES = 1_000;

    @Param({"1", "1000"})
    public int devices;

    private List<List<UpgradeEvent>> downloads = List.of();
    private Outbox outbox = new Outbox();

    /** Beside downloads of all devices per second: events, and the messages that they came to. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Counted {

        public long events;
        public long messages;

        @Setup(Level.Iteration)
        public void reset() {
            events = 0;
            messages = 0;
        }
    }

    @Setup(Level.Trial)
    public void open() {
        outbox = new Outbox();
        downloads = IntStream.range(0, devices)
                .mapToObj(ProgressBenchmark::download)
                .toList();
        downloads.forEach(moves -> outbox.opened(moves.get(0).trigger().device()));
    }

    private static List<UpgradeEvent> download(int device) {
        UpgradeTrigger trigger = new UpgradeTrigger(
                new DeviceId("product", "device-" + device),
                "app",
                "2",
                new Artifact(
                        "app",
                        URI.create("https://localhost/" + device),
                        MOVES,
                        List.of(new Digest(Digest.Algorithm.SHA_256, "0f".repeat(32)))));
        return IntStream.rangeClosed(1, MOVES)
                .<UpgradeEvent>mapToObj(moved -> new UpgradeEvent.Received(trigger, moved, MOVES))
                .toList();
    }

    @Benchmark
    public int progress(Counted counted) {
        int bytes = 0;
        for (int move = 0; move < MOVES; move++) {
            for (List<UpgradeEvent> moves : downloads) {
                UpgradeEvent event = moves.get(move);
                UpgradeTrigger trigger = event.trigger();
                if (move == 0) {
                    outbox.begin(trigger.device(), trigger.module());
                }
                Step.of(event).ifPresent(step -> outbox.step(trigger.device(), trigger.module(), step, null));
            }
            for (Outbox.Message message = outbox.next(); message != null; message = outbox.next()) {
                bytes += message.payload("1").length;
                outbox.sent(message);
                counted.messages++;
            }
        }
        counted.events += (long) MOVES * devices;
        return bytes;
    }
}
