package io.otaflux.samples.gateway;

import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.OtaException;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.storage.SlotInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.ZoneId;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/**
 * A gateway with firmware in two slots and any number of modules that are jars, whose operator decides when upgrades are
 * installed. Downloading and verifying need nobody's permission, so that an installation takes seconds once it is allowed.
 *
 * <p>It is configured by its environment, see {@link Settings#USAGE}. It ends with code {@value #RESTART} when firmware was
 * installed, for a service manager that starts it again; what starts it is in the slot that
 * {@code OTA_HOME/firmware/current} links to.
 */
public final class GatewayApplication {

    /** The exit code that asks to be started again, with the new firmware. */
    static final int RESTART = 10;

    private static final Logger log = LoggerFactory.getLogger(GatewayApplication.class);
    private static final Duration SHUTDOWN = Duration.ofSeconds(15);

    private final AliyunDevice device;
    private final HttpArtifactSource source;
    private final FileArtifactStore store;
    private final SlotInstaller firmware;
    private final Map<String, Path> modules;
    private final OtaClient ota;
    private final Operator operator;
    private final Outcomes outcomes = new Outcomes();
    private final Sinks.Empty<Void> stop = Sinks.empty();
    private final Sinks.Empty<Void> stopped = Sinks.empty();

    /** @throws OtaException when a directory cannot be used, for example because another gateway uses it */
    GatewayApplication(Settings settings, Operator operator) throws IOException {
        this.operator = operator;
        this.modules = settings.modules();
        // Opened first: it is the one that fails when this gateway runs already.
        this.store = FileArtifactStore.in(settings.home().resolve("store"));
        this.firmware = SlotInstaller.in(settings.home().resolve("firmware"));
        this.device = device(settings);
        this.source = source(settings);
        OtaClient.Builder builder = OtaClient.builder(device.upgrades())
                .source(source)
                .source(AliyunDevice.STREAM_SCHEME, device.streams())
                .store(store)
                .installer(UpgradeTrigger.DEFAULT_MODULE, firmware);
        modules.forEach((name, jar) -> builder.installer(name, FileInstaller.to(jar)));
        this.ota = builder.build();
    }

    public static void main(String[] args) {
        try {
            Settings settings = Settings.from(System.getenv(), args);
            Operator operator = new MaintenanceWindow(
                    settings.from(), settings.to(), Clock.system(ZoneId.systemDefault()), Schedulers.parallel());
            GatewayApplication gateway = new GatewayApplication(settings, operator);
            Runtime.getRuntime().addShutdownHook(new Thread(() -> gateway.stop().block(SHUTDOWN), "shutdown"));
            System.exit(Objects.requireNonNull(gateway.run().block()));
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            System.err.println(Settings.USAGE);
            System.exit(2);
        } catch (OtaException | IOException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    /**
     * Keeps the gateway up to date until it is {@linkplain #stop() stopped}, refused by its platform, or to be restarted,
     * and gives everything back then.
     *
     * @return a {@code Mono} that emits the exit code
     */
    Mono<Integer> run() {
        return reports()
                // One place for the firmware and each module: who waits for the operator holds up nobody.
                .thenMany(ota.triggers().flatMap(this::upgrade, modules.size() + 1))
                .filter(installed -> installed.effect() == Installer.Effect.AFTER_RESTART)
                .next()
                .map(installed -> RESTART)
                .takeUntilOther(stop.asMono())
                .defaultIfEmpty(0)
                .onErrorResume(OtaException.class, e -> {
                    log.error("gives up: {}", e.getMessage());
                    return Mono.just(1);
                })
                .flatMap(code -> close().thenReturn(code))
                .doFinally(end -> stopped.tryEmitEmpty());
    }

    /** Stops what is under way after its current durable step; completes when everything is given back. */
    Mono<Void> stop() {
        return Mono.defer(() -> {
            stop.tryEmitEmpty();
            return stopped.asMono();
        });
    }

    /** Says what runs, which also confirms the firmware that was installed before the restart. */
    private Mono<Void> reports() {
        Mono<Void> firmwareReport = firmware.boot()
                .map(SlotInstaller.Boot::version)
                .defaultIfEmpty(SlotInstaller.FACTORY)
                .flatMap(version -> ota.report(UpgradeTrigger.DEFAULT_MODULE, version));
        return firmwareReport
                .thenMany(Flux.fromIterable(modules.entrySet()))
                .concatMap(module -> Mono.fromCallable(() -> versionOf(module.getValue()))
                        .subscribeOn(Schedulers.boundedElastic())
                        .flatMap(version -> ota.report(module.getKey(), version)))
                .then();
    }

    private Mono<Installed> upgrade(UpgradeTrigger trigger) {
        outcomes.begun(trigger);
        return ota.download(trigger)
                .flatMap(ota::verify)
                .doOnNext(verified -> log.info("{}: verified, waits for the operator", trigger.key()))
                .delayUntil(operator::approves)
                .flatMap(ota::install)
                .doOnNext(outcomes::installed)
                .doOnNext(installed -> log.info("{}: installed, {}", trigger.key(), installed.effect()))
                .doOnError(OtaException.class, outcomes::failed)
                .doOnError(OtaException.class, e -> log.warn("{}: {}: {}", trigger.key(), e.reason(), e.getMessage()))
                // The platform knows already, and the next trigger is to come through.
                .onErrorComplete(OtaException.class)
                // Withdrawn, or the device runs the version already.
                .onErrorComplete(CancellationException.class);
    }

    /** All at once, each one even if another one could not be closed. */
    private Mono<Void> close() {
        return Mono.fromRunnable(ota::dispose)
                .then(Mono.whenDelayError(device.close(), source.close(), store.close()))
                .doFinally(end -> log.info("stopped; {}", outcomes));
    }

    Outcomes outcomes() {
        return outcomes;
    }

    /** What a jar's manifest says, or {@value SlotInstaller#FACTORY} where there is no jar or it says nothing. */
    private static String versionOf(Path jar) throws IOException {
        if (!Files.exists(jar)) {
            return SlotInstaller.FACTORY;
        }
        try (JarFile file = new JarFile(jar.toFile())) {
            Manifest manifest = file.getManifest();
            String version = manifest == null
                    ? null
                    : manifest.getMainAttributes().getValue(Attributes.Name.IMPLEMENTATION_VERSION);
            return Objects.requireNonNullElse(version, SlotInstaller.FACTORY);
        }
    }

    private static AliyunDevice device(Settings settings) throws IOException {
        AliyunDevice.Builder builder = AliyunDevice.builder()
                .host(settings.host())
                .port(settings.port())
                .credentials(
                        settings.productKey(),
                        settings.deviceName(),
                        Files.readString(settings.secretFile()).strip());
        if (settings.plain()) {
            builder.plainTcp();
        } else if (settings.authorities() != null) {
            builder.trust(settings.authorities());
        }
        return builder.build();
    }

    private static HttpArtifactSource source(Settings settings) {
        HttpArtifactSource.Builder builder = HttpArtifactSource.builder()
                .allowHttp(settings.plain())
                .allowNetworks(settings.networks().toArray(String[]::new));
        if (settings.authorities() != null) {
            builder.trustedCertificates(settings.authorities());
        }
        return builder.build();
    }
}
