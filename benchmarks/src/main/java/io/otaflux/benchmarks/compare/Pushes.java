package io.otaflux.benchmarks.compare;

import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3RxClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import io.otaflux.transport.aliyun.SubDevice;
import io.reactivex.Flowable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Pushes of upgrades as a gateway finds them when it comes back: for many devices behind it, each with several modules,
 * every one another upgrade.
 */
final class Pushes {

    static final String PRODUCT = "a1Gateway";
    static final String SECRET = "0123456789abcdef0123456789abcdef";

    /** What the pushes of one gateway have in common on the wire. */
    static final String FILTER = "/ota/device/upgrade/a1Sensor/+";

    private static final int MODULES = 10;

    private Pushes() {}

    /** The devices that {@code count} pushes are for. */
    static List<SubDevice> devices(int count) {
        return IntStream.range(0, (count + MODULES - 1) / MODULES)
                .mapToObj(i -> new SubDevice("a1Sensor", name(i), SECRET))
                .toList();
    }

    /** By this a broker knows the session of a device of {@link #PRODUCT}, whoever is the client. */
    static String clientIdentifier(String device) {
        return PRODUCT + "." + device + "|securemode=3,signmethod=hmacsha256,timestamp=2524608000000|";
    }

    /** Makes sessions of these devices, and leaves {@code count} pushes of QoS 1 in each. */
    static void queue(int port, int count, List<String> sessions) {
        for (String session : sessions) {
            Mqtt3RxClient client = client(port, clientIdentifier(session));
            client.connectWith()
                    .cleanSession(false)
                    .applyConnect()
                    .ignoreElement()
                    .blockingAwait();
            client.subscribeWith()
                    .topicFilter(FILTER)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .applySubscribe()
                    .ignoreElement()
                    .blockingAwait();
            client.disconnect().blockingAwait();
        }
        Mqtt3RxClient platform = client(port, "platform");
        platform.connect().ignoreElement().blockingAwait();
        long sent = platform.publish(Flowable.range(0, count).map(Pushes::push))
                .filter(result -> result.getError().isEmpty())
                .count()
                .blockingGet();
        platform.disconnect().blockingAwait();
        if (sent != count) {
            throw new IllegalStateException(sent + " of " + count + " pushes were sent");
        }
    }

    private static Mqtt3RxClient client(int port, String identifier) {
        return MqttClient.builder()
                .useMqttVersion3()
                .identifier(identifier)
                .serverHost("127.0.0.1")
                .serverPort(port)
                .buildRx();
    }

    private static String name(int device) {
        return "sensor-%05d".formatted(device);
    }

    private static Mqtt3Publish push(int number) {
        return Mqtt3Publish.builder()
                .topic("/ota/device/upgrade/a1Sensor/" + name(number / MODULES))
                .qos(MqttQos.AT_LEAST_ONCE)
                .payload(payload(number).getBytes(StandardCharsets.UTF_8))
                .build();
    }

    /** As the platform's documents show it, about 470 bytes. */
    static String payload(int number) {
        return ("{\"code\":\"1000\",\"data\":{\"size\":%d,\"sign\":\"%064x\",\"version\":\"2.%d.%d\","
                        + "\"isDiff\":0,\"url\":\"https://iotx-ota.oss-cn-shanghai.aliyuncs.com/ota/%032x/%08d.bin"
                        + "?Expires=1502955804&OSSAccessKeyId=XXXXXXXXXXXXXXXXXXXX&Signature=%s%%3D\","
                        + "\"signMethod\":\"Sha256\",\"md5\":\"%032x\",\"module\":\"m%d\","
                        + "\"extData\":{\"campaign\":\"%d\"}},\"id\":%d,\"message\":\"success\"}")
                .formatted(
                        432_945 + number,
                        0x9E37_79B9_7F4A_7C15L * number,
                        number / 1_000,
                        number % 1_000,
                        number,
                        number,
                        "XfgJu7P6DW".repeat(2) + number,
                        0x7F4A_7C15_9E37_79B9L * number,
                        number % MODULES,
                        number % 7,
                        1_507_707_025L + number);
    }
}
