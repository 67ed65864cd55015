package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.rest;
import static io.otaflux.transport.http.Asking.whole;
import static io.otaflux.transport.http.ScriptedServer.answer;
import static io.otaflux.transport.http.ScriptedServer.ok;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.ArtifactSource;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.http.ScriptedServer.Answer;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HttpRedirectTest {

    private static final String BODY = "0123456789";
    private static final String TOKEN = "CANARY-TOKEN";

    private final BufferLedger ledger = new BufferLedger();
    private final List<ScriptedServer> servers = new ArrayList<>();
    private @Nullable HttpArtifactSource source;

    @AfterEach
    void nothingIsLeft() {
        Awaitility.await().atMost(PATIENCE).untilAsserted(ledger::assertNoLeaks);
        if (source != null) {
            source.close().block(PATIENCE);
        }
        servers.forEach(ScriptedServer::close);
    }

    @ParameterizedTest
    @ValueSource(ints = {301, 302, 303, 307, 308})
    void aRedirectIsFollowedToAnotherServer(int status) {
        ScriptedServer target = serving(ok(BODY));
        ScriptedServer first = serving(to(status, target.uri("/there?q=1").toString()));

        assertThat(ask(source(), whole(first.uri("/a"), 10)).text()).isEqualTo(BODY);

        assertThat(target.requests()).singleElement().asString().startsWith("GET /there?q=1 HTTP/1.1\r\n");
    }

    @Test
    void aRelativeRedirectStaysAndKeepsTheRange() {
        ScriptedServer server =
                serving(to(302, "../b"), answer("206 OK", "6789", "Content-Range: bytes 6-9/10", "Content-Length: 4"));

        assertThat(ask(source(), rest(server.uri("/dir/a"), 10, 6, "\"v1\"")).text())
                .isEqualTo("6789");

        assertThat(server.requests())
                .last()
                .asString()
                .startsWith("GET /b HTTP/1.1\r\n")
                .containsIgnoringCase("range: bytes=6-\r\n")
                .containsIgnoringCase("if-range: \"v1\"\r\n");
    }

    @Test
    void headersOfAnOriginNeverReachAnother() {
        strangerInBetween(home -> source(builder -> builder.header(home, "X-Token", TOKEN)
                .header(home, "Authorization", "Bearer " + TOKEN)
                .header(home, "Cookie", TOKEN)));
        Mutant.assertCaught(
                "headers for one origin only",
                () -> strangerInBetween(home -> new Naive(
                        headers -> headers.set("X-Token", TOKEN)
                                .set("Authorization", "Bearer " + TOKEN)
                                .set("Cookie", TOKEN),
                        null)));
    }

    /** A home that redirects to itself, then to a stranger, who redirects back. */
    private void strangerInBetween(Function<URI, ArtifactSource> making) {
        ScriptedServer stranger = serving();
        ScriptedServer home =
                serving(to(302, "/second"), to(302, stranger.uri("/c").toString()), ok(BODY));
        stranger.then(to(302, home.uri("/back").toString()));

        assertThat(ask(making.apply(home.uri("/")), whole(home.uri("/a"), 10)).text())
                .isEqualTo(BODY);

        assertThat(home.requests().get(0))
                .containsIgnoringCase("x-token: " + TOKEN)
                .containsIgnoringCase("authorization: Bearer " + TOKEN)
                .containsIgnoringCase("cookie: " + TOKEN);
        assertThat(stranger.requests()).singleElement().asString().doesNotContain(TOKEN);
        assertThat(home.requests().get(1))
                .containsIgnoringCase("x-token: " + TOKEN)
                .containsIgnoringCase("authorization: Bearer " + TOKEN)
                .containsIgnoringCase("cookie: " + TOKEN);
        assertThat(home.requests())
                .hasSize(3)
                .last()
                .asString()
                .as("a stranger decided where this one goes")
                .doesNotContain(TOKEN);
    }

    @Test
    void headersOfOneOriginAreNotSentToAnotherPort() {
        ScriptedServer home = serving();
        ScriptedServer other = serving(ok(BODY));
        HttpArtifactSource withToken = source(builder -> builder.header(home.uri("/"), "X-Token", TOKEN));

        ask(withToken, whole(other.uri("/a"), 10));

        assertThat(other.requests()).singleElement().asString().doesNotContain(TOKEN);
    }

    @Test
    void fiveRedirectsAreFollowedAndSixAreNot() {
        ScriptedServer five =
                serving(to(302, "/1"), to(302, "/2"), to(302, "/3"), to(302, "/4"), to(302, "/5"), ok(BODY));
        assertThat(ask(source(), whole(five.uri("/a"), 10)).text()).isEqualTo(BODY);

        ScriptedServer six = serving(
                to(302, "/1"), to(302, "/2"), to(302, "/3"), to(302, "/4"), to(302, "/5"), to(302, "/6"), ok(BODY));
        assertRefused(failure(source(), whole(six.uri("/a"), 10)), "once more after 5");
        assertThat(six.requests()).hasSize(6);
    }

    @Test
    void aCircleIsNotFollowed() {
        ScriptedServer server = serving(to(302, "/b"), to(302, "/a"), ok(BODY));

        assertRefused(failure(source(), whole(server.uri("/a"), 10)), "in a circle");
        assertThat(server.requests()).hasSize(2);
    }

    @Test
    void aRedirectToNowhereIsRefused() {
        ScriptedServer server = serving(
                answer("302 Found", "", "Content-Length: 0"),
                answer("302 Found", "", "Content-Length: 0", "Location: /a", "Location: /b"),
                to(302, "https://user:CANARY@127.0.0.1/"),
                to(302, "ht tp://?CANARY"),
                to(302, "http://127.0.0.1/#CANARY"),
                to(302, "ftp://127.0.0.1/?CANARY"));
        URI location = server.uri("/a?Signature=CANARY");

        for (int i = 0; i < 6; i++) {
            OtaException refusal = failure(source(), whole(location, 10));
            assertRefused(refusal, "://127.0.0.1");
            assertThat(refusal).hasMessageNotContaining("CANARY");
        }
    }

    @Test
    void theBodiesOfRedirectsAreLeftUnread() {
        ScriptedServer target = serving(ok(BODY));
        ScriptedServer first = serving(answer(
                "302 Found", "x".repeat(50_000), "Location: " + target.uri("/there"), "Content-Length: 100000000"));

        assertThat(ask(source(), whole(first.uri("/a"), 10)).text()).isEqualTo(BODY);

        Awaitility.await().atMost(PATIENCE).until(() -> first.openConnections() == 0);
    }

    private static Answer to(int status, String location) {
        return answer(status + " Elsewhere", "moved", "Location: " + location, "Content-Length: 5");
    }

    private static void assertRefused(OtaException refusal, String message) {
        assertThat(refusal.reason()).isEqualTo(Reason.REDIRECT_REFUSED);
        assertThat(refusal.isTransient()).isFalse();
        assertThat(refusal).hasMessageContaining(message);
    }

    private ScriptedServer serving(Answer... script) {
        ScriptedServer server = new ScriptedServer(script);
        servers.add(server);
        return server;
    }

    private HttpArtifactSource source() {
        return source(builder -> builder);
    }

    private HttpArtifactSource source(UnaryOperator<HttpArtifactSource.Builder> settings) {
        if (source == null) {
            source = settings.apply(Asking.local().allowHttp(true).allocator(ledger.allocator()))
                    .build();
        }
        return source;
    }
}
