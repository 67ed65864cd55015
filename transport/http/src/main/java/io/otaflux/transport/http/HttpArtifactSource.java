package io.otaflux.transport.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelOption;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.resolver.AddressResolverGroup;
import io.netty.resolver.NoopAddressResolverGroup;
import io.netty.util.concurrent.ImmediateEventExecutor;
import io.otaflux.ArtifactSource;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.Connection;
import reactor.netty.FutureMono;
import reactor.netty.NettyPipeline;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientResponse;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;
import reactor.netty.tcp.SslProvider;

/**
 * Fetches artifacts over HTTP/1.1.
 *
 * <p>Only https is asked, unless {@link Builder#allowHttp} says otherwise, and even then plain http only for artifacts
 * that have a digest. Up to five redirects are followed, never from https to http. Only 200 and 206 are data; a 206 is
 * believed when its {@code Content-Range} is exactly what was asked for. The bytes must come as they are: an answer with a
 * {@code Content-Encoding} is refused.
 *
 * <p>Only hosts of the public Internet are asked: a platform, or whoever has got hold of it, could otherwise use the device
 * to reach what is on its own network. The address that a connection is really made to is judged, for each redirect anew.
 * A file server on a local network is allowed by {@link Builder#allowNetworks}, or by {@link Builder#allowOrigin} where it
 * is known by its name.
 *
 * <p>A transfer that is taken up again sends {@code Range}, with {@code If-Range} where the earlier answer had a strong
 * entity tag or a strong {@code Last-Modified}. Where the server cannot go on, the whole is asked for, and {@link
 * ArtifactSource.Content#offset()} is 0.
 *
 * <p>Errors, by {@link io.otaflux.OtaException#reason()}: {@code LOCATION_REFUSED}, {@code NO_DIGEST}, {@code
 * REDIRECT_REFUSED}, {@code FORBIDDEN} (401, 403, 407), {@code NOT_FOUND} (404, 410), {@code BAD_RESPONSE} and {@code TLS}
 * are permanent; {@code SERVER_BUSY} (408, 425, 429, 500, 502, 503, 504; with {@code Retry-After}), {@code TIMEOUT} and
 * {@code CONNECTION_LOST} are transient; {@code ENDLESS_DATA} and {@code TRUNCATED} say that the server has another number
 * of bytes than was declared. No message contains a location's query, and no logger of Reactor Netty's is told it, nor the
 * headers of {@link Builder#header}, nor where a redirect leads.
 *
 * <p>Host names are resolved without blocking, by {@code /etc/hosts} and DNS; other name services of the system, mDNS for
 * example, are not asked. Redirects, refusals and answers that are given up cost their connection; whole answers give it
 * back for the next request.
 *
 * <p>A source may be shared by any number of threads and downloads. Buffers arrive on its event loops.
 */
public final class HttpArtifactSource implements ArtifactSource {

    private static final int MAX_REDIRECTS = 5;
    private static final Duration MAX_IDLE = Duration.ofSeconds(10);
    /** How much the receive buffers of one size may take together, in a process of any size. */
    private static final long MAX_ROOM = 16 << 20;

    /** What is read over TLS is decrypted into as much memory again, and both should stay in the processor's cache. */
    private static final int MOST_UNDER_TLS = 512 * 1024;

    private static final Duration CLOSE_PATIENCE = Duration.ofSeconds(5);

    private final HttpClient client;
    private final Mono<HttpClient> secureClient;
    private final ConnectionProvider connections;
    /** Those in use as well, which the provider leaves alone, as an event loop may that ends without a quiet period. */
    private final ChannelGroup channels = new DefaultChannelGroup(ImmediateEventExecutor.INSTANCE, true);

    private final LoopResources loops;
    private final boolean ownLoops;
    private final Locations locations;
    private final Map<Origin, HttpHeaders> headers;
    private final Duration stallTimeout;
    private volatile boolean closed;

    private HttpArtifactSource(Builder builder) {
        Networks networks = new Networks(builder.networks);
        locations = new Locations(builder.allowHttp, builder.hosts, networks, builder.origins);
        headers = Map.copyOf(builder.headers);
        stallTimeout = builder.stallTimeout;
        ownLoops = builder.loops == null;
        loops = builder.loops != null ? builder.loops : LoopResources.create("otaflux-http", -1, loops(), true, false);
        connections = ConnectionProvider.builder("otaflux-http")
                .maxConnections(builder.maxConnections)
                .pendingAcquireMaxCount(-1)
                .pendingAcquireTimeout(Duration.ZERO)
                .maxIdleTime(MAX_IDLE)
                .evictInBackground(MAX_IDLE)
                .build();
        HttpClient plain = client(builder, networks);
        client = builder.customizer.apply(plain);
        Duration handshakeTimeout = builder.connectTimeout;
        UnaryOperator<HttpClient> customizer = builder.customizer;
        ReceiveBuffers secureBuffers = builder.receiveBuffers(MOST_UNDER_TLS);
        secureClient = builder.tls()
                .map(tls -> customizer.apply(plain.option(ChannelOption.RECVBUF_ALLOCATOR, secureBuffers)
                        .secure(SslProvider.builder()
                                .sslContext(tls)
                                .handshakeTimeout(handshakeTimeout)
                                .build())))
                .cache();
    }

    /** A source with default settings. */
    public static HttpArtifactSource create() {
        return builder().build();
    }

    /** For a source with other settings. */
    public static Builder builder() {
        return new Builder();
    }

    /** An odd number: each new connection takes one loop and passes over the next, so half of an even number would get none. */
    private static int loops() {
        return Runtime.getRuntime().availableProcessors() | 1;
    }

    @SuppressWarnings("deprecation") // maxChunkSize has no effect any more in Netty 5, which does not split chunks.
    private HttpClient client(Builder builder, Networks networks) {
        Duration firstByteTimeout = builder.firstByteTimeout;
        int connectMillis = Math.toIntExact(builder.connectTimeout.toMillis());
        HttpClient configured = HttpClient.create(connections)
                // Before runOn: where it finds no resolver it makes one and keeps it in a static map for ever.
                .resolver(NoopAddressResolverGroup.INSTANCE)
                .runOn(loops, true)
                .disableRetry(true)
                .httpResponseDecoder(spec -> spec.maxChunkSize(Integer.MAX_VALUE))
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, connectMillis)
                .option(ChannelOption.RECVBUF_ALLOCATOR, builder.receiveBuffers(Integer.MAX_VALUE))
                .option(
                        ChannelOption.ALLOCATOR,
                        builder.allocator == null ? ByteBufAllocator.DEFAULT : builder.allocator)
                .doOnChannelInit((observer, channel, remote) -> {
                    channels.add(channel);
                    channel.pipeline()
                            .addAfter(NettyPipeline.HttpCodec, "otaflux.discretion", new Discretion())
                            .addAfter(NettyPipeline.HttpCodec, "otaflux.answer", new AnswerGuard(firstByteTimeout));
                    if (!(remote instanceof InetSocketAddress to
                            && locations.isExempt(to.getHostString(), to.getPort()))) {
                        channel.pipeline().addLast("otaflux.network", new NetworkGuard(networks));
                    }
                });
        Proxy proxy = builder.proxy;
        return proxy == null
                ? configured.resolver(spec -> spec.runOn(loops, true))
                : configured.proxyWhen((config, spec) -> Mono.fromSupplier(() -> proxy.configure(spec, connectMillis))
                        // Looks up the proxy's address, which blocks.
                        .subscribeOn(Schedulers.boundedElastic()));
    }

    @Override
    public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
        return Flux.defer(() -> {
            if (closed) {
                return Flux.error(new IllegalStateException("the source is closed"));
            }
            URI first = locations.first(request.artifact());
            return new Exchange<>(request, consumer).ask(new Hop(first, 0, true), request.offset());
        });
    }

    /**
     * Closes all connections, those in use as well, and the event loops unless they were given.
     *
     * @return a {@code Mono} that starts when it is subscribed to and completes when everything is closed
     */
    @Override
    public Mono<Void> close() {
        return Mono.defer(() -> {
            closed = true;
            Mono<Void> loopsClosed = ownLoops ? loops.disposeLater(Duration.ZERO, CLOSE_PATIENCE) : Mono.empty();
            AddressResolverGroup<?> resolver = client.configuration().resolver();
            if (resolver != null && resolver != NoopAddressResolverGroup.INSTANCE) {
                resolver.close();
            }
            return connections
                    .disposeLater()
                    .then(FutureMono.deferFuture(channels::close))
                    .then(loopsClosed);
        });
    }

    /**
     * One location on the way to the bytes.
     *
     * @param redirects how many came before
     * @param home whether all so far were of one origin
     */
    private record Hop(URI uri, int redirects, boolean home) {

        /** What it is called that this may not be asked. */
        Reason reason() {
            return redirects == 0 ? Reason.LOCATION_REFUSED : Reason.REDIRECT_REFUSED;
        }

        Hop next(URI to) {
            return new Hop(to, redirects + 1, home && Origin.of(uri).equals(Origin.of(to)));
        }

        /** Leaves the query out, which often is a credential. */
        @Override
        public String toString() {
            return "Hop[" + Locations.describe(uri) + ", redirects=" + redirects + ", home=" + home + "]";
        }
    }

    /** Carries an error of the consumer, or one that is translated already, past the translation of Reactor Netty's. */
    private static final class Passed extends RuntimeException {

        Passed(Throwable cause) {
            super(null, cause, false, false);
        }

        static Throwable unwrap(Throwable failure, String where, Reason refusal) {
            Throwable cause = failure instanceof Passed ? failure.getCause() : null;
            if (cause != null) {
                return cause;
            }
            if (failure instanceof NetworkGuard.Refused) {
                return new SourceException(refusal, where + ": " + failure.getMessage(), null);
            }
            return failure instanceof Exception ? Failures.ofRequest(failure, where) : failure;
        }
    }

    /** One subscription to {@link #read}: a request and what it is redirected to. */
    private final class Exchange<T> {

        private final Request request;
        private final Function<Content, Publisher<T>> consumer;
        private final Set<URI> asked = new HashSet<>();

        Exchange(Request request, Function<Content, Publisher<T>> consumer) {
            this.request = request;
            this.consumer = consumer;
        }

        Flux<T> ask(Hop hop, long offset) {
            asked.add(hop.uri());
            String where = Locations.describe(hop.uri());
            Mono<HttpClient> chosen =
                    "https".equalsIgnoreCase(hop.uri().getScheme()) ? secureClient : Mono.just(client);
            return chosen.flatMapMany(http -> http.doOnRequest((outgoing, connection) ->
                                    Discretion.of(connection.channel()).intend(hop.uri(), headers(hop, offset)))
                            .get()
                            .uri(Discretion.shown(hop.uri()))
                            .responseConnection(
                                    (response, connection) -> answer(hop, offset, where, response, connection)))
                    // A cancellation between the answer's arrival and its delivery: nobody else closes it then.
                    .doOnDiscard(Connection.class, Connection::dispose)
                    .onErrorMap(failure -> Passed.unwrap(failure, where, hop.reason()));
        }

        private HttpHeaders headers(Hop hop, long offset) {
            HttpHeaders all = new DefaultHttpHeaders();
            HttpHeaders own = hop.home() ? headers.get(Origin.of(hop.uri())) : null;
            if (own != null) {
                all.set(own);
            }
            all.set(HttpHeaderNames.USER_AGENT, "OtaFlux");
            all.set(HttpHeaderNames.ACCEPT_ENCODING, HttpHeaderValues.IDENTITY);
            if (offset > 0) {
                all.set(HttpHeaderNames.RANGE, "bytes=" + offset + "-");
                if (request.validator() != null) {
                    all.set(HttpHeaderNames.IF_RANGE, request.validator());
                }
            }
            return all;
        }

        /** Runs on the event loop, when the headers are here. The connection is ours from here on. */
        private Flux<T> answer(Hop hop, long offset, String where, HttpClientResponse response, Connection connection) {
            HttpHeaders answered = Discretion.of(connection.channel()).answered();
            int status = response.status().code();
            return Flux.defer(() -> {
                        Verdict verdict = Verdict.of(request, offset, status, answered, where);
                        if (verdict instanceof Verdict.Data data) {
                            return deliver(data, where, connection);
                        }
                        connection.dispose();
                        if (verdict instanceof Verdict.Complete) {
                            return Flux.from(consumer.apply(
                                    new Content(offset, offset, request.validator(), Flux.<ByteBuf>empty())));
                        }
                        return verdict instanceof Verdict.Redirect redirect
                                ? follow(hop, redirect, offset, where)
                                : ask(hop, 0);
                    })
                    .doOnError(failure -> connection.dispose())
                    .onErrorMap(Passed::new);
        }

        private Flux<T> follow(Hop hop, Verdict.Redirect redirect, long offset, String where) {
            URI to = locations.next(hop.uri(), redirect.location(), request.artifact());
            if (hop.redirects() == MAX_REDIRECTS) {
                throw new SourceException(
                        Reason.REDIRECT_REFUSED, where + ": redirects once more after " + MAX_REDIRECTS, null);
            }
            if (asked.contains(to)) {
                throw new SourceException(Reason.REDIRECT_REFUSED, where + ": redirects in a circle", null);
            }
            return ask(hop.next(to), offset);
        }

        private Flux<T> deliver(Verdict.Data data, String where, Connection connection) {
            Body body = new Body(connection, request.artifact(), where, data.offset(), data.size(), stallTimeout);
            Content content = new Content(data.offset(), data.size(), data.validator(), body);
            return Flux.<T>defer(() -> consumer.apply(content)).doFinally(signal -> body.abandon());
        }
    }

    /** Settings of a source. */
    public static final class Builder {

        private final Map<Origin, HttpHeaders> headers = new HashMap<>();
        private Duration connectTimeout = Duration.ofSeconds(10);
        private Duration firstByteTimeout = Duration.ofSeconds(30);
        private Duration stallTimeout = Duration.ofSeconds(30);
        private int receiveBufferSize = 2 << 20;
        private int maxConnections = 64;
        private final Set<String> hosts = new HashSet<>();
        private final List<String> networks = new ArrayList<>();
        private final Set<Origin> origins = new HashSet<>();
        private UnaryOperator<HttpClient> customizer = UnaryOperator.identity();
        private boolean allowHttp;
        private @Nullable ByteBufAllocator allocator;
        private @Nullable Proxy proxy;
        private @Nullable Collection<X509Certificate> trusted;
        private @Nullable Path clientCertificates;
        private @Nullable Path clientKey;
        private @Nullable LoopResources loops;
        private io.netty.handler.ssl.@Nullable SslProvider tls;

        private Builder() {}

        /** How long a connection may take, and its TLS handshake once more. Defaults to 10 seconds. */
        public Builder connectTimeout(Duration connectTimeout) {
            this.connectTimeout = positive("connectTimeout", connectTimeout);
            return this;
        }

        /** How long the headers of the answer may take after the request was sent. Defaults to 30 seconds. */
        public Builder firstByteTimeout(Duration firstByteTimeout) {
            this.firstByteTimeout = positive("firstByteTimeout", firstByteTimeout);
            return this;
        }

        /**
         * How long no byte may come while the subscriber waits for one. While it does not, because the disk is slow for
         * example, the server is not to blame and no time runs. Defaults to 30 seconds.
         */
        public Builder stallTimeout(Duration stallTimeout) {
            this.stallTimeout = positive("stallTimeout", stallTimeout);
            return this;
        }

        /**
         * How many bytes are read from the socket at once, at most. A connection gets small buffers at first and larger ones
         * while its reads fill them. Defaults to 2 MiB, which costs less processor time than Netty's small buffers;
         * take less for many downloads at once in little memory. Over TLS it is never more than 512 KiB.
         *
         * <p>Buffers are of 64 KiB, of 128 KiB and of this size, and this source keeps them for the next read, those for TLS
         * apart. Those of one size take an eighth of the heap's maximum together, at most 16 MiB, but four there are in any
         * case. A download that finds none left of its size reads less at once.
         */
        public Builder receiveBufferSize(int receiveBufferSize) {
            if (receiveBufferSize < 1_024) {
                throw new IllegalArgumentException("receiveBufferSize: " + receiveBufferSize + " (expected: >= 1024)");
            }
            this.receiveBufferSize = receiveBufferSize;
            return this;
        }

        /**
         * How many connections there are at most to one host and port. Requests beyond that wait for their turn, however
         * many and however long. Defaults to 64.
         */
        public Builder maxConnections(int maxConnections) {
            if (maxConnections < 1) {
                throw new IllegalArgumentException("maxConnections: " + maxConnections + " (expected: >= 1)");
            }
            this.maxConnections = maxConnections;
            return this;
        }

        /** Whether plain http may be asked, for artifacts that have a digest. Defaults to false. */
        public Builder allowHttp(boolean allowHttp) {
            this.allowHttp = allowHttp;
            return this;
        }

        /**
         * The hosts that may be asked, and may be redirected to, and no others: names such as {@code files.example.org}, the
         * ends of names such as {@code *.example.org}, which is not {@code example.org} itself, or addresses. Where they are
         * is judged all the same. May be called again for more. Defaults to all.
         *
         * @throws IllegalArgumentException when one is no host
         */
        public Builder allowHosts(String... hosts) {
            for (String host : hosts) {
                this.hosts.add(Locations.host(host));
            }
            return this;
        }

        /**
         * Networks that may be connected to besides the public Internet, for example {@code 192.168.0.0/16} or {@code
         * fd00::/8} where a file server is on the local network, {@code 127.0.0.0/8} where it is on this machine. Loopback,
         * link-local, private, shared, multicast, reserved and the like are refused otherwise, in whichever form an address
         * comes. May be called again for more. Defaults to none.
         *
         * <p>Through a proxy only hosts that are literally an address are judged: names are resolved by the proxy, and the
         * proxy's own address is the word of whoever configured it.
         *
         * @throws IllegalArgumentException when one is no network
         */
        public Builder allowNetworks(String... networks) {
            List<String> added = List.of(networks);
            new Networks(added);
            this.networks.addAll(added);
            return this;
        }

        /**
         * A server that may be asked wherever it is and whatever it is called, because somebody who may say so named it, for
         * example by typing a URL. It may redirect to itself; a redirect to another is judged as ever, and one from another
         * to it is followed. May be called again for more. Defaults to none.
         *
         * @param origin any location of that scheme, host and port
         * @throws IllegalArgumentException when it has no scheme or no host
         */
        public Builder allowOrigin(URI origin) {
            origins.add(Origin.of(origin));
            return this;
        }

        /** Has the last word on the client, for what only this module may change. */
        Builder client(UnaryOperator<HttpClient> customizer) {
            this.customizer = customizer;
            return this;
        }

        /** For tests. Otherwise OpenSSL or BoringSSL does it where it is on the class path, and the JDK where not. */
        Builder tls(io.netty.handler.ssl.SslProvider provider) {
            this.tls = provider;
            return this;
        }

        /** The proxy through which every request goes. Defaults to none. */
        public Builder proxy(Proxy proxy) {
            this.proxy = Objects.requireNonNull(proxy, "proxy");
            return this;
        }

        /**
         * The certificate authorities to trust, instead of those of the system. The server's host name is checked in any
         * case. Defaults to those of the system.
         */
        public Builder trustedCertificates(Collection<X509Certificate> authorities) {
            if (authorities.isEmpty()) {
                throw new IllegalArgumentException("authorities: none (expected: at least one)");
            }
            this.trusted = List.copyOf(authorities);
            return this;
        }

        /**
         * The certificate authorities to trust, instead of those of the system, from a PEM file.
         *
         * @throws IllegalArgumentException when the file cannot be read or has no certificate
         */
        public Builder trustedCertificates(Path pem) {
            try {
                Collection<X509Certificate> certificates = CertificateFactory.getInstance("X.509")
                        .generateCertificates(new ByteArrayInputStream(Files.readAllBytes(pem)))
                        .stream()
                        .map(X509Certificate.class::cast)
                        .toList();
                return trustedCertificates(certificates);
            } catch (IOException | CertificateException e) {
                throw new IllegalArgumentException("authorities: cannot read " + pem, e);
            }
        }

        /**
         * What this client proves itself with, where a server asks.
         *
         * @param certificates a PEM file with the client's certificate and those that lead to its authority
         * @param key a PEM file with its private key (PKCS #8, not encrypted)
         */
        public Builder clientCertificate(Path certificates, Path key) {
            this.clientCertificates = Objects.requireNonNull(certificates, "certificates");
            this.clientKey = Objects.requireNonNull(key, "key");
            return this;
        }

        /**
         * A header that goes to one origin and to no other, an access token for example: not across a redirect, and not
         * when another origin redirects back.
         *
         * @param origin any location of that scheme, host and port
         */
        public Builder header(URI origin, String name, String value) {
            headers.computeIfAbsent(Origin.of(origin), unused -> new DefaultHttpHeaders())
                    .add(name, value);
            return this;
        }

        /** Event loops to share with others; closing the source leaves them alone. Defaults to own ones, one per processor. */
        public Builder loopResources(LoopResources loops) {
            this.loops = Objects.requireNonNull(loops, "loops");
            return this;
        }

        /**
         * Where receive buffers come from, the largest ones too. Defaults to Netty's for small ones and a pool of this source's
         * for large ones.
         */
        public Builder allocator(ByteBufAllocator allocator) {
            this.allocator = Objects.requireNonNull(allocator, "allocator");
            return this;
        }

        /** @throws IllegalArgumentException when the client's certificate or key cannot be used */
        public HttpArtifactSource build() {
            return new HttpArtifactSource(this);
        }

        private ReceiveBuffers receiveBuffers(int most) {
            long room = Math.min(MAX_ROOM, Runtime.getRuntime().maxMemory() / 8);
            return new ReceiveBuffers(Math.min(receiveBufferSize, most), allocator == null ? room : 0);
        }

        private Mono<SslContext> tls() {
            if (allowHttp && trusted == null && clientCertificates == null) {
                // Cannot be wrong and may not be needed: to read all that the system trusts takes longer than the whole
                // of a small download.
                return Mono.fromSupplier(new Builder()::sslContext).subscribeOn(Schedulers.boundedElastic());
            }
            return Mono.just(sslContext());
        }

        private SslContext sslContext() {
            // The check of the host name is part of the context itself, so that no other setting can lose it.
            SslContextBuilder builder =
                    SslContextBuilder.forClient().sslProvider(tls).endpointIdentificationAlgorithm("HTTPS");
            if (trusted != null) {
                builder.trustManager(trusted.toArray(new X509Certificate[0]));
            }
            try {
                if (clientCertificates != null && clientKey != null) {
                    builder.keyManager(clientCertificates.toFile(), clientKey.toFile());
                }
                return builder.build();
            } catch (SSLException | IllegalArgumentException e) {
                throw new IllegalArgumentException("TLS: cannot use the configured certificates or key", e);
            }
        }

        private static Duration positive(String what, Duration duration) {
            if (duration.isZero() || duration.isNegative()) {
                throw new IllegalArgumentException(what + ": " + duration + " (expected: > 0)");
            }
            return duration;
        }
    }
}
