package io.otaflux.samples.cli;

import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.storage.SlotInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.DeviceEvent;
import io.otaflux.transport.http.HttpArtifactSource;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * A device that keeps its modules up to date. An upgrade of its own firmware wants a restart of the device; here, where
 * there is nothing to reboot, everything is closed and started again from what is on disk.
 */
final class Agent {

    private static final Duration LAST_WORD = Duration.ofSeconds(5);

    private final Settings settings;
    private final Consumer<String> narration;
    private volatile @Nullable Life current;

    /**
     * What the device is.
     *
     * @param connection makes its connection to the platform
     * @param source makes what it downloads with
     * @param store the directory of its state
     * @param versions which version each module runs, before any upgrade
     * @param places where modules are installed: a file, or for {@code default} a directory of slots
     */
    record Settings(
            Supplier<AliyunDevice> connection,
            Supplier<HttpArtifactSource> source,
            Path store,
            Map<String, String> versions,
            Map<String, Path> places) {}

    Agent(Settings settings, Consumer<String> narration) {
        this.settings = settings;
        this.narration = narration;
    }

    /**
     * Connects, reports its versions and does what the platform asks for.
     *
     * @param last what it stops after
     * @return a {@code Flux} that completes, with everything closed, after the first event that is the {@code last}, and
     *     errors if the platform refuses the device or the store cannot be used
     */
    Flux<UpgradeEvent> run(Predicate<UpgradeEvent> last) {
        return Flux.defer(() -> {
            boolean[] done = new boolean[1];
            return Flux.usingWhen(
                            Mono.fromCallable(Life::new).subscribeOn(Schedulers.boundedElastic()),
                            life -> life.run(last).doOnNext(event -> done[0] |= last.test(event)),
                            life -> life.end)
                    .repeat(() -> !done[0]);
        });
    }

    /** Waits until everything is closed, after what {@link #run} gave was cancelled. */
    void awaitClosed() {
        Life life = current;
        if (life != null) {
            life.end.block();
        }
    }

    /** From a start to the restart that an installation asks for. */
    private final class Life {

        private final FileArtifactStore store;
        private final HttpArtifactSource source;
        private final AliyunDevice device;
        private final OtaClient ota;
        private final RunningVersions versions;
        private final @Nullable SlotInstaller slots;
        final Mono<Void> end;

        Life() {
            versions = RunningVersions.in(settings.store(), settings.versions());
            Path slotDirectory = settings.places().get(UpgradeTrigger.DEFAULT_MODULE);
            slots = slotDirectory == null ? null : SlotInstaller.in(slotDirectory);
            store = FileArtifactStore.in(settings.store());
            device = settings.connection().get();
            source = settings.source().get();
            OtaClient.Builder client = OtaClient.builder(device.upgrades())
                    .source(source)
                    .source(AliyunDevice.STREAM_SCHEME, device.streams())
                    .store(store);
            settings.places()
                    .forEach((module, place) -> client.installer(
                            module,
                            slots != null && module.equals(UpgradeTrigger.DEFAULT_MODULE)
                                    ? slots
                                    : FileInstaller.to(place)));
            ota = client.build();
            end = Mono.defer(() -> {
                        ota.dispose();
                        return Flux.concatDelayError(device.close(), source.close(), store.close())
                                .then();
                    })
                    .cache();
            current = this;
        }

        Flux<UpgradeEvent> run(Predicate<UpgradeEvent> last) {
            // Ends by itself when the device is closed.
            device.events().subscribe(this::narrate);
            return boot().thenMany(Flux.fromIterable(settings.versions().keySet()))
                    .concatMap(this::report)
                    .thenMany(ota.upgrades())
                    .concatMap(event -> event instanceof UpgradeEvent.Succeeded succeeded
                            ? remember(succeeded.trigger()).thenReturn(event)
                            : Mono.just(event))
                    .takeUntil(event -> last.test(event) || needsRestart(event))
                    .concatMap(event -> last.test(event) ? lastWord(event).thenReturn(event) : Mono.just(event));
        }

        private void narrate(DeviceEvent event) {
            if (event instanceof DeviceEvent.ConnectFailed failed) {
                narration.accept("not connected: " + Line.of(failed.cause()));
            } else if (event instanceof DeviceEvent.Disconnected lost) {
                narration.accept("disconnected: " + Line.of(lost.cause()));
            } else if (event instanceof DeviceEvent.MessageSkipped skipped) {
                narration.accept("message skipped: " + Line.of(skipped.cause()));
            } else if (event instanceof DeviceEvent.Connected) {
                narration.accept("connected");
            }
        }

        /** What runs of the device's own firmware is for its slots to say. */
        private Mono<Void> boot() {
            return slots == null
                    ? Mono.empty()
                    : slots.boot()
                            .filter(boot -> !boot.version().equals(SlotInstaller.FACTORY))
                            .doOnNext(boot -> {
                                versions.override(UpgradeTrigger.DEFAULT_MODULE, boot.version());
                                narration.accept("booted " + boot.version() + " from slot "
                                        + boot.slot().getFileName()
                                        + (boot.attempt() == 0 ? "" : ", attempt " + boot.attempt()));
                            })
                            .then();
        }

        private Mono<Void> report(String module) {
            String version = versions.of(module);
            return ota.report(module, version)
                    .doOnSuccess(done -> narration.accept("reported " + module + " " + version));
        }

        private Mono<Void> remember(UpgradeTrigger trigger) {
            return Mono.<Void>fromRunnable(() -> versions.record(trigger.module(), trigger.version()))
                    .subscribeOn(Schedulers.boundedElastic());
        }

        private boolean needsRestart(UpgradeEvent event) {
            return event instanceof Installed installed && installed.effect() == Installer.Effect.AFTER_RESTART;
        }

        /**
         * A failure is reported beside the road and nobody waits for it, since the journal remembers it until the next
         * start. Who ends now should not leave the platform waiting for that; it may hear this twice.
         */
        private Mono<Void> lastWord(UpgradeEvent event) {
            return event instanceof UpgradeEvent.Failed
                    ? device.upgrades().report(event).timeout(LAST_WORD).onErrorComplete()
                    : Mono.empty();
        }
    }
}
