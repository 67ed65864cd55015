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
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** Whatever happens, the log knows no secret, at its most talkative. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class SecretsTest {

    @Test
    void neitherTheSecretNorItsSignatureNorASignedUrlIsLogged() throws Exception {
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
        } finally {
            root.setLevel(before);
            root.detachAppender(appender);
            root.addAppender(console);
        }
        assertThat(lines)
                .hasSizeGreaterThan(10)
                .noneMatch(line -> line.contains(TestPlatform.SECRET))
                .noneMatch(line -> line.contains(TestPlatform.login().password().value()))
                .noneMatch(line -> line.contains("CANARY-token"));
    }
}
