package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.AppenderBase;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.UpgradeEvent;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/**
 * The device's secret and the signatures of locations are canaries: they must not be seen anywhere, with every logger of the
 * process at TRACE.
 */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class SecretsTest {

    private static final Logger ROOT = (Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);

    @TempDir
    Path directory;

    private final List<Appender<ILoggingEvent>> usual = new ArrayList<>();
    private @Nullable Level level;
    private final Queue<String> logged = new ConcurrentLinkedQueue<>();
    private final AppenderBase<ILoggingEvent> memory = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            logged.add(event.getLoggerName() + " " + event.getFormattedMessage() + " "
                    + (event.getThrowableProxy() == null
                            ? ""
                            : ThrowableProxyUtil.asString(event.getThrowableProxy())));
        }
    };

    @BeforeEach
    void listen() {
        ROOT.iteratorForAppenders().forEachRemaining(usual::add);
        usual.forEach(ROOT::detachAppender);
        level = ROOT.getLevel();
        memory.start();
        ROOT.setLevel(Level.TRACE);
        ROOT.addAppender(memory);
    }

    @AfterEach
    void stopListening() {
        ROOT.detachAppender(memory);
        ROOT.setLevel(level);
        usual.forEach(ROOT::addAppender);
    }

    @Test
    void noSecretIsSeenWhateverHappens() {
        Payload payload = Payload.of(4_000_000, 61);
        List<String> seen = new ArrayList<>();
        try (Site site = Site.open(directory, "limit_rate 2m;", "location /closed { deny all; }")) {
            ObjectNode good = site.publish("app", "2.0.0", payload);
            try (Gateway gateway = Gateway.start(site)) {
                site.cloud().push(good);
                gateway.awaitBytes(payload.size() / 8);
                site.nginx().kill();
                gateway.awaitEvent(UpgradeEvent.Interrupted.class, "2.0.0");
                site.broker().restart();
                seen.addAll(everything(site, gateway));
            }
            site.nginx().start();
            try (Gateway gateway = Gateway.start(site)) {
                gateway.awaitSuccess("2.0.0");
                String token = "?token=" + Secrets.URL_TOKEN;
                fail(
                        site,
                        gateway,
                        "3.0.1",
                        good.deepCopy().put("sign", Payload.of(1, 1).sha256()));
                fail(site, gateway, "3.0.2", good.deepCopy().put("size", 5));
                fail(
                        site,
                        gateway,
                        "3.0.3",
                        unknown(good, site.nginx().uri("gone" + token).toString()));
                fail(
                        site,
                        gateway,
                        "3.0.4",
                        unknown(good, site.nginx().uri("closed" + token).toString()));
                fail(site, gateway, "3.0.5", unknown(good, "ftp://127.0.0.1/" + token), "app=-1");
                fail(site, gateway, "3.0.6", unknown(good, "http://u:" + Secrets.URL_TOKEN + "@127.0.0.1/" + token));
                fail(site, gateway, "3.0.7", unknown(good, "http://no host/" + token), "app=-1");
                site.cloud().push("{\"data\":{\"url\":\"http://127.0.0.1/" + token);
                await().atMost(Gateway.PATIENCE).until(() -> gateway.device().skippedMessages() == 3);
                seen.addAll(everything(site, gateway));
            }
        }
        seen.addAll(logged);

        assertThat(logged).as("what was logged").anyMatch(line -> line.contains("skipped a message"));
        assertThat(seen).as("what was seen").hasSizeGreaterThan(100);
        assertThat(seen)
                .noneMatch(text -> text.contains(Secrets.DEVICE_SECRET))
                .noneMatch(text -> text.contains(Secrets.URL_TOKEN));
    }

    /** An upgrade whose bytes the store does not have. */
    private static ObjectNode unknown(ObjectNode good, String url) {
        return good.deepCopy().put("sign", Payload.of(2, 2).sha256()).put("url", url);
    }

    private static void fail(Site site, Gateway gateway, String version, ObjectNode data) {
        site.cloud().push(data.put("version", version));
        gateway.awaitEvent(UpgradeEvent.Failed.class, version);
    }

    private static void fail(Site site, Gateway gateway, String version, ObjectNode data, String step) {
        long before = gateway.device().skippedMessages();
        site.cloud().push(data.put("version", version));
        await().atMost(Gateway.PATIENCE).until(() -> gateway.device().skippedMessages() == before + 1);
        await().atMost(Gateway.PATIENCE).until(() -> site.cloud().steps().contains(step));
    }

    /** What a life left behind where others can look: on the wire, on the disk, in events and exceptions. */
    private static List<String> everything(Site site, Gateway gateway) {
        List<String> seen = new ArrayList<>();
        site.cloud().heard().forEach(heard -> seen.add(heard.topic() + " " + heard.payload()));
        gateway.deviceEvents().forEach(event -> seen.add(event.toString()));
        seen.add(gateway.device().toString());
        for (UpgradeEvent event : gateway.events()) {
            seen.add(event.toString());
            if (event instanceof UpgradeEvent.Failed failed) {
                seen.add(stackTrace(failed.cause()));
            } else if (event instanceof UpgradeEvent.Interrupted interrupted) {
                seen.add(stackTrace(interrupted.cause()));
            }
        }
        try (Stream<Path> files = Files.walk(gateway.storeDirectory())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                seen.add(file + " " + new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return seen;
    }

    private static String stackTrace(Throwable failure) {
        StringWriter text = new StringWriter();
        failure.printStackTrace(new PrintWriter(text));
        return text.toString();
    }
}
