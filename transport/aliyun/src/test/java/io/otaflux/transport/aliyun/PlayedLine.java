package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

/** The sessions of a gateway in virtual time, and its platform, which answers after a moment. */
final class PlayedLine implements Line {

    static final Duration LATENCY = Duration.ofMillis(20);
    static final Duration TIMEOUT = Duration.ofSeconds(10);

    /** The code of a platform that does not answer. */
    static final String SILENCE = "";

    private static final Backoff BACKOFF = new Backoff(Duration.ofSeconds(1), Duration.ofMinutes(2), 0);

    final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    final Map<DeviceId, String> codes = new HashMap<>();
    final Set<DeviceId> online = new HashSet<>();
    final Map<DeviceId, GatewayException> refused = new HashMap<>();
    final List<Long> logins = new ArrayList<>();
    final List<Integer> requests = new ArrayList<>();
    private final Requests answers = new Requests(this, time, TIMEOUT);
    final Sessions sessions = new Sessions(this, answers, time, this::now, BACKOFF, e -> {});
    private final AliyunGateway gateway = new AliyunGateway(this, time, this::now, TIMEOUT, BACKOFF);
    private boolean connected;
    private int connection;
    private int ids;

    long now() {
        return time.now(TimeUnit.NANOSECONDS);
    }

    void limit(int perSecond) {
        sessions.limit(new LoginRate(this::now, perSecond));
    }

    void login(int devices) {
        sessions.login(IntStream.rangeClosed(1, devices)
                        .mapToObj(TestTopology::sub)
                        .toList())
                .subscribe();
        pass(Duration.ZERO);
    }

    void connect() {
        connected = true;
        connection++;
        sessions.connected();
    }

    void disconnect() {
        connected = false;
        online.clear();
        sessions.disconnected();
        answers.disconnected();
    }

    /** A gateway of its own on this line, which is listening. */
    AliyunGateway gateway() {
        connected = true;
        gateway.use();
        pass(Duration.ZERO);
        return gateway;
    }

    void pass(Duration duration) {
        time.advanceTimeBy(duration);
    }

    @Override
    public DeviceId device() {
        return TestTopology.GATEWAY;
    }

    @Override
    public boolean isConnected() {
        return connected;
    }

    @Override
    public Mono<Void> connected() {
        return Mono.empty();
    }

    @Override
    public Mono<Void> publish(String topic, byte[] payload) {
        JsonNode request;
        try {
            request = Messages.read(payload);
        } catch (MalformedMessage e) {
            return Mono.error(e);
        }
        JsonNode list = request.path("params").path("deviceList");
        List<DeviceId> devices = GatewayMessages.readDevices(list.isArray() ? list : request.path("params"));
        requests.add(devices.size());
        devices.forEach(device -> logins.add(now()));
        String code = devices.stream()
                .filter(codes::containsKey)
                .map(codes::get)
                .findFirst()
                .orElse("200");
        int asked = connection;
        time.schedule(
                () -> {
                    if (connected && asked == connection && !code.equals(SILENCE)) {
                        answer(topic, request.path("id").asText(), code);
                    }
                },
                LATENCY.toMillis(),
                TimeUnit.MILLISECONDS);
        return Mono.empty();
    }

    private void answer(String topic, String id, String code) {
        String reply = JsonNodeFactory.instance
                .objectNode()
                .put("id", id)
                .put("code", Integer.valueOf(code))
                .toString();
        try {
            answers.answered(topic + "_reply", reply.getBytes(StandardCharsets.UTF_8));
        } catch (MalformedMessage e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public Mono<Void> subscribe(List<String> filters) {
        return Mono.empty();
    }

    @Override
    public Mono<Void> unsubscribe(List<String> filters) {
        return Mono.empty();
    }

    @Override
    public String nextId() {
        return Integer.toString(++ids);
    }

    @Override
    public void opened(DeviceId device) {
        online.add(device);
    }

    @Override
    public void closed(DeviceId device) {
        online.remove(device);
    }

    @Override
    public void refused(DeviceId device, GatewayException cause) {
        online.remove(device);
        refused.put(device, cause);
    }

    @Override
    public void forgotten(DeviceId device, GatewayException cause) {
        refused(device, cause);
    }
}
