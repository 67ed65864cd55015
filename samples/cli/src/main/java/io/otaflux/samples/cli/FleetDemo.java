package io.otaflux.samples.cli;

import io.otaflux.samples.platform.Device;
import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.Task;
import io.otaflux.samples.platform.TaskStatus;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** A gateway with many devices behind it, whose one job brings all of them from 1.0.0 to 2.0.0. */
final class FleetDemo {

    private static final String GATEWAYS = "a1otafluxgate";
    private static final String DEVICES = "a1otafluxdevs";
    private static final String AFTER = "2.0.0";
    private static final Duration LIMIT = Duration.ofMinutes(15);
    private static final Duration POLL = Duration.ofMillis(200);

    private final int count;
    private final Path home;
    private final Path image;
    private final Consumer<String> narration;

    /** @param image the new version */
    FleetDemo(int count, Path home, Path image, Consumer<String> narration) {
        this.count = count;
        this.home = home;
        this.image = image;
        this.narration = narration;
    }

    /** Throws what is not as it should be. */
    void run(Foreground foreground) throws IOException {
        Platform platform = Platform.builder()
                .dataDirectory(home.resolve("platform"))
                .maxPackageBytes(Files.size(image))
                .start();
        foreground.atEnd(platform::close);
        platform.createProduct(GATEWAYS);
        platform.createProduct(DEVICES);
        List<DeviceCredentials> logins = new ArrayList<>();
        logins.add(platform.createDevice(GATEWAYS, "gateway-1"));
        // Several at a time, which the platform makes durable together.
        logins.addAll(IntStream.rangeClosed(1, count)
                .parallel()
                .mapToObj(number -> platform.createDevice(DEVICES, "device-" + number))
                .toList());
        FirmwarePackage firmware = platform.addPackage(DEVICES, FleetGateway.MODULE, AFTER, image, SignMethod.SHA256);
        MqttTap tap = new MqttTap(platform.mqttPort());
        foreground.atEnd(tap::close);
        narration.accept("platform: mqtt port " + platform.mqttPort() + ", " + platform.httpUri() + ", " + (count + 1)
                + " devices");

        long began = System.nanoTime();
        Child gateway = new Child(home.resolve("gateway"), tap.port(), logins);
        foreground.atEnd(gateway::kill);
        expect(FleetGateway.LOGGED_IN + count, gateway.awaitLine(FleetGateway.LOGGED_IN));
        long loggedIn = System.nanoTime();
        narration.accept("gateway: " + count + " sub-devices logged in " + seconds(began, loggedIn)
                + " after the start of its process");
        gateway.awaitLine(FleetGateway.REPORTED);
        await(() -> platform.devices(DEVICES).stream().allMatch(FleetDemo::isReady));
        long reported = System.nanoTime();
        narration.accept("platform: knows what all of them run, " + seconds(loggedIn, reported) + " later");

        Job job = platform.createJob(JobRequest.of(firmware.id()));
        gateway.awaitLine(FleetGateway.ENDED);
        Job ended = Objects.requireNonNull(platform.jobEnd(job.id()).block(LIMIT));
        long done = System.nanoTime();
        narration.accept("platform: job " + ended.status() + " " + seconds(reported, done) + " after its creation, "
                + seconds(began, done) + " in all");
        long memory = gateway.end();
        check(platform, platform.tasks(job.id()));
        narration.accept("gateway: peak memory " + (memory == 0 ? "unknown" : new Size(memory)) + " resident");
        narration.accept("mqtt: from the gateway " + tap.fromDevice() + "; to it " + tap.toDevice());
        narration.accept("http: " + platform.downloads() + " request, " + new Size(platform.downloadedBytes()));
    }

    private static boolean isReady(Device device) {
        return device.online() && FleetGateway.BEFORE.equals(device.versions().get(FleetGateway.MODULE));
    }

    private void check(Platform platform, List<Task> tasks) throws IOException {
        expect(
                count + " tasks that succeeded",
                tasks.stream()
                                .filter(task -> task.status() == TaskStatus.SUCCEEDED)
                                .count()
                        + " tasks that succeeded");
        expect("1 download", platform.downloads() + " download");
        expect(Files.size(image) + " bytes", platform.downloadedBytes() + " bytes");
        Path first = file(1);
        long difference = Files.mismatch(image, first);
        expect(
                "the bytes of the package",
                difference < 0 ? "the bytes of the package" : "others at byte " + difference);
        for (int number = 2; number <= count; number++) {
            if (!Files.isSameFile(first, file(number))) {
                throw new CommandFailedException(ExitCode.FAILED, "device-" + number + " has another file");
            }
        }
    }

    private Path file(int number) {
        return HandOver.fileOf(home.resolve("gateway/devices"), "device-" + number);
    }

    private static void expect(String expected, String actual) {
        if (!actual.equals(expected)) {
            throw new CommandFailedException(ExitCode.FAILED, actual + " (expected: " + expected + ")");
        }
    }

    private static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + LIMIT.toNanos();
        try {
            while (!condition.getAsBoolean()) {
                if (System.nanoTime() > end) {
                    throw new CommandFailedException(ExitCode.FAILED, "not finished within " + LIMIT);
                }
                TimeUnit.NANOSECONDS.sleep(POLL.toNanos());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CommandFailedException(ExitCode.FAILED, "interrupted", e);
        }
    }

    private static String seconds(long from, long to) {
        return String.format(Locale.ROOT, "%.1f s", (to - from) / 1e9);
    }

    /** The process of the gateway. */
    private final class Child {

        private final Process process;
        private final PrintWriter in;
        private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

        Child(Path directory, int port, List<DeviceCredentials> logins) throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-XX:+UseSerialGC",
                    "-Xmx64m",
                    "-Xshare:auto",
                    "--enable-native-access=ALL-UNNAMED"));
            if (Runtime.version().feature() >= 23) {
                command.add("--sun-misc-unsafe-memory-access=allow");
            }
            command.addAll(List.of(
                    "-cp",
                    System.getProperty("java.class.path"),
                    FleetGateway.class.getName(),
                    directory.toString(),
                    Integer.toString(port)));
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            in = new PrintWriter(new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
            logins.forEach(
                    login -> in.println(login.productKey() + " " + login.deviceName() + " " + login.deviceSecret()));
            in.println();
            in.flush();
            Thread reader = new Thread(this::read, "gateway-output");
            reader.setDaemon(true);
            reader.start();
        }

        private void read() {
            try (BufferedReader out =
                    new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                out.lines().forEach(lines::add);
            } catch (IOException | UncheckedIOException e) {
                lines.add("its output broke off: " + Line.of(e));
            }
            lines.add("it ended");
        }

        /** Waits for a line that begins like this, and says aloud whatever comes instead. */
        String awaitLine(String beginning) {
            long end = System.nanoTime() + LIMIT.toNanos();
            try {
                while (true) {
                    String line = lines.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
                    if (line == null) {
                        throw new CommandFailedException(ExitCode.FAILED, "not finished within " + LIMIT);
                    }
                    if (line.startsWith(beginning)) {
                        return line;
                    }
                    narration.accept("gateway: " + line);
                    if (line.equals("it ended")) {
                        throw new CommandFailedException(ExitCode.FAILED, "the gateway's process ended early");
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CommandFailedException(ExitCode.FAILED, "interrupted", e);
            }
        }

        /** Ends it in good order, and returns how much memory it took at most. */
        long end() {
            in.close();
            return Long.parseLong(awaitLine(FleetGateway.MEMORY).substring(FleetGateway.MEMORY.length()));
        }

        void kill() {
            process.destroyForcibly();
        }
    }
}
