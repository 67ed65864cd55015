package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files in blocks over MQTT, as the C SDK, small microcontrollers and others ask for them. */
class FileBlocksTest {

    private static final int LENGTH = 300_000;
    private static final long TOO_LARGE = Limits.MAX_MQTT_BYTES + 1;

    private static byte[] content;
    private static Path artifacts;
    private static Platform platform;
    private static String stream;
    private static String tooLarge;
    private static DeviceClient device;
    private static String topic;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        artifacts = directory.resolve("data/artifacts");
        platform = Platform.builder().dataDirectory(directory.resolve("data")).start();
        platform.createProduct("pk");
        platform.createProduct("other");
        content = new byte[LENGTH];
        new Random(1).nextBytes(content);
        Path file = Files.write(directory.resolve("firmware"), content);
        stream = number(platform.addPackage("pk", "default", "2.0", file, SignMethod.MD5));
        Path large = directory.resolve("large");
        try (RandomAccessFile sparse = new RandomAccessFile(large.toFile(), "rw")) {
            sparse.setLength(TOO_LARGE);
        }
        tooLarge = number(platform.addPackage("pk", "default", "3.0", large, SignMethod.MD5));
        device = DeviceClient.connect(platform.mqttPort(), platform.createDevice("pk", "dn"));
        topic = "/sys/pk/dn/thing/file/download";
        device.subscribe(topic + "_reply", MqttQos.AT_MOST_ONCE);
    }

    @AfterAll
    static void stop() {
        device.close();
        platform.close();
    }

    /** A reply taken apart. */
    private record Frame(JsonNode json, byte[] block, int crc) {

        static Frame of(byte[] payload) {
            ByteBuffer bytes = ByteBuffer.wrap(payload);
            byte[] json = new byte[bytes.getShort()];
            bytes.get(json);
            byte[] block = new byte[Math.max(0, bytes.remaining() - Short.BYTES)];
            bytes.get(block);
            int crc =
                    bytes.hasRemaining() ? bytes.order(ByteOrder.LITTLE_ENDIAN).getShort() & 0xffff : -1;
            try {
                return new Frame(DeviceClient.JSON.readTree(json), block, crc);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"123456789, bb3d", "'', 0", "'hello world', 39c1"})
    void theCrcIsArc(String text, String crc) {
        assertThat(FileBlocks.crc16(text.getBytes(StandardCharsets.US_ASCII))).isEqualTo(HexFormat.fromHexDigits(crc));
    }

    @Test
    void theCrcOfSingleBytesIsArc() {
        assertThat(FileBlocks.crc16(new byte[] {0})).isZero();
        assertThat(FileBlocks.crc16(new byte[] {1})).isEqualTo(0xc0c1);
    }

    @Test
    void aFrameIsByteForByteTheComputedOne() {
        byte[] json = "{\"id\":\"1\",\"code\":200,\"data\":{\"bSize\":9,\"bOffset\":0,\"fileLength\":9}}"
                .getBytes(StandardCharsets.UTF_8);

        byte[] frame = FileBlocks.frame(json, "123456789".getBytes(StandardCharsets.US_ASCII));

        assertThat(HexFormat.of().formatHex(frame))
                .isEqualTo(
                        "00437b226964223a2231222c22636f6465223a3230302c2264617461223a7b226253697a65223a392c22624f6666"
                                + "736574223a302c2266696c654c656e677468223a397d7d3132333435363738393dbb");
    }

    @Test
    void theJsonIsWrittenAsTheRealPlatformWasSeenToWriteIt() {
        FileBlocks.Block block =
                new FileBlocks.Block(JsonNodeFactory.instance.textNode("1"), "digest", 5092, 0, 256, null);
        assertThat(FileBlocks.answer(block).toString())
                .isEqualTo("{\"code\":200,\"data\":{\"bOffset\":0,\"fileLength\":5092,\"bSize\":256},\"id\":\"1\","
                        + "\"message\":\"success\"}");
    }

    @ParameterizedTest
    @ValueSource(ints = {256, 10_240, 131_072})
    void aFileArrivesInBlocksOfAnySize(int size) {
        ByteBuffer file = ByteBuffer.allocate(LENGTH);
        int start = Math.max(0, LENGTH - 40 * size);
        file.put(content, 0, start);
        while (file.hasRemaining()) {
            int offset = file.position();
            Frame frame = ask(
                    "{\"id\":\"7\",\"version\":\"1.0\",\"params\":{\"fileToken\":\"1bb8\",\"fileInfo\":{\"streamId\":"
                            + stream + ",\"fileId\":1},\"fileBlock\":{\"size\":" + size + ",\"offset\":" + offset
                            + "}}}");

            int expected = Math.min(size, LENGTH - offset);
            assertThat(frame.json().get("code").intValue()).isEqualTo(200);
            assertThat(frame.json().get("id").textValue()).isEqualTo("7");
            assertThat(frame.json().at("/data/bSize").intValue()).isEqualTo(expected);
            assertThat(frame.json().at("/data/bOffset").intValue()).isEqualTo(offset);
            assertThat(frame.json().at("/data/fileLength").intValue()).isEqualTo(LENGTH);
            assertThat(frame.json().at("/data/fileToken").textValue()).isEqualTo("1bb8");
            assertThat(frame.block()).hasSize(expected);
            assertThat(frame.crc()).isEqualTo(FileBlocks.crc16(frame.block()));
            file.put(frame.block());
        }
        assertThat(file.array()).isEqualTo(content);
    }

    @Test
    void theInvalidJsonOfTheCSdkAndTheIdsOfOthersAreUnderstood() {
        String cSdk =
                "{\"id\":\"3\", \"version\":\"1.0\", \"params\":{\"fileToken\":\"default\",\"fileInfo\":{\"streamId\":"
                        + stream + ",\"fileId\":1,},\"fileBlock\":{\"size\":5120,\"offset\":5120}}}";
        String quoted = "{\"id\":4,\"params\":{\"fileInfo\":{\"streamId\":\"" + stream
                + "\",\"fileId\":\"1\"},\"fileBlock\":{\"size\":\"5120\",\"offset\":\"5120\"},\"module\":\"default\"}}\0";
        for (String request : new String[] {cSdk, quoted}) {
            assertThat(ask(request).block()).isEqualTo(Arrays.copyOfRange(content, 5120, 10240));
        }
    }

    @Test
    void aBlockThatIsLargerThanAllowedIsShortened() {
        assertThat(ask(request(stream, 1, 1 << 20, 0)).block()).hasSize(128 << 10);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "an unknown stream, 999, 1, 256, 0",
        "another file, {stream}, 2, 256, 0",
        "an offset behind the end, {stream}, 1, 256, 300000",
        "an offset before the start, {stream}, 1, 256, -1",
        "no size, {stream}, 1, 0, 0",
        "a file that is too large, {large}, 1, 256, 0"
    })
    void whatCannotBeSentIsRefusedInAFrameWithoutABlock(String why, String streamId, int fileId, int size, int offset) {
        Frame frame =
                ask(request(streamId.replace("{stream}", stream).replace("{large}", tooLarge), fileId, size, offset));

        assertThat(frame.json().get("code").intValue()).as(why).isEqualTo(460);
        assertThat(frame.json().get("message").textValue()).as(why).isNotEmpty();
        assertThat(frame.json().get("id").textValue()).isEqualTo("1");
        assertThat(frame.block()).isEmpty();
        assertThat(frame.crc()).isEqualTo(-1);
    }

    @Test
    void aFileThatCannotBeReadIsAFailureOfThePlatform(@TempDir Path directory) throws Exception {
        Path file = Files.write(directory.resolve("lost"), new byte[1000]);
        FirmwarePackage lost = platform.addPackage("pk", "default", "4.0", file, SignMethod.MD5);
        Path kept = artifacts.resolve(lost.sha256());
        Files.write(kept, new byte[100]);
        Frame cutOff = ask(request(number(lost), 1, 256, 0));
        Files.delete(kept);
        Frame gone = ask(request(number(lost), 1, 256, 0));

        for (Frame frame : new Frame[] {cutOff, gone}) {
            assertThat(frame.json().get("code").intValue()).isEqualTo(500);
            assertThat(frame.block()).isEmpty();
            assertThat(frame.crc()).isEqualTo(-1);
        }
    }

    @Test
    void aRequestWithoutParametersIsRefused() {
        assertThat(ask("{\"id\":\"1\"}").json().get("code").intValue()).isEqualTo(460);
    }

    @Test
    void theFilesOfAnotherProductAreForItsDevicesAndTheirGatewaysOnly() {
        DeviceCredentials login = platform.createDevice("other", "gateway");
        try (DeviceClient gateway = DeviceClient.connect(platform.mqttPort(), login)) {
            String asked = "/sys/other/gateway/thing/file/download";
            gateway.subscribe(asked + "_reply", MqttQos.AT_MOST_ONCE);
            gateway.publish(asked, request(stream, 1, 256, 0));
            assertThat(Frame.of(gateway.nextBytes(asked + "_reply")).block()).isEmpty();

            platform.createDevice("pk", "below");
            platform.link(new DeviceKey("other", "gateway"), new DeviceKey("pk", "below"));
            gateway.publish(asked, request(stream, 1, 256, 0));

            assertThat(Frame.of(gateway.nextBytes(asked + "_reply")).block()).hasSize(256);
        }
    }

    private static String request(String streamId, int fileId, int size, int offset) {
        return "{\"id\":\"1\",\"params\":{\"fileInfo\":{\"streamId\":" + streamId + ",\"fileId\":" + fileId
                + "},\"fileBlock\":{\"size\":" + size + ",\"offset\":" + offset + "}}}";
    }

    private static Frame ask(String request) {
        device.publish(topic, request);
        return Frame.of(device.nextBytes(topic + "_reply"));
    }

    private static String number(FirmwarePackage firmware) {
        return firmware.id().substring(1);
    }
}
