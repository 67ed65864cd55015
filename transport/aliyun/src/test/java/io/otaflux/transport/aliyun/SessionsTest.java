package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
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
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

/** Logins in virtual time. */
class SessionsTest {

    private static final Duration LATENCY = Duration.ofMillis(20);

    @Test
    void inNoSecondAreMoreThanTwoHundredLoggedInAlsoAcrossReconnects() {
        assertStaysBelowTheLimit(150, false);
    }

    @Test
    void aRateThatIsTooHighOrForgetsTheConnectionBeforeIsFound() {
        Mutant.assertCaught("a limit of logins", () -> assertStaysBelowTheLimit(1000, false));
        Mutant.assertCaught("a limit across connections", () -> assertStaysBelowTheLimit(150, true));
    }

    /** @param renewed whether each connection begins with a new bucket */
    private static void assertStaysBelowTheLimit(int perSecond, boolean renewed) {
        Played played = new Played();
        played.limit(perSecond);
        played.login(2000);
        for (int connection = 0; connection < 6; connection++) {
            if (renewed) {
                played.limit(perSecond);
            }
            played.connect();
            played.pass(Duration.ofMillis(150));
            played.disconnect();
        }
        played.connect();
        played.pass(Duration.ofSeconds(20));

        assertThat(played.online).hasSize(2000);
        List<Long> logins = played.logins;
        for (int first = 0, last = 0; first < logins.size(); first++) {
            while (last < logins.size() && logins.get(last) - logins.get(first) < TimeUnit.SECONDS.toNanos(1)) {
                last++;
            }
            assertThat(last - first).as("logins within a second").isLessThanOrEqualTo(200);
        }
    }

    @Test
    void aDeviceThatThePlatformCannotAnswerForHoldsUpNobody() {
        Played played = new Played();
        played.codes.put(id(1), "500");
        played.login(1);
        played.connect();
        played.pass(Duration.ofSeconds(1));

        played.login(120);
        played.pass(Duration.ofSeconds(2));

        assertThat(played.online).hasSizeGreaterThanOrEqualTo(70);
        played.codes.clear();
        played.pass(Duration.ofMinutes(1));
        assertThat(played.online).hasSize(120);
    }

    @Test
    void aSessionThatIsLostAgainAndAgainIsMadeAtGrowingIntervals() {
        Played played = new Played();
        played.login(1);
        played.connect();
        for (int second = 0; second < 600; second++) {
            played.pass(Duration.ofSeconds(1));
            if (played.online.contains(id(1))) {
                played.sessions.refused(id(1), new GatewayException(Refusal.NO_SESSION, "no session"));
            }
        }

        assertThat(played.logins).hasSizeBetween(5, 60);
    }

    @Test
    void oneThatWasRefusedGoesIntoNoBatchAnyMore() {
        Played played = new Played();
        played.codes.put(id(7), "6204");
        played.login(20);
        played.connect();
        played.pass(Duration.ofSeconds(5));
        assertThat(played.online).hasSize(19);
        assertThat(played.requests).containsExactly(20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);

        played.requests.clear();
        played.disconnect();
        played.connect();
        played.pass(Duration.ofSeconds(5));

        assertThat(played.requests).containsExactly(19, 1);
        assertThat(played.refused).containsKey(id(7));
    }

    @Test
    void whatIsAnsweredAfterTheConnectionIsAnswerToNothing() {
        Played played = new Played();
        played.login(1);
        played.connect();
        played.pass(LATENCY.dividedBy(2));
        played.disconnect();
        played.pass(LATENCY);

        assertThat(played.online).isEmpty();
    }

    private static DeviceId id(int number) {
        return TestTopology.sub(number).id();
    }

    /** The sessions of a gateway, and its platform, which answers after a moment. */
    private static final class Played implements Line {

        private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
        private final Map<DeviceId, String> codes = new HashMap<>();
        private final Set<DeviceId> online = new HashSet<>();
        private final Map<DeviceId, GatewayException> refused = new HashMap<>();
        private final List<Long> logins = new ArrayList<>();
        private final List<Integer> requests = new ArrayList<>();
        private final Requests answers = new Requests(this, time, Duration.ofSeconds(10));
        private final Sessions sessions = new Sessions(
                this, answers, time, this::now, new Backoff(Duration.ofSeconds(1), Duration.ofMinutes(2), 0), e -> {});
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
            answers.disconnected();
            sessions.disconnected();
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
                        if (connected && asked == connection) {
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
}
