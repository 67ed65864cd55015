package io.otaflux.samples.platform;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * The page for a person, at {@code /}: a few files, held in memory. There is nothing secret in them; what they show comes from
 * the REST API, with the token.
 *
 * <p>The policy lets the browser load nothing but these files and talk to nobody but this platform, run no script that is not
 * one of them, and make no markup out of text at all ({@code trusted-types 'none'}): names and reasons come from devices.
 */
final class WebPage {

    private static final String POLICY = String.join(
            "; ",
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'");
    private static final String DIRECTORY = "/page/";
    private static final List<String> SCRIPTS = List.of(
            "app.js",
            "client.js",
            "devices.js",
            "digests.js",
            "dom.js",
            "jobs.js",
            "model.js",
            "packages.js",
            "table.js");
    private static final int ETAG_BYTES = 16;

    private static final class Asset {

        private final String type;
        private final byte[] content;
        private final String etag;

        Asset(String type, byte[] content, String etag) {
            this.type = type;
            this.content = content;
            this.etag = etag;
        }
    }

    private final Map<String, Asset> assets = new HashMap<>();

    WebPage() throws IOException {
        assets.put("/", asset("index.html", "text/html; charset=utf-8"));
        assets.put(DIRECTORY + "style.css", asset("style.css", "text/css; charset=utf-8"));
        assets.put(DIRECTORY + "icon.svg", asset("icon.svg", "image/svg+xml"));
        for (String script : SCRIPTS) {
            assets.put(DIRECTORY + script, asset(script, "text/javascript; charset=utf-8"));
        }
    }

    /** Whether a request is for a file of the page. */
    boolean has(HttpServerRequest request) {
        return assets.containsKey(path(request));
    }

    Mono<Void> serve(HttpServerRequest request, HttpServerResponse response) {
        Asset asset = assets.get(path(request));
        boolean head = request.method().equals(HttpMethod.HEAD);
        protect(response.responseHeaders());
        response.header("Content-Security-Policy", POLICY)
                .header("Referrer-Policy", "no-referrer")
                .header("Cross-Origin-Opener-Policy", "same-origin")
                .header("Cross-Origin-Resource-Policy", "same-origin");
        if (asset == null || (!head && !request.method().equals(HttpMethod.GET))) {
            // What is left of a body may not have been read; the next request would be looked for within it.
            return response.status(HttpResponseStatus.METHOD_NOT_ALLOWED)
                    .header(HttpHeaderNames.ALLOW, "GET, HEAD")
                    .header(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE)
                    .header(HttpHeaderNames.CONTENT_LENGTH, HttpHeaderValues.ZERO)
                    .send();
        }
        // Asked for again each time, and sent again only when it is another.
        response.header(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_CACHE)
                .header(HttpHeaderNames.ETAG, asset.etag);
        if (asset.etag.equals(request.requestHeaders().get(HttpHeaderNames.IF_NONE_MATCH))) {
            return response.status(HttpResponseStatus.NOT_MODIFIED).send();
        }
        response.header(HttpHeaderNames.CONTENT_TYPE, asset.type)
                .header(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(asset.content.length));
        return head
                ? response.send()
                : response.sendByteArray(Mono.just(asset.content)).then();
    }

    /** What goes for every answer: nobody guesses what it is, and nobody shows it in a frame. */
    static void protect(HttpHeaders headers) {
        headers.set("X-Content-Type-Options", "nosniff").set("X-Frame-Options", "DENY");
    }

    private static String path(HttpServerRequest request) {
        String uri = request.uri();
        int query = uri.indexOf('?');
        return query < 0 ? uri : uri.substring(0, query);
    }

    private static Asset asset(String name, String type) throws IOException {
        byte[] content = resource("page/" + name);
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
            return new Asset(type, content, '"' + HexFormat.of().formatHex(digest, 0, ETAG_BYTES) + '"');
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** A file that is part of the program. */
    static byte[] resource(String name) throws IOException {
        try (@Nullable InputStream in = WebPage.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IOException(name + " is missing from the program");
            }
            return in.readAllBytes();
        }
    }
}
