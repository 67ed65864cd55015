package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.test.StepVerifier;

class PlatformLifeTest {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    @TempDir
    private Path directory;

    @Test
    void aRestartKeepsEverything() throws Exception {
        Path data = directory.resolve("data");
        Path file = Files.writeString(directory.resolve("f"), "firmware");
        DeviceCredentials login;
        FirmwarePackage firmware;
        List<Task> tasks;
        String token;
        try (Platform platform = Platform.builder().dataDirectory(data).start()) {
            token = platform.token();
            platform.createProduct("pk");
            login = platform.createDevice("pk", "dn");
            firmware = platform.addPackage("pk", "default", "2", file, SignMethod.SHA256);
            report(platform, login);
            platform.createJob(JobRequest.of(firmware.id()));
            tasks = platform.tasks("j1");
            assertThat(tasks).singleElement().extracting(Task::status).isEqualTo(TaskStatus.QUEUED);
        }
        try (Platform platform = Platform.builder().dataDirectory(data).start()) {
            assertThat(platform.token()).isEqualTo(token);
            assertThat(platform.tasks("j1")).isEqualTo(tasks);
            assertThat(platform.device("pk", "dn").versions()).containsEntry("default", "1");
            assertThatThrownBy(() -> platform.createProduct("pk")).isInstanceOf(RequestRefusedException.class);
            assertThat(platform.createDevice("pk", "dn2").deviceName()).isEqualTo("dn2");
            try (DeviceClient device =
                    DeviceClient.connect(platform.mqttPort(), login).subscribe()) {
                JsonNode push = device.nextPush();
                HttpResponse<String> body = HttpClient.newHttpClient()
                        .send(
                                HttpRequest.newBuilder(
                                                URI.create(push.at("/data/url").textValue()))
                                        .build(),
                                HttpResponse.BodyHandlers.ofString());
                assertThat(body.body()).isEqualTo("firmware");
                device.inform("default", "2");
                assertThat(platform.jobEnd("j1").block(PATIENCE).tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
            }
        }
    }

    @Test
    void whoFollowsEventsIsToldThatThePlatformHasGone() throws Exception {
        ExecutorService others = Executors.newCachedThreadPool();
        for (int i = 0; i < 5; i++) {
            List<Socket> followers = new ArrayList<>();
            try (Platform platform =
                    Platform.builder().dataDirectory(directory.resolve("data")).start()) {
                String head = " HTTP/1.1\r\nHost: 127.0.0.1:" + platform.httpPort() + "\r\nAuthorization: Bearer "
                        + platform.token() + "\r\n\r\n";
                for (int k = 0; k < 6; k++) {
                    Socket follower = new Socket("127.0.0.1", platform.httpPort());
                    followers.add(follower);
                    follower.getOutputStream().write(("GET /api/v1/events" + head).getBytes(StandardCharsets.UTF_8));
                    assertThat(follower.getInputStream().read()).isEqualTo('H');
                    // An event loop that has something to do when it is told to end ends in another way.
                    others.execute(() -> askUntilItHasGone(platform.httpPort(), "GET /nothing" + head));
                }
            }
            for (Socket follower : followers) {
                follower.setSoTimeout((int) PATIENCE.toMillis());
                try (follower) {
                    follower.getInputStream().transferTo(OutputStream.nullOutputStream());
                } catch (SocketException reset) {
                    // Says it as well.
                }
            }
        }
        others.shutdown();
        assertThat(others.awaitTermination(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                .isTrue();
    }

    private static void askUntilItHasGone(int port, String request) {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            byte[] answer = new byte[4096];
            do {
                socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
            } while (socket.getInputStream().read(answer) >= 0);
        } catch (IOException gone) {
            // As it should be.
        }
    }

    @Test
    void theFileOfAConfigurationIsStillThereAfterARestart() throws Exception {
        Path data = directory.resolve("data");
        RemoteConfig config;
        try (Platform platform = Platform.builder().dataDirectory(data).start()) {
            platform.createProduct("pk");
            platform.configure("pk", "old".getBytes(StandardCharsets.UTF_8));
            config = platform.configure("pk", "new".getBytes(StandardCharsets.UTF_8));
        }
        Platform.builder().dataDirectory(data).start().close();

        try (Stream<Path> files = Files.list(data.resolve("artifacts"))) {
            assertThat(files).extracting(Path::getFileName).containsExactly(Path.of(config.sha256()));
        }
    }

    @Test
    void aDeviceThatAuthenticatesIsSentToTheAddressThatItCameTo() throws Exception {
        try (Platform platform = Platform.builder()
                .host("0.0.0.0")
                .dataDirectory(directory.resolve("data"))
                .start()) {
            platform.createProduct("pk");
            DeviceCredentials login = platform.createDevice("pk", "dn");
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(login.deviceSecret().getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
            String sign = HexFormat.of()
                    .formatHex(mac.doFinal("clientIdmacdeviceNamednproductKeypk".getBytes(StandardCharsets.UTF_8)));

            HttpResponse<String> answer = HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(
                                            URI.create("http://127.0.0.2:" + platform.httpPort() + "/auth/devicename"))
                                    .POST(HttpRequest.BodyPublishers.ofString(
                                            "productKey=pk&deviceName=dn&clientId=mac&signmethod=hmacsha256&sign="
                                                    + sign))
                                    .build(),
                            HttpResponse.BodyHandlers.ofString());

            assertThat(DeviceClient.JSON
                            .readTree(answer.body())
                            .at("/data/resources/mqtt/host")
                            .textValue())
                    .isEqualTo("127.0.0.2");
        }
    }

    @Test
    void whatWasAcknowledgedSurvivesAKill() throws Exception {
        Path data = directory.resolve("data");
        Process process = launch(data, 0);
        try {
            int[] ports = ready(process);
            String token = Files.readString(data.resolve("token")).strip();
            String api = "http://127.0.0.1:" + ports[1] + "/api/v1";
            call(token, api + "/products", "{\"productKey\":\"pk\"}");
            JsonNode created = call(token, api + "/products/pk/devices", "{\"deviceName\":\"dn\"}");
            DeviceCredentials login = new DeviceCredentials(
                    "pk", "dn", created.get("deviceSecret").textValue());
            call(token, api + "/packages?product=pk&version=2", "firmware");
            try (DeviceClient device = DeviceClient.connect(ports[0], login)) {
                device.subscribe().inform("default", "1");
                // The report is answered by nobody; the query after it is answered once the report is durable.
                device.query("{\"id\":1}");
                call(token, api + "/jobs", "{\"packageId\":\"p1\",\"devices\":[\"dn\"]}");
                device.nextPush();
                device.progress("default", 33, "a third");
                device.query("{\"id\":2}");
            }
        } finally {
            process.destroyForcibly().waitFor();
        }

        try (Platform platform = Platform.builder().dataDirectory(data).start()) {
            assertThat(platform.tasks("j1")).singleElement().satisfies(task -> {
                assertThat(task.status()).isEqualTo(TaskStatus.IN_PROGRESS);
                assertThat(task.step()).isEqualTo(33);
                assertThat(task.description()).isEqualTo("a third");
            });
            assertThat(platform.job("j1").status()).isEqualTo(Job.Status.IN_PROGRESS);
        }
    }

    @Test
    void startingAndStoppingLeavesNoThreadBehind() throws Exception {
        runOnce("warm-up");
        runOnce("warm-up again");
        Set<String> before = threads();

        for (int i = 0; i < 3; i++) {
            runOnce("run " + i);
        }

        await().atMost(PATIENCE).untilAsserted(() -> assertThat(threads()).isSubsetOf(before));
    }

    @Test
    void aPortThatIsTakenIsSaidAndNothingStaysOpen() throws Exception {
        Path data = directory.resolve("data");
        try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            assertThatThrownBy(() -> Platform.builder()
                            .dataDirectory(data)
                            .mqttPort(taken.getLocalPort())
                            .start())
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("" + taken.getLocalPort());
            assertThatThrownBy(() -> Platform.builder()
                            .dataDirectory(data)
                            .httpPort(taken.getLocalPort())
                            .start())
                    .hasMessageContaining("" + taken.getLocalPort());
        }
        Platform.builder().dataDirectory(data).start().close();
    }

    @Test
    void onEveryAddressItIsReachedOverLoopback() throws Exception {
        try (Platform platform = Platform.builder()
                .dataDirectory(directory.resolve("data"))
                .host("0.0.0.0")
                .downloadBase(URI.create("https://ota.example.com/"))
                .start()) {
            platform.createProduct("pk");
            DeviceCredentials login = platform.createDevice("pk", "dn");
            platform.addPackage(
                    "pk", "default", "2", Files.writeString(directory.resolve("f"), "firmware"), SignMethod.MD5);
            report(platform, login);
            platform.createJob(JobRequest.of("p1"));
            try (DeviceClient device =
                    DeviceClient.connect(platform.mqttPort(), login).subscribe()) {
                assertThat(device.nextPush().at("/data/url").textValue())
                        .startsWith("https://ota.example.com/artifacts/");
            }
        }
    }

    @Test
    void theDataDirectoryIsForOnePlatformAtATime() throws Exception {
        Path data = directory.resolve("data");
        try (Platform platform = Platform.builder().dataDirectory(data).start()) {
            assertThat(platform.mqttPort()).isPositive();
            assertThatThrownBy(() -> Platform.builder().dataDirectory(data).start())
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("in use");
        }
    }

    @Test
    void taskChangesAreSeenInOrderAndEndWithThePlatform() throws Exception {
        Path file = Files.writeString(directory.resolve("f"), "firmware");
        Platform platform =
                Platform.builder().dataDirectory(directory.resolve("data")).start();
        platform.createProduct("pk");
        DeviceCredentials login = platform.createDevice("pk", "dn");
        platform.addPackage("pk", "default", "2", file, SignMethod.MD5);
        report(platform, login);

        platform.taskChanges()
                .map(change -> change.task().status())
                .as(StepVerifier::create)
                .then(() -> platform.createJob(JobRequest.of("p1")))
                .expectNext(TaskStatus.QUEUED)
                .then(() -> platform.cancelJob("j1"))
                .expectNext(TaskStatus.CANCELED)
                .then(platform::close)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void aSecretIsShownByNoToString() {
        assertThat(new DeviceCredentials("pk", "dn", "hush").toString()).doesNotContain("hush");
        assertThat(RegisteredDevice.of(new DeviceKey("pk", "dn"), "hush", java.time.Instant.EPOCH)
                        .toString())
                .doesNotContain("hush");
        assertThat(new Broker.Login("user", "hush").toString()).doesNotContain("hush");
    }

    private void runOnce(String name) throws Exception {
        try (Platform platform = Platform.builder()
                .dataDirectory(directory.resolve(name.replace(' ', '-')))
                .start()) {
            platform.createProduct("pk");
            report(platform, platform.createDevice("pk", "dn"));
            HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create(platform.httpUri() + "/api/v1/health"))
                                    .build(),
                            HttpResponse.BodyHandlers.discarding());
        }
    }

    private static void report(Platform platform, DeviceCredentials login) {
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.inform("default", "1");
            await().until(() -> !platform.device(login.productKey(), login.deviceName())
                    .versions()
                    .isEmpty());
        }
        await().until(() ->
                !platform.device(login.productKey(), login.deviceName()).online());
    }

    /** Names of the live threads but those of the test itself and of the JVM's shared pools, which come and go as needed. */
    private static Set<String> threads() {
        Set<String> names = new TreeSet<>();
        Thread.getAllStackTraces().keySet().stream()
                .filter(Thread::isAlive)
                .map(Thread::getName)
                .filter(name -> Stream.of("HttpClient", "awaitility", "boundedElastic", "globalEventExecutor")
                        .noneMatch(name::startsWith))
                .forEach(names::add);
        return names;
    }

    private static Process launch(Path data, int mqttPort) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        PlatformProcess.class.getName(),
                        data.toString(),
                        "" + mqttPort)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private static int[] ready(Process process) throws IOException {
        BufferedReader output =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line;
        do {
            line = output.readLine();
            assertThat(line).as("the process ended").isNotNull();
        } while (!line.startsWith("ready "));
        String[] words = line.split(" ");
        return new int[] {Integer.parseInt(words[1]), Integer.parseInt(words[2])};
    }

    private static JsonNode call(String token, String url, String body) throws Exception {
        HttpResponse<String> response = HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create(url))
                                .header("Authorization", "Bearer " + token)
                                .POST(HttpRequest.BodyPublishers.ofString(body))
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isEqualTo(201);
        return new ObjectMapper().readTree(response.body());
    }
}
