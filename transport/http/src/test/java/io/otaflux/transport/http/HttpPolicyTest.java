package io.otaflux.transport.http;

import static io.otaflux.testkit.FaultServer.answer;
import static io.otaflux.testkit.FaultServer.ok;
import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.whole;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.ArtifactSource.Request;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.http.HttpArtifactSource.Builder;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Which hosts and addresses are asked. All of it happens on loopback, of which Linux has more than one address: the one
 * that {@link #OPEN} allows plays the public Internet, the others are what must not be reached.
 */
@EnabledOnOs(OS.LINUX)
class HttpPolicyTest {

    private static final String BODY = "0123456789";
    private static final String OPEN = "127.0.0.2";
    private static final String INNER = "127.0.0.1";

    private final List<AutoCloseable> open = new ArrayList<>();
    private final ScriptedNames names = new ScriptedNames();

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable each : open) {
            each.close();
        }
    }

    @Test
    void aServerOnThisMachineIsNotAskedUnlessItsNetworkIsAllowed() {
        FaultServer server = server(INNER, ok(BODY));

        OtaException refusal = failure(source(builder -> builder), whole(server.uri("/a?Signature=CANARY"), 10));

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(refusal)
                .hasMessage("http://127.0.0.1:" + server.port()
                        + "/a: 127.0.0.1 is in 127.0.0.0/8, which is loopback and not allowed here");
        assertThat(server.connections()).isZero();
        assertThat(ask(source(builder -> builder.allowNetworks("127.0.0.0/8")), whole(server.uri("/a"), 10))
                        .text())
                .isEqualTo(BODY);
    }

    @Test
    void theAddressThatANameHasIsJudgedToo() {
        FaultServer server = server(INNER, ok(BODY));
        names.then(INNER);

        OtaException refusal = failure(source(builder -> builder), whole(named(server, "/a?Signature=CANARY"), 10));

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(refusal.isTransient()).isFalse();
        assertThat(refusal)
                .hasMessage("http://files.example.org:" + server.port()
                        + "/a: 127.0.0.1 is in 127.0.0.0/8, which is loopback and not allowed here");
        assertThat(server.connections()).isZero();
    }

    @Test
    void aNameWithSeveralAddressesIsAskedAtThoseThatMayBe() {
        FaultServer inner = server(INNER);
        FaultServer server = server(OPEN, inner.port(), ok(BODY));
        names.then("10.0.0.1", INNER, "::1", OPEN);

        assertThat(ask(source(builder -> builder.allowNetworks(OPEN)), whole(named(server, "/a"), 10))
                        .text())
                .isEqualTo(BODY);
        assertThat(inner.connections()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::7f00:1", "0.0.0.0"
            })
    void noNameLeadsToAnAddressThatIsNotOfTheInternet(String address) {
        names.then(address);

        OtaException refusal = failure(
                source(builder -> builder.allowNetworks(OPEN)), whole(URI.create("http://files.example.org:9/a"), 10));

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
    }

    @Test
    void aNameThatMovesInwardsIsNotFollowed() {
        rebind(UnaryOperator.identity());
        Mutant.assertCaught(
                "a check of the address that is connected to",
                () -> rebind(builder -> builder.client(client -> client.resolver(names)
                        .doOnChannelInit((observer, channel, remote) ->
                                channel.pipeline().remove(NetworkGuard.class)))));
    }

    /** A name that is of the Internet when it is first looked up, and of this machine ever after. */
    private void rebind(UnaryOperator<Builder> settings) {
        names.then(OPEN).then(INNER);
        FaultServer inner = server(INNER, ok(BODY));
        server(OPEN, inner.port(), ok(BODY, "Connection: close"));
        HttpArtifactSource source = source(builder -> settings.apply(builder.allowNetworks(OPEN)));
        Request request = whole(named(inner, "/a"), 10);
        assertThat(ask(source, request).text()).isEqualTo(BODY);

        OtaException refusal = failure(source, request);

        assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(inner.connections()).isZero();
    }

    @Test
    void aRedirectInwardsIsNotFollowed() {
        FaultServer inner = server(INNER, ok(BODY));
        FaultServer outer = server(
                OPEN,
                0,
                to(inner.uri("/admin?CANARY")),
                to(named(inner, "/admin?CANARY")),
                to(URI.create("//[::1]/?CANARY")));
        HttpArtifactSource source = source(builder -> builder.allowNetworks(OPEN));

        names.then(INNER);
        for (String address : List.of(INNER, INNER, "::1")) {
            OtaException refusal = failure(source, whole(outer.uri("/a?CANARY"), 10));
            assertThat(refusal.reason()).isEqualTo(Reason.REDIRECT_REFUSED);
            assertThat(refusal.isTransient()).isFalse();
            assertThat(refusal)
                    .hasMessageContaining(address + " is in ")
                    .hasMessageContaining("loopback")
                    .hasMessageNotContaining("CANARY");
        }

        assertThat(outer.requests()).hasSize(3);
        assertThat(inner.connections()).isZero();
    }

    @Test
    void onlyAllowedHostsAreAskedAndRedirectedTo() {
        FaultServer server = server(INNER, ok(BODY), to(URI.create("http://evil.example/?CANARY")));
        names.then(INNER).then(INNER);
        HttpArtifactSource source = source(builder -> builder.allowNetworks("127.0.0.0/8")
                .allowHosts("Files.Example.org")
                .allowHosts("*.cdn.example.org"));

        assertThat(ask(source, whole(named(server, "/a"), 10)).text()).isEqualTo(BODY);
        OtaException redirected = failure(source, whole(URI.create("http://a.b.CDN.example.org:" + server.port()), 10));
        assertThat(redirected.reason()).isEqualTo(Reason.REDIRECT_REFUSED);
        assertThat(redirected)
                .hasMessage("http://evil.example/: host evil.example is not among those that may be asked");
        for (String host : List.of(
                "example.org",
                "files.example.org.evil.example",
                "cdn.example.org",
                "evilcdn.example.org",
                "127.0.0.1")) {
            OtaException refusal = failure(source, whole(URI.create("http://" + host + "/a?CANARY"), 10));
            assertThat(refusal.reason()).isEqualTo(Reason.LOCATION_REFUSED);
            assertThat(refusal).hasMessageContaining("is not among").hasMessageNotContaining("CANARY");
        }
        assertThat(names.asked()).containsExactly("files.example.org", "a.b.CDN.example.org");
    }

    @Test
    void anAllowedHostIsNotAskedInANetworkThatIsNot() {
        names.then(INNER);
        HttpArtifactSource source = source(builder -> builder.allowHosts("files.example.org", "127.0.0.1", "::1"));

        for (String host : List.of("files.example.org", "127.0.0.1", "[::1]")) {
            assertThat(failure(source, whole(URI.create("http://" + host + ":9/a"), 10)))
                    .hasMessageContaining("loopback");
        }
    }

    @Test
    void anAllowedOriginIsAskedWhereverItIsAndNothingElseThere() {
        FaultServer server = server(INNER, to(URI.create("/b")), ok(BODY), to(URI.create("http://127.0.0.1:9/")));
        FaultServer other = server(INNER);
        HttpArtifactSource source =
                source(builder -> builder.allowHosts("files.example.org").allowOrigin(server.uri("/typed?by=hand")));

        assertThat(ask(source, whole(server.uri("/a"), 10)).text()).isEqualTo(BODY);
        assertThat(failure(source, whole(server.uri("/a"), 10)).reason()).isEqualTo(Reason.REDIRECT_REFUSED);
        assertThat(failure(source, whole(other.uri("/a"), 10)).reason()).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(other.connections()).isZero();
    }

    @Test
    void anAllowedOriginMayHaveANameAndTheSameAddressUnderAnotherNameIsRefused() {
        FaultServer server = server(INNER, ok(BODY));
        names.then(INNER).then(INNER);
        HttpArtifactSource source = source(builder -> builder.allowOrigin(named(server, "/")));

        assertThat(ask(source, whole(named(server, "/a"), 10)).text()).isEqualTo(BODY);
        assertThat(failure(source, whole(URI.create("http://evil.example:" + server.port() + "/a"), 10)))
                .hasMessageContaining("loopback");
        assertThat(server.connections()).isOne();
    }

    @Test
    void throughAProxyNamesAreItsBusinessAndLiteralAddressesAreNot() {
        FaultServer proxy = server(INNER, answer("200 Connected", ""), ok(BODY), answer("200 Connected", ""));
        proxy.then(to(URI.create("http://169.254.169.254/")));
        HttpArtifactSource source = keep(HttpArtifactSource.builder()
                .allowHttp(true)
                .proxy(Proxy.http(INNER, proxy.port()))
                .build());

        assertThat(ask(source, whole(URI.create("http://localhost:9/a"), 10)).text())
                .isEqualTo(BODY);
        for (String host : List.of("127.0.0.1", "[::1]", "2130706433", "0x7f000001", "[64:ff9b::127.0.0.1]")) {
            assertThat(failure(source, whole(URI.create("http://" + host + "/a"), 10))
                            .reason())
                    .isEqualTo(Reason.LOCATION_REFUSED);
        }
        assertThat(failure(source, whole(URI.create("http://files.example.org/a"), 10))
                        .reason())
                .isEqualTo(Reason.REDIRECT_REFUSED);
        assertThat(proxy.requests()).hasSize(4);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "*", "*.", "*example.org", "a.*.org", "https://example.org", "example.org:443", "a b", "-a"})
    void whatIsNoHostCannotBeAllowed(String host) {
        assertThatThrownBy(() -> HttpArtifactSource.builder().allowHosts(host))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("host: \"" + host + "\"");
    }

    private static Answer to(URI location) {
        return answer("302 Elsewhere", "", "Location: " + location, "Content-Length: 0", "Connection: close");
    }

    private static URI named(FaultServer server, String path) {
        return URI.create("http://files.example.org:" + server.port() + path);
    }

    private HttpArtifactSource source(UnaryOperator<Builder> settings) {
        return keep(
                settings.apply(HttpArtifactSource.builder().allowHttp(true).client(client -> client.resolver(names)))
                        .build());
    }

    private HttpArtifactSource keep(HttpArtifactSource source) {
        open.add(() -> source.close().block(PATIENCE));
        return source;
    }

    private FaultServer server(String address, Answer... script) {
        return server(address, 0, script);
    }

    private FaultServer server(String address, int port, Answer... script) {
        FaultServer server = new FaultServer(address, port, script);
        open.add(server);
        return server;
    }
}
