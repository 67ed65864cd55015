package io.otaflux.samples.platform;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * Serves artifacts to devices. What devices of this protocol depend on: a length on every body, never chunks; a part in answer
 * to every range there is, never the whole; refusals in the XML of Alibaba's object store.
 *
 * <p>The bytes go from the file to the socket without passing through this process.
 */
final class FileServer {

    private static final DateTimeFormatter HTTP_DATE = DateTimeFormatter.ofPattern(
                    "EEE, dd MMM yyyy HH:mm:ss 'GMT'", Locale.ROOT)
            .withZone(ZoneOffset.UTC);

    private final ArtifactFiles artifacts;
    private final SignedUrls urls;
    private final Supplier<Instant> clock;
    private final Scheduler disk;
    private final AtomicLong downloads = new AtomicLong();
    private final AtomicLong downloadedBytes = new AtomicLong();

    /** @param disk where the file system is asked about files */
    FileServer(ArtifactFiles artifacts, SignedUrls urls, Supplier<Instant> clock, Scheduler disk) {
        this.artifacts = artifacts;
        this.urls = urls;
        this.clock = clock;
        this.disk = disk;
    }

    /** How many requests were answered with bytes of a file, the whole or a part. */
    long downloads() {
        return downloads.get();
    }

    /** How many bytes of files they were promised. */
    long downloadedBytes() {
        return downloadedBytes.get();
    }

    private record Found(Path path, long size, String etag, String lastModified) {}

    Mono<Void> serve(HttpServerRequest request, HttpServerResponse response) {
        boolean head = request.method().equals(HttpMethod.HEAD);
        WebPage.protect(response.responseHeaders());
        if (!head && !request.method().equals(HttpMethod.GET)) {
            response.header(HttpHeaderNames.ALLOW, "GET, HEAD");
            return refuse(response, false, HttpResponseStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed");
        }
        QueryStringDecoder uri = new QueryStringDecoder(request.uri());
        Map<String, String> query = new TreeMap<>();
        uri.parameters().forEach((name, values) -> query.put(name, values.get(0)));
        if (!urls.accepts(uri.path(), query, clock.get())) {
            return refuse(response, head, HttpResponseStatus.FORBIDDEN, "AccessDenied");
        }
        String sha256 = uri.path().substring(SignedUrls.PATH.length());
        return Mono.fromCallable(() -> find(sha256))
                .subscribeOn(disk)
                .map(Optional::of)
                .onErrorReturn(RequestRefusedException.class, Optional.empty())
                .flatMap(found -> found.isPresent()
                        ? send(request, response, head, found.get())
                        : refuse(response, head, HttpResponseStatus.NOT_FOUND, "NoSuchKey"));
    }

    private Found find(String sha256) throws IOException {
        Path path = artifacts.locate(sha256);
        Instant modified = Files.getLastModifiedTime(path).toInstant().truncatedTo(ChronoUnit.SECONDS);
        return new Found(path, Files.size(path), "\"" + sha256 + "\"", HTTP_DATE.format(modified));
    }

    private Mono<Void> send(HttpServerRequest request, HttpServerResponse response, boolean head, Found file) {
        response.header(HttpHeaderNames.ACCEPT_RANGES, HttpHeaderValues.BYTES)
                .header(HttpHeaderNames.ETAG, file.etag())
                .header(HttpHeaderNames.LAST_MODIFIED, file.lastModified())
                .header(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_OCTET_STREAM);
        ByteRange range = head || !isUnchanged(request, file)
                ? null
                : ByteRange.parse(request.requestHeaders().get(HttpHeaderNames.RANGE), file.size())
                        .orElse(null);
        if (range != null && !range.isSatisfiable()) {
            response.header(HttpHeaderNames.CONTENT_RANGE, "bytes */" + file.size());
            return refuse(response, false, HttpResponseStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange");
        }
        if (range == null) {
            response.header(HttpHeaderNames.CONTENT_LENGTH, Long.toString(file.size()));
            return head ? response.send().then() : sendFile(response, file, 0, file.size());
        }
        response.status(HttpResponseStatus.PARTIAL_CONTENT)
                .header(
                        HttpHeaderNames.CONTENT_RANGE,
                        "bytes " + range.first() + "-" + range.last() + "/" + file.size())
                .header(HttpHeaderNames.CONTENT_LENGTH, Long.toString(range.length()));
        return sendFile(response, file, range.first(), range.length());
    }

    private Mono<Void> sendFile(HttpServerResponse response, Found file, long first, long length) {
        downloads.incrementAndGet();
        downloadedBytes.addAndGet(length);
        return response.sendFile(file.path(), first, length).then();
    }

    /** Whether a conditional range may be answered with a part: the file is still the one the client has a part of. */
    private static boolean isUnchanged(HttpServerRequest request, Found file) {
        String validator = request.requestHeaders().get(HttpHeaderNames.IF_RANGE);
        return validator == null || validator.equals(file.etag()) || validator.equals(file.lastModified());
    }

    private static Mono<Void> refuse(
            HttpServerResponse response, boolean head, HttpResponseStatus status, String code) {
        byte[] body = ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>" + code + "</Code>\n  <Message>"
                        + message(status) + "</Message>\n</Error>\n")
                .getBytes(StandardCharsets.UTF_8);
        response.status(status)
                .header(HttpHeaderNames.CONTENT_TYPE, "application/xml")
                .header(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(body.length));
        return head
                ? response.send().then()
                : response.sendByteArray(Mono.just(body)).then();
    }

    private static @Nullable String message(HttpResponseStatus status) {
        return switch (status.code()) {
            case 403 -> "The URL has expired or was altered.";
            case 404 -> "There is no such file.";
            case 405 -> "Files can only be read.";
            case 416 -> "The file does not have the range.";
            default -> status.reasonPhrase();
        };
    }
}
