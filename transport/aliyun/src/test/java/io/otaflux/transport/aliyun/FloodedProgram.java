package io.otaflux.transport.aliyun;

import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * A device in a process of its own, with little memory, whose upgrades take a while. It ends when every module has reached
 * the last version, and says how much memory that took.
 */
final class FloodedProgram {

    static final byte[] CONTENT = {1, 2, 3};
    static final URI LOCATION = URI.create("https://files.example.com/f");

    private FloodedProgram() {}

    /** Takes the broker's port, the number of modules, and the last version; lower versions must have come before. */
    public static void main(String[] args) {
        int modules = Integer.parseInt(args[1]);
        int last = Integer.parseInt(args[2]);
        OtaClient ota = OtaClient.builder(
                        TestPlatform.device(Integer.parseInt(args[0])).build().upgrades())
                .source(new MemorySource().serve(LOCATION, CONTENT))
                .store(MemoryStore.on(Schedulers.single()))
                .installer(verified -> Mono.delay(Duration.ofMillis(50)).thenReturn(Installer.Effect.IMMEDIATE))
                .build();
        Map<String, Integer> installed = new HashMap<>();
        Map<String, Long> counts = new HashMap<>();
        AtomicLong peak = new AtomicLong();
        Flux.interval(Duration.ofMillis(50)).subscribe(tick -> peak.accumulateAndGet(heap(), Math::max));
        ota.upgrades()
                .doOnNext(event -> {
                    String module = event.trigger().module();
                    if (event instanceof Installed) {
                        int version = Integer.parseInt(event.trigger().version());
                        if (installed.merge(module, version, Math::max) != version) {
                            throw new IllegalStateException(module + " went back to " + version);
                        }
                    } else if (event instanceof UpgradeEvent.Failed failed) {
                        throw new IllegalStateException(failed.toString());
                    }
                    if (event instanceof UpgradeEvent.Ended) {
                        counts.merge(event.getClass().getSimpleName(), 1L, Long::sum);
                    }
                })
                .takeUntil(event -> installed.size() == modules
                        && installed.values().stream().allMatch(version -> version == last))
                .blockLast();
        System.gc();
        System.out.printf(
                "ended %d superseded, %d succeeded; heap %d MiB at most, %d MiB in the end%n",
                counts.getOrDefault("Cancelled", 0L),
                counts.getOrDefault("Succeeded", 0L),
                peak.get() >> 20,
                heap() >> 20);
        // The device's threads would go on.
        System.exit(0);
    }

    private static long heap() {
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
