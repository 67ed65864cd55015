package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.DeviceId;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

class OutboxTest {

    private static final DeviceId ONE = new DeviceId("pk", "one");
    private static final DeviceId TWO = new DeviceId("pk", "two");

    private final Outbox outbox = new Outbox();
    private final List<String> told = new ArrayList<>();

    @Test
    void devicesTakeTurnsAndEachHasOneMessageUnderWay() throws MalformedMessage {
        outbox.opened(ONE);
        outbox.opened(TWO);
        version(ONE, "a", "1");
        version(ONE, "b", "1");
        version(TWO, "a", "1");

        Outbox.Message first = outbox.next();
        Outbox.Message second = outbox.next();
        assertThat(List.of(text(first), text(second))).containsExactly("one a 1", "two a 1");
        assertThat(outbox.next()).isNull();

        outbox.sent(first);
        assertThat(told).containsExactly("one a 1");
        assertThat(text(outbox.next())).isEqualTo("one b 1");
    }

    @Test
    void aDeviceThatCannotBeHeardWaitsAndHoldsUpNobody() throws MalformedMessage {
        outbox.opened(TWO);
        version(ONE, "a", "1");
        version(TWO, "a", "1");

        Outbox.Message other = outbox.next();
        assertThat(text(other)).isEqualTo("two a 1");
        outbox.sent(other);
        assertThat(outbox.next()).isNull();

        outbox.opened(ONE);
        assertThat(text(outbox.next())).isEqualTo("one a 1");
    }

    @Test
    void nobodyWaitsForProgressOfADeviceThatCannotBeHeard() {
        outbox.opened(TWO);

        step(ONE, new Step(50, ""));
        step(ONE, new Step(-2, "why"));
        step(TWO, new Step(50, ""));
        assertThat(told).containsExactly("one 50");

        outbox.closed(TWO);
        assertThat(told).containsExactly("one 50", "two 50");
    }

    @Test
    void aDeviceThatIsOpenedAgainTellsItsVersionsAgainBeforeWhatWaits() throws MalformedMessage {
        outbox.opened(ONE);
        version(ONE, "a", "1");
        outbox.sent(outbox.next());
        outbox.closed(ONE);
        step(ONE, new Step(-2, "why"));

        outbox.opened(ONE);

        Outbox.Message again = outbox.next();
        assertThat(text(again)).isEqualTo("one a 1");
        outbox.sent(again);
        Outbox.Message failure = outbox.next();
        assertThat(failure.isVersion()).isFalse();
    }

    @Test
    void aDeviceThatIsGivenUpTellsThoseWhoWaitForItAndNobodyElse() {
        version(ONE, "a", "1");
        version(TWO, "a", "1");

        outbox.fail(ONE, new IllegalStateException("refused"));
        assertThat(told).containsExactly("one a 1: refused");

        outbox.opened(ONE);
        assertThat(outbox.next()).isNotNull();
        outbox.forget(ONE, new IllegalStateException("gone"));
        outbox.opened(ONE);
        assertThat(outbox.next()).isNull();
    }

    @Test
    void aMessageThatWasReplacedWhileItWasUnderWayIsFollowedByTheOther() throws MalformedMessage {
        outbox.opened(ONE);
        version(ONE, "a", "1");
        Outbox.Message first = outbox.next();
        version(ONE, "a", "2");
        assertThat(outbox.next()).isNull();

        outbox.sent(first);
        assertThat(told).containsExactly("one a 1");
        Outbox.Message second = outbox.next();
        assertThat(text(second)).isEqualTo("one a 2");
        outbox.sent(second);
        assertThat(told).containsExactly("one a 1", "one a 2");
    }

    @Test
    void thousandsOfDevicesAreAllHeard() {
        IntStream.range(0, 20_000)
                .mapToObj(number -> new DeviceId("pk", "d" + number))
                .forEach(device -> {
                    outbox.opened(device);
                    version(device, "a", "1");
                    version(device, "b", "1");
                });

        int sent = 0;
        for (Outbox.Message message = outbox.next(); message != null; message = outbox.next()) {
            outbox.sent(message);
            sent++;
        }
        assertThat(sent).isEqualTo(40_000);
        assertThat(told).hasSize(40_000);
    }

    private void version(DeviceId device, String module, String version) {
        String what = device.name() + " " + module + " " + version;
        Mono.<Void>create(sink -> outbox.version(device, module, version, sink))
                .subscribe(never -> {}, e -> told.add(what + ": " + e.getMessage()), () -> told.add(what));
    }

    private void step(DeviceId device, Step step) {
        String what = device.name() + " " + step.value();
        Mono.<Void>create(sink -> outbox.step(device, "a", step, sink))
                .subscribe(never -> {}, e -> told.add(what + ": " + e.getMessage()), () -> told.add(what));
    }

    private static String text(Outbox.Message message) throws MalformedMessage {
        JsonNode params = Messages.read(message.payload("1")).path("params");
        assertThat(message.topic())
                .isEqualTo("/ota/device/inform/pk/" + message.device().name());
        return message.device().name() + " " + params.path("module").asText() + " "
                + params.path("version").asText();
    }
}
