package io.otaflux.samples.cli;

import io.otaflux.OtaException;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.Task;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** The main job from end to end in one process: a platform, and a device that it brings from 1.0.0 to 2.0.0. */
@Command(
        name = "demo",
        description = {
            "Starts a platform with its broker and file server, and a device that is upgraded from 1.0.0 to 2.0.0: with real"
                    + " bytes over MQTT and HTTP, on free loopback ports, in temporary directories.",
            "It is the platform that counts the upgrade as succeeded."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:The upgrade succeeded.", "1:It failed.", "2:The command line makes no sense."})
final class DemoCommand implements Callable<Integer> {

    private static final String PRODUCT = "a1otafluxdemo";
    private static final String DEVICE = "gateway-1";
    private static final String BEFORE = "1.0.0";
    private static final String AFTER = "2.0.0";
    private static final Duration LIMIT = Duration.ofMinutes(15);
    private static final Duration POLL = Duration.ofMillis(20);
    private static final int CHUNK = 1 << 20;
    private static final Size DEVICE_SIZE = new Size(64 << 20);
    private static final Size FLEET_SIZE = new Size(4 << 20);

    /** What platforms of this protocol allow for one gateway. */
    private static final int MAX_SUB_DEVICES = 2000;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--size",
            paramLabel = "SIZE",
            converter = Size.Converter.class,
            description = "How large the new version is, for example 500K or 1G. Defaults to 64M.")
    private @Nullable Size size;

    @Option(
            names = "--module",
            paramLabel = "MODULE",
            defaultValue = "app",
            description =
                    "What is upgraded: app, a file that is replaced, or default, the device's firmware, which restarts."
                            + " Defaults to ${DEFAULT-VALUE}.")
    @SuppressWarnings("NullAway.Init")
    private String module;

    @Option(
            names = "--sub-devices",
            paramLabel = "COUNT",
            defaultValue = "0",
            description = {
                "Upgrades so many devices behind one gateway, which has a process of its own, instead of the one device; up to"
                        + " 2000. The size then defaults to 4M.",
                "Ends with 0 only if all of them succeeded and the file was fetched exactly once, and says what it took."
            })
    private int subDevices;

    @Option(
            names = "--json",
            description = "Write each event as one line of JSON, and nothing else, to the standard output.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (!module.equals("app") && !module.equals(UpgradeTrigger.DEFAULT_MODULE)) {
            throw new ParameterException(spec.commandLine(), "--module: " + module + " (expected: app or default)");
        }
        if (size != null && size.bytes() == 0) {
            throw new ParameterException(spec.commandLine(), "--size: 0 (expected: at least 1 byte)");
        }
        if (subDevices < 0 || subDevices > MAX_SUB_DEVICES) {
            throw new ParameterException(
                    spec.commandLine(), "--sub-devices: " + subDevices + " (expected: 1 to " + MAX_SUB_DEVICES + ")");
        }
        if (subDevices > 0 && (json || !module.equals("app"))) {
            throw new ParameterException(
                    spec.commandLine(), "--sub-devices: goes with neither --json nor --module default");
        }
        if (subDevices > 0) {
            return fleet();
        }
        EventPrinter printer =
                EventPrinter.of(spec.commandLine().getOut(), spec.commandLine().getErr(), json);
        Path home = Files.createTempDirectory("otaflux-demo-");
        String failure;
        try (Foreground foreground = new Foreground()) {
            foreground.atEnd(() -> delete(home));
            failure = run(foreground, home, printer);
        }
        var last = json ? spec.commandLine().getErr() : spec.commandLine().getOut();
        last.println(failure == null ? "demo: 1 succeeded, 0 failed" : "demo: 0 succeeded, 1 failed");
        last.flush();
        if (failure != null) {
            throw new CommandFailedException(ExitCode.FAILED, failure);
        }
        return ExitCode.OK;
    }

    private int fleet() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        Path home = Files.createTempDirectory("otaflux-demo-");
        try (Foreground foreground = new Foreground()) {
            foreground.atEnd(() -> delete(home));
            Path image = writeRandomBytes(home.resolve("image"), size(FLEET_SIZE));
            new FleetDemo(subDevices, home, image, line -> {
                        out.println(line);
                        out.flush();
                    })
                    .run(foreground);
        }
        out.println("demo: " + subDevices + " succeeded, 0 failed");
        out.flush();
        return ExitCode.OK;
    }

    private long size(Size unlessGiven) {
        return size == null ? unlessGiven.bytes() : size.bytes();
    }

    /** Returns why it failed; null where it did not. */
    private @Nullable String run(Foreground foreground, Path home, EventPrinter printer) throws IOException {
        Path image = writeRandomBytes(home.resolve("image"), size(DEVICE_SIZE));
        Platform platform = Platform.builder()
                .dataDirectory(home.resolve("platform"))
                .maxPackageBytes(Files.size(image))
                .start();
        foreground.atEnd(platform::close);
        platform.createProduct(PRODUCT);
        DeviceCredentials login = platform.createDevice(PRODUCT, DEVICE);
        FirmwarePackage firmware = platform.addPackage(PRODUCT, module, AFTER, image, SignMethod.SHA256);
        printer.line("platform: mqtt port " + platform.mqttPort() + ", " + platform.httpUri());

        Path place = place(home.resolve("device"));
        Agent agent = new Agent(
                new Agent.Settings(
                        () -> AliyunDevice.builder()
                                .host("127.0.0.1")
                                .port(platform.mqttPort())
                                .plainTcp()
                                .credentials(login.productKey(), login.deviceName(), login.deviceSecret())
                                .build(),
                        () -> HttpArtifactSource.builder()
                                .allowHttp(true)
                                .allowNetworks("127.0.0.0/8")
                                .build(),
                        home.resolve("device/store"),
                        Map.of(module, BEFORE),
                        Map.of(module, place)),
                text -> printer.line("device: " + text));
        foreground.atEnd(agent::awaitClosed);

        Flux<UpgradeEvent> upgrade =
                agent.run(event -> event instanceof UpgradeEvent.Ended).doOnNext(printer);
        Mono<Job> counted = jobOnceReported(platform, firmware).flatMap(job -> platform.jobEnd(job.id()));
        Job[] ended = new Job[1];
        try {
            foreground.run(
                    Mono.zip(upgrade.then(Mono.just(true)), counted, (device, job) -> job)
                            .timeout(LIMIT)
                            .flux(),
                    job -> ended[0] = job);
        } catch (OtaException e) {
            return Line.of(e);
        } catch (RuntimeException e) {
            if (e.getCause() instanceof TimeoutException) {
                return "not finished within " + LIMIT;
            }
            throw e;
        }
        Task task = platform.tasks(ended[0].id()).get(0);
        printer.line("platform: task " + task.status() + ", runs "
                + platform.device(PRODUCT, DEVICE).versions().get(module));
        if (task.status() != TaskStatus.SUCCEEDED) {
            return "the platform counts the task as " + task.status() + ": " + Line.of(task.description());
        }
        Path installed = installed(place);
        long difference = Files.mismatch(image, installed);
        return difference < 0 ? null : "the installed file differs from the package's at byte " + difference;
    }

    /** A job for a device is one for a version that it has reported. */
    private Mono<Job> jobOnceReported(Platform platform, FirmwarePackage firmware) {
        return Flux.interval(POLL, Schedulers.boundedElastic())
                .onBackpressureDrop()
                .filter(tick -> BEFORE.equals(
                        platform.device(PRODUCT, DEVICE).versions().get(module)))
                .next()
                .map(reported -> platform.createJob(JobRequest.of(firmware.id()).withDevices(DEVICE)));
    }

    /** Where the old version is: the file, or the directory of slots with the one that is in use. */
    private Path place(Path device) throws IOException {
        if (module.equals("app")) {
            Files.createDirectories(device);
            return Files.writeString(device.resolve("app.bin"), BEFORE);
        }
        Path slots = device.resolve("slots");
        Files.createDirectories(slots.resolve("a"));
        Files.writeString(slots.resolve("a/firmware"), BEFORE);
        Files.createSymbolicLink(slots.resolve("current"), Path.of("a"));
        return slots;
    }

    private Path installed(Path place) throws IOException {
        if (module.equals("app")) {
            return place;
        }
        try (Stream<Path> files = Files.list(place.resolve("current/"))) {
            List<Path> found = files.toList();
            if (found.size() != 1) {
                throw new IOException(place + ": " + found.size() + " files in the slot in use (expected: 1)");
            }
            return found.get(0);
        }
    }

    private static Path writeRandomBytes(Path file, long bytes) throws IOException {
        Random random = new Random(new SecureRandom().nextLong());
        byte[] chunk = new byte[CHUNK];
        try (OutputStream out = Files.newOutputStream(file)) {
            for (long left = bytes; left > 0; left -= CHUNK) {
                random.nextBytes(chunk);
                out.write(chunk, 0, (int) Math.min(left, CHUNK));
            }
        }
        return file;
    }

    private static void delete(Path home) {
        try {
            Trees.delete(home);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
