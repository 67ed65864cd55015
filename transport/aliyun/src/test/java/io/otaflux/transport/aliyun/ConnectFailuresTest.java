package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.ChannelException;
import io.otaflux.OtaException.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.test.StepVerifier;

/** Every way in which connecting fails has a name, and only a refusal ends the conversation. */
class ConnectFailuresTest {

    private static final byte[] NO_MQTT =
            ("HTTP/1.1 400 Bad Request\r\nServer: " + "x".repeat(200) + "\r\n\r\n").getBytes(US_ASCII);

    /** What a server does with a connection. */
    private interface Behaviour {

        void to(Socket socket, InputStream in, OutputStream out) throws IOException;
    }

    @ParameterizedTest(name = "CONNACK {0}")
    @ValueSource(ints = {1, 2, 4, 5})
    void aRefusalIsFinalAtOnce(int code) {
        try (RefusingBroker broker = RefusingBroker.answering(code)) {
            AliyunDevice device = TestPlatform.device(broker.port()).build();

            device.connect()
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error)
                            .isInstanceOfSatisfying(
                                    ChannelException.class,
                                    refused -> assertThat(refused.reason()).isEqualTo(Reason.CONNECTION_REFUSED))
                            .hasMessageContaining("CONNACK " + code))
                    .verify(PATIENCE);
            assertThat(broker.attempts()).isEqualTo(1);
            device.close().block(PATIENCE);
        }
    }

    static Stream<Arguments> failures() {
        return Stream.of(
                failure("CONNACK 3", Reason.SERVER_BUSY, false, (socket, in, out) -> answer(in, out, 0x20, 2, 0, 3)),
                failure(
                        "CONNACK 6",
                        Reason.CONNECTION_LOST,
                        false,
                        (socket, in, out) -> answer(in, out, 0x20, 2, 0, 6)),
                failure("half a CONNACK", Reason.CONNECTION_LOST, false, (socket, in, out) -> {
                    answer(in, out, 0x20, 2);
                    socket.close();
                }),
                failure("an endless length", Reason.CONNECTION_LOST, false, (socket, in, out) -> {
                    answer(in, out, 0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);
                }),
                failure("a push instead", Reason.CONNECTION_LOST, false, (socket, in, out) -> {
                    answer(in, out, 0x30, 4, 0, 1, 'a', 'b');
                }),
                failure("another protocol", Reason.CONNECTION_LOST, false, (socket, in, out) -> {
                    in.read();
                    out.write(NO_MQTT);
                }),
                failure("hanging up at once", Reason.CONNECTION_LOST, false, (socket, in, out) -> socket.close()),
                failure("a reset", Reason.CONNECTION_LOST, false, (socket, in, out) -> {
                    in.read();
                    socket.setSoLinger(true, 0);
                    socket.close();
                }),
                failure("silence", Reason.TIMEOUT, false, (socket, in, out) -> in.readAllBytes()),
                failure("another protocol than TLS", Reason.TLS, true, (socket, in, out) -> {
                    in.read();
                    out.write(NO_MQTT);
                }),
                failure("silence instead of TLS", Reason.TLS, true, (socket, in, out) -> in.readAllBytes()));
    }

    private static Arguments failure(String what, Reason reason, boolean tls, Behaviour behaviour) {
        return Arguments.of(what, reason, tls, behaviour);
    }

    private static void answer(InputStream in, OutputStream out, int... bytes) throws IOException {
        in.read();
        for (int part : bytes) {
            out.write(part);
        }
        out.flush();
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("failures")
    void anythingElseHasANameAndIsTriedAgain(String what, Reason reason, boolean tls, Behaviour behaviour)
            throws IOException {
        try (ServerSocket server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
            List<Socket> sockets = new CopyOnWriteArrayList<>();
            Thread thread = new Thread(() -> serve(server, sockets, behaviour), "server");
            thread.setDaemon(true);
            thread.start();
            AliyunDevice.Builder builder = tls
                    ? AliyunDevice.builder()
                            .host("127.0.0.1")
                            .port(server.getLocalPort())
                            .credentials("pk", "dev", TestPlatform.SECRET)
                            .reconnect(Duration.ofMillis(50), Duration.ofMillis(200))
                    : TestPlatform.device(server.getLocalPort());
            AliyunDevice device = builder.timeout(Duration.ofSeconds(1)).build();
            List<DeviceEvent> events = new CopyOnWriteArrayList<>();
            device.events().subscribe(events::add);

            var triggers = device.upgrades().triggers().then().toFuture();
            await(what).atMost(PATIENCE).until(() -> events.size() >= 2);

            assertThat(triggers).isNotDone();
            assertThat(events)
                    .allSatisfy(event -> assertThat(event)
                            .isInstanceOfSatisfying(
                                    DeviceEvent.ConnectFailed.class,
                                    failed ->
                                            assertThat(failed.cause().reason()).isEqualTo(reason)));
            device.close().block(PATIENCE);
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    private static void serve(ServerSocket server, List<Socket> sockets, Behaviour behaviour) {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                sockets.add(socket);
                behaviour.to(socket, socket.getInputStream(), socket.getOutputStream());
            } catch (IOException hungUp) {
                continue;
            }
        }
    }
}
