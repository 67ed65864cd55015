package io.otaflux.transport.http;

import static io.otaflux.testkit.FaultServer.ok;
import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.ask;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.whole;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.http.Certificates.Issued;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class HttpTlsTest {

    private static final byte[] CONTENT = "0123456789".getBytes(StandardCharsets.ISO_8859_1);

    private final List<HttpArtifactSource> sources = new ArrayList<>();

    @TempDir
    Path directory;

    private Certificates authority;

    @BeforeEach
    void open() {
        authority = Certificates.authority(directory, "authority");
    }

    @AfterEach
    void close() {
        sources.forEach(source -> source.close().block(PATIENCE));
    }

    /** Who does TLS; {@link HttpNativeTlsTest} has another. */
    SslProvider provider() {
        return SslProvider.JDK;
    }

    private HttpArtifactSource.Builder local() {
        return Asking.local().tls(provider());
    }

    @Test
    void aServerOfAConfiguredAuthorityIsTrusted() {
        Issued issued = authority.issue("localhost");
        assertThat(fetch(trusting(authority), issued)).isNull();
    }

    @Test
    void authoritiesAreReadFromAFileToo() {
        Issued issued = authority.issue("localhost");
        HttpArtifactSource source =
                keep(local().trustedCertificates(authority.pem()).build());

        assertThat(fetch(source, issued)).isNull();
    }

    @Test
    void aServerOfAnUnknownAuthorityIsRefused() {
        Issued issued = authority.issue("localhost");
        assertRefused(fetch(keep(local().build()), issued), "");
    }

    @Test
    void configuredAuthoritiesReplaceThoseOfTheSystem() {
        Certificates system = Certificates.authority(directory, "system");
        Issued issued = system.issue("localhost");
        String before = System.getProperty("javax.net.ssl.trustStore");
        System.setProperty(
                "javax.net.ssl.trustStore", system.trustStore("CANARY-changeit").toString());
        System.setProperty("javax.net.ssl.trustStorePassword", "CANARY-changeit");
        try {
            assertThat(fetch(keep(local().build()), issued))
                    .as("the system trusts it")
                    .isNull();
            assertRefused(fetch(trusting(authority), issued), "");
        } finally {
            System.clearProperty("javax.net.ssl.trustStorePassword");
            if (before == null) {
                System.clearProperty("javax.net.ssl.trustStore");
            } else {
                System.setProperty("javax.net.ssl.trustStore", before);
            }
        }
    }

    @Test
    void aCertificateForAnotherHostIsRefused() {
        assertRefused(fetch(trusting(authority), authority.issue("example.org")), "");
    }

    @Test
    void aCertificateWhoseSubjectAloneNamesTheHostIsRefused() {
        Issued issued =
                authority.issue("localhost", "example.org", Instant.now().minusSeconds(60), Duration.ofDays(1));
        assertRefused(fetch(trusting(authority), issued), "");
    }

    @Test
    void anExpiredCertificateIsRefused() {
        Issued issued =
                authority.issue("localhost", "localhost", Instant.now().minus(Duration.ofDays(2)), Duration.ofDays(1));
        assertRefused(fetch(trusting(authority), issued), "expired");
    }

    @Test
    void aCertificateOfTheFutureRemindsOfTheClock() {
        Issued issued =
                authority.issue("localhost", "localhost", Instant.now().plus(Duration.ofDays(1)), Duration.ofDays(1));
        assertRefused(fetch(trusting(authority), issued), "clock");
    }

    @Test
    void aCertificateThatSignedItselfIsRefused() {
        assertRefused(fetch(trusting(authority), authority.selfSigned("localhost")), "");
    }

    @Test
    void aServerWithoutTlsIsRefused() {
        try (NginxServer plain = NginxServer.start(directory)) {
            URI location = URI.create("https://localhost:" + plain.port() + "/a?Signature=CANARY");
            assertRefused(failure(trusting(authority), whole(location, 10)), "does not speak TLS");
        }
    }

    @Test
    void aClientProvesItselfWithItsCertificate() {
        Issued issued = authority.issue("localhost");
        Issued client = authority.issue("device-1");
        HttpArtifactSource known = keep(local().trustedCertificates(authority.pem())
                .clientCertificate(client.certificate(), client.key())
                .build());

        try (NginxServer nginx = NginxServer.startTls(
                directory,
                issued.certificate(),
                issued.key(),
                "ssl_client_certificate " + authority.pem() + ";",
                "ssl_verify_client on;")) {
            Request request = whole(nginx.put("a.bin", CONTENT), 10);

            assertThat(ask(known, request).bytes()).isEqualTo(CONTENT);
            // This is how nginx says that it wants a certificate.
            OtaException refusal = failure(trusting(authority), request);
            assertThat(refusal.reason()).isEqualTo(Reason.BAD_RESPONSE);
            assertThat(((SourceException) refusal).status()).hasValue(400);
        }
    }

    @Test
    void httpsIsNotRedirectedToHttp() {
        downgrade(keep(
                local().trustedCertificates(authority.pem()).allowHttp(true).build()));
        Mutant.assertCaught(
                "no redirect from https to http",
                () -> downgrade(new Naive(
                        headers -> {},
                        SslContextBuilder.forClient()
                                .trustManager(authority.certificate())
                                .build())));
    }

    private void downgrade(ArtifactSource source) {
        Issued issued = authority.issue("localhost");
        try (FaultServer plain = new FaultServer(ok("0123456789"));
                NginxServer nginx = NginxServer.startTls(
                        directory,
                        issued.certificate(),
                        issued.key(),
                        "location /a { return 302 " + plain.uri("/a") + "; }")) {
            Reason reason = source.read(whole(nginx.uri("a"), 10), content -> Asking.collect(content.bytes()))
                    .then()
                    .cast(Reason.class)
                    .onErrorResume(OtaException.class, refusal -> Mono.just(refusal.reason()))
                    .block(PATIENCE);

            assertThat(plain.connections()).isZero();
            assertThat(reason).isEqualTo(Reason.REDIRECT_REFUSED);
        }
    }

    @Test
    void aConnectionThatClosesInTheHandshakeIsATransferLost() throws IOException {
        try (ServerSocket closing = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"))) {
            Thread thread = new Thread(() -> {
                try (Socket socket = closing.accept()) {
                    socket.getInputStream().read(new byte[100]);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            });
            thread.start();
            URI location = URI.create("https://localhost:" + closing.getLocalPort() + "/a");

            OtaException lost = failure(trusting(authority), whole(location, 10));

            assertThat(lost.reason()).isEqualTo(Reason.CONNECTION_LOST);
            assertThat(lost.isTransient()).isTrue();
        }
    }

    @Test
    void aHandshakeWithoutAnAnswerTimesOut() throws IOException {
        try (ServerSocket silent = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"))) {
            HttpArtifactSource source =
                    keep(local().connectTimeout(Duration.ofMillis(300)).build());
            URI location = URI.create("https://localhost:" + silent.getLocalPort() + "/a");

            assertThat(failure(source, whole(location, 10)).reason()).isEqualTo(Reason.TIMEOUT);
        }
    }

    @Test
    void filesThatAreNoCertificatesAreRefusedWhenTheSourceIsBuilt() throws IOException {
        Path garbage = Files.writeString(directory.resolve("garbage.pem"), "no certificate");
        Issued client = authority.issue("device-1");

        assertThatThrownBy(() -> local().trustedCertificates(garbage)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> local().trustedCertificates(directory.resolve("none.pem")))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() ->
                        local().clientCertificate(client.certificate(), garbage).build())
                .isInstanceOf(IllegalArgumentException.class);
    }

    /** What prevented a fetch from a server with {@code issued}, or null. */
    private @Nullable OtaException fetch(HttpArtifactSource source, Issued issued) {
        try (NginxServer nginx = NginxServer.startTls(directory, issued.certificate(), issued.key())) {
            Request request = whole(nginx.put("a.bin", CONTENT), 10);
            return source.read(request, content -> Asking.collect(content.bytes()))
                    .doOnNext(bytes -> assertThat(bytes).isEqualTo(CONTENT))
                    .then()
                    .cast(OtaException.class)
                    .onErrorResume(OtaException.class, Mono::just)
                    .block(PATIENCE);
        }
    }

    private static void assertRefused(@Nullable OtaException refusal, String message) {
        assertThat(refusal).isInstanceOf(SourceException.class).hasMessageContaining(message);
        assertThat(refusal.reason()).isEqualTo(Reason.TLS);
        assertThat(refusal).hasMessageNotContaining("CANARY");
    }

    private HttpArtifactSource trusting(Certificates trusted) {
        return keep(local().trustedCertificates(List.of(trusted.certificate())).build());
    }

    private HttpArtifactSource keep(HttpArtifactSource source) {
        sources.add(source);
        return source;
    }
}
