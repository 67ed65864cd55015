package io.otaflux.benchmarks.compare;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A platform in this process that pushes everything as fast as it is taken, and has no use for reports. */
record EagerChannel(Flux<UpgradeTrigger> all) implements UpgradeChannel {

    static DeviceId device(int number) {
        return new DeviceId("product", "device-" + number);
    }

    @Override
    public DeviceId device() {
        return new DeviceId("product", "gateway");
    }

    @Override
    public Flux<Delivery> triggers() {
        return all.<Delivery>map(Push::new).mergeWith(Flux.never());
    }

    @Override
    public Mono<Void> report(DeviceId device, String module, String version) {
        return Mono.empty();
    }

    @Override
    public Mono<Void> report(UpgradeEvent event) {
        return Mono.empty();
    }

    private record Push(UpgradeTrigger trigger) implements Delivery {

        @Override
        public void acknowledge() {
            // Nothing here would deliver it again.
        }
    }
}
