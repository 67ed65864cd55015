package io.otaflux.benchmarks;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** A platform in the same process that costs nothing: it pushes one trigger and waits for the end of that upgrade. */
final class LocalChannel implements UpgradeChannel {

    private final Sinks.Many<Delivery> deliveries = Sinks.many().unicast().onBackpressureBuffer();
    private final BlockingQueue<UpgradeEvent.Ended> ends = new LinkedBlockingQueue<>();

    /** @throws IllegalStateException when it does not succeed within a minute */
    UpgradeEvent upgrade(UpgradeTrigger trigger) throws InterruptedException {
        deliveries.tryEmitNext(new Push(trigger)).orThrow();
        UpgradeEvent.Ended end = ends.poll(1, TimeUnit.MINUTES);
        if (!(end instanceof UpgradeEvent.Succeeded)) {
            throw new IllegalStateException(end + " (expected: succeeded)");
        }
        return end;
    }

    @Override
    public DeviceId device() {
        return Scene.DEVICE;
    }

    @Override
    public Flux<Delivery> triggers() {
        return deliveries.asFlux();
    }

    @Override
    public Mono<Void> report(DeviceId device, String module, String version) {
        return Mono.empty();
    }

    @Override
    public Mono<Void> report(UpgradeEvent event) {
        return Mono.fromRunnable(() -> {
            if (event instanceof UpgradeEvent.Ended end) {
                ends.add(end);
            }
        });
    }

    private record Push(UpgradeTrigger trigger) implements Delivery {

        @Override
        public void acknowledge() {
            // Nothing here would deliver it again.
        }
    }
}
