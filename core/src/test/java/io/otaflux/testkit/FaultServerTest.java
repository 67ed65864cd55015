package io.otaflux.testkit;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.FaultServer.Fault;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FaultServerTest {

    private static final byte[] CONTENT = "0123456789".getBytes(ISO_8859_1);

    @Test
    void aFaultStrikesAtItsByteOfTheBody() throws IOException {
        try (FaultServer server = new FaultServer(
                FaultServer.file(CONTENT, "\"v1\"").at(4, Fault.cut()),
                FaultServer.file(CONTENT, "\"v1\"").at(4, Fault.corrupt()).thenClose(),
                FaultServer.file(CONTENT, "\"v1\"")
                        .at(4, Fault.drip(Duration.ofMillis(1)))
                        .thenClose(),
                FaultServer.file(CONTENT, "\"v1\"")
                        .at(4, Fault.delay(Duration.ofMillis(1)))
                        .thenClose())) {
            assertThat(body(ask(server))).isEqualTo("0123");
            assertThat(body(ask(server))).isEqualTo("0123556789");
            assertThat(body(ask(server))).isEqualTo("0123456789");
            assertThat(body(ask(server))).isEqualTo("0123456789");
        }
    }

    @Test
    void aResetIsNoEnd() {
        try (FaultServer server = new FaultServer(FaultServer.wholeFile(CONTENT).at(4, Fault.reset()))) {
            assertThatThrownBy(() -> ask(server)).isInstanceOf(SocketException.class);
        }
    }

    @Test
    void afterAFreezeNothingComes() throws IOException {
        try (FaultServer server = new FaultServer(FaultServer.wholeFile(CONTENT).at(4, Fault.freeze()));
                Socket socket = new Socket("127.0.0.1", server.port())) {
            socket.setSoTimeout(300);
            request(socket);
            assertThatThrownBy(() -> socket.getInputStream().readAllBytes()).isInstanceOf(SocketTimeoutException.class);
            assertThat(server.openConnections()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "bytes=4-, , 206, 456789",
        "bytes=4-, '\"v1\"', 206, 456789",
        "bytes=4-, '\"v2\"', 200, 0123456789",
        "bytes=4-, v1, 200, 0123456789",
        "bytes=10-, '\"v1\"', 416, ''",
        "bytes=0-, , 200, 0123456789"
    })
    void aFileIsServedAsItWasAskedFor(String range, String ifRange, int status, String body) throws IOException {
        try (FaultServer server =
                new FaultServer(FaultServer.file(CONTENT, "\"v1\"").thenClose())) {
            String answer = ask(server, "Range: " + range, ifRange == null ? "X: y" : "If-Range: " + ifRange);

            assertThat(answer).startsWith("HTTP/1.1 " + status + " ").contains("\r\nETag: \"v1\"\r\n");
            assertThat(body(answer)).isEqualTo(body);
        }
    }

    @Test
    void whenTheScriptIsOverItIsOverUnlessThereIsAnAfterwards() throws IOException {
        try (FaultServer server = new FaultServer(Answer.text("a").thenClose())) {
            assertThat(ask(server)).isEqualTo("a");
            assertThat(ask(server)).startsWith("HTTP/1.1 500 ");
            server.afterwards(Answer.text("b").thenClose())
                    .then(Answer.text("c").thenClose());
            assertThat(ask(server)).isEqualTo("c");
            assertThat(ask(server)).isEqualTo("b");
            assertThat(ask(server)).isEqualTo("b");
        }
    }

    private static String ask(FaultServer server, String... headers) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            request(socket, headers);
            socket.shutdownOutput();
            return new String(socket.getInputStream().readAllBytes(), ISO_8859_1);
        }
    }

    private static void request(Socket socket, String... headers) throws IOException {
        String lines = headers.length == 0 ? "" : String.join("\r\n", headers) + "\r\n";
        socket.getOutputStream().write(("GET /a HTTP/1.1\r\n" + lines + "\r\n").getBytes(ISO_8859_1));
    }

    private static String body(String answer) {
        return answer.substring(answer.indexOf("\r\n\r\n") + 4);
    }
}
