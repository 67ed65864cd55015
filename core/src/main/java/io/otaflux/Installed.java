package io.otaflux;

/**
 * The new version is in place. It is confirmed, and the upgrade succeeded, when the platform has been told that it
 * runs: at once, or after a restart of the device.
 */
public final class Installed implements UpgradeEvent {

    private final UpgradeTrigger trigger;
    private final Installer.Effect effect;

    Installed(UpgradeTrigger trigger, Installer.Effect effect) {
        this.trigger = trigger;
        this.effect = effect;
    }

    @Override
    public UpgradeTrigger trigger() {
        return trigger;
    }

    public Installer.Effect effect() {
        return effect;
    }

    @Override
    public String toString() {
        return "Installed[trigger=" + trigger + ", effect=" + effect + "]";
    }
}
