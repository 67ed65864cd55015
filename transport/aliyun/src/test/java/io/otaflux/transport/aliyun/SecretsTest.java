package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.AppenderBase;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.aliyun.DynamicRegistration.Way;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.bouncycastle.asn1.x509.GeneralName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Whatever happens, the log knows no secret, at its most talkative. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class SecretsTest {

    @Test
    void neitherTheSecretNorItsSignatureNorASignedUrlIsLogged() throws Exception {
        List<String> lines = listening(SecretsTest::upgrade);

        assertThat(lines)
                .hasSizeGreaterThan(10)
                .noneMatch(line -> line.contains(TestPlatform.SECRET))
                .noneMatch(line -> line.contains(TestPlatform.login().password().value()))
                .noneMatch(line -> line.contains("CANARY-token"));
    }

    @Test
    void nothingThatARegistrationSendsOrGetsIsLogged(@TempDir Path directory) throws Exception {
        List<String> sent = new CopyOnWriteArrayList<>();
        List<String> lines = listening(told -> {
            Authority authority = Authority.create(directory);
            Authority.Server self = authority.server(new GeneralName(GeneralName.iPAddress, "127.0.0.1"));
            for (Way way : List.of(Way.MQTT, Way.MQTT_UNKNOWN_DEVICE)) {
                String answer = "{\"deviceSecret\":\"CANARY-new\",\"clientId\":\"c\",\"deviceToken\":\"CANARY-token\"}";
                for (String payload : List.of(answer, answer.substring(1))) {
                    try (TellingBroker broker = TellingBroker.telling(
                            authority, self, way == Way.MQTT ? "/ext/register" : "/ext/regnwl", payload)) {
                        DynamicRegistration registration = DynamicRegistration.builder()
                                .host("127.0.0.1")
                                .port(broker.port())
                                .trust(authority.certificate())
                                .product("pk", "CANARY-product-secret")
                                .deviceName("dn")
                                .store(FileCredentialStore.at(directory.resolve(way + ".json")))
                                .way(way)
                                .build();
                        told.add(registration.toString());
                        told.add(registration
                                .register()
                                .map(Credentials::toString)
                                .onErrorResume(e -> Mono.just(e.toString()))
                                .block(PATIENCE));
                        broker.connects().forEach(connect -> sent.add(connect.password()));
                        Files.deleteIfExists(directory.resolve(way + ".json"));
                    }
                }
            }
        });

        assertThat(sent).hasSize(4);
        assertThat(lines)
                .hasSizeGreaterThan(7)
                .noneMatch(line -> line.contains("CANARY"))
                .noneMatch(line -> sent.stream().anyMatch(line::contains));
    }

    /** What is done, with a place to put other text that somebody could see. */
    private interface Work {

        void run(List<String> told) throws Exception;
    }

    private static List<String> listening(Work work) throws Exception {
        List<String> lines = new CopyOnWriteArrayList<>();
        AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
            @Override
            protected void append(ILoggingEvent event) {
                lines.add(event.getFormattedMessage());
                for (IThrowableProxy cause = event.getThrowableProxy(); cause != null; cause = cause.getCause()) {
                    lines.add(String.valueOf(cause.getMessage()));
                }
            }
        };
        Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        Level before = root.getLevel();
        // Only here: a console full of it helps nobody.
        Appender<ILoggingEvent> console = root.iteratorForAppenders().next();
        root.detachAppender(console);
        appender.start();
        root.addAppender(appender);
        root.setLevel(Level.TRACE);
        try {
            work.run(lines);
        } finally {
            root.setLevel(before);
            root.detachAppender(appender);
            root.addAppender(console);
        }
        return lines;
    }

    private static void upgrade(List<String> lines) throws Exception {
        try (MosquittoBroker broker = MosquittoBroker.start()) {
            TestPlatform platform = TestPlatform.on(broker);
            AliyunDevice device = TestPlatform.device(broker.port()).build();
            device.events().subscribe(event -> lines.add(event.toString()));
            device.upgrades()
                    .triggers()
                    .subscribe(
                            delivery -> {
                                lines.add(delivery.toString());
                                delivery.acknowledge();
                            },
                            refused -> lines.add(refused.toString()));
            device.connect().block(PATIENCE);
            String url = "https://h/f?auth_key=CANARY-token";
            platform.push("{\"data\":{\"version\":\"1\",\"size\":1,\"url\":\"" + url + "\"}}", MqttQos.AT_LEAST_ONCE);
            platform.push("{\"data\":{\"version\":\"1\",\"url\":\"" + url + "\"}}", MqttQos.AT_LEAST_ONCE);
            platform.push("{\"data\":{\"version\":\"1\",\"url\":\"" + url + "\"", MqttQos.AT_LEAST_ONCE);
            platform.push("{\"data\":{\"version\":\"1\",\"url\":\"x " + url + "\"}}", MqttQos.AT_LEAST_ONCE);
            device.upgrades().report(DEVICE, "app", "1").block(PATIENCE);
            await().atMost(PATIENCE).until(() -> device.skippedMessages() == 3);
            lines.add(device.toString());
            broker.stop();
            await().atMost(PATIENCE).until(() -> lines.stream().anyMatch(line -> line.contains("cannot connect")));
            try (RefusingBroker refusing = RefusingBroker.answering(4, broker.port())) {
                await().atMost(PATIENCE).until(() -> lines.stream().anyMatch(line -> line.contains("gives up")));
                assertThat(refusing.attempts()).isPositive();
            }
            platform.close();
            device.close().block(PATIENCE);
        }
    }
}
