package io.otaflux.benchmarks.compare;

import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okio.BufferedSink;
import okio.HashingSink;
import okio.Okio;
import org.asynchttpclient.AsyncHandler;
import org.asynchttpclient.AsyncHttpClient;
import org.asynchttpclient.DefaultAsyncHttpClientConfig;
import org.asynchttpclient.Dsl;
import org.asynchttpclient.HttpResponseBodyPart;
import org.asynchttpclient.HttpResponseStatus;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.client.HttpClient;
import reactor.netty.tcp.SslProvider;
import software.amazon.awssdk.crt.http.HttpClientConnection;
import software.amazon.awssdk.crt.http.HttpClientConnectionManager;
import software.amazon.awssdk.crt.http.HttpClientConnectionManagerOptions;
import software.amazon.awssdk.crt.http.HttpHeader;
import software.amazon.awssdk.crt.http.HttpStream;
import software.amazon.awssdk.crt.http.HttpStreamResponseHandler;
import software.amazon.awssdk.crt.io.ClientBootstrap;
import software.amazon.awssdk.crt.io.SocketOptions;
import software.amazon.awssdk.crt.io.TlsContext;
import software.amazon.awssdk.crt.io.TlsContextOptions;

/** The other libraries, used as their own documentation shows it for a large file. */
final class Peers {

    private static final Duration PATIENCE = Duration.ofMinutes(10);

    private Peers() {}

    /** {@code java.net.http}, to a file, which is hashed afterwards. */
    static final class Jdk implements Fetch {

        private final java.net.http.HttpClient client;

        Jdk(Path certificate) throws IOException, GeneralSecurityException {
            client = java.net.http.HttpClient.newBuilder()
                    .sslContext(Fetch.context(Fetch.trust(certificate)))
                    .version(java.net.http.HttpClient.Version.HTTP_1_1)
                    .build();
        }

        @Override
        public String fetch(URI location, Path file) throws IOException, InterruptedException {
            HttpResponse<Path> response =
                    client.send(HttpRequest.newBuilder(location).build(), HttpResponse.BodyHandlers.ofFile(file));
            expect200(response.statusCode());
            Fetch.synchronise(file);
            return Fetch.hash(file);
        }
    }

    /** Spring, with the writer that its reference recommends; the file is hashed afterwards. */
    static final class Spring implements Fetch {

        private final WebClient client;

        Spring(Path certificate) {
            client = WebClient.builder()
                    .clientConnector(new ReactorClientHttpConnector(reactorNetty(certificate)))
                    .build();
        }

        @Override
        public String fetch(URI location, Path file) throws IOException {
            DataBufferUtils.write(
                            client.get().uri(location).retrieve().bodyToFlux(DataBuffer.class),
                            file,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE)
                    .block(PATIENCE);
            Fetch.synchronise(file);
            return Fetch.hash(file);
        }
    }

    /** Reactor Netty as one writes it first: arrays, and each of them written on a thread that may block. */
    static final class Naive implements Fetch {

        private final HttpClient client;

        Naive(Path certificate) {
            client = reactorNetty(certificate);
        }

        @Override
        public String fetch(URI location, Path file) throws IOException {
            MessageDigest digest = Fetch.sha256();
            try (FileChannel out = Fetch.create(file)) {
                client.get()
                        .uri(location)
                        .responseContent()
                        .asByteArray()
                        .concatMap(bytes -> Mono.fromCallable(() -> {
                                    digest.update(bytes);
                                    return out.write(ByteBuffer.wrap(bytes));
                                })
                                .subscribeOn(Schedulers.boundedElastic()))
                        .then()
                        .block(PATIENCE);
                out.force(true);
            }
            return Fetch.hex(digest);
        }
    }

    private static HttpClient reactorNetty(Path certificate) {
        // As a provider, not by a function: the latter looks for HTTP/3, whose libraries are left out.
        return HttpClient.create()
                .secure(SslProvider.builder().sslContext(nettyTls(certificate)).build());
    }

    /** OpenSSL's, since it is on the class path. */
    private static SslContext nettyTls(Path certificate) {
        try {
            return SslContextBuilder.forClient()
                    .trustManager(certificate.toFile())
                    .build();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** OkHttp and Okio, hashed on the way. */
    static final class OkHttp implements Fetch {

        private final OkHttpClient client;

        OkHttp(Path certificate) throws IOException, GeneralSecurityException {
            TrustManagerFactory trust = Fetch.trust(certificate);
            client = new OkHttpClient.Builder()
                    .sslSocketFactory(
                            Fetch.context(trust).getSocketFactory(), (X509TrustManager) trust.getTrustManagers()[0])
                    .build();
        }

        @Override
        public String fetch(URI location, Path file) throws IOException {
            Request request = new Request.Builder().url(location.toString()).build();
            try (Response response = client.newCall(request).execute();
                    FileOutputStream out = new FileOutputStream(file.toFile());
                    HashingSink hashing = HashingSink.sha256(Okio.sink(out));
                    BufferedSink sink = Okio.buffer(hashing)) {
                expect200(response.code());
                sink.writeAll(response.body().source());
                sink.flush();
                out.getFD().sync();
                return hashing.hash().hex();
            }
        }

        @Override
        public void close() {
            client.connectionPool().evictAll();
            client.dispatcher().executorService().shutdown();
        }
    }

    /** async-http-client, hashed and written on its event loop. */
    static final class Ahc implements Fetch {

        private final AsyncHttpClient client;

        Ahc(Path certificate) {
            client = Dsl.asyncHttpClient(new DefaultAsyncHttpClientConfig.Builder()
                    .setSslContext(nettyTls(certificate))
                    .setRequestTimeout(PATIENCE)
                    .setShutdownQuietPeriod(Duration.ZERO)
                    .build());
        }

        @Override
        public String fetch(URI location, Path file) throws Exception {
            MessageDigest digest = Fetch.sha256();
            try (FileChannel out = Fetch.create(file)) {
                client.prepareGet(location.toString())
                        .execute(new AhcWriting(digest, out))
                        .get();
                out.force(true);
            }
            return Fetch.hex(digest);
        }

        @Override
        public void close() throws IOException {
            client.close();
        }

        private record AhcWriting(MessageDigest digest, FileChannel out) implements AsyncHandler<Boolean> {

            @Override
            public State onStatusReceived(HttpResponseStatus status) throws IOException {
                expect200(status.getStatusCode());
                return State.CONTINUE;
            }

            @Override
            public State onHeadersReceived(HttpHeaders headers) {
                return State.CONTINUE;
            }

            @Override
            public State onBodyPartReceived(HttpResponseBodyPart part) throws IOException {
                ByteBuffer bytes = part.getBodyByteBuffer();
                digest.update(bytes.duplicate());
                out.write(bytes);
                return State.CONTINUE;
            }

            @Override
            public void onThrowable(Throwable failure) {
                // The future has it.
            }

            @Override
            public Boolean onCompleted() {
                return true;
            }
        }
    }

    /** The client of the AWS SDK, hashed and written on its event loop. */
    static final class Crt implements Fetch {

        private final HttpClientConnectionManager connections;

        Crt(URI location, Path certificate) {
            HttpClientConnectionManagerOptions options = new HttpClientConnectionManagerOptions()
                    .withUri(location)
                    .withSocketOptions(new SocketOptions())
                    .withClientBootstrap(ClientBootstrap.getOrCreateStaticDefault());
            if ("https".equals(location.getScheme())) {
                options.withTlsContext(new TlsContext(TlsContextOptions.createDefaultClient()
                        .withCertificateAuthorityFromPath(null, certificate.toString())));
            }
            connections = HttpClientConnectionManager.create(options);
        }

        @Override
        public String fetch(URI location, Path file) throws Exception {
            MessageDigest digest = Fetch.sha256();
            try (FileChannel out = Fetch.create(file)) {
                HttpClientConnection connection =
                        connections.acquireConnection().get();
                CompletableFuture<Integer> done = new CompletableFuture<>();
                try (HttpStream stream = connection.makeRequest(
                        new software.amazon.awssdk.crt.http.HttpRequest(
                                "GET",
                                location.getRawPath(),
                                new HttpHeader[] {new HttpHeader("Host", location.getAuthority())},
                                null),
                        new CrtWriting(digest, out, done))) {
                    stream.activate();
                    int error = done.get();
                    if (error != 0) {
                        throw new IOException("AWS CRT: error " + error);
                    }
                } finally {
                    connections.releaseConnection(connection);
                }
                out.force(true);
            }
            return Fetch.hex(digest);
        }

        private record CrtWriting(MessageDigest digest, FileChannel out, CompletableFuture<Integer> done)
                implements HttpStreamResponseHandler {

            @Override
            public void onResponseHeaders(HttpStream stream, int status, int block, HttpHeader[] headers) {
                if (status != 200) {
                    done.completeExceptionally(new IOException("answered " + status));
                }
            }

            @Override
            public int onResponseBody(HttpStream stream, byte[] bytes) {
                digest.update(bytes);
                try {
                    out.write(ByteBuffer.wrap(bytes));
                } catch (IOException e) {
                    done.completeExceptionally(e);
                }
                return bytes.length;
            }

            @Override
            public void onResponseComplete(HttpStream stream, int error) {
                done.complete(error);
            }
        }
    }

    private static void expect200(int status) throws IOException {
        if (status != 200) {
            throw new IOException("answered " + status + " (expected: 200)");
        }
    }
}
