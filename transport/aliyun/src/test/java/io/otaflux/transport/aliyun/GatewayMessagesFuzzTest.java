package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Whatever a platform says to a gateway, on whichever of its topics: it makes sense or is malformed, never breaks anything, and
 * no text that comes of it quotes more than a code.
 */
class GatewayMessagesFuzzTest {

    private static final String GATEWAY = TestTopology.GATEWAY.product() + "/" + TestTopology.GATEWAY.name();
    private static final String SUB = "a1SubProduct/sub-1";
    private static final List<String> TOPICS = List.of(
            "/ext/session/" + GATEWAY + "/combine/login_reply",
            "/sys/" + GATEWAY + "/thing/topo/get_reply",
            "/sys/" + GATEWAY + "/thing/topo/change",
            "/sys/" + GATEWAY + "/thing/topo/add/notify",
            "/sys/" + SUB + "/thing/disable",
            "/sys/" + SUB + "/thing/enable",
            "/sys/" + SUB + "/thing/delete",
            "/ext/error/" + GATEWAY,
            "/ext/error/" + SUB);

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        for (String topic : TOPICS) {
            PlayedLine line = new PlayedLine();
            line.codes.put(TestTopology.sub(1).id(), PlayedLine.SILENCE);
            AliyunGateway gateway = line.gateway();
            List<GatewayEvent> events = new ArrayList<>();
            gateway.events().subscribe(events::add);
            // Both of these wait for an answer, with the ids 1 and 2.
            gateway.login(List.of(TestTopology.sub(1))).subscribe(events::add, failure -> {});
            gateway.get()
                    .subscribe(devices -> assertThat(devices).doesNotContainNull(), failure -> assertTold(failure));
            line.pass(Duration.ZERO);
            try {
                assertThat(gateway.received(topic, input)).isTrue();
            } catch (MalformedMessage e) {
                assertTold(e);
            }
            for (GatewayEvent event : events) {
                if (event instanceof GatewayEvent.LoginRefused refused) {
                    assertTold(refused.cause());
                }
            }
        }
        try {
            GatewayMessages.readRegistered(Messages.read(input).path("data"))
                    .forEach(device -> assertThat(device).hasToString("SubDevice[" + device.id() + "]"));
        } catch (MalformedMessage e) {
            assertTold(e);
        }
    }

    private static void assertTold(Throwable failure) {
        assertThat(failure.getMessage()).hasSizeLessThan(400).matches("[\\x20-\\x7e]*");
    }
}
