package io.otaflux.transport.http;

import static io.otaflux.testkit.FaultServer.answer;
import static io.otaflux.testkit.FaultServer.ok;
import static io.otaflux.transport.http.Asking.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.AppenderBase;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.Mutant;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** With every logger of the process at TRACE, no secret of a download is in a line of any of them. */
class DiscretionTest {

    private static final String CANARY = "CANARY";
    private static final String BODY = "0123456789".repeat(100);
    private static final DeviceId DEVICE = new DeviceId("product", "device");

    private final LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    private final Logger root = context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    private final Map<Logger, @Nullable Level> levels = new HashMap<>();
    private final List<Appender<ILoggingEvent>> appenders = new ArrayList<>();
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
    void listenToEverything() {
        root.iteratorForAppenders().forEachRemaining(appenders::add);
        appenders.forEach(root::detachAppender);
        for (Logger logger : context.getLoggerList()) {
            levels.put(logger, logger.getLevel());
            logger.setLevel(logger == root ? Level.TRACE : null);
        }
        memory.setContext(context);
        memory.start();
        root.addAppender(memory);
    }

    @AfterEach
    void listenNoMore() {
        root.detachAppender(memory);
        levels.forEach(Logger::setLevel);
        appenders.forEach(root::addAppender);
    }

    @Test
    void noSecretIsLoggedWhateverHappens() {
        List<UpgradeEvent> events = new ArrayList<>();
        List<String> requests = new ArrayList<>();

        watch(
                home -> Asking.local()
                        .allowHttp(true)
                        .header(home, "Authorization", "Bearer " + CANARY)
                        .header(home, "X-Token", CANARY)
                        .build(),
                events,
                requests);

        assertThat(events.stream().map(event -> event.getClass().getSimpleName()))
                .contains("Interrupted", "Succeeded", "Failed");
        assertThat(requests).filteredOn(request -> request.contains(CANARY)).hasSizeGreaterThanOrEqualTo(6);
        assertThat(logged)
                .as("Reactor Netty had its say")
                .anyMatch(line -> line.contains("HttpClientConnect") && line.contains("/signed, method=GET"))
                .anyMatch(line -> line.contains("HttpClientOperations") && line.contains("Received response"));
    }

    @Test
    void reactorNettyDoesLogWhatItIsTold() {
        Mutant.assertCaught(
                "the query that Reactor Netty is not told",
                () -> watch(home -> new Naive(headers -> {}, null), new ArrayList<>(), new ArrayList<>()));
    }

    /** Downloads with a redirect, a cut, a resumption and refusals, and looks for secrets in what was logged. */
    private void watch(Function<URI, ArtifactSource> making, List<UpgradeEvent> events, List<String> requests) {
        String half = BODY.substring(0, 500);
        try (FaultServer bytes = new FaultServer(
                        answer("200 OK", half, "Content-Length: 1000", "ETag: \"v1\"", "Set-Cookie: s=" + CANARY)
                                .thenReset(),
                        answer(
                                "206 Partial Content",
                                half,
                                "Content-Range: bytes 500-999/1000",
                                "Content-Length: 500",
                                "ETag: \"v1\""));
                FaultServer home = new FaultServer(
                        to(bytes.uri("/signed?Signature=" + CANARY).toString()),
                        to(bytes.uri("/signed?Signature=" + CANARY + "2").toString()),
                        answer(
                                "403 Forbidden",
                                CANARY,
                                "Content-Length: 6",
                                "WWW-Authenticate: Bearer realm=" + CANARY),
                        to("http://10.0.0.1/?" + CANARY),
                        to("http://u:" + CANARY + "@127.0.0.1/"),
                        to("http://127.0.0.1/?\u0001" + CANARY),
                        answer(
                                "302 Elsewhere",
                                "",
                                "Location: /?" + CANARY,
                                "Location: /?" + CANARY,
                                "Content-Length: 0"),
                        answer("200 OK", "", "X-Broken\u0001: " + CANARY, "Content-Length: 0"),
                        ok(CANARY + "more than was promised"))) {
            ArtifactSource source = making.apply(home.uri("/"));
            URI location = home.uri("/artifact?token=" + CANARY);
            OtaClient ota = OtaClient.builder(UpgradeChannel.none(DEVICE))
                    .source(source)
                    .store(new MemoryStore())
                    .installer(verified -> Mono.just(Installer.Effect.IMMEDIATE))
                    .backoff(new Backoff(Duration.ofMillis(1), Duration.ofMillis(10), 2))
                    .build();
            upgrade(ota, location, "1", BODY, events);
            for (int i = 2; i < 9; i++) {
                upgrade(ota, location, String.valueOf(i), "another " + i, events);
            }
            ota.dispose();
            if (source instanceof HttpArtifactSource real) {
                real.close().block(PATIENCE);
            }
            requests.addAll(home.requests());
            requests.addAll(bytes.requests());
        }

        assertThat(logged).noneMatch(line -> line.contains(CANARY));
        assertThat(events).map(DiscretionTest::everything).noneMatch(text -> text.contains(CANARY));
    }

    private static void upgrade(
            OtaClient ota, URI location, String version, String content, List<UpgradeEvent> events) {
        Artifact artifact = new Artifact("file", location, content.length(), List.of(Digest.sha256(sha256(content))));
        ota.upgrade(new UpgradeTrigger(DEVICE, "app", version, artifact))
                .doOnNext(events::add)
                .blockLast(PATIENCE);
    }

    private static String everything(UpgradeEvent event) {
        StringWriter text = new StringWriter();
        PrintWriter out = new PrintWriter(text);
        out.println(event);
        if (event instanceof UpgradeEvent.Failed failed) {
            failed.cause().printStackTrace(out);
        } else if (event instanceof UpgradeEvent.Interrupted interrupted) {
            interrupted.cause().printStackTrace(out);
        }
        return text.toString();
    }

    private static Answer to(String location) {
        return answer("302 Elsewhere", "", "Location: " + location, "Content-Length: 0", "Connection: close");
    }

    private static String sha256(String content) {
        try {
            return HexFormat.of()
                    .formatHex(
                            MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.ISO_8859_1)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
