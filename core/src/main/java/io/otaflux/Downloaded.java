package io.otaflux;

import java.util.List;

/** All bytes of an upgrade are durable in the store. Nothing is said yet about whether they are the right ones. */
public final class Downloaded implements UpgradeEvent {

    private final Upgrade upgrade;
    private final UpgradeTrigger trigger;
    private final List<ArtifactStore.Stored> files;

    Downloaded(Upgrade upgrade, UpgradeTrigger trigger, List<ArtifactStore.Stored> files) {
        this.upgrade = upgrade;
        this.trigger = trigger;
        this.files = List.copyOf(files);
    }

    @Override
    public UpgradeTrigger trigger() {
        return trigger;
    }

    /** What the store has, in the order of {@link UpgradeTrigger#artifacts()}. */
    public List<ArtifactStore.Stored> files() {
        return files;
    }

    Upgrade upgrade() {
        return upgrade;
    }

    @Override
    public String toString() {
        return "Downloaded[trigger=" + trigger + "]";
    }
}
