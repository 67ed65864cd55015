package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** What a broker that outlives the platform is told about messages. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class DeviceConversationTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private MosquittoBroker mosquitto;

    @BeforeEach
    void start() {
        mosquitto = MosquittoBroker.start();
    }

    @AfterEach
    void stop() {
        mosquitto.close();
    }

    /** Notes what it hears and says what becomes of it. */
    private record Ear(List<String> heard, Mono<Void> outcome) implements DeviceConversation.Listener {

        Ear(Mono<Void> outcome) {
            this(new CopyOnWriteArrayList<>(), outcome);
        }

        @Override
        public Mono<Void> informed(DeviceKey device, DeviceMessages.Inform inform) {
            heard.add(inform.version());
            return outcome;
        }

        @Override
        public Mono<Void> progressed(DeviceKey device, DeviceMessages.Progress progress) {
            heard.add("" + progress.step());
            return outcome;
        }

        @Override
        public Mono<byte[]> queried(DeviceKey device, DeviceMessages.Query query) {
            return Mono.error(new AssertionError("nobody asks here"));
        }

        @Override
        public Mono<byte[]> requested(DeviceKey device, DeviceTopics.Kind kind, DeviceMessages.Request request) {
            return Mono.error(new AssertionError("nobody asks here"));
        }

        @Override
        public DeviceKey connection(DeviceKey device) {
            return device;
        }
    }

    @Test
    void aReportThatDidNotReachTheDiskIsHeardAgain() {
        Ear stuck = new Ear(Mono.never());
        Ear failing = new Ear(Mono.error(new IllegalStateException("the disk is full")));
        Ear working = new Ear(Mono.empty());
        Ear later = new Ear(Mono.empty());
        try (DeviceClient device =
                DeviceClient.connect(mosquitto.port(), new DeviceCredentials("pk", "dn", "secret"))) {
            hear(stuck, () -> device.inform("app", "1").progress("app", 5, ""), "1", "5");
            hear(failing, () -> {}, "1", "5");
            hear(working, () -> {}, "1", "5");
            hear(later, () -> device.inform("app", "2"), "2");
        }
    }

    /** Runs a conversation until it has heard what is expected, in that order, and nothing else. */
    private void hear(Ear ear, Runnable device, String... expected) {
        try (DeviceConversation conversation =
                new DeviceConversation(new ExternalBroker("127.0.0.1", mosquitto.port(), null), "platform", ear)) {
            conversation.start().block(PATIENCE);
            device.run();
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(ear.heard()).containsExactly(expected));
        }
    }
}
