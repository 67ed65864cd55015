package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands of the platform and of devices as they are used together, the long-running ones in their own processes. */
class PlatformCommandsTest {

    private static final Pattern READY =
            Pattern.compile("platform ready: mqtt-port=(\\d+) http-port=(\\d+) url=(\\S+) data=(\\S+)");
    private static final byte[] CONTENT = DownloadCommandTest.content(2_000_000);

    @TempDir
    private Path directory;

    private Path data;
    private Cli.Child platform;
    private Matcher ready;

    @BeforeEach
    void startPlatform() {
        data = directory.resolve("data");
        launchPlatform();
    }

    private void launchPlatform(Object... options) {
        List<Object> arguments = new ArrayList<>(List.of("platform", "--data", data));
        arguments.addAll(List.of(options));
        platform = Cli.start(arguments.toArray());
        await().atMost(Duration.ofSeconds(60)).until(() -> !platform.out().isEmpty() || !platform.isAlive());
        assertThat(platform.isAlive()).isTrue();
        ready = READY.matcher(platform.out().get(0));
        assertThat(ready.matches()).as(platform.out().get(0)).isTrue();
    }

    @AfterEach
    void stopPlatform() {
        platform.close();
    }

    @Test
    void aModuleFileIsUpgradedFromTheCommandLineAlone() throws IOException {
        Path secret = addDevice("edge-1");
        Path app = Files.writeString(directory.resolve("app.bin"), "old");
        try (Cli.Child device = startDevice("edge-1", secret, "app=1.0.0", "app=" + app, "--json", "--once")) {
            String id = addPackage("app", "2.0.0");
            awaitDevice("edge-1");
            String job = only(api("job", "create", "--package", id, "--device", "edge-1"));

            Cli.Outcome watched = api("job", "watch", job);
            Cli.Outcome ended = device.await();

            assertThat(watched.exitCode()).as("%s", watched).isZero();
            assertThat(watched.out()).last().asString().isEqualTo("COMPLETED\tSUCCEEDED=1");
            assertThat(ended.exitCode()).as("%s", ended).isZero();
            for (String line : ended.out()) {
                assertThat(new ObjectMapper().readTree(line).path("device").asText())
                        .isEqualTo("k1/edge-1");
            }
            assertThat(ended.out()).last().asString().contains("\"succeeded\"");
            assertThat(ended.all()).doesNotContain(Files.readString(secret).strip());
            assertThat(app).hasBinaryContent(CONTENT);
            assertThat(only(api("job", "list"))).contains(job, "COMPLETED", "SUCCEEDED=1");
            assertThat(only(api("package", "list"))).contains(id, "app", "2.0.0", "2000000");
        }
    }

    @Test
    void theFirmwareIsUpgradedWithARestart() throws IOException {
        Path secret = addDevice("edge-2");
        Path slots = directory.resolve("slots");
        try (Cli.Child device = startDevice("edge-2", secret, "default=1.0.0", "default=" + slots, "--once")) {
            String id = addPackage("default", "2.0.0");
            awaitDevice("edge-2");
            String job = only(api("job", "create", "--package", id));

            assertThat(api("job", "watch", job).exitCode()).isZero();
            Cli.Outcome ended = device.await();
            assertThat(ended.exitCode()).as("%s", ended).isZero();
            assertThat(ended.out()).contains("booted 2.0.0 from slot a, attempt 1", "default 2.0.0: succeeded");
        }
    }

    @Test
    void aDeviceThatIsStartedAgainReportsWhatItWasUpgradedTo() throws IOException {
        Path secret = addDevice("edge-3");
        Path app = directory.resolve("app.bin");
        try (Cli.Child device = startDevice("edge-3", secret, "app=1.0.0", "app=" + app, "--once")) {
            String id = addPackage("app", "2.0.0");
            awaitDevice("edge-3");
            api("job", "create", "--package", id);
            assertThat(device.await().exitCode()).isZero();
        }
        try (Cli.Child again = startDevice("edge-3", secret, "app=1.0.0", "app=" + app)) {
            await().atMost(Duration.ofSeconds(30)).until(() -> again.out().contains("reported app 2.0.0"));
            again.terminate();
            assertThat(again.await().exitCode()).isEqualTo(143);
        }
    }

    @Test
    void anUpgradeThatFailsIs1AndThePlatformHearsOfIt() throws IOException {
        Path secret = addDevice("edge-4");
        Path notAFile = Files.createDirectory(directory.resolve("app.bin"));
        try (Cli.Child device = startDevice("edge-4", secret, "app=1.0.0", "app=" + notAFile, "--once")) {
            String id = addPackage("app", "2.0.0");
            awaitDevice("edge-4");
            String job = only(api("job", "create", "--package", id));

            Cli.Outcome watched = api("job", "watch", job, "--json");
            Cli.Outcome ended = device.await();

            assertThat(ended.exitCode()).as("%s", ended).isEqualTo(1);
            assertThat(ended.out()).last().asString().contains("FAILED in INSTALL");
            assertThat(watched.exitCode()).as("%s", watched).isEqualTo(1);
            assertThat(watched.out()).last().asString().contains("\"FAILED\":1");
        }
    }

    @Test
    void aDeviceWithTheWrongSecretIsToldSoInOneLine() throws IOException {
        addDevice("edge-5");
        Path wrong = Files.writeString(directory.resolve("wrong"), "CANARY-secret");
        try (Cli.Child device = startDevice("edge-5", wrong, "app=1.0.0", "app=" + directory.resolve("app.bin"))) {
            Cli.Outcome outcome = device.await();

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(1);
            assertThat(outcome.err()).hasSize(1);
            assertThat(outcome.all()).doesNotContain("CANARY-secret");
        }
    }

    @Test
    void aJobIsConfirmedCancelledAndDoneOnceMoreFromTheCommandLine() throws IOException {
        Path secret = addDevice("edge-11");
        Path app = directory.resolve("app.bin");
        String id = addPackage("app", "2.0.0");
        String job;
        String task;
        try (Cli.Child device = startDevice("edge-11", secret, "app=1.0.0", "app=" + app, "--once")) {
            awaitDevice("edge-11");
            job = only(api("job", "create", "--package", id, "--device", "edge-11", "--confirm", "--tag", "ring=1"));
            task = only(api("task", "list", job)).split("\t")[0];
            assertThat(only(api("task", "list", job, "--status", "CONFIRM"))).contains("edge-11", "CONFIRM");
            assertThat(only(api("task", "cancel", task))).contains("CANCELED");
            assertThat(api("task", "retry", task).err())
                    .singleElement()
                    .asString()
                    .contains("never confirmed");

            job = only(api("job", "create", "--package", id, "--device", "edge-11", "--confirm"));
            task = only(api("task", "list", job)).split("\t")[0];
            assertThat(only(api("task", "confirm", task))).contains("edge-11");
            assertThat(api("job", "watch", job).exitCode()).isZero();
            assertThat(device.await().exitCode()).isZero();
        }
        assertThat(api("task", "history", task).out()).first().asString().startsWith("CONFIRM\t");
        assertThat(api("job", "cancel", job).err()).singleElement().asString().contains("COMPLETED already");
    }

    @Test
    void everyOptionOfAJobAndOfAPackageReachesThePlatform() throws IOException {
        Path one = Files.writeString(directory.resolve("1.bin"), "one");
        Path two = Files.writeString(directory.resolve("2.bin"), "two");
        String several = only(api(
                "package",
                "add",
                one,
                two,
                "--product-key",
                addProduct(),
                "--module",
                "app",
                "--version",
                "2",
                "--name",
                "Two files",
                "--delta-from",
                "1",
                "--custom-info",
                "a b",
                "--sign",
                "--json"));
        assertThat(several)
                .contains(
                        "\"name\":\"Two files\"",
                        "\"type\":\"DELTA\"",
                        "\"srcVersion\":\"1\"",
                        "\"customInfo\":\"a b\"")
                .contains("\"name\":\"1.bin\"", "\"name\":\"2.bin\"", "\"digestsign\":");
        String single = only(api(
                "package",
                "add",
                one,
                "--product-key",
                "k1",
                "--module",
                "app",
                "--version",
                "3",
                "--verify",
                "--json"));
        assertThat(single).contains("\"verifyStatus\":0");
        String plain = only(api("package", "add", one, "--product-key", "k1", "--module", "app", "--version", "4"));

        String job = only(api(
                "job",
                "create",
                "--package",
                plain,
                "--gray-percent",
                "12.5",
                "--source-version",
                "1",
                "--start",
                Instant.now().plusSeconds(3600).toString(),
                "--finish",
                Instant.now().plusSeconds(9000).toString(),
                "--per-minute",
                "50",
                "--timeout-minutes",
                "60",
                "--retry-minutes",
                "30",
                "--retries",
                "2",
                "--no-push",
                "--overwrite",
                "--download",
                "MQTT",
                "--json"));
        assertThat(job)
                .contains("\"targetSelection\":\"GRAY\"", "\"grayPercent\":12.5", "\"status\":\"PLANNED\"")
                .contains("\"maximumPerMinute\":50", "\"retryInterval\":30", "\"retryCount\":2", "\"needPush\":false")
                .contains("\"overwriteMode\":2", "\"downloadProtocol\":\"MQTT\"", "\"timeoutInMinutes\":60");
        assertThat(only(api("job", "cancel", "j1"))).contains("j1", "CANCELED");
        String dynamic = only(api("job", "create", "--package", plain, "--dynamic", "2", "--multi-module"));
        assertThat(api("job", "cancel", dynamic, "--queued").out())
                .singleElement()
                .asString()
                .contains("IN_PROGRESS");
        assertThat(only(api("job", "stop", dynamic))).contains(dynamic, "COMPLETED");
        assertThat(only(api("group", "set", "ring", "edge-12", "--product-key", "k1")))
                .isEqualTo("ring\tedge-12");
        assertThat(only(api("group", "list", "--product-key", "k1"))).isEqualTo("ring\tedge-12");
        assertThat(only(api("job", "create", "--package", plain, "--group", "ring", "--json")))
                .contains("\"targetSelection\":\"GROUP\"", "\"group\":\"ring\"");
        assertThat(api("job", "create", "--package", plain, "--group", "none").err())
                .singleElement()
                .asString()
                .contains("no group");
        assertThat(api("job", "create", "--package", plain, "--verify").err())
                .singleElement()
                .asString()
                .contains("must name its devices");
    }

    private String addProduct() throws IOException {
        addDevice("edge-12");
        return "k1";
    }

    @Test
    void whatThePlatformRefusesIsToldInOneLine() throws IOException {
        addDevice("edge-6");
        for (Cli.Outcome refused : List.of(
                api("device", "add", "--product-key", "k1", "--device-name", "edge-6"),
                api("job", "create", "--package", "none"),
                api("job", "watch", "none"),
                Cli.run("job", "list", "--data", data, "--token", "wrong"))) {
            assertThat(refused.exitCode()).as("%s", refused).isEqualTo(1);
            assertThat(refused.out()).isEmpty();
            assertThat(refused.err()).hasSize(1);
            assertThat(refused.err().get(0)).contains("the platform refuses");
        }
    }

    @Test
    void theTokenMayComeFromAFile() {
        Cli.Outcome outcome = Cli.run(
                "job", "list", "--url", ready.group(3), "--token-file", data.resolve("token"), "--data", "/none");

        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
    }

    @Test
    void aSecretGoesToItsOwnerAlone() throws IOException {
        Path secret = addDevice("edge-7");

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(secret)))
                .isEqualTo("rw-------");
        assertThat(only(api("device", "add", "--product-key", "k1", "--device-name", "edge-8")))
                .matches("[A-Za-z0-9]{16,}");
    }

    @Test
    void thePlatformEndsInGoodOrderAndStartsAgainOnThePortsThatItIsTold() throws IOException {
        platform.terminate();
        Cli.Outcome ended = platform.await();
        Cli.Outcome missed = Cli.run("job", "list", "--url", ready.group(3), "--token-file", data.resolve("token"));

        assertThat(ended.exitCode()).isEqualTo(143);
        assertThat(ended.out()).hasSize(1);
        assertThat(ended.err()).isEmpty();
        assertThat(data.resolve("url")).doesNotExist();
        assertThat(missed.exitCode()).isEqualTo(1);
        assertThat(missed.err()).hasSize(1).first().asString().contains("cannot be reached");

        // Which were free a moment ago.
        String mqttPort = ready.group(1);
        String httpPort = ready.group(2);
        launchPlatform("--mqtt-port", mqttPort, "--http-port", httpPort);

        assertThat(ready.group(1)).isEqualTo(mqttPort);
        assertThat(ready.group(2)).isEqualTo(httpPort);
        assertThat(ready.group(3)).isEqualTo("http://127.0.0.1:" + httpPort);
        assertThat(Path.of(ready.group(4))).isEqualTo(data);
        assertThat(Cli.run(
                                "job",
                                "list",
                                "--url",
                                "http://127.0.0.1:" + httpPort,
                                "--token-file",
                                data.resolve("token"))
                        .exitCode())
                .isZero();
        try (Socket device = new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(mqttPort))) {
            assertThat(device.isConnected()).isTrue();
        }
    }

    @Test
    void onATerminalThereIsALinkToThePageThatHasTheToken() throws IOException {
        assertThat(platform.err()).isEmpty();
        String before = Files.readString(data.resolve("token")).strip();
        platform.terminate();
        platform.await();

        platform = Cli.startOnTerminal("platform", "--data", data, "--new-token", "--bind", "127.0.0.2");
        await().atMost(Duration.ofSeconds(60)).until(() -> !platform.err().isEmpty() || !platform.isAlive());

        ready = READY.matcher(platform.out().get(0));
        assertThat(ready.matches()).as(platform.out().get(0)).isTrue();
        String token = Files.readString(data.resolve("token")).strip();
        assertThat(token).isNotEqualTo(before);
        assertThat(ready.group(3)).isEqualTo("http://127.0.0.2:" + ready.group(2));
        assertThat(platform.err()).containsExactly("page: " + ready.group(3) + "/#token=" + token);
        assertThat(platform.out()).hasSize(1).noneMatch(line -> line.contains(token));
        assertThat(Cli.run("job", "list", "--data", data).exitCode()).isZero();
        assertThat(Cli.run("job", "list", "--data", data, "--token", before).exitCode())
                .isEqualTo(1);
    }

    @Test
    @RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
    void aBrokerThatIsThereAlreadyCarriesAnUpgrade() throws IOException {
        platform.kill();
        platform.await();
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            launchPlatform("--broker", "tcp://127.0.0.1:" + broker.port());
            assertThat(ready.group(1)).isEqualTo(String.valueOf(broker.port()));

            Path secret = addDevice("edge-10");
            Path app = directory.resolve("app.bin");
            CompletableFuture<Cli.Outcome> device = CompletableFuture.supplyAsync(
                    () -> Cli.run(device("edge-10", secret, "app=1.0.0", "app=" + app, "--once")));
            String id = addPackage("app", "2.0.0");
            awaitDevice("edge-10");
            String job = only(api("job", "create", "--package", id));

            Cli.Outcome watched = api("job", "watch", job);
            Cli.Outcome ended = device.orTimeout(60, TimeUnit.SECONDS).join();

            assertThat(watched.exitCode()).as("%s", watched).isZero();
            assertThat(ended.exitCode()).as("%s", ended).isZero();
            assertThat(app).hasBinaryContent(CONTENT);
            assertThat(broker.log()).contains("edge-10");
        }
    }

    @Test
    void aPortThatIsTakenIsToldInOneLine() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Cli.Child second = Cli.start(
                        "platform", "--data", directory.resolve("other"), "--http-port", taken.getLocalPort())) {
            Cli.Outcome outcome = second.await();

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(1);
            assertThat(outcome.out()).isEmpty();
            assertThat(outcome.err()).hasSize(1).first().asString().contains("does not start");
        }
    }

    private Path addDevice(String name) {
        Path file = directory.resolve(name + ".secret");
        Cli.Outcome outcome = api("device", "add", "--product-key", "k1", "--device-name", name, "--secret-file", file);
        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        return file;
    }

    private String addPackage(String module, String version) throws IOException {
        Path file = Files.write(directory.resolve("package.bin"), CONTENT);
        return only(api("package", "add", file, "--product-key", "k1", "--module", module, "--version", version));
    }

    private Cli.Child startDevice(String name, Path secret, String module, String install, String... more) {
        return Cli.start(device(name, secret, module, install, more));
    }

    private Object[] device(String name, Path secret, String module, String install, String... more) {
        List<Object> arguments = new ArrayList<>(List.of(
                "device",
                "--host",
                "127.0.0.1",
                "--port",
                ready.group(1),
                "--product-key",
                "k1",
                "--device-name",
                name,
                "--device-secret-file",
                secret,
                "--store",
                directory.resolve(name + ".store"),
                "--module",
                module,
                "--install",
                install,
                "--allow-network",
                "127.0.0.0/8"));
        arguments.addAll(List.of(more));
        return arguments.toArray();
    }

    /** A job is for devices that have reported a version of its module; until one has, none is created. */
    private void awaitDevice(String name) {
        await().atMost(Duration.ofSeconds(30)).until(() -> reported(name));
    }

    private boolean reported(String name) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(ready.group(3) + "/api/v1/products/k1/devices/" + name))
                .header(
                        "Authorization",
                        "Bearer " + Files.readString(data.resolve("token")).strip())
                .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        return !new ObjectMapper().readTree(answer.body()).path("versions").isEmpty();
    }

    private Cli.Outcome api(Object... arguments) {
        List<Object> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--data", data));
        return Cli.run(all.toArray());
    }

    private static String only(Cli.Outcome outcome) {
        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        assertThat(outcome.out()).hasSize(1);
        return outcome.out().get(0);
    }
}
