package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.rest;
import static io.otaflux.transport.http.Asking.whole;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;

/** What a real server does with what this client asks. */
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class HttpNginxTest {

    private static final int SIZE = 3_000_000;

    private final BufferLedger ledger = new BufferLedger();
    private final byte[] content = new byte[SIZE];

    @TempDir
    Path directory;

    private HttpArtifactSource source;

    @BeforeEach
    void open() {
        new Random(20_260_301).nextBytes(content);
        source = Asking.local().allowHttp(true).allocator(ledger.allocator()).build();
    }

    @AfterEach
    void nothingIsLeft() {
        Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
        source.close().block(PATIENCE);
    }

    @Test
    void aTransferGoesOnWithTheEntityTagOfItsBeginning() {
        try (NginxServer nginx = NginxServer.start(directory)) {
            URI location = nginx.put("a.bin", content);
            String validator = ask(source, whole(location, SIZE)).validator();
            assertThat(validator).startsWith("\"").endsWith("\"");

            Asking.Answer answer = ask(source, rest(location, SIZE, 1_234_567, validator));

            assertThat(answer.offset()).isEqualTo(1_234_567);
            assertThat(answer.bytes()).isEqualTo(Arrays.copyOfRange(content, 1_234_567, SIZE));
        }
    }

    @Test
    void aTransferGoesOnWithTheDateOfItsBeginningWhereThereIsNoEntityTag() {
        try (NginxServer nginx = NginxServer.start(directory, "etag off;")) {
            URI location = nginx.put("a.bin", content);
            String validator = ask(source, whole(location, SIZE)).validator();
            assertThat(validator).endsWith(" GMT");

            assertThat(ask(source, rest(location, SIZE, 1_000, validator)).offset())
                    .isEqualTo(1_000);
            nginx.put("a.bin", content);
            assertThat(ask(source, rest(location, SIZE, 1_000, validator)).offset())
                    .isZero();
        }
    }

    @Test
    void aFileThatWasReplacedStartsOver() {
        try (NginxServer nginx = NginxServer.start(directory)) {
            String validator =
                    ask(source, whole(nginx.put("a.bin", content), SIZE)).validator();
            byte[] other = content.clone();
            other[0] ^= 1;
            URI location = nginx.put("a.bin", other);

            Asking.Answer answer = ask(source, rest(location, SIZE, 1_000_000, validator));

            assertThat(answer.offset()).isZero();
            assertThat(answer.validator()).isNotEqualTo(validator);
            assertThat(answer.bytes()).isEqualTo(other);
        }
    }

    @Test
    void aFileThatBecameShorterIsAnotherLength() {
        try (NginxServer nginx = NginxServer.start(directory)) {
            URI location = nginx.put("a.bin", Arrays.copyOf(content, 1_000));

            assertThat(failure(source, rest(location, SIZE, 1_000_000, null)).reason())
                    .isEqualTo(Reason.TRUNCATED);
        }
    }

    @Test
    void anOffsetBeyondTheEndStartsOver() {
        try (NginxServer nginx = NginxServer.start(directory)) {
            URI location = nginx.put("a.bin", content);

            Asking.Answer answer = ask(source, rest(location, Artifact.UNKNOWN_SIZE, SIZE + 1, null));

            assertThat(answer.offset()).isZero();
            assertThat(answer.bytes()).isEqualTo(content);
        }
    }

    @Test
    void aServerThatCompressesDoesNotCompressForUs() {
        try (NginxServer nginx =
                NginxServer.start(directory, "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;")) {
            byte[] compressible = new byte[SIZE];
            URI location = nginx.put("a.bin", compressible);

            Asking.Answer answer = ask(source, whole(location, SIZE));

            assertThat(answer.size()).isEqualTo(SIZE);
            assertThat(answer.bytes()).isEqualTo(compressible);
            assertThat(ask(source, rest(location, SIZE, 1_000, answer.validator()))
                            .offset())
                    .isEqualTo(1_000);
        }
    }

    @Test
    void aServerThatCompressesAnywayIsRefused() {
        try (NginxServer nginx = NginxServer.start(directory, "add_header Content-Encoding gzip;")) {
            assertThat(failure(source, whole(nginx.put("a.bin", content), SIZE)).reason())
                    .isEqualTo(Reason.BAD_RESPONSE);
        }
    }

    @Test
    void refusalsHaveTheirNames() {
        try (NginxServer nginx = NginxServer.start(
                directory,
                "location /secret { deny all; }",
                "location /gone { return 410; }",
                "location /limit { return 429; }",
                "location /away { return 302 /a.bin; }")) {
            nginx.put("a.bin", content);

            assertThat(failure(source, whole(nginx.uri("secret"), SIZE)).reason())
                    .isEqualTo(Reason.FORBIDDEN);
            assertThat(failure(source, whole(nginx.uri("none"), SIZE)).reason()).isEqualTo(Reason.NOT_FOUND);
            assertThat(failure(source, whole(nginx.uri("gone"), SIZE)).reason()).isEqualTo(Reason.NOT_FOUND);
            assertThat(failure(source, whole(nginx.uri("limit"), SIZE)).reason())
                    .isEqualTo(Reason.SERVER_BUSY);
            assertThat(ask(source, whole(nginx.uri("away"), SIZE)).bytes()).isEqualTo(content);
        }
    }

    @Test
    void aTransferSurvivesARestartOfTheServer() {
        try (NginxServer nginx = NginxServer.start(directory, "limit_rate 2m;")) {
            URI location = nginx.put("a.bin", content);
            ByteArrayOutputStream received = new ByteArrayOutputStream();
            AtomicReference<@Nullable String> validator = new AtomicReference<>();
            AtomicInteger requests = new AtomicInteger();
            AtomicReference<Throwable> lost = new AtomicReference<>();

            Flux<ByteBuf> transfer = Flux.defer(() -> source.read(
                    new Request(Asking.artifact(location, SIZE), received.size(), validator.get()), answer -> {
                        requests.incrementAndGet();
                        assertThat(answer.offset()).isEqualTo(received.size());
                        validator.set(answer.validator());
                        return answer.bytes().doOnNext(buffer -> {
                            received.writeBytes(ByteBufUtil.getBytes(buffer));
                            buffer.release();
                        });
                    }));
            transfer.doOnNext(buffer -> {
                        if (received.size() > SIZE / 3 && requests.get() == 1) {
                            requests.incrementAndGet();
                            nginx.stop();
                        }
                    })
                    .doOnError(lost::set)
                    .onErrorComplete()
                    .then()
                    .as(StepVerifier::create)
                    .expectComplete()
                    .verify(PATIENCE);
            assertThat(lost.get()).isInstanceOf(OtaException.class);
            assertThat(((OtaException) lost.get()).reason()).isEqualTo(Reason.CONNECTION_LOST);
            assertThat(received.size()).isBetween(SIZE / 3, SIZE - 1);

            assertThat(failure(source, rest(location, SIZE, received.size(), validator.get()))
                            .reason())
                    .isEqualTo(Reason.CONNECTION_LOST);
            nginx.start();
            transfer.as(StepVerifier::create)
                    .thenConsumeWhile(buffer -> true)
                    .expectComplete()
                    .verify(PATIENCE);

            assertThat(received.toByteArray()).isEqualTo(content);
        }
    }
}
