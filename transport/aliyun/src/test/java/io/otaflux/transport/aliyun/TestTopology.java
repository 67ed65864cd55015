package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import io.otaflux.DeviceId;
import io.otaflux.testkit.MosquittoBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The platform's side of a gateway's conversation, played on a real broker: it knows who is in the topology and has a
 * session, checks every signature by itself, and takes a batch or refuses it as a whole.
 */
final class TestTopology implements AutoCloseable {

    static final DeviceId GATEWAY = TestPlatform.DEVICE;

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String SESSION = "/ext/session/" + GATEWAY.product() + "/" + GATEWAY.name() + "/combine/";
    private static final String SYS = "/sys/" + GATEWAY.product() + "/" + GATEWAY.name() + "/";

    /** One message as it arrived. */
    record Heard(String topic, JsonNode message) {}

    private final Mqtt3AsyncClient client;
    private final List<Heard> heard = new CopyOnWriteArrayList<>();
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final Map<DeviceId, String> secrets = new ConcurrentHashMap<>();
    private final Set<DeviceId> topology = ConcurrentHashMap.newKeySet();
    private final Set<DeviceId> online = ConcurrentHashMap.newKeySet();
    private final Map<String, List<Integer>> codes = new ConcurrentHashMap<>();
    private volatile boolean isSilent;

    private TestTopology(Mqtt3AsyncClient client) {
        this.client = client;
    }

    static TestTopology on(MosquittoBroker broker) throws Exception {
        Mqtt3AsyncClient client = MqttClient.builder()
                .useMqttVersion3()
                .identifier("topology")
                .serverHost("127.0.0.1")
                .serverPort(broker.port())
                .automaticReconnect()
                .initialDelay(20, TimeUnit.MILLISECONDS)
                .maxDelay(100, TimeUnit.MILLISECONDS)
                .applyAutomaticReconnect()
                .buildAsync();
        TestTopology platform = new TestTopology(client);
        client.publishes(MqttGlobalPublishFilter.ALL, platform::hear);
        client.connectWith().cleanSession(false).send().get(30, TimeUnit.SECONDS);
        for (String filter : List.of(
                "/ota/device/inform/+/+",
                "/ota/device/progress/+/+",
                "/sys/+/+/thing/ota/firmware/get",
                SESSION + "login",
                SESSION + "logout",
                SESSION + "batch_login",
                SESSION + "batch_logout",
                SYS + "thing/topo/add",
                SYS + "thing/topo/delete",
                SYS + "thing/topo/get",
                SYS + "thing/list/found",
                SYS + "thing/sub/register",
                SYS + "thing/sub/unregister",
                SYS + "thing/proxy/provisioning/product_register",
                SYS + "thing/topo/change_reply",
                SYS + "thing/topo/add/notify_reply",
                "/sys/+/+/thing/disable_reply",
                "/sys/+/+/thing/enable_reply",
                "/sys/+/+/thing/delete_reply")) {
            client.subscribeWith()
                    .topicFilter(filter)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .send()
                    .get(30, TimeUnit.SECONDS);
        }
        return platform;
    }

    /** A sub-device of the test's; its secret is one that this platform may know. */
    static SubDevice sub(int number) {
        return new SubDevice("a1SubProduct", "sub-" + number, "CANARY-sub-secret-" + number);
    }

    /** Puts a device into the topology, as if it had been added before. */
    void has(SubDevice device) {
        secrets.put(device.id(), device.deviceSecret());
        topology.add(device.id());
    }

    /** Knows the secret of a device that is not in the topology. */
    void knows(SubDevice device) {
        secrets.put(device.id(), device.deviceSecret());
    }

    /** The next requests whose topic ends like this are answered with these codes. */
    void answer(String request, Integer... next) {
        codes.put(request, new CopyOnWriteArrayList<>(next));
    }

    /** Answers no request, and remembers that it came, until told otherwise. */
    void beSilent(boolean silent) {
        isSilent = silent;
    }

    Set<DeviceId> online() {
        return online;
    }

    Set<DeviceId> topology() {
        return topology;
    }

    /** The connection was lost, and all sessions with it. */
    void forgetSessions() {
        online.clear();
    }

    List<Heard> heard(String topicEnd) {
        return heard.stream()
                .filter(message -> message.topic.endsWith(topicEnd))
                .toList();
    }

    List<String> topics() {
        return heard.stream().map(Heard::topic).toList();
    }

    void forgetWhatWasHeard() {
        heard.clear();
    }

    List<String> versions(DeviceId device) {
        return heard("/inform/" + device.product() + "/" + device.name()).stream()
                .map(message -> message.message.path("params").path("module").asText("default") + "="
                        + message.message.path("params").path("version").asText())
                .toList();
    }

    void send(String topic, String payload) {
        client.publishWith()
                .topic(topic)
                .qos(MqttQos.AT_LEAST_ONCE)
                .payload(payload.getBytes(UTF_8))
                .send()
                .orTimeout(30, TimeUnit.SECONDS)
                .join();
    }

    /** What the platform orders about a sub-device, on its own topic. */
    void order(SubDevice device, String order) {
        send(
                "/sys/" + device.productKey() + "/" + device.deviceName() + "/thing/" + order,
                "{\"id\":\"77\",\"version\":\"1.0\",\"params\":{},\"method\":\"thing." + order + "\"}");
    }

    void error(SubDevice device, int code) {
        send(
                "/ext/error/" + GATEWAY.product() + "/" + GATEWAY.name(),
                "{\"id\":\"1\",\"code\":" + code + ",\"message\":\"…\",\"data\":{\"productKey\":\""
                        + device.productKey() + "\",\"deviceName\":\"" + device.deviceName() + "\"}}");
    }

    @Override
    public void close() {
        client.disconnect();
    }

    private void hear(Mqtt3Publish publish) {
        String topic = publish.getTopic().toString();
        JsonNode message = read(publish.getPayloadAsBytes());
        if (!seen.add(topic + message)) {
            // The broker went down before it had the acknowledgement, and delivers once more.
            return;
        }
        heard.add(new Heard(topic, message));
        if (isSilent || topic.startsWith("/ota/") || topic.endsWith("_reply")) {
            return;
        }
        ObjectNode reply = JSON.createObjectNode().put("id", message.path("id").asText());
        ArrayNode data = JSON.createArrayNode();
        int code = scripted(topic);
        if (code == 200) {
            code = answer(topic, message.path("params"), data);
        }
        reply.put("code", code).put("message", code == 200 ? "success" : "no");
        if (topic.endsWith("firmware/get")) {
            reply.putObject("data");
        } else {
            reply.set("data", data);
        }
        client.publishWith()
                .topic(topic + "_reply")
                .qos(MqttQos.AT_MOST_ONCE)
                .payload(reply.toString().getBytes(UTF_8))
                .send();
    }

    private int scripted(String topic) {
        for (Map.Entry<String, List<Integer>> script : codes.entrySet()) {
            if (topic.endsWith(script.getKey()) && !script.getValue().isEmpty()) {
                return script.getValue().remove(0);
            }
        }
        return 200;
    }

    private int answer(String topic, JsonNode params, ArrayNode data) {
        if (topic.equals(SESSION + "login")) {
            int code = loginCode(params, params.path("signMethod").asText());
            if (code == 200) {
                online.add(device(params));
            }
            return code;
        }
        if (topic.equals(SESSION + "batch_login")) {
            JsonNode list = params.path("deviceList");
            for (JsonNode one : list) {
                int code = list.size() > 50
                        ? 460
                        : loginCode(one, params.path("signMethod").asText());
                if (code != 200) {
                    return code;
                }
            }
            list.forEach(one -> online.add(device(one)));
            return 200;
        }
        if (topic.equals(SESSION + "logout")) {
            return online.remove(device(params)) ? 200 : 520;
        }
        if (topic.equals(SESSION + "batch_logout")) {
            params.forEach(one -> online.remove(device(one)));
            return 200;
        }
        return switch (topic.substring(SYS.length())) {
            case "thing/topo/add" -> add(params);
            case "thing/topo/delete" -> {
                params.forEach(one -> topology.remove(device(one)));
                yield 200;
            }
            case "thing/topo/get" -> {
                topology.forEach(device ->
                        data.addObject().put("productKey", device.product()).put("deviceName", device.name()));
                yield 200;
            }
            case "thing/sub/register", "thing/proxy/provisioning/product_register" -> {
                JsonNode list = params.isArray() ? params : params.path("proxieds");
                list.forEach(one -> data.addObject()
                        .put("iotId", "x")
                        .put("productKey", one.path("productKey").asText())
                        .put("deviceName", one.path("deviceName").asText())
                        .put(
                                "deviceSecret",
                                "CANARY-registered-" + one.path("deviceName").asText()));
                yield list.size() > 30 ? 460 : 200;
            }
            default -> 200;
        };
    }

    private int add(JsonNode params) {
        for (JsonNode one : params) {
            if (!isSigned(one, one.path("signmethod").asText())) {
                return 401;
            }
        }
        params.forEach(one -> topology.add(device(one)));
        return 200;
    }

    private int loginCode(JsonNode one, String method) {
        DeviceId device = device(one);
        if (!secrets.containsKey(device)) {
            return 6100;
        }
        if (!topology.contains(device)) {
            return 6401;
        }
        return isSigned(one, method) && one.path("cleanSession").isTextual() ? 200 : 6287;
    }

    private boolean isSigned(JsonNode one, String method) {
        String secret = secrets.get(device(one));
        if (secret == null || !method.equals("hmacSha256")) {
            return false;
        }
        String text = "clientId" + one.path("clientId").asText()
                + "deviceName" + one.path("deviceName").asText()
                + "productKey" + one.path("productKey").asText()
                + "timestamp" + one.path("timestamp").asText();
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret.getBytes(UTF_8), "HmacSHA256"));
            return HexFormat.of()
                    .formatHex(mac.doFinal(text.getBytes(UTF_8)))
                    .equals(one.path("sign").asText());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static DeviceId device(JsonNode one) {
        return new DeviceId(
                one.path("productKey").asText(), one.path("deviceName").asText());
    }

    private static JsonNode read(byte[] payload) {
        try {
            return JSON.readTree(payload);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
