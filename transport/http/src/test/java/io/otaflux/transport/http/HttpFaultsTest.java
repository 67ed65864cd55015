package io.otaflux.transport.http;

import static io.otaflux.testkit.FaultServer.answer;
import static io.otaflux.testkit.FaultServer.ok;
import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.collect;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.rest;
import static io.otaflux.transport.http.Asking.whole;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Content;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

/** What a server can do wrong, or a network, byte by byte. */
class HttpFaultsTest {

    private static final Duration SHORT = Duration.ofMillis(500);
    private static final String SECRET = "?Signature=CANARY";
    private static final String BODY = "0123456789";

    private final BufferLedger ledger = new BufferLedger();
    private final List<AutoCloseable> opened = new ArrayList<>();
    private HttpArtifactSource source;

    @BeforeEach
    void open() {
        source = Asking.local()
                .allowHttp(true)
                .allocator(ledger.allocator())
                .connectTimeout(SHORT)
                .firstByteTimeout(SHORT)
                .stallTimeout(SHORT)
                .maxConnections(2)
                .build();
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
        source.close().block(PATIENCE);
        for (AutoCloseable closeable : opened) {
            closeable.close();
        }
    }

    // What is asked

    @Test
    void aFirstRequestAsksForTheWholeUnencoded() {
        FaultServer server = serving(ok(BODY, "ETag: \"v1\""));

        assertThat(ask(source, whole(server.uri("/a.bin" + SECRET), 10)).validator())
                .isEqualTo("\"v1\"");

        assertThat(server.requests())
                .singleElement()
                .asString()
                .startsWith("GET /a.bin" + SECRET + " HTTP/1.1\r\n")
                .containsIgnoringCase("accept-encoding: identity\r\n")
                .containsIgnoringCase("host: 127.0.0.1:" + server.port() + "\r\n")
                .doesNotContainIgnoringCase("range");
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"v1\"", "unquoted", "Mon, 02 Mar 2026 10:00:00 GMT", "\"\u00e9\""})
    void aResumeEchoesTheValidatorAsItCame(String validator) {
        FaultServer server =
                serving(answer("206 Partial Content", "6789", "Content-Range: bytes 6-9/10", "Content-Length: 4"));

        Asking.Answer answer = ask(source, rest(server.uri("/a"), 10, 6, validator));

        assertThat(answer.offset()).isEqualTo(6);
        assertThat(answer.size()).isEqualTo(10);
        assertThat(answer.validator()).isEqualTo(validator);
        assertThat(answer.text()).isEqualTo("6789");
        assertThat(server.requests())
                .singleElement()
                .asString()
                .containsIgnoringCase("\r\nrange: bytes=6-\r\n")
                .containsIgnoringCase("\r\nif-range: " + validator + "\r\n");
    }

    @Test
    void aResumeWithoutAValidatorAsksForTheRangeAlone() {
        FaultServer server =
                serving(answer("206 Partial Content", "6789", "Content-Range: bytes 6-9/10", "Content-Length: 4"));

        assertThat(ask(source, rest(server.uri("/a"), 10, 6, null)).text()).isEqualTo("6789");

        assertThat(server.requests())
                .singleElement()
                .asString()
                .containsIgnoringCase("\r\nrange: bytes=6-\r\n")
                .doesNotContainIgnoringCase("if-range");
    }

    @Test
    void aServerThatIgnoresRangesStartsOver() {
        FaultServer server = serving(ok(BODY));

        Asking.Answer answer = ask(source, rest(server.uri("/a"), 10, 6, "\"v1\""));

        assertThat(answer.offset()).isZero();
        assertThat(answer.text()).isEqualTo(BODY);
    }

    @Test
    void anUnsatisfiableRangeIsFollowedByOneRequestForTheWhole() {
        FaultServer server =
                serving(answer("416 Range Not Satisfiable", "nope", "Content-Length: 4"), ok(BODY, "ETag: \"v2\""));

        Asking.Answer answer = ask(source, rest(server.uri("/a"), 10, 6, "\"v1\""));

        assertThat(answer.offset()).isZero();
        assertThat(answer.validator()).isEqualTo("\"v2\"");
        assertThat(answer.text()).isEqualTo(BODY);
        assertThat(server.requests()).hasSize(2).last().asString().doesNotContainIgnoringCase("range");
    }

    @Test
    void aServerThatFindsTheWholeUnsatisfiableIsBroken() {
        String refusal = "416 Range Not Satisfiable";
        FaultServer server =
                serving(answer(refusal, "", "Content-Length: 0"), answer(refusal, "", "Content-Length: 0"));

        assertThat(fails(rest(server.uri("/a" + SECRET), 10, 6, "\"v1\"")).reason())
                .isEqualTo(Reason.BAD_RESPONSE);
        assertThat(server.requests()).hasSize(2);
    }

    @Test
    void aRangeAfterTheEndOfTheWholeIsTheEnd() {
        FaultServer server =
                serving(answer("416 Range Not Satisfiable", "nope", "Content-Range: bytes */10", "Content-Length: 4"));

        Asking.Answer answer = ask(source, rest(server.uri("/a"), Artifact.UNKNOWN_SIZE, 10, "\"v1\""));

        assertThat(answer.offset()).isEqualTo(10);
        assertThat(answer.size()).isEqualTo(10);
        assertThat(answer.validator()).isEqualTo("\"v1\"");
        assertThat(answer.bytes()).isEmpty();
        assertThat(server.requests()).hasSize(1);
        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void aRangeOfAnotherContentIsFollowedByOneRequestForTheWhole() {
        FaultServer server = serving(
                answer("206 OK", "6789", "Content-Range: bytes 6-9/10", "Content-Length: 4", "ETag: \"v2\""),
                ok("abcdefghij", "ETag: \"v2\""));

        Asking.Answer answer = ask(source, rest(server.uri("/a"), 10, 6, "\"v1\""));

        assertThat(answer.offset()).isZero();
        assertThat(answer.text()).isEqualTo("abcdefghij");
    }

    // Lengths

    @Test
    void anAnswerThatIsCutOffIsATransferLost() {
        FaultServer server = serving(ok(BODY).thenClose(), cut().thenClose(), cut().thenReset());
        URI location = server.uri("/a" + SECRET);

        assertThat(ask(source, whole(location, 10)).text()).isEqualTo(BODY);
        assertLost(fails(whole(location, 10)));
        assertLost(fails(whole(location, 10)));
    }

    @Test
    void anAnswerThatEndsWithItsConnectionIsMeasuredByTheDeclaredLength() {
        FaultServer server = serving(
                answer("200 OK", BODY).thenClose(),
                answer("200 OK", "01234").thenClose(),
                answer("200 OK", BODY + "x").thenClose());
        URI location = server.uri("/a" + SECRET);

        assertThat(ask(source, whole(location, 10)).text()).isEqualTo(BODY);
        OtaException lost = fails(whole(location, 10));
        assertLost(lost);
        assertThat(lost).hasMessageContaining("5 of 10 bytes");
        assertEndless(fails(whole(location, 10)), 11);
    }

    @Test
    void anAnswerOfUnknownLengthEndsWhereItsServerEndsIt() {
        FaultServer server = serving(answer("200 OK", "01234").thenClose());

        Asking.Answer answer = ask(source, whole(server.uri("/a"), Artifact.UNKNOWN_SIZE));

        assertThat(answer.text()).isEqualTo("01234");
        assertThat(answer.size()).isEqualTo(Artifact.UNKNOWN_SIZE);
    }

    @Test
    void chunksAreMeasuredByTheDeclaredLength() {
        String chunked = "Transfer-Encoding: chunked";
        FaultServer server = serving(
                answer("200 OK", "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", chunked),
                answer("200 OK", "5\r\n01234\r\n0\r\n\r\n", chunked),
                answer("200 OK", "5\r\n01234\r\n5\r\n567", chunked).thenClose(),
                answer("200 OK", "5\r\n01234\r\n5\r\n56789\r\n", chunked).thenClose(),
                answer("200 OK", "5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n", chunked));
        URI location = server.uri("/a" + SECRET);

        assertThat(ask(source, whole(location, 10)).text()).isEqualTo(BODY);
        assertLost(fails(whole(location, 10)));
        assertLost(fails(whole(location, 10)));
        assertLost(fails(whole(location, 10)));
        assertEndless(fails(whole(location, 10)), 11);
    }

    @Test
    void noByteBeyondTheDeclaredLengthIsHandedOut() {
        staysWithin(100_000, source);

        Mutant.assertCaught(
                "the length bound",
                () -> staysWithin(100_000, new ArtifactSource() {
                    @Override
                    public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                        return source.read(
                                whole(request.artifact().location(), Artifact.UNKNOWN_SIZE),
                                content -> consumer.apply(new Content(
                                        content.offset(),
                                        content.size(),
                                        content.validator(),
                                        content.bytes().take(100))));
                    }
                }));
    }

    private void staysWithin(int size, ArtifactSource asked) {
        FaultServer server = serving(peer -> {
            peer.send("HTTP/1.1 200 OK\r\n\r\n".getBytes(ISO_8859_1));
            byte[] endless = new byte[8_192];
            while (true) {
                peer.send(endless);
            }
        });
        AtomicInteger handedOut = new AtomicInteger();
        AtomicReference<Throwable> end = new AtomicReference<>();

        asked.read(
                        whole(server.uri("/a"), size),
                        content -> content.bytes()
                                .doOnNext(buffer -> handedOut.addAndGet(buffer.readableBytes()))
                                .doOnNext(ByteBuf::release))
                .onErrorResume(error -> {
                    end.set(error);
                    return Mono.empty();
                })
                .as(StepVerifier::create)
                .thenConsumeWhile(buffer -> true)
                .expectComplete()
                .verify(PATIENCE);

        assertThat(handedOut).hasValueLessThanOrEqualTo(size);
        assertThat(end.get()).isInstanceOf(LengthMismatchException.class);
        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void anotherAnnouncedLengthIsRefusedBeforeTheFirstByte() {
        FaultServer server = serving(ok(BODY), ok(BODY));

        assertEndless(fails(whole(server.uri("/a" + SECRET), 9)), 10);
        assertThat(fails(whole(server.uri("/a" + SECRET), 11)).reason()).isEqualTo(Reason.TRUNCATED);
    }

    @Test
    void theRemainsOfAnAnswerAreNoAnswerToTheNextRequest() {
        FaultServer server =
                serving(answer("200 OK", BODY + "SURPLUS", "Content-Length: 10"), ok("unreadable"), ok("abcdefghij"));
        URI location = server.uri("/a" + SECRET);

        assertThat(ask(source, whole(location, 10)).text()).isEqualTo(BODY);
        assertLost(fails(whole(location, 10)));
        assertThat(ask(source, whole(location, 10)).text()).isEqualTo("abcdefghij");
        assertThat(server.connections()).isEqualTo(2);
    }

    @Test
    void anAnswerThatNobodyAskedForIsNoAnswerToTheNextRequest() {
        String forged = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nFORGEDDATA";
        FaultServer server =
                serving(answer("200 OK", BODY + forged, "Content-Length: 10"), ok("abcdefghij"), ok("abcdefghij"));

        assertThat(ask(source, whole(server.uri("/a"), 10)).text()).isEqualTo(BODY);
        // The connection is being closed; who is quick enough to get it once more is told to try again.
        source.read(whole(server.uri("/a"), 10), content -> collect(content.bytes()))
                .retry(1)
                .as(StepVerifier::create)
                .assertNext(bytes -> assertThat(bytes).asString(ISO_8859_1).isEqualTo("abcdefghij"))
                .expectComplete()
                .verify(PATIENCE);
    }

    // What is no artifact

    @Test
    void encodedBytesAreRefusedBeforeTheFirst() {
        FaultServer server = serving(ok(BODY, "Content-Encoding: gzip"));

        assertThat(fails(whole(server.uri("/a" + SECRET), 10)).reason()).isEqualTo(Reason.BAD_RESPONSE);
    }

    @ParameterizedTest
    @ValueSource(ints = {100, 102, 103, 104})
    void informationalAnswersArePassedOver(int status) {
        String informational = "HTTP/1.1 " + status + " Wait\r\nLink: </style.css>\r\n\r\n";
        FaultServer server = serving(
                Answer.text(informational + informational + "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + BODY),
                Answer.text(informational),
                ok("abcdefghij"));

        assertThat(ask(source, whole(server.uri("/a"), 10)).text()).isEqualTo(BODY);
        assertThat(fails(whole(server.uri("/a" + SECRET), 10)).reason()).isEqualTo(Reason.TIMEOUT);
        assertThat(ask(source, whole(server.uri("/a"), 10)).text()).isEqualTo("abcdefghij");
        assertThat(server.connections()).isEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 11\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: 10, 11\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: -10\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: +10\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\nContent-Length: 10\n\n0123456789",
                "HTTP/1.1 abc OK\r\nContent-Length: 10\r\n\r\n0123456789",
                "HTTP/9 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\n: nameless\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nA\u0000B: c\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 10\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 0x0a\r\n\r\n0123456789",
                "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 10\r\n\r\n0123456789",
                "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b\r\n\r\n--b\r\n\r\n0123456789\r\n--b--",
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n0123456789",
                "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n",
                "\u0016\u0003\u0001\u0000\u0005hello\r\n\r\n",
                "0123456789\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n"
            })
    void whatIsNoProperAnswerIsAPermanentError(String hostile) {
        FaultServer server = serving(Answer.text(hostile).thenClose());

        OtaException failure = fails(whole(server.uri("/a" + SECRET), 10));

        assertThat(failure).isInstanceOf(SourceException.class);
        assertThat(failure.reason()).isEqualTo(Reason.BAD_RESPONSE);
        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void headersWithoutEndAreRefused() {
        FaultServer server = serving(peer -> {
            peer.send("HTTP/1.1 200 OK\r\n".getBytes(ISO_8859_1));
            for (int i = 0; i < 10_000; i++) {
                peer.send(("X-" + i + ": " + "x".repeat(100) + "\r\n").getBytes(ISO_8859_1));
            }
        });

        assertThat(fails(whole(server.uri("/a" + SECRET), 10)).reason()).isEqualTo(Reason.BAD_RESPONSE);
    }

    @Test
    void aBusyServerSaysWhenToComeBack() {
        FaultServer server = serving(answer("503 Busy", "later", "Content-Length: 5", "Retry-After: 42"), ok(BODY));

        OtaException failure = fails(whole(server.uri("/a" + SECRET), 10));

        assertThat(failure.reason()).isEqualTo(Reason.SERVER_BUSY);
        assertThat(((TransferException) failure).retryAfter()).contains(Duration.ofSeconds(42));
        assertThat(ask(source, whole(server.uri("/a"), 10)).text()).isEqualTo(BODY);
    }

    // Connections and time

    @Test
    void aServerThatHangsUpIsATransferLostAndIsNotAskedAgainByItself() {
        FaultServer server = serving(ok(BODY), Answer.text("").thenReset(), ok(BODY));
        URI location = server.uri("/a" + SECRET);

        ask(source, whole(location, 10));
        OtaException failure = fails(whole(location, 10));

        assertThat(failure.isTransient()).isTrue();
        assertThat(server.requests()).hasSize(2);
    }

    @Test
    void nobodyListeningIsATransferLost() throws IOException {
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            port = socket.getLocalPort();
        }
        assertLost(fails(whole(URI.create("http://127.0.0.1:" + port + "/a" + SECRET), 10)));
    }

    @Test
    void aConnectionThatIsNotAcceptedTimesOut() throws IOException {
        try (ServerSocket full = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            List<SocketChannel> waiting = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                SocketChannel channel = SocketChannel.open();
                channel.configureBlocking(false);
                channel.connect(new InetSocketAddress("127.0.0.1", full.getLocalPort()));
                waiting.add(channel);
            }
            OtaException failure =
                    fails(whole(URI.create("http://127.0.0.1:" + full.getLocalPort() + "/a" + SECRET), 10));
            assertThat(failure.reason()).isEqualTo(Reason.TIMEOUT);
            for (SocketChannel channel : waiting) {
                channel.close();
            }
        }
    }

    @Test
    void aServerThatDoesNotAnswerTimesOut() {
        FaultServer server = serving(Answer.text("").thenNothing());

        OtaException failure = fails(whole(server.uri("/a" + SECRET), 10));

        assertThat(failure.reason()).isEqualTo(Reason.TIMEOUT);
        assertThat(failure.isTransient()).isTrue();
        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void headersThatDripTimeOut() {
        FaultServer server = serving(peer -> {
            peer.send("HTTP/1.1 200 OK\r\nX: ".getBytes(ISO_8859_1));
            drip(peer, 10_000, 50);
        });

        assertThat(fails(whole(server.uri("/a" + SECRET), 10)).reason()).isEqualTo(Reason.TIMEOUT);
    }

    @Test
    void bytesThatStopComingTimeOut() {
        noticesSilence(source, PATIENCE);

        HttpArtifactSource patient = Asking.local()
                .allowHttp(true)
                .allocator(ledger.allocator())
                .stallTimeout(Duration.ofHours(1))
                .build();
        opened.add(() -> patient.close().block(PATIENCE));
        Mutant.assertCaught("the stall limit", () -> noticesSilence(patient, SHORT.multipliedBy(4)));
    }

    private void noticesSilence(HttpArtifactSource asked, Duration within) {
        FaultServer server = serving(cut().thenNothing());

        asked.read(whole(server.uri("/a" + SECRET), 10), content -> collect(content.bytes()))
                .as(StepVerifier::create)
                .expectErrorSatisfies(failure -> {
                    assertThat(((OtaException) failure).reason()).isEqualTo(Reason.TIMEOUT);
                    assertThat(failure)
                            .hasMessageContaining("after 5 bytes")
                            .hasMessageContaining("/a")
                            .hasMessageNotContaining("CANARY");
                })
                .verify(within);

        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void bytesThatComeSlowlyDoNotTimeOut() {
        FaultServer server = serving(peer -> {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".getBytes(ISO_8859_1));
            drip(peer, 10, SHORT.toMillis() / 4);
        });

        assertThat(ask(source, whole(server.uri("/a"), 10)).bytes()).hasSize(10);
    }

    @Test
    void aSlowSubscriberIsNotTakenForASlowServer() {
        CountDownLatch wanted = new CountDownLatch(1);
        FaultServer server = serving(cut().thenAfter(wanted, Answer.text("56789")));

        source.read(whole(server.uri("/a"), 10), content -> {
                    OneByOne slow = new OneByOne();
                    content.bytes().subscribe(slow);
                    slow.request(1);
                    return Mono.delay(SHORT.multipliedBy(3))
                            .doOnNext(tick -> {
                                assertThat(slow.error()).isNull();
                                slow.request(1);
                            })
                            .delayElement(SHORT.dividedBy(2))
                            .doOnNext(tick -> wanted.countDown())
                            .then(slow.completed());
                })
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void aServerThatIsSlowAfterASlowSubscriberTimesOut() {
        FaultServer server = serving(cut().thenNothing());

        source.read(whole(server.uri("/a"), 10), content -> {
                    OneByOne slow = new OneByOne();
                    content.bytes().subscribe(slow);
                    slow.request(1);
                    return Mono.delay(SHORT.multipliedBy(2))
                            .doOnNext(tick -> slow.request(1))
                            .then(slow.completed());
                })
                .as(StepVerifier::create)
                .expectErrorSatisfies(
                        error -> assertThat(((OtaException) error).reason()).isEqualTo(Reason.TIMEOUT))
                .verify(PATIENCE);
    }

    // The pool

    @Test
    void connectionsServeManyRequests() {
        FaultServer server = serving(Collections.nCopies(20, ok(BODY)).toArray(Answer[]::new));

        for (int i = 0; i < 20; i++) {
            ask(source, whole(server.uri("/a"), 10));
        }

        assertThat(server.connections()).isLessThanOrEqualTo(2);
    }

    @Test
    void noRequestIsLostForWantOfAConnection() {
        int many = 1_500;
        FaultServer server = serving(Collections.nCopies(many, ok(BODY)).toArray(Answer[]::new));
        HttpArtifactSource patient = Asking.local()
                .allowHttp(true)
                .allocator(ledger.allocator())
                .maxConnections(2)
                .build();
        opened.add(() -> patient.close().block(PATIENCE));

        Flux.range(0, many)
                .flatMap(i -> patient.read(whole(server.uri("/a"), 10), content -> collect(content.bytes())), many)
                .as(StepVerifier::create)
                .expectNextCount(many)
                .expectComplete()
                .verify(PATIENCE);

        assertThat(server.connections()).isLessThanOrEqualTo(2);
    }

    @Test
    void downloadsThatShareOneConnectionWaitForEachOtherAndNotForWhoHangs() {
        HttpArtifactSource single = Asking.local()
                .allowHttp(true)
                .allocator(ledger.allocator())
                .stallTimeout(SHORT)
                .maxConnections(1)
                .build();
        opened.add(() -> single.close().block(PATIENCE));
        FaultServer server = serving(cut().thenNothing(), ok(BODY), ok(BODY));

        Flux.range(0, 3)
                .flatMap(i -> single.read(whole(server.uri("/a"), 10), content -> collect(content.bytes()))
                        .map(bytes -> "arrived")
                        .onErrorResume(
                                OtaException.class,
                                failure -> Mono.just(failure.reason().name())))
                .collectList()
                .as(StepVerifier::create)
                .assertNext(ends -> assertThat(ends).containsExactlyInAnyOrder("TIMEOUT", "arrived", "arrived"))
                .expectComplete()
                .verify(PATIENCE);

        assertThat(server.requests()).hasSize(3);
        assertThat(server.connections()).isEqualTo(2);
    }

    @Test
    void answersThatNobodyReadsGiveTheirConnectionsBack() {
        FaultServer server =
                serving(Collections.nCopies(20, answer("404 Not Found", "x".repeat(100_000), "Content-Length: 1000000"))
                        .toArray(Answer[]::new));

        for (int i = 0; i < 20; i++) {
            assertThat(fails(whole(server.uri("/a" + SECRET), 10)).reason()).isEqualTo(Reason.NOT_FOUND);
        }

        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void cancellingAnAnswerThatHasArrivedDoesNotHarmTheNextOneOfItsConnection() throws Exception {
        CountDownLatch cancelled = new CountDownLatch(1);
        FaultServer server = serving(
                answer("200 OK", "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
                cut().thenAfter(cancelled, Answer.text("56789")));
        OneByOne first = new OneByOne();
        source.read(whole(server.uri("/a"), 10), content -> {
                    content.bytes().subscribe(first);
                    first.request(1);
                    return Mono.never();
                })
                .subscribe();
        Awaitility.await().atMost(PATIENCE).until(() -> first.received() == 1);

        CountDownLatch underWay = new CountDownLatch(1);
        AtomicReference<byte[]> second = new AtomicReference<>();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        CountDownLatch ended = new CountDownLatch(1);
        source.read(whole(server.uri("/a"), 10), content -> {
                    underWay.countDown();
                    return collect(content.bytes());
                })
                .doFinally(signal -> ended.countDown())
                .subscribe(second::set, failure::set);
        assertThat(underWay.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        assertThat(server.connections()).as("both use one connection").isEqualTo(1);

        first.cancel();
        Awaitility.await()
                .during(Duration.ofMillis(200))
                .atMost(PATIENCE)
                .untilAsserted(() -> assertThat(failure.get()).isNull());
        cancelled.countDown();

        assertThat(ended.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        assertThat(failure.get()).isNull();
        assertThat(second.get()).asString(ISO_8859_1).isEqualTo(BODY);
    }

    // The bytes' own contract

    @Test
    void bytesCanBeSubscribedToOnce() {
        FaultServer server = serving(ok(BODY));

        source.read(
                        whole(server.uri("/a"), 10),
                        content -> collect(content.bytes()).then(collect(content.bytes())))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("subscribed to twice"))
                .verify(PATIENCE);
    }

    @Test
    void bytesEndWithTheRequest() {
        FaultServer server = serving(ok(BODY), cut().thenNothing());
        AtomicReference<Content> kept = new AtomicReference<>();

        source.read(whole(server.uri("/a"), 10), content -> {
                    kept.set(content);
                    return Mono.empty();
                })
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
        collect(kept.get().bytes())
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertLost((OtaException) error))
                .verify(PATIENCE);

        OneByOne detached = new OneByOne();
        source.read(whole(server.uri("/a"), 10), content -> {
                    content.bytes().subscribe(detached);
                    detached.request(Long.MAX_VALUE);
                    return Mono.empty();
                })
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
        detached.completed()
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertLost((OtaException) error))
                .verify(PATIENCE);
        Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
    }

    @Test
    void aClosedSourceAsksNothing() {
        FaultServer server = serving(ok(BODY));
        source.close().block(PATIENCE);

        source.read(whole(server.uri("/a"), 10), content -> collect(content.bytes()))
                .as(StepVerifier::create)
                .expectError(IllegalStateException.class)
                .verify(PATIENCE);
        assertThat(server.connections()).isZero();
    }

    private FaultServer serving(Answer... script) {
        FaultServer server = new FaultServer(script);
        opened.add(server);
        return server;
    }

    /** Half of what it announces. */
    private static Answer cut() {
        return answer("200 OK", "01234", "Content-Length: 10");
    }

    private static void drip(FaultServer.Peer peer, int bytes, long millis) throws IOException {
        for (int i = 0; i < bytes; i++) {
            peer.send(new byte[] {'x'});
            try {
                new CountDownLatch(1).await(millis, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private OtaException fails(Request request) {
        OtaException failure = failure(source, request);
        for (@Nullable Throwable cause = failure; cause != null; cause = cause.getCause()) {
            assertThat(String.valueOf(cause.getMessage())).doesNotContain("CANARY");
        }
        return failure;
    }

    private static void assertLost(OtaException failure) {
        assertThat(failure).isInstanceOf(TransferException.class);
        assertThat(failure.reason()).isEqualTo(Reason.CONNECTION_LOST);
    }

    private static void assertEndless(OtaException failure, long actual) {
        assertThat(failure).isInstanceOf(LengthMismatchException.class);
        assertThat(failure.reason()).isEqualTo(Reason.ENDLESS_DATA);
        assertThat(((LengthMismatchException) failure).actual()).isEqualTo(actual);
    }

    /** A subscriber that asks when it is told to. */
    private static final class OneByOne extends BaseSubscriber<ByteBuf> {

        private final Sinks.Empty<Void> end = Sinks.empty();
        private volatile int received;
        private volatile @Nullable Throwable error;

        @Override
        protected void hookOnSubscribe(Subscription subscription) {}

        @Override
        protected void hookOnNext(ByteBuf buffer) {
            buffer.release();
            received = received + 1;
        }

        @Override
        protected void hookOnError(Throwable failure) {
            error = failure;
            end.tryEmitError(failure);
        }

        @Override
        protected void hookOnComplete() {
            end.tryEmitEmpty();
        }

        int received() {
            return received;
        }

        @Nullable
        Throwable error() {
            return error;
        }

        Mono<Void> completed() {
            return end.asMono();
        }
    }
}
