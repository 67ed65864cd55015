package io.otaflux.samples.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How commands reach the REST API of a platform: its options, and the calls. */
final class PlatformApi {

    static final String DEFAULT_DATA = "platform-data";

    private static final String ADDRESS = "url";
    private static final String TOKEN = "token";
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Made when it is needed: it has a thread, and a command may be made for its usage only. */
    private @Nullable HttpClient http;

    @Spec(Spec.Target.MIXEE)
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--url",
            paramLabel = "URL",
            defaultValue = "${env:OTAFLUX_URL}",
            description =
                    "Where the platform's API is. Defaults to $OTAFLUX_URL, else to what the platform has written to"
                            + " its data directory.")
    private @Nullable String url;

    @Option(
            names = "--token",
            paramLabel = "TOKEN",
            defaultValue = "${env:OTAFLUX_TOKEN}",
            description =
                    "The platform's access token. Other users of this machine can see it on a command line: better"
                            + " set $OTAFLUX_TOKEN, or name a file.")
    private @Nullable String token;

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description = "The file that has the token. Defaults to the one in the platform's data directory.")
    private @Nullable Path tokenFile;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            defaultValue = DEFAULT_DATA,
            description = "The platform's data directory. Defaults to ${DEFAULT-VALUE}.")
    @SuppressWarnings("NullAway.Init")
    private Path data;

    /** Leaves a note in a platform's data directory for commands that are to find it. */
    static Path announce(Path data, URI url) {
        try {
            return Files.writeString(data.resolve(ADDRESS), url + "\n");
        } catch (IOException e) {
            throw new CommandFailedException(ExitCode.STORAGE, "Could not write " + data.resolve(ADDRESS), e);
        }
    }

    static void withdraw(Path address) {
        try {
            Files.deleteIfExists(address);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    JsonNode get(String path) {
        return send(request(path).timeout(Duration.ofSeconds(30)).GET());
    }

    JsonNode post(String path, ObjectNode body) {
        return send(withBody(path).POST(HttpRequest.BodyPublishers.ofString(body.toString())));
    }

    JsonNode put(String path, ObjectNode body) {
        return send(withBody(path).PUT(HttpRequest.BodyPublishers.ofString(body.toString())));
    }

    /** A request without a body. */
    JsonNode post(String path) {
        return send(request(path).timeout(Duration.ofSeconds(30)).POST(HttpRequest.BodyPublishers.noBody()));
    }

    JsonNode upload(String path, Map<String, String> query, Path file) {
        String parameters = query.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + encoded(entry.getValue()))
                .collect(Collectors.joining("&"));
        try {
            return send(request(path + "?" + parameters).PUT(HttpRequest.BodyPublishers.ofFile(file)));
        } catch (IOException e) {
            throw new CommandFailedException(ExitCode.STORAGE, "Could not read " + file, e);
        }
    }

    /** Follows a stream of events, by name and content, until the platform ends it. */
    void events(String path, BiConsumer<String, JsonNode> listener) {
        HttpResponse<Stream<String>> response =
                exchange(request(path).GET(), info -> info.statusCode() == 200 ? lines() : failureAsLine());
        try (Stream<String> lines = response.body()) {
            if (response.statusCode() != 200) {
                throw refused(response.statusCode(), lines.collect(Collectors.joining()));
            }
            String[] name = {""};
            lines.forEach(line -> {
                if (line.startsWith("event: ")) {
                    name[0] = line.substring("event: ".length());
                } else if (line.startsWith("data: ")) {
                    listener.accept(name[0], parse(line.substring("data: ".length())));
                }
            });
        } catch (UncheckedIOException e) {
            throw unreachable(e);
        }
    }

    /** One segment of a path or value of a query, as it must be written there. */
    static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    ObjectNode object() {
        return JSON.createObjectNode();
    }

    private static HttpResponse.BodySubscriber<Stream<String>> lines() {
        return HttpResponse.BodySubscribers.ofLines(StandardCharsets.UTF_8);
    }

    private static HttpResponse.BodySubscriber<Stream<String>> failureAsLine() {
        return HttpResponse.BodySubscribers.mapping(
                HttpResponse.BodySubscribers.ofString(StandardCharsets.UTF_8), Stream::of);
    }

    private JsonNode send(HttpRequest.Builder request) {
        HttpResponse<String> response =
                exchange(request, info -> HttpResponse.BodySubscribers.ofString(StandardCharsets.UTF_8));
        if (response.statusCode() / 100 != 2) {
            throw refused(response.statusCode(), response.body());
        }
        return parse(response.body());
    }

    private <T> HttpResponse<T> exchange(HttpRequest.Builder request, HttpResponse.BodyHandler<T> handler) {
        try {
            return http().send(
                            request.header("Authorization", "Bearer " + token()).build(), handler);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CommandFailedException(ExitCode.FAILED, "interrupted", e);
        } catch (IOException e) {
            throw unreachable(e);
        }
    }

    private HttpClient http() {
        if (http == null) {
            http = HttpClient.newBuilder().connectTimeout(CONNECT_TIMEOUT).build();
        }
        return http;
    }

    private CommandFailedException unreachable(Exception e) {
        String why = e instanceof ConnectException ? "nobody answers" : Line.of(e);
        return new CommandFailedException(
                ExitCode.FAILED, "the platform at " + base() + " cannot be reached: " + why, e);
    }

    private static CommandFailedException refused(int status, String body) {
        JsonNode answer = parse(body);
        return new CommandFailedException(
                ExitCode.FAILED,
                "the platform refuses: " + Line.of(answer.path("message").asText("HTTP status " + status)) + " ("
                        + Line.of(answer.path("code").asText(String.valueOf(status))) + ")");
    }

    private static JsonNode parse(String body) {
        try {
            return JSON.readTree(body);
        } catch (JsonProcessingException e) {
            throw new CommandFailedException(ExitCode.FAILED, "the answer is no JSON; is this the platform's API?", e);
        }
    }

    private HttpRequest.Builder withBody(String path) {
        return request(path).timeout(Duration.ofSeconds(30)).header("Content-Type", "application/json");
    }

    private HttpRequest.Builder request(String path) {
        try {
            return HttpRequest.newBuilder(URI.create(base() + "/api/v1" + path));
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "--url: is no http URL", e);
        }
    }

    private String base() {
        String base = url != null && !url.isEmpty() ? url : read("--url", data.resolve(ADDRESS));
        return base.endsWith("/") ? base.substring(0, base.length() - 1) : base;
    }

    private String token() {
        if (tokenFile != null) {
            return read("--token-file", tokenFile);
        }
        if (token == null || token.isEmpty()) {
            return read("--token", data.resolve(TOKEN));
        }
        // The HTTP client would repeat it in its complaint.
        if (!isWord(token)) {
            throw new ParameterException(spec.commandLine(), "--token, $OTAFLUX_TOKEN: is no token");
        }
        return token;
    }

    private static boolean isWord(String text) {
        return !text.isEmpty() && text.chars().allMatch(c -> c > ' ' && c < 0x7f);
    }

    private String read(String option, Path file) {
        try {
            String line = Files.readString(file).strip();
            if (!isWord(line)) {
                throw new ParameterException(spec.commandLine(), file + ": has no " + option.substring(2) + " in it");
            }
            return line;
        } catch (IOException e) {
            throw new ParameterException(
                    spec.commandLine(),
                    option + ": cannot read it from " + file + " (is the platform running? see --data)",
                    e);
        }
    }
}
