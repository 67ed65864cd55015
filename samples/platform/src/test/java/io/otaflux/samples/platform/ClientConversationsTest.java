package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What published clients were seen to say, byte for byte, and whether they get what they need for it. */
class ClientConversationsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int LENGTH = 25_000;
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private static Path directory;
    private static byte[] content;
    private static Platform platform;
    private static int products;

    private String product;
    private DeviceCredentials login;
    private FirmwarePackage firmware;

    @BeforeAll
    static void start(@TempDir Path temporary) throws Exception {
        directory = temporary;
        content = new byte[LENGTH];
        new Random(7).nextBytes(content);
        Files.write(directory.resolve("firmware"), content);
        platform = Platform.builder().dataDirectory(directory.resolve("data")).start();
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @BeforeEach
    void aProductOfItsOwn() {
        product = "pk" + ++products;
        platform.createProduct(product);
        login = platform.createDevice(product, "dev01");
        firmware = platform.addPackage(product, "default", "1.1", directory.resolve("firmware"), SignMethod.MD5);
    }

    /** The C SDK 4.2.0: never subscribes but for the blocks, QoS 0 throughout, JSON that is none. */
    @Test
    void theCSdkIsUpgradedOverMqtt() throws Exception {
        String topics = product + "/dev01";
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login, cSdk())) {
            device.publish(
                    "/ota/device/inform/" + topics, bytes("{\"id\":0, \"params\":{\"version\":\"1.0\"}}"), qos0());
            await().atMost(PATIENCE)
                    .until(() -> !platform.device(product, "dev01").versions().isEmpty());
            Job job = platform.createJob(
                    JobRequest.of(firmware.id()).withDevices("dev01").withDownloadProtocol(DownloadProtocol.MQTT));

            JsonNode data = device.nextPush().get("data");
            assertThat(data.get("dProtocol").textValue()).isEqualTo("mqtt");
            assertThat(data.get("signMethod").textValue()).isEqualTo("Md5");
            assertThat(data.get("sign").textValue())
                    .hasSize(32)
                    .isEqualTo(data.get("md5").textValue());
            assertThat(data.get("size").intValue()).isEqualTo(LENGTH);
            assertThat(data.get("version").textValue()).isEqualTo("1.1");
            assertThat(data.get("streamId").isIntegralNumber()).isTrue();
            assertThat(data.get("streamFileId").intValue()).isEqualTo(1);
            assertThat(data.has("url")).isFalse();
            assertThat(data.has("module")).isFalse();

            String download = "/sys/" + topics + "/thing/file/download";
            device.subscribe(download + "_reply", MqttQos.AT_MOST_ONCE);
            ByteBuffer file = ByteBuffer.allocate(LENGTH);
            for (int id = 1; file.hasRemaining(); id++) {
                device.publish(
                        download,
                        bytes("{\"id\":\"" + id
                                + "\",\"version\":\"1.0\",\"params\":{\"fileToken\":\"default\",\"fileInfo\":"
                                + "{\"streamId\":" + data.get("streamId")
                                + ",\"fileId\":1,},\"fileBlock\":{\"size\":10240,"
                                + "\"offset\":" + file.position() + "}}}"),
                        qos0());
                ByteBuffer reply = ByteBuffer.wrap(device.nextBytes(download + "_reply"));
                byte[] json = new byte[reply.getShort()];
                reply.get(json);
                JsonNode answer = DeviceClient.JSON.readTree(json);
                assertThat(answer.get("code").intValue()).isEqualTo(200);
                assertThat(answer.at("/data/bOffset").intValue()).isEqualTo(file.position());
                assertThat(answer.at("/data/fileLength").intValue()).isEqualTo(LENGTH);
                // The C SDK wants the length of the frame to be exactly this.
                assertThat(reply.remaining()).isEqualTo(answer.at("/data/bSize").intValue() + Short.BYTES);
                byte[] block = new byte[reply.remaining() - Short.BYTES];
                reply.get(block);
                file.put(block);
                int percent = file.position() * 100 / LENGTH;
                device.publish(
                        "/ota/device/progress/" + topics,
                        bytes("{\"id\":" + id + ", \"params\":{\"step\":\"" + percent + "\",\"desc\":\"\"}}"),
                        qos0());
            }
            assertThat(HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(file.array())))
                    .isEqualTo(data.get("sign").textValue());
            device.publish(
                    "/ota/device/inform/" + topics, bytes("{\"id\":9, \"params\":{\"version\":\"1.1\"}}"), qos0());
            Job ended = platform.jobEnd(job.id()).block(PATIENCE);
            assertThat(ended).isNotNull();
            assertThat(ended.tasks()).containsEntry(TaskStatus.SUCCEEDED, 1);
        }
    }

    /** AliOS Things: the terminator of its strings behind the JSON, id 0 always, and a file in ranges of HTTP. */
    @Test
    void aliOsIsUpgradedOverHttp() throws Exception {
        String topics = product + "/dev01";
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.subscribe("/ota/device/upgrade/" + topics, MqttQos.AT_MOST_ONCE);
            device.publish(
                    "/ota/device/inform/" + topics,
                    "{\"id\":0,\"params\":{\"version\":\"1.0\",\"module\":\"default\"}}\0");
            await().atMost(PATIENCE)
                    .until(() -> !platform.device(product, "dev01").versions().isEmpty());
            Job job = platform.createJob(JobRequest.of(firmware.id()).withDevices("dev01"));
            JsonNode push = device.nextPush();
            assertThat(push.get("message").textValue()).isEqualTo("success");
            URI url = URI.create(push.at("/data/url").textValue());
            int at = 0;
            for (String range : new String[] {"bytes=0-9999", "bytes=10000-"}) {
                HttpResponse<byte[]> part = HTTP.send(
                        HttpRequest.newBuilder(url).header("Range", range).build(),
                        HttpResponse.BodyHandlers.ofByteArray());
                assertThat(part.statusCode()).as("never 200 to a Range").isEqualTo(206);
                assertThat(part.headers().firstValue("Content-Length")).contains(Integer.toString(part.body().length));
                assertThat(part.headers().firstValue("Transfer-Encoding")).isEmpty();
                assertThat(part.body()).isEqualTo(java.util.Arrays.copyOfRange(content, at, at + part.body().length));
                at += part.body().length;
            }
            assertThat(at).isEqualTo(LENGTH);
            device.publish(
                    "/ota/device/progress/" + topics,
                    "{\"id\":0, \"params\":{\"step\":\"-4\",\"desc\":\"upgrade write failed\"}}\0");
            await().atMost(PATIENCE).until(() -> platform.job(job.id()).tasks().get(TaskStatus.FAILED) == 1);
        }
    }

    @Test
    void aDeviceIsToldItsConfigurationAndAsksForIt() throws Exception {
        String topics = "/sys/" + product + "/dev01/thing/config/";
        String get = "{\"id\": 123,\"version\":\"1.0\",\"params\":{\"configScope\":\"product\",\"getType\":\"file\"},"
                + "\"method\":\"thing.config.get\"}";
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login, cSdk())) {
            assertThat(device.ask(topics + "get", get).get("code").intValue()).isEqualTo(6710);
            await().until(() -> platform.device(product, "dev01").online());

            RemoteConfig config = platform.configure(product, bytes("{\"interval\":5}"));

            JsonNode pushed = device.next(topics + "push");
            assertThat(pushed.get("method").textValue()).isEqualTo("thing.config.push");
            device.publish(topics + "push_reply", "{\"id\":\"1\",\"code\":200,\"data\":{}}");
            JsonNode asked = device.ask(topics + "get", get);
            assertThat(asked.get("id").intValue()).isEqualTo(123);
            for (JsonNode told : List.of(pushed.get("params"), asked.get("data"))) {
                assertThat(told.get("configId").textValue()).isEqualTo(config.configId());
                assertThat(told.get("configSize").intValue()).isEqualTo(14);
                assertThat(told.get("sign").textValue()).isEqualTo(config.sha256());
                assertThat(told.get("signMethod").textValue()).isEqualTo("Sha256");
                assertThat(told.get("getType").textValue()).isEqualTo("file");
                assertThat(HTTP.send(
                                        HttpRequest.newBuilder(URI.create(
                                                        told.get("url").textValue()))
                                                .build(),
                                        HttpResponse.BodyHandlers.ofString())
                                .body())
                        .isEqualTo("{\"interval\":5}");
            }
        }
        assertThatThrownBy(() -> platform.configure(product, new byte[(64 << 10) + 1]))
                .isInstanceOf(RequestRefusedException.class);
        assertThatThrownBy(() -> platform.configure("nobody", new byte[1])).isInstanceOf(RequestRefusedException.class);
    }

    @Test
    void theQueryOfOldClientsIsAnsweredOnItsOwnTopic() {
        String topic = "/ota/device/request/" + product + "/dev01";
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login, cSdk())) {
            device.inform("default", "1.0");
            await().atMost(PATIENCE)
                    .until(() -> !platform.device(product, "dev01").versions().isEmpty());
            device.publish(topic, "{\"id\":1,\"params\":{\"version\":\"1.0\"}}");
            assertThat(device.next(topic).toString())
                    .isEqualTo("{\"id\":1,\"code\":200,\"data\":{},\"message\":\"success\"}");
            platform.createJob(JobRequest.of(firmware.id()).withDevices("dev01").withoutPush());

            device.publish(topic, "{\"id\":2,\"params\":{\"version\":\"1.0\"}}");

            assertThat(device.next(topic).at("/data/version").textValue()).isEqualTo("1.1");
        }
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            long ignored = platform.ignoredMessages();
            device.subscribe(topic, MqttQos.AT_LEAST_ONCE);
            device.publish(topic, "{\"id\":3,\"params\":{\"version\":\"1.0\"}}");
            List<JsonNode> heard = List.of(device.next(topic), device.next(topic));
            assertThat(heard).as("what it said itself, and the answer").anyMatch(it -> it.has("data"));
            assertThat(platform.ignoredMessages())
                    .as("the platform hears its own answer and makes nothing of it")
                    .isEqualTo(ignored);
        }
    }

    @Test
    void whoAsksTooOftenIsToldToWait() {
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login, cSdk())) {
            String get = "/sys/" + product + "/dev01/thing/ota/firmware/get";
            List<Integer> codes = new ArrayList<>();
            for (int i = 0; i < 300; i++) {
                device.publish(get, bytes("{\"id\":" + i + ", \"params\":{}}"), qos0());
            }
            for (int i = 0; i < 300; i++) {
                codes.add(device.next(get + "_reply").get("code").intValue());
            }
            // A refusal may overtake an answer, which takes a look at the state.
            assertThat(codes).filteredOn(code -> code == 200).hasSizeGreaterThanOrEqualTo(60);
            assertThat(codes).contains(429).containsOnly(200, 429);
        }
    }

    private Consumer<DeviceClient.Options> cSdk() {
        return options -> {
            options.id = product + ".dev01";
            options.parameters =
                    "timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=2,signmethod=hmacsha256,ext=3,";
            options.keepAlive = 1200;
        };
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static MqttQos qos0() {
        return MqttQos.AT_MOST_ONCE;
    }
}
