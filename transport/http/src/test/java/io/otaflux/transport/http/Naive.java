package io.otaflux.transport.http;

import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.ssl.SslContext;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.tcp.SslProvider;

/** What one would write in five minutes: Reactor Netty as it is, which is told everything and follows every redirect. */
final class Naive implements ArtifactSource {

    private final HttpClient client;

    Naive(Consumer<HttpHeaders> headers, @Nullable SslContext tls) {
        HttpClient plain = HttpClient.create(ConnectionProvider.newConnection())
                .followRedirect(true)
                .headers(headers);
        client = tls == null
                ? plain
                : plain.secure(SslProvider.builder().sslContext(tls).build());
    }

    @Override
    public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
        return client.get()
                .uri(request.artifact().location())
                .responseConnection((response, connection) -> Flux.from(consumer.apply(new Content(
                                0,
                                Artifact.UNKNOWN_SIZE,
                                null,
                                connection.inbound().receive().retain())))
                        .doFinally(end -> connection.dispose()));
    }
}
