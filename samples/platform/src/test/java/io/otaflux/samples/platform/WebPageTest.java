package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What serves the page, and what keeps it to whom it is for. What it looks like is the browser's test. */
class WebPageTest {

    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final Pattern NAMED = Pattern.compile("(?:src|href)=\"(/page/[^\"]+)\"|from '\\./([^']+)'");
    private static final Map<String, String> TYPES =
            Map.of("css", "text/css; charset=utf-8", "js", "text/javascript; charset=utf-8", "svg", "image/svg+xml");

    @TempDir
    private static Path directory;

    private static Platform platform;

    @BeforeAll
    static void start() throws Exception {
        // Not a random one, so that it is found wherever it must not be.
        Path data = Files.createDirectories(directory.resolve("data"));
        Files.writeString(data.resolve("token"), "CANARY-0123456789abcdef0123456789abcdef\n");
        platform = Platform.builder().dataDirectory(data).start();
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @Test
    void everyFileThatThePageNamesIsThereAndProtected() throws Exception {
        Set<String> found = new LinkedHashSet<>(List.of("/"));
        Deque<String> open = new ArrayDeque<>(found);
        while (!open.isEmpty()) {
            String path = open.remove();
            HttpResponse<String> file = send("GET", path);
            assertThat(file.statusCode()).as(path).isEqualTo(200);
            assertThat(file.headers().firstValue("Content-Type"))
                    .as(path)
                    .hasValue(
                            path.equals("/")
                                    ? "text/html; charset=utf-8"
                                    : TYPES.get(path.substring(path.lastIndexOf('.') + 1)));
            assertProtected(file);
            assertThat(file.body())
                    .as(path)
                    .doesNotContain(platform.token())
                    .doesNotContain(
                            "innerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", "onclick=");
            for (Matcher named = NAMED.matcher(file.body()); named.find(); ) {
                String next = named.group(1) == null ? "/page/" + named.group(2) : named.group(1);
                if (found.add(next)) {
                    open.add(next);
                }
            }
        }
        assertThat(found).hasSizeGreaterThan(9);
    }

    @Test
    void aFileIsSentAgainOnlyWhenItIsAnother() throws Exception {
        HttpResponse<String> first = send("GET", "/");
        String etag = first.headers().firstValue("ETag").orElseThrow();

        HttpResponse<String> again = send("GET", "/?a=b", "If-None-Match", etag);

        assertThat(first.headers().firstValue("Cache-Control")).hasValue("no-cache");
        assertThat(again.statusCode()).isEqualTo(304);
        assertThat(again.body()).isEmpty();
        assertProtected(again);
        assertThat(send("GET", "/", "If-None-Match", "\"another\"").statusCode())
                .isEqualTo(200);
    }

    @Test
    void filesCanOnlyBeRead() throws Exception {
        HttpResponse<String> head = send("HEAD", "/page/style.css");
        HttpResponse<String> post = send("POST", "/");

        assertThat(head.statusCode()).isEqualTo(200);
        assertThat(head.body()).isEmpty();
        assertThat(head.headers().firstValueAsLong("Content-Length").orElseThrow())
                .isPositive();
        assertThat(post.statusCode()).isEqualTo(405);
        assertThat(post.headers().firstValue("Allow")).hasValue("GET, HEAD");
        for (String path :
                List.of("/page/", "/page/../openapi.json", "/page/%2e%2e/openapi.json", "/index.html", "//")) {
            assertThat(statusOf("GET " + path + " HTTP/1.1\r\nHost: localhost"))
                    .as(path)
                    .isEqualTo(404);
        }
    }

    @Test
    void answersOfTheApiAreNeitherKeptNorGuessedAt() throws Exception {
        HttpResponse<String> products = send(
                "GET",
                "/api/v1/products",
                "Authorization",
                "Bearer " + platform.token(),
                "Origin",
                "https://evil.example");

        assertThat(products.statusCode()).isEqualTo(200);
        assertThat(products.headers().firstValue("Cache-Control")).hasValue("no-store");
        assertThat(products.headers().firstValue("X-Content-Type-Options")).hasValue("nosniff");
        assertThat(products.headers().firstValue("Access-Control-Allow-Origin")).isEmpty();
        assertThat(products.headers().firstValue("Set-Cookie")).isEmpty();
    }

    @Test
    void anAddressThatCannotBeReadIsRefused() throws Exception {
        for (String path : List.of("/%zz", "/api/v1/products/%", "/api/v1/health?a=%zz", "/artifacts/%zz")) {
            assertThat(statusOf("GET " + path + " HTTP/1.1\r\nHost: localhost"))
                    .as(path)
                    .isEqualTo(400);
        }
    }

    @Test
    void anotherNameThatLeadsHereIsNotAnswered() throws Exception {
        for (String path : List.of("/", "/page/app.js", "/api/v1/health", "/api/v1/products")) {
            assertThat(statusOf("GET " + path + " HTTP/1.1\r\nHost: evil.example:" + platform.httpPort()))
                    .as(path)
                    .isEqualTo(421);
            assertThat(statusOf("GET " + path + " HTTP/1.0")).as(path).isEqualTo(421);
        }
        assertThat(statusOf("GET / HTTP/1.1\r\nHost: localhost:" + platform.httpPort()))
                .isEqualTo(200);
    }

    @Test
    void theTokenStaysUntilANewOneIsAskedFor() throws Exception {
        Path data = directory.resolve("tokens");
        String first;
        try (Platform other = Platform.builder().dataDirectory(data).start()) {
            first = other.token();
            assertThat(first).hasSize(64);
            assertThat(other.pageUri()).hasToString(other.httpUri() + "/#token=" + first);
        }
        Files.setPosixFilePermissions(data.resolve("token"), PosixFilePermissions.fromString("rw-r--r--"));
        try (Platform other = Platform.builder().dataDirectory(data).start()) {
            assertThat(other.token()).isEqualTo(first);
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(data.resolve("token"))))
                    .isEqualTo("rw-------");
        }
        try (Platform other = Platform.builder().dataDirectory(data).newToken().start()) {
            assertThat(other.token()).hasSize(64).isNotEqualTo(first);
            assertThat(Files.readString(data.resolve("token")).strip()).isEqualTo(other.token());
            assertThat(data.resolve("token.new")).doesNotExist();
        }
    }

    @Test
    void filesThatNoPackageHasGoWhenThePlatformStarts() throws Exception {
        Path data = directory.resolve("files");
        Path content = Files.writeString(directory.resolve("content"), "content");
        Path kept;
        try (Platform other = Platform.builder().dataDirectory(data).start()) {
            other.createProduct("k");
            kept = data.resolve("artifacts")
                    .resolve(other.addPackage("k", "app", "1", content, SignMethod.SHA256)
                            .sha256());
        }
        Path left =
                Files.writeString(data.resolve("artifacts").resolve("0".repeat(64)), "of a package that was deleted");
        Path foreign = Files.writeString(data.resolve("artifacts").resolve("README"), "not ours");

        Platform.builder().dataDirectory(data).start().close();

        assertThat(left).doesNotExist();
        assertThat(kept).hasContent("content");
        assertThat(foreign).exists();
    }

    @Test
    void anEmptyTokenOpensNothing() throws Exception {
        Path data = directory.resolve("empty");
        Files.createDirectories(data);
        Files.writeString(data.resolve("token"), "\n");

        assertThatThrownBy(() -> Platform.builder().dataDirectory(data).start())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("token has 0 characters (expected: at least 32)");
    }

    private static void assertProtected(HttpResponse<String> response) {
        Map<String, String> expected = Map.of(
                "X-Content-Type-Options", "nosniff",
                "X-Frame-Options", "DENY",
                "Referrer-Policy", "no-referrer",
                "Cross-Origin-Opener-Policy", "same-origin",
                "Cross-Origin-Resource-Policy", "same-origin",
                "Content-Security-Policy",
                        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri"
                                + " 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
                                + " trusted-types 'none'");
        expected.forEach((name, value) ->
                assertThat(response.headers().firstValue(name)).as(name).hasValue(value));
    }

    private static HttpResponse<String> send(String method, String path, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(platform.httpUri().resolve(path))
                .method(method, HttpRequest.BodyPublishers.noBody());
        if (headers.length > 0) {
            request.headers(headers);
        }
        return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    /** For what a well-behaved client does not send. */
    private static int statusOf(String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", platform.httpPort())) {
            socket.getOutputStream()
                    .write((request + "\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return Integer.parseInt(answer.split(" ", 3)[1]);
        }
    }
}
