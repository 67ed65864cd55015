package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.callback.Ota;
import io.otaflux.samples.platform.DeviceCredentials;
import io.otaflux.samples.platform.FirmwarePackage;
import io.otaflux.samples.platform.Job;
import io.otaflux.samples.platform.JobRequest;
import io.otaflux.samples.platform.Platform;
import io.otaflux.samples.platform.SignMethod;
import io.otaflux.samples.platform.Task;
import io.otaflux.samples.platform.TaskStatus;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.Device;
import io.otaflux.transport.aliyun.SubDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every Java block of the README compiles as it is printed, and runs. To run, it is pointed at a platform on this machine:
 * another address, plain TCP, and artifacts over plain http from this machine.
 */
public class ReadmeTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String PRODUCT = "a1gateway";
    private static final Pattern BLOCK =
            Pattern.compile("<!-- run by ReadmeTest: (\\w+) -->\\n```java\\n(.*?)```", Pattern.DOTALL);

    /** The variables that each block takes for granted. */
    private static final Map<String, String> GIVEN = Map.of(
            "twelveLines",
            "String productKey, String deviceName, String deviceSecret,"
                    + " Path stateDirectory, Path firmwareDirectory, Path appJar, Logger log",
            "stages",
            "OtaClient ota, ReadmeTest.Operator operator, Logger log",
            "callbacks",
            "Device device, Map<String, Object> upgrade, Logger log",
            "subDevices",
            "AliyunDevice device, OtaClient ota, List<SubDevice> subDevices, Logger log");

    /** The operator of the README: somebody who says yes or no. */
    public interface Operator {
        reactor.core.publisher.Mono<Boolean> approves(io.otaflux.Verified verified);
    }

    @TempDir
    Path directory;

    private Platform platform;
    private DeviceCredentials login;
    private byte[] content;

    @BeforeEach
    void start() throws IOException {
        platform =
                Platform.builder().dataDirectory(directory.resolve("platform")).start();
        platform.createProduct(PRODUCT);
        login = platform.createDevice(PRODUCT, "edge-7");
        content = new byte[300_000];
        new Random().nextBytes(content);
    }

    @AfterEach
    void stop() {
        platform.close();
    }

    @Test
    void everyJavaBlockIsRunByATest() throws IOException {
        String readme = Files.readString(readme());

        assertThat(blocks().keySet()).isEqualTo(GIVEN.keySet());
        assertThat(readme.split("```java", -1))
                .as("blocks with and without a marker")
                .hasSize(GIVEN.size() + 1);
    }

    @Test
    void theTwelveLinesAreTwelve() throws IOException {
        assertThat(blocks().get("twelveLines").strip().lines()).hasSizeLessThanOrEqualTo(12);
    }

    @Test
    void theTwelveLinesUpgradeADevice() throws Exception {
        Path app = directory.resolve("app.jar");
        Files.write(app, new byte[] {1});

        run(
                "twelveLines",
                login.productKey(),
                login.deviceName(),
                login.deviceSecret(),
                directory.resolve("state"),
                directory.resolve("firmware"),
                app,
                logger());

        assertThat(upgrade("2.0.0").status()).isEqualTo(TaskStatus.SUCCEEDED);
        assertThat(app).hasBinaryContent(content);
    }

    @Test
    void theGatewayUpgradesItsSubDevices() throws Exception {
        Path handed = Files.createDirectory(directory.resolve("handed"));
        AliyunDevice device = device();
        FileArtifactStore store = FileArtifactStore.in(directory.resolve("state"));
        OtaClient ota = client(
                device,
                store,
                verified -> FileInstaller.to(
                                handed.resolve(verified.trigger().device().name()))
                        .install(verified));
        List<SubDevice> subDevices = Stream.of("meter-1", "meter-2", "meter-3")
                .map(name -> platform.createDevice(PRODUCT, name))
                .map(meter -> new SubDevice(meter.productKey(), meter.deviceName(), meter.deviceSecret()))
                .toList();

        run("subDevices", device, ota, subDevices, logger());

        await().atMost(PATIENCE)
                .until(() -> subDevices.stream()
                        .allMatch(meter -> platform.device(PRODUCT, meter.deviceName())
                                .versions()
                                .containsKey("app")));
        Job job = platform.createJob(JobRequest.of(publish("2.0.0").id()).withDevices("meter-1", "meter-2", "meter-3"));
        platform.jobEnd(job.id()).block(PATIENCE);
        assertThat(platform.tasks(job.id())).hasSize(3).allMatch(task -> task.status() == TaskStatus.SUCCEEDED);
        assertThat(subDevices)
                .allSatisfy(
                        meter -> assertThat(handed.resolve(meter.deviceName())).hasBinaryContent(content));
        device.close().block(PATIENCE);
        store.close().block(PATIENCE);
    }

    @Test
    void theStagesUpgradeADevice() throws Exception {
        Path app = directory.resolve("app.jar");
        AliyunDevice device = device();
        FileArtifactStore store = FileArtifactStore.in(directory.resolve("state"));
        OtaClient ota = client(device, store, FileInstaller.to(app));
        List<String> approved = new java.util.concurrent.CopyOnWriteArrayList<>();
        Operator operator = verified -> reactor.core.publisher.Mono.fromSupplier(
                () -> approved.add(verified.trigger().version()));

        run("stages", ota, operator, logger());
        ota.report("app", "1.0.0").block(PATIENCE);

        assertThat(upgrade("2.0.0").status()).isEqualTo(TaskStatus.SUCCEEDED);
        assertThat(approved).containsExactly("2.0.0");
        assertThat(app).hasBinaryContent(content);
        device.close().block(PATIENCE);
        store.close().block(PATIENCE);
    }

    @Test
    void theCallbacksDownloadAndVerify() throws Exception {
        Path file = directory.resolve("app.bin");
        Map<String, Object> upgrade = new ConcurrentHashMap<>(Map.of("store_path", file.toString()));
        Device device = new Device();
        device.connect(Map.of(
                "host", "127.0.0.1",
                "port", platform.mqttPort(),
                "tls", false,
                "productKey", login.productKey(),
                "deviceName", login.deviceName(),
                "deviceSecret", login.deviceSecret()));
        System.setProperty("otaflux.state", directory.resolve("state").toString());
        try {
            run("callbacks", device, upgrade, logger());
            start("2.0.0");

            await().atMost(PATIENCE).untilAsserted(() -> assertThat(file).hasBinaryContent(content));
        } finally {
            System.clearProperty("otaflux.state");
            device.close().block(PATIENCE);
        }
    }

    private Task upgrade(String version) {
        return platform.tasks(
                        platform.jobEnd(start(version).id()).block(PATIENCE).id())
                .get(0);
    }

    private AliyunDevice device() {
        return AliyunDevice.builder()
                .host("127.0.0.1")
                .port(platform.mqttPort())
                .plainTcp()
                .credentials(login.productKey(), login.deviceName(), login.deviceSecret())
                .build();
    }

    private static OtaClient client(AliyunDevice device, FileArtifactStore store, Installer installer) {
        return OtaClient.builder(device.upgrades())
                .source(HttpArtifactSource.builder()
                        .allowHttp(true)
                        .allowNetworks("127.0.0.0/8")
                        .build())
                .store(store)
                .installer("app", installer)
                .build();
    }

    private Job start(String version) {
        await().atMost(PATIENCE)
                .until(() -> platform.device(PRODUCT, "edge-7").versions().containsKey("app"));
        return platform.createJob(JobRequest.of(publish(version).id()).withDevices("edge-7"));
    }

    private FirmwarePackage publish(String version) {
        try {
            Path file = Files.write(directory.resolve("package.bin"), content);
            return platform.addPackage(PRODUCT, "app", version, file, SignMethod.SHA256);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void run(String name, Object... arguments) throws Exception {
        String printed = blocks().get(name);
        compile(name, printed, directory.resolve("printed"));
        Path classes = compile(name, pointedHere(printed), directory.resolve("classes"));
        try (URLClassLoader loader =
                new URLClassLoader(new URL[] {classes.toUri().toURL()}, ReadmeTest.class.getClassLoader())) {
            Method run = Arrays.stream(loader.loadClass("Readme").getMethods())
                    .filter(method -> method.getName().equals("run"))
                    .findFirst()
                    .orElseThrow();
            run.invoke(null, arguments);
        }
    }

    private String pointedHere(String block) {
        String source = HttpArtifactSource.class.getSimpleName()
                + ".builder().allowHttp(true).allowNetworks(\"127.0.0.0/8\").build()";
        return block.replace(
                        ".region(\"cn-shanghai\")", ".host(\"127.0.0.1\").port(" + platform.mqttPort() + ").plainTcp()")
                .replace("HttpArtifactSource.create()", source)
                .replace("new " + Ota.class.getSimpleName() + "()", "Ota.builder().source(" + source + ").build()");
    }

    private static Path compile(String name, String block, Path to) throws IOException {
        Path source = Files.createDirectories(to).resolve("Readme.java");
        Files.writeString(source, """
                import io.otaflux.*;
                import io.otaflux.callback.*;
                import io.otaflux.samples.gateway.ReadmeTest;
                import io.otaflux.storage.*;
                import io.otaflux.transport.aliyun.*;
                import io.otaflux.transport.http.*;
                import java.nio.file.Path;
                import java.util.*;
                import java.util.concurrent.CancellationException;
                import org.slf4j.Logger;
                import reactor.core.publisher.Flux;

                public final class Readme {
                    public static void run(%s) {
                %s
                    }
                }
                """.formatted(GIVEN.get(name), block));
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        boolean compiled = compiler.getTask(
                        messages,
                        null,
                        null,
                        List.of("-proc:none", "-cp", classPath, "-d", to.toString()),
                        null,
                        compiler.getStandardFileManager(null, null, null).getJavaFileObjects(source.toFile()))
                .call();
        assertThat(compiled).as(messages.toString()).isTrue();
        return to;
    }

    private static Map<String, String> blocks() throws IOException {
        Map<String, String> blocks = new LinkedHashMap<>();
        Matcher matcher = BLOCK.matcher(Files.readString(readme()));
        while (matcher.find()) {
            blocks.put(matcher.group(1), matcher.group(2));
        }
        return blocks;
    }

    private static Path readme() {
        Path here = Path.of("").toAbsolutePath();
        while (!Files.exists(here.resolve("README.md")) || !Files.exists(here.resolve("bom"))) {
            here = here.getParent();
            assertThat(here).as("a parent directory with the README").isNotNull();
        }
        return here.resolve("README.md");
    }

    private static Logger logger() {
        return LoggerFactory.getLogger("readme");
    }
}
