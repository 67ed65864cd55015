package io.otaflux.samples.platform;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.Mqtt3Client;
import com.hivemq.client.mqtt.mqtt3.message.subscribe.Mqtt3Subscribe;
import com.hivemq.client.mqtt.mqtt3.message.subscribe.Mqtt3Subscription;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/** A device as anybody could write one, from the protocol's documents alone. */
final class DeviceClient implements AutoCloseable {

    static final ObjectMapper JSON = new ObjectMapper();
    private static final long PATIENCE_SECONDS = 30;

    private final DeviceCredentials login;
    private final Mqtt3AsyncClient client;
    private final BlockingQueue<JsonNode> pushes = new LinkedBlockingQueue<>();
    private final Map<String, BlockingQueue<byte[]>> others = new ConcurrentHashMap<>();
    private final List<Integer> pushQos = new CopyOnWriteArrayList<>();
    private final String topics;

    private DeviceClient(DeviceCredentials login, Mqtt3AsyncClient client) {
        this.login = login;
        this.client = client;
        this.topics = login.productKey() + "/" + login.deviceName();
    }

    /** How a device logs in; the defaults are those of an ordinary client that subscribes. */
    static final class Options {
        String id = "any";
        String parameters = "securemode=3,signmethod=hmacsha256,timestamp=2524608000000";

        @Nullable
        String secret;

        boolean signed = true;
        int keepAlive = 60;
        boolean cleanSession = true;
        Runnable onDisconnect = () -> {};
    }

    static DeviceClient connect(int port, DeviceCredentials login) {
        return connect(port, login, options -> {});
    }

    static DeviceClient connect(int port, DeviceCredentials login, Consumer<Options> configure) {
        Options options = new Options();
        configure.accept(options);
        String secret = options.secret == null ? login.deviceSecret() : options.secret;
        var builder = Mqtt3Client.builder()
                .identifier(options.id + "|" + options.parameters + "|")
                .serverHost("127.0.0.1")
                .serverPort(port)
                .addDisconnectedListener(context -> options.onDisconnect.run());
        if (options.signed) {
            builder = builder.simpleAuth()
                    .username(login.deviceName() + "&" + login.productKey())
                    .password(password(options, login, secret).getBytes(StandardCharsets.UTF_8))
                    .applySimpleAuth();
        }
        DeviceClient device = new DeviceClient(login, builder.buildAsync());
        device.client.publishes(MqttGlobalPublishFilter.ALL, message -> {
            if (message.getTopic().toString().equals("/ota/device/upgrade/" + device.topics)) {
                device.pushQos.add(message.getQos().getCode());
                device.pushes.add(json(message.getPayloadAsBytes()));
            } else {
                device.others(message.getTopic().toString()).add(message.getPayloadAsBytes());
            }
        });
        await(device.client
                .connectWith()
                .keepAlive(options.keepAlive)
                .cleanSession(options.cleanSession)
                .send());
        return device;
    }

    DeviceClient subscribe() {
        return subscribe(MqttQos.AT_LEAST_ONCE);
    }

    DeviceClient subscribe(MqttQos qos) {
        subscribe("/ota/device/upgrade/" + topics, qos);
        subscribe("/sys/" + topics + "/thing/ota/firmware/get_reply", qos);
        return this;
    }

    /** To all in one packet. */
    void subscribe(String... filters) {
        await(client.subscribe(Mqtt3Subscribe.builder()
                .addSubscriptions(Stream.of(filters)
                        .map(filter -> Mqtt3Subscription.builder()
                                .topicFilter(filter)
                                .qos(MqttQos.AT_LEAST_ONCE)
                                .build()))
                .build()));
    }

    void subscribe(String filter, MqttQos qos) {
        await(client.subscribeWith().topicFilter(filter).qos(qos).send());
    }

    DeviceClient inform(String module, String version) {
        publish(
                "/ota/device/inform/" + topics,
                "{\"id\":\"1\",\"params\":{\"version\":\"" + version + "\",\"module\":\"" + module + "\"}}");
        return this;
    }

    DeviceClient progress(String module, int step, String description) {
        publish(
                "/ota/device/progress/" + topics,
                "{\"id\":\"2\",\"params\":{\"step\":\"" + step + "\",\"desc\":\"" + description + "\",\"module\":\""
                        + module + "\"}}");
        return this;
    }

    JsonNode query(String request) {
        return ask("/sys/" + topics + "/thing/ota/firmware/get", request);
    }

    /** Publishes a request and waits for what comes on its reply topic, for a session that is sent it. */
    JsonNode ask(String topic, String request) {
        publish(topic, request);
        return next(topic + "_reply");
    }

    /** The next message on a topic other than the device's own for upgrades. */
    JsonNode next(String topic) {
        return json(nextBytes(topic));
    }

    byte[] nextBytes(String topic) {
        return take(others(topic), "message on " + topic);
    }

    int waiting(String topic) {
        return others(topic).size();
    }

    private BlockingQueue<byte[]> others(String topic) {
        return others.computeIfAbsent(topic, key -> new LinkedBlockingQueue<>());
    }

    void publish(String topic, String payload) {
        publish(topic, payload.getBytes(StandardCharsets.UTF_8), MqttQos.AT_LEAST_ONCE);
    }

    void publish(String topic, byte[] payload, MqttQos qos) {
        await(client.publishWith().topic(topic).payload(payload).qos(qos).send());
    }

    void publishRetained(String topic, String payload) {
        await(client.publishWith()
                .topic(topic)
                .payload(payload.getBytes(StandardCharsets.UTF_8))
                .qos(MqttQos.AT_LEAST_ONCE)
                .retain(true)
                .send());
    }

    JsonNode nextPush() {
        return take(pushes, "push");
    }

    int pushesWaiting() {
        return pushes.size();
    }

    List<Integer> pushQos() {
        return pushQos;
    }

    DeviceCredentials login() {
        return login;
    }

    @Override
    public void close() {
        leave();
    }

    /** Says goodbye; what has been received can still be looked at. */
    void leave() {
        if (client.getState().isConnected()) {
            await(client.disconnect());
        }
    }

    private static String password(Options options, DeviceCredentials login, String secret) {
        Map<String, String> algorithms =
                Map.of("hmacmd5", "HmacMD5", "hmacsha1", "HmacSHA1", "hmacsha256", "HmacSHA256");
        String method = "hmacmd5";
        String timestamp = "";
        for (String parameter : options.parameters.split(",")) {
            if (parameter.startsWith("signmethod=")) {
                method = parameter.substring("signmethod=".length());
            } else if (parameter.startsWith("timestamp=")) {
                timestamp = parameter.replace("=", "");
            }
        }
        String text = "clientId" + options.id + "deviceName" + login.deviceName() + "productKey" + login.productKey()
                + timestamp;
        try {
            Mac mac = Mac.getInstance(algorithms.get(method));
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HMAC"));
            return HexFormat.of().withUpperCase().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
        } catch (java.security.GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static JsonNode json(byte[] bytes) {
        try {
            return JSON.readTree(bytes);
        } catch (java.io.IOException e) {
            return JSON.getNodeFactory().textNode(new String(bytes, StandardCharsets.UTF_8));
        }
    }

    private static <T> T take(BlockingQueue<T> queue, String what) {
        try {
            T next = queue.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
            if (next == null) {
                throw new AssertionError("no " + what + " within " + PATIENCE_SECONDS + " s");
            }
            return next;
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static <T> T await(java.util.concurrent.CompletableFuture<T> future) {
        return future.orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS).join();
    }
}
