package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.whole;
import static io.otaflux.transport.http.ScriptedServer.answer;
import static io.otaflux.transport.http.ScriptedServer.ok;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.http.Proxy.Credentials;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class HttpProxyTest {

    private static final URI LOCATION = URI.create("http://files.example.org/a?Signature=CANARY");
    private static final String BODY = "0123456789";

    private final List<HttpArtifactSource> sources = new ArrayList<>();

    @AfterEach
    void close() {
        sources.forEach(source -> source.close().block(PATIENCE));
    }

    @Test
    void theProxyIsAskedToConnectAndResolvesTheName() {
        try (ScriptedServer proxy = new ScriptedServer(answer("200 Connected", ""), ok(BODY))) {
            HttpArtifactSource source = through(Proxy.http("127.0.0.1", proxy.port()));

            assertThat(ask(source, whole(LOCATION, 10)).text()).isEqualTo(BODY);

            assertThat(proxy.requests()).hasSize(2);
            assertThat(proxy.requests().get(0)).startsWith("CONNECT files.example.org:80 HTTP/1.1\r\n");
            assertThat(proxy.requests().get(1))
                    .startsWith("GET /a?Signature=CANARY HTTP/1.1\r\n")
                    .doesNotContainIgnoringCase("proxy-authorization");
        }
    }

    @Test
    void credentialsAreAskedForAnewAndGoToTheProxyAlone() {
        AtomicInteger asked = new AtomicInteger();
        try (ScriptedServer proxy = new ScriptedServer(
                answer("407 Proxy Authentication Required", "", "Content-Length: 0")
                        .thenClose(),
                answer("200 Connected", ""),
                ok(BODY))) {
            Proxy configured = Proxy.http("127.0.0.1", proxy.port())
                    .withCredentials(() -> new Credentials("user", "CANARY-" + asked.incrementAndGet()));
            HttpArtifactSource source = through(configured);

            OtaException refusal = failure(source, whole(LOCATION, 10));
            assertThat(refusal.reason()).isEqualTo(Reason.FORBIDDEN);
            assertThat(refusal).hasMessageNotContaining("CANARY");
            assertThat(ask(source, whole(LOCATION, 10)).text()).isEqualTo(BODY);

            assertThat(proxy.requests().get(0)).contains(basic("user:CANARY-1"));
            assertThat(proxy.requests().get(1)).contains(basic("user:CANARY-2"));
            assertThat(proxy.requests().get(2)).doesNotContain(basic("user:CANARY-2"));
            assertThat(configured).asString().doesNotContain("CANARY", "user");
            assertThat(new Credentials("user", "CANARY")).asString().doesNotContain("CANARY", "user");
        }
    }

    @Test
    void aProxyThatCannotConnectIsATransferLost() {
        try (ScriptedServer proxy = new ScriptedServer(
                answer("502 Bad Gateway", "", "Content-Length: 0").thenClose())) {
            OtaException lost = failure(through(Proxy.http("127.0.0.1", proxy.port())), whole(LOCATION, 10));

            assertThat(lost.reason()).isEqualTo(Reason.CONNECTION_LOST);
            assertThat(lost.isTransient()).isTrue();
        }
    }

    @Test
    void aSocksProxyResolvesTheName() throws IOException {
        try (ServerSocket proxy = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"))) {
            CompletableFuture<String> wanted = CompletableFuture.supplyAsync(() -> serveSocks(proxy));

            assertThat(ask(through(Proxy.socks5("127.0.0.1", proxy.getLocalPort())), whole(LOCATION, 10))
                            .text())
                    .isEqualTo(BODY);

            assertThat(wanted).succeedsWithin(PATIENCE).isEqualTo("files.example.org:80");
        }
    }

    /** Serves one SOCKS 5 connection without authentication (RFC 1928), and is the server behind it as well. */
    private static String serveSocks(ServerSocket listening) {
        try (Socket socket = listening.accept()) {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            in.readByte();
            in.readNBytes(in.readUnsignedByte());
            socket.getOutputStream().write(new byte[] {5, 0});
            in.readNBytes(4);
            String host = new String(in.readNBytes(in.readUnsignedByte()), UTF_8);
            int port = in.readUnsignedShort();
            socket.getOutputStream().write(new byte[] {5, 0, 0, 1, 0, 0, 0, 0, 0, 0});
            StringBuilder head = new StringBuilder();
            while (!head.toString().endsWith("\r\n\r\n")) {
                head.append((char) in.readUnsignedByte());
            }
            socket.getOutputStream().write(("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + BODY).getBytes(UTF_8));
            return host + ":" + port;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String basic(String credentials) {
        return "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes(UTF_8));
    }

    private HttpArtifactSource through(Proxy proxy) {
        HttpArtifactSource source = Asking.local().allowHttp(true).proxy(proxy).build();
        sources.add(source);
        return source;
    }
}
