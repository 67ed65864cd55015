package io.otaflux;

import reactor.core.publisher.Mono;

/** Makes verified bytes take effect as the new version of a module. */
@FunctionalInterface
public interface Installer {

    /**
     * Installs. What ran before must stay usable until this completes; {@link Verified.File#read()} checks the bytes
     * again as they are copied, so nothing may be switched before it has completed. It may be called again after a crash
     * with the same upgrade.
     *
     * @return a {@code Mono} that emits how the installation takes effect, once that survives a power cut. It errors with
     *     {@link InstallException} or another {@link OtaException}; any other error is wrapped in one. Work begins at
     *     subscription; cancellation leaves the old or the new version
     */
    Mono<Effect> install(Verified verified);

    /**
     * Called when the new version runs and the platform has been told so: from here on it is not to be rolled back.
     * Defaults to nothing.
     */
    default Mono<Void> confirm(UpgradeTrigger trigger) {
        return Mono.empty();
    }

    /**
     * Tells whether an installation that needed a restart of the device still waits for it. Asked when the running
     * program reports another version than the installed one: true means that the restart has not happened yet, false
     * that the device came back with its old version. Defaults to false.
     */
    default boolean awaitsRestart(UpgradeTrigger trigger) {
        return false;
    }

    /**
     * Tells whether this installer can make the new version of the old one and a difference, so that it may be given
     * artifacts of an {@link UpgradeTrigger#delta()}. Without it they are refused before anything is downloaded: taken for
     * whole, they would be installed as garbage. Defaults to false.
     */
    default boolean acceptsDeltas() {
        return false;
    }

    /** When an installation counts. */
    enum Effect {
        /** The new version is in effect; it can be reported now. */
        IMMEDIATE,
        /** The new version runs after the next restart of the device; whoever comes up then reports it. */
        AFTER_RESTART
    }
}
