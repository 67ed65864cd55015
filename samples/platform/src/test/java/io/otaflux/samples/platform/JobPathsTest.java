package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import reactor.test.scheduler.VirtualTimeScheduler;

/** Whole jobs, from the API to devices on the embedded broker and back, on a clock that goes on when it is told to. */
class JobPathsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final VirtualTimeScheduler TIME = VirtualTimeScheduler.create();

    private static Platform platform;

    @TempDir
    private Path directory;

    private final List<DeviceClient> devices = new ArrayList<>();
    private String product;

    @BeforeAll
    static void start(@TempDir Path data) throws Exception {
        platform = Platform.builder()
                .dataDirectory(data.resolve("data"))
                .time(TIME)
                .start();
    }

    @AfterAll
    static void stop() {
        platform.close();
        TIME.dispose();
    }

    @BeforeEach
    void aProductOfItsOwn(TestInfo test) {
        product = test.getTestMethod().orElseThrow().getName();
        platform.createProduct(product);
    }

    @AfterEach
    void disconnect() {
        devices.forEach(DeviceClient::close);
    }

    @Test
    void aShareOfTheDevicesIsUpgradedAndNobodyElseHearsOfIt() throws Exception {
        List<DeviceClient> four = List.of(device("a"), device("b"), device("c"), device("d"));
        Job job = platform.createJob(JobRequest.of(add("2")).withGrayPercent("50"));

        List<String> chosen =
                platform.tasks(job.id()).stream().map(Task::deviceName).toList();
        assertThat(chosen).hasSize(2);
        for (DeviceClient device : four) {
            if (chosen.contains(device.login().deviceName())) {
                assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2");
                device.progress("app", 100, "").inform("app", "2");
            }
        }

        Job ended = Objects.requireNonNull(platform.jobEnd(job.id()).block(PATIENCE));
        assertThat(ended.tasks()).containsEntry(TaskStatus.SUCCEEDED, 2);
        assertThat(four)
                .filteredOn(device -> !chosen.contains(device.login().deviceName()))
                .allMatch(device -> device.pushesWaiting() == 0);
    }

    @Test
    void aTaskIsPushedOnceItIsConfirmed() throws Exception {
        DeviceClient device = device("a");
        Job job = platform.createJob(JobRequest.of(add("2")).withConfirmation());
        assertThat(device.query("{\"id\":1,\"params\":{\"module\":\"app\"}}").get("data"))
                .isEmpty();
        assertThat(device.pushesWaiting()).isZero();

        platform.confirm(platform.tasks(job.id()).get(0).id());

        assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2");
    }

    @Test
    void withoutPushesTheDeviceGetsTheUpgradeByAsking() throws Exception {
        DeviceClient device = device("a");
        Job job = platform.createJob(JobRequest.of(add("2")).withoutPush());

        JsonNode answer = device.query("{\"id\":7,\"params\":{\"module\":\"app\"}}");

        assertThat(answer.get("id").intValue()).isEqualTo(7);
        assertThat(get(answer.at("/data/url"))).isEqualTo("version 2");
        assertThat(device.pushesWaiting()).isZero();
        device.progress("app", 10, "").inform("app", "2");
        assertThat(platform.jobEnd(job.id()).block(PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
    }

    @Test
    void aFailureIsPushedAgainWhenItsTimeHasComeAndNotMoreOftenThanWanted() throws Exception {
        DeviceClient device = device("a");
        Job job = platform.createJob(JobRequest.of(add("2")).withRetries(Duration.ofMinutes(10), 1));
        device.nextPush();
        device.progress("app", -2, "no route");
        awaitStatus(job, TaskStatus.QUEUED);

        pass(Duration.ofMinutes(10));
        assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2");
        device.progress("app", -3, "wrong digest");

        assertThat(platform.jobEnd(job.id()).block(PATIENCE).tasks()).containsEntry(TaskStatus.FAILED, 1);
        Task task = platform.tasks(job.id()).get(0);
        assertThat(task.step()).isEqualTo(-3);
        assertThat(task.history())
                .extracting(Task.Transition::description)
                .containsExactly(
                        "",
                        "",
                        "no route",
                        "retry 1 of 1 after: no route",
                        "retry 1 of 1 after: no route",
                        "wrong digest");
    }

    @Test
    void aTimeLimitThatPassesIsNotTriedAgain() throws Exception {
        DeviceClient device = device("a");
        Job job = platform.createJob(
                JobRequest.of(add("2")).withTimeout(Duration.ofMinutes(20)).withRetries(Duration.ofMinutes(10), 5));
        device.nextPush();
        device.progress("app", 5, "");
        awaitStatus(job, TaskStatus.IN_PROGRESS);

        pass(Duration.ofMinutes(20));

        assertThat(platform.jobEnd(job.id()).block(PATIENCE).tasks()).containsEntry(TaskStatus.FAILED, 1);
        pass(Duration.ofDays(1));
        assertThat(device.pushesWaiting()).isZero();
        assertThat(platform.tasks(job.id()).get(0).retries()).isZero();
    }

    @Test
    void aPlannedJobIsPushedWhenItsTimeHasCome() throws Exception {
        DeviceClient device = device("a");
        Instant start = Instant.ofEpochMilli(TIME.now(TimeUnit.MILLISECONDS)).plus(Duration.ofMinutes(5));
        Job job = platform.createJob(JobRequest.of(add("2")).withSchedule(start, null));
        assertThat(job.status()).isEqualTo(Job.Status.PLANNED);

        pass(Duration.ofMinutes(5));

        assertThat(device.nextPush().at("/data/version").textValue()).isEqualTo("2");
    }

    @Test
    void aPackageOfSeveralSignedFilesIsPushedWithAUrlForEach() throws Exception {
        DeviceClient device = device("a");
        Map<String, Path> files = new LinkedHashMap<>();
        files.put("b.bin", Files.writeString(directory.resolve("b"), "second"));
        files.put("a.bin", Files.writeString(directory.resolve("a"), "first"));
        FirmwarePackage firmware =
                platform.addPackage(PackageRequest.of(product, "app", "2").withDigestSign(), files);

        platform.createJob(JobRequest.of(firmware.id()));

        JsonNode data = device.nextPush().get("data");
        assertThat(data.has("url") || data.has("size") || data.has("sign")).isFalse();
        assertThat(data.get("files").findValuesAsText("fileName")).containsExactly("b.bin", "a.bin");
        assertThat(get(data.at("/files/0/fileUrl"))).isEqualTo("second");
        assertThat(get(data.at("/files/1/fileUrl"))).isEqualTo("first");
        assertThat(data.get("files").findValuesAsText("digestsign")).hasSize(2).doesNotHaveDuplicates();
    }

    private DeviceClient device(String name) {
        DeviceClient device = DeviceClient.connect(platform.mqttPort(), platform.createDevice(product, name));
        devices.add(device);
        device.subscribe().inform("app", "1");
        await().atMost(PATIENCE)
                .until(() -> !platform.device(product, name).versions().isEmpty());
        return device;
    }

    private String add(String version) throws Exception {
        Path file = Files.writeString(directory.resolve("file"), "version " + version);
        return platform.addPackage(PackageRequest.of(product, "app", version), file)
                .id();
    }

    private void awaitStatus(Job job, TaskStatus status) {
        await().atMost(PATIENCE).until(() -> platform.tasks(job.id()).get(0).status() == status);
    }

    private void pass(Duration duration) {
        TIME.advanceTimeBy(duration);
    }

    private static String get(JsonNode url) throws Exception {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create(url.textValue()))
                                .timeout(PATIENCE)
                                .build(),
                        HttpResponse.BodyHandlers.ofString())
                .body();
    }
}
