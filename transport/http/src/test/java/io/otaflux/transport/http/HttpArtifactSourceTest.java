package io.otaflux.transport.http;

import static io.otaflux.transport.http.Asking.PATIENCE;
import static io.otaflux.transport.http.Asking.failure;
import static io.otaflux.transport.http.Asking.whole;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.channel.epoll.Epoll;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Fault;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.resources.LoopResources;

class HttpArtifactSourceTest {

    @Test
    void programsThatConfigureNothingFindASourceThatAsksThePublicInternetOverHttpsOnly() {
        ArtifactSource found = ServiceLoader.load(ArtifactSource.Provider.class)
                .findFirst()
                .orElseThrow()
                .create();

        assertThat(found).isInstanceOf(HttpArtifactSource.class);
        for (String location : List.of("http://example.org/a", "https://127.0.0.1:1/a", "https://localhost:1/a")) {
            assertThat(failure(found, whole(URI.create(location), 1)).reason())
                    .as(location)
                    .isEqualTo(Reason.LOCATION_REFUSED);
        }
        ((HttpArtifactSource) found).close().block(PATIENCE);
    }

    @Test
    void plainHttpIsNotAskedForAnArtifactWithoutADigest() {
        HttpArtifactSource source = Asking.local().allowHttp(true).build();
        try (FaultServer server = new FaultServer()) {
            Artifact bare = new Artifact("a", server.uri("/a"), 1, List.of());

            assertThat(failure(source, new Request(bare, 0, null)).reason()).isEqualTo(Reason.NO_DIGEST);
            assertThat(server.connections()).isZero();
        }
        source.close().block(PATIENCE);
    }

    @Test
    void anUnknownHostMayBecomeKnown() {
        OtaException failure = Failures.ofRequest(new UnknownHostException("files.invalid"), "https://files.invalid/a");

        assertThat(failure.reason()).isEqualTo(Reason.CONNECTION_LOST);
        assertThat(failure.isTransient()).isTrue();
        assertThat(failure).hasMessageContaining("host name not found");
    }

    @Test
    void closingLeavesNoThreadsOfItsOwn() {
        HttpArtifactSource source = Asking.local().allowHttp(true).build();
        try (FaultServer server = new FaultServer(FaultServer.ok("0123456789"))) {
            Asking.ask(source, whole(server.uri("/a"), 10));
            assertThat(threads()).isPositive();

            source.close().block(PATIENCE);
            source.close().block(PATIENCE);

            Awaitility.await().atMost(PATIENCE).until(() -> threads() == 0);
            Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
        }
    }

    @Test
    void connectionsAreSpreadOverAllEventLoops() {
        int many = 4 * Runtime.getRuntime().availableProcessors();
        HttpArtifactSource source = Asking.local().allowHttp(true).build();
        List<String> answered = new CopyOnWriteArrayList<>();
        try (FaultServer server = new FaultServer().afterwards(FaultServer.ok("0123456789"))) {
            // Nobody ends, so that each has a connection of its own.
            Disposable asking = Flux.range(0, many)
                    .flatMap(
                            i -> source.read(whole(server.uri("/a"), 10), content -> {
                                answered.add(Thread.currentThread().getName());
                                return Mono.never();
                            }),
                            many)
                    .subscribe();
            Awaitility.await().atMost(PATIENCE).until(() -> answered.size() == many);

            assertThat(Set.copyOf(answered))
                    .hasSizeGreaterThanOrEqualTo(Runtime.getRuntime().availableProcessors());
            asking.dispose();
        }
        source.close().block(PATIENCE);
    }

    @Test
    void closingLeavesGivenEventLoopsAlone() {
        LoopResources given = LoopResources.create("given-loops", 1, true);
        HttpArtifactSource source =
                Asking.local().allowHttp(true).loopResources(given).build();
        try (FaultServer server = new FaultServer(FaultServer.ok("0123456789"))) {
            Asking.ask(source, whole(server.uri("/a"), 10));
            source.close().block(PATIENCE);

            assertThat(given.isDisposed()).isFalse();
        }
        given.disposeLater(Duration.ZERO, PATIENCE).block(PATIENCE);
    }

    @Test
    void closingEndsTransfersThatAreOnTheirWay() throws Exception {
        LoopResources given = LoopResources.create("given-loops", 1, true);
        HttpArtifactSource source =
                Asking.local().allowHttp(true).loopResources(given).build();
        Semaphore begun = new Semaphore(0);
        try (FaultServer server =
                new FaultServer().afterwards(FaultServer.ok("0123456789").at(5, Fault.freeze()))) {
            CompletableFuture<List<Reason>> ends = Flux.range(0, 3)
                    .flatMap(i -> source.read(
                                    whole(server.uri("/a"), 10),
                                    content -> Asking.collect(content.bytes().doOnNext(bytes -> begun.release())))
                            .then(Mono.<Reason>empty())
                            .onErrorResume(OtaException.class, failure -> Mono.just(failure.reason())))
                    .collectList()
                    .toFuture();
            assertThat(begun.tryAcquire(3, 30, TimeUnit.SECONDS)).isTrue();

            source.close().block(PATIENCE);

            assertThat(ends.get(30, TimeUnit.SECONDS))
                    .containsOnly(Reason.CONNECTION_LOST)
                    .hasSize(3);
            Awaitility.await().atMost(PATIENCE).until(() -> server.openConnections() == 0);
        }
        given.disposeLater(Duration.ZERO, PATIENCE).block(PATIENCE);
    }

    @Test
    void theNativeTransportIsThereOnLinux() {
        assertThat(Epoll.isAvailable())
                .isEqualTo(System.getProperty("os.name").equals("Linux")
                        && System.getProperty("os.arch").equals("amd64"));
    }

    @Test
    void settingsOutOfRangeAreRefused() {
        HttpArtifactSource.Builder builder = Asking.local();

        assertThatThrownBy(() -> builder.connectTimeout(Duration.ZERO)).hasMessageContaining("connectTimeout: PT0S");
        assertThatThrownBy(() -> builder.firstByteTimeout(Duration.ofSeconds(-1)))
                .hasMessageContaining("firstByteTimeout");
        assertThatThrownBy(() -> builder.stallTimeout(Duration.ZERO)).hasMessageContaining("stallTimeout");
        assertThatThrownBy(() -> builder.receiveBufferSize(1)).hasMessageContaining("receiveBufferSize: 1");
        assertThatThrownBy(() -> builder.maxConnections(0)).hasMessageContaining("maxConnections: 0");
        assertThatThrownBy(() -> builder.trustedCertificates(List.of())).hasMessageContaining("authorities: none");
        assertThatThrownBy(() -> builder.header(URI.create("https://example.org"), "X-Token", "a\r\nB: CANARY"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageNotContaining("CANARY");
        assertThatThrownBy(() -> Proxy.http("127.0.0.1", 0)).hasMessageContaining("port: 0");
    }

    private static long threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("otaflux-http"))
                .count();
    }
}
