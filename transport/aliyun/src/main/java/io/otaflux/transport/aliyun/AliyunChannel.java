package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The conversation as core sees it. */
final class AliyunChannel implements UpgradeChannel {

    /** What the platform takes for a module or a version, and the plus sign that others have in versions. */
    private static final String NAME = "[A-Za-z0-9._+-]{1,64}";

    private final DeviceId device;
    private final Conversation conversation;

    AliyunChannel(DeviceId device, Conversation conversation) {
        this.device = device;
        this.conversation = conversation;
    }

    @Override
    public DeviceId device() {
        return device;
    }

    @Override
    public Flux<Delivery> triggers() {
        return conversation.deliveries();
    }

    @Override
    public Mono<Void> report(DeviceId reporting, String module, String version) {
        return Mono.defer(() -> {
            conversation.checkKnown(reporting);
            check("module", module);
            check("version", version);
            if (module.equals(AliyunDevice.CONFIG_MODULE)) {
                // What configuration a device has is nothing that the platform wants to hear.
                return Mono.empty();
            }
            return conversation.report(reporting, module, version);
        });
    }

    @Override
    public Mono<Void> report(UpgradeEvent event) {
        return Mono.defer(() -> {
            UpgradeTrigger trigger = event.trigger();
            conversation.checkKnown(trigger.device());
            if (trigger.module().equals(AliyunDevice.CONFIG_MODULE)) {
                return Mono.empty();
            }
            boolean first = event instanceof UpgradeEvent.Admitted;
            return Step.of(event)
                    .map(step -> conversation.report(trigger.device(), trigger.module(), step, first))
                    .orElse(Mono.empty());
        });
    }

    @Override
    public Mono<UpgradeTrigger> refresh(UpgradeTrigger trigger) {
        return Mono.defer(() -> {
            conversation.checkKnown(trigger.device());
            return conversation.pending(trigger.device(), trigger.module());
        });
    }

    /** MD5 is what this platform uses unless it is told otherwise. */
    @Override
    public boolean sendsWeakDigests() {
        return true;
    }

    private static void check(String what, String value) {
        if (!value.matches(NAME)) {
            throw new IllegalArgumentException(what + ": " + value.length() + " characters (expected: " + NAME + ")");
        }
    }

    @Override
    public String toString() {
        return "AliyunChannel[" + device + "]";
    }
}
