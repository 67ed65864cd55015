package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_16LE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/**
 * Payloads that mean no good, through the real channel. Each is acknowledged, counted, logged without its content and told
 * to the platform where it names its module; the stream lives on.
 */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class HostilePushTest {

    private static final String CANARY = "canary-token";
    private static final String URL = "https://h/f?auth_key=" + CANARY;
    private static final String MD5 = "00112233445566778899aabbccddeeff";
    private static final String GOOD =
            "\"version\":\"2\",\"size\":1,\"md5\":\"" + MD5 + "\",\"url\":\"" + URL + "\",\"module\":\"bad\"";

    private final List<String> log = new CopyOnWriteArrayList<>();
    private final AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            log.add(event.getFormattedMessage());
        }
    };
    private final Logger logger = (Logger) LoggerFactory.getLogger("io.otaflux");

    @BeforeEach
    void listenToTheLog() {
        appender.start();
        logger.addAppender(appender);
        logger.setLevel(Level.TRACE);
        logger.setAdditive(false);
    }

    @AfterEach
    void stopListening() {
        logger.detachAppender(appender);
        logger.setLevel(null);
        logger.setAdditive(true);
    }

    @Test
    void everyPayloadIsAcknowledgedCountedAndToldAndTheStreamLivesOn() throws Exception {
        Map<String, byte[]> nameless = nameless();
        Map<String, byte[]> named = named();
        int payloads = nameless.size() + named.size();
        try (MosquittoBroker broker = MosquittoBroker.start();
                TestPlatform platform = TestPlatform.on(broker)) {
            AliyunDevice device = TestPlatform.device(broker.port()).build();
            List<String> seen = new CopyOnWriteArrayList<>();
            List<DeviceEvent> events = new CopyOnWriteArrayList<>();
            device.events().subscribe(events::add);
            device.upgrades().triggers().subscribe(delivery -> {
                delivery.acknowledge();
                seen.add(delivery.trigger().module() + " " + delivery.trigger().version());
            });
            device.connect().block(PATIENCE);

            int sent = 0;
            for (Map<String, byte[]> group : List.of(nameless, named)) {
                for (Map.Entry<String, byte[]> payload : group.entrySet()) {
                    platform.push(payload.getValue(), MqttQos.AT_LEAST_ONCE);
                    int expected = ++sent;
                    await(payload.getKey()).atMost(PATIENCE).until(() -> device.skippedMessages() == expected);
                }
            }
            platform.push(
                    ("{\"data\":{" + GOOD.replace("bad", "good") + "}}\0\0").getBytes(UTF_8), MqttQos.AT_LEAST_ONCE);

            await().atMost(PATIENCE).untilAsserted(() -> assertThat(seen).containsExactly("good 2"));
            await().atMost(PATIENCE).until(() -> acknowledged(broker) == payloads + 1);
            assertThat(events)
                    .filteredOn(DeviceEvent.MessageSkipped.class::isInstance)
                    .hasSize(payloads);
            assertThat(events).as("one connection").noneMatch(DeviceEvent.Disconnected.class::isInstance);
            // One after the other, so that none replaces another that waits; the first of them is told at the latest.
            await().atMost(PATIENCE)
                    .until(() -> platform.steps().stream().allMatch("-1"::equals)
                            && !platform.steps().isEmpty());
            assertThat(platform.heard(Topics.of(DEVICE).progress()))
                    .allSatisfy(step ->
                            assertThat(step.params().path("module").asText()).isEqualTo("bad"));
            device.close().block(PATIENCE);
            System.err.println("figure: hostile payloads through the channel: " + payloads + " sent, " + payloads
                    + " acknowledged and counted, 0 escaped, stream alive");
        }
        assertThat(payloads).isGreaterThanOrEqualTo(40);
        assertThat(log)
                .hasSizeGreaterThanOrEqualTo(payloads)
                .noneMatch(line -> line.contains(CANARY))
                .allSatisfy(line -> assertThat(line).hasSizeLessThan(1000));
    }

    /** Those of which it is not clear whose upgrade they are about. */
    private static Map<String, byte[]> nameless() {
        Map<String, byte[]> payloads = new LinkedHashMap<>();
        String good = "{\"data\":{" + GOOD + "}}";
        payloads.put("nothing", new byte[0]);
        payloads.put("zero bytes only", new byte[100]);
        payloads.put("spaces", text(" \r\n\t"));
        payloads.put("no JSON", text("upgrade now: " + URL));
        payloads.put("null", text("null"));
        payloads.put("a number", text("42"));
        payloads.put("an array", text("[" + good + "]"));
        payloads.put("a text", text("\"" + URL + "\""));
        payloads.put("truncated", text(good.substring(0, good.length() - 3)));
        payloads.put("text behind it", text(good + "x"));
        payloads.put("two objects", text(good + good));
        payloads.put("a zero byte in it", text(good.replace("\"version\"", "\0\"version\"")));
        payloads.put("single quotes", text(good.replace('"', '\'')));
        payloads.put("no quotes", text(good.replace("\"", "")));
        payloads.put("a comment", text("/* " + URL + " */" + good));
        payloads.put("a trailing comma", text(good.replace("}}", ",}}")));
        payloads.put("NaN", text(good.replace(":1,", ":NaN,")));
        payloads.put("a number with a leading zero", text(good.replace(":1,", ":01,")));
        payloads.put("a bad escape", text(good.replace("\"2\"", "\"\\x32\"")));
        payloads.put("half an escape", text(good.replace("\"2\"", "\"\\u12\"")));
        payloads.put("a line break in a text", text(good.replace("\"2\"", "\"2\n\"")));
        payloads.put("invalid UTF-8", good.replace("\"2\"", "\"\u00ff\u00fe\"").getBytes(ISO_8859_1));
        payloads.put("overlong UTF-8", good.replace("\"2\"", "\"\u00c0\u00af\"").getBytes(ISO_8859_1));
        payloads.put(
                "half a surrogate in UTF-8",
                good.replace("\"2\"", "\"\u00ed\u00a0\u0080\"").getBytes(ISO_8859_1));
        payloads.put("UTF-16", good.getBytes(UTF_16LE));
        payloads.put("a megabyte of spaces", text(" ".repeat(1 << 20)));
        payloads.put("a megabyte of text", text(good.replace("\"2\"", "\"" + "x".repeat(1 << 20) + "\"")));
        payloads.put("one byte too many", text(good + " ".repeat(Messages.MAX_BYTES - good.length() + 1)));
        payloads.put("100,000 arrays", text("[".repeat(100_000)));
        payloads.put("100,000 objects", text("{\"a\":".repeat(40_000)));
        payloads.put("deep in an ignored field", text("{\"x\":" + "[".repeat(100_000) + good));
        payloads.put("a name of 10,000 letters", text("{\"" + "n".repeat(10_000) + "\":1,\"data\":{" + GOOD + "}}"));
        payloads.put("a number of 100,000 digits", text(good.replace(":1,", ":" + "9".repeat(100_000) + ",")));
        payloads.put("an exponent of nine digits", text("{\"data\":1e999999999}"));
        payloads.put("two data", text("{\"data\":{" + GOOD + "},\"data\":{" + GOOD + "}}"));
        payloads.put("two versions", text("{\"data\":{\"version\":\"1\"," + GOOD + "}}"));
        payloads.put("the same name, once escaped", text("{\"data\":{\"\\u0076ersion\":\"1\"," + GOOD + "}}"));
        payloads.put("no data", text("{\"version\":\"2\",\"url\":\"" + URL + "\"}"));
        payloads.put("data that is a text", text("{\"data\":\"{" + GOOD.replace("\"", "\\\"") + "}\"}"));
        payloads.put("data that is an array", text("{\"data\":[{" + GOOD + "}]}"));
        payloads.put("a module that leads out", text(good.replace("\"bad\"", "\"../../etc\"")));
        payloads.put("a module that is a number", text(good.replace("\"bad\"", "7")));
        payloads.put("a module of 10,000 letters", text(good.replace("bad", "b".repeat(10_000))));
        payloads.put("a module with a zero byte", text(good.replace("bad", "b\\u0000d")));
        return payloads;
    }

    /** Those whose module is clear. */
    private static Map<String, byte[]> named() {
        Map<String, byte[]> payloads = new LinkedHashMap<>();
        List<String> changes = new ArrayList<>(List.of(
                "\"version\":\"2\"",
                "\"version\":2",
                "\"version\":\"2\"",
                "\"version\":{\"a\":1}",
                "\"version\":\"2\"",
                "\"version\":\"\"",
                "\"size\":1",
                "\"size\":-1",
                "\"size\":1",
                "\"size\":1.5",
                "\"size\":1",
                "\"size\":1e3",
                "\"size\":1",
                "\"size\":\"1e3\"",
                "\"size\":1",
                "\"size\":99999999999999999999",
                "\"size\":1",
                "\"size\":true",
                "\"size\":1",
                "\"size\":[1]",
                MD5,
                MD5.substring(1),
                MD5,
                "z" + MD5.substring(1),
                "\"md5\":\"" + MD5 + "\"",
                "\"md5\":[]",
                "\"md5\"",
                "\"sign\"",
                "https:",
                "file:",
                "https:",
                "jar:https:",
                "https://h",
                "https://",
                "https://h",
                "https://h\\u0000",
                "https://h",
                "https://h h",
                "\"url\":\"" + URL + "\"",
                "\"url\":null",
                "\"url\":\"" + URL + "\"",
                "\"files\":{}"));
        for (int i = 0; i < changes.size(); i += 2) {
            String changed = GOOD.replace(changes.get(i), changes.get(i + 1));
            assertThat(changed).isNotEqualTo(GOOD);
            payloads.put(changes.get(i + 1), text("{\"data\":{" + changed + "}}"));
        }
        return payloads;
    }

    private static byte[] text(String text) {
        return text.getBytes(UTF_8);
    }

    private static long acknowledged(MosquittoBroker broker) {
        return broker.log()
                .lines()
                .filter(line -> line.contains("Received PUBACK from a1B2c3D4e5F.dev01|"))
                .count();
    }
}
