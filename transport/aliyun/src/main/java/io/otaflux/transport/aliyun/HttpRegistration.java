package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.RegistrationException.Problem;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Flow;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;
import reactor.adapter.JdkFlowAdapter;
import reactor.core.publisher.Mono;

/**
 * The one request of a registration over HTTP. The Java platform's own client will do for that: one POST in a device's life
 * is no reason for this module to depend on an HTTP library. It follows no redirect, which would take the signature elsewhere.
 */
final class HttpRegistration {

    private static final int LARGEST_ANSWER = 64 * 1024;

    private final Endpoint endpoint;
    private final Duration timeout;

    HttpRegistration(Endpoint endpoint, Duration timeout) {
        this.endpoint = endpoint;
        this.timeout = timeout;
    }

    Mono<Credentials> ask(DeviceId device, Secret productSecret, String random, SignMethod method) {
        return Mono.defer(() -> {
                    HttpRequest request = HttpRequest.newBuilder(uri())
                            .timeout(timeout)
                            .header("Content-Type", "application/x-www-form-urlencoded")
                            .header("Accept", "application/json")
                            .POST(BodyPublishers.ofString(form(device, productSecret, random, method)))
                            .build();
                    return Mono.fromFuture(() -> client().sendAsync(request, BodyHandlers.ofPublisher()));
                })
                .flatMap(this::body)
                // The limit of the request ends with the headers of the answer.
                .timeout(timeout.multipliedBy(3))
                .map(answer -> read(device, answer))
                .onErrorMap(e -> !(e instanceof RegistrationException), this::translate);
    }

    /** The form as it goes out. */
    static String form(DeviceId device, Secret productSecret, String random, SignMethod method) {
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put("productKey", device.product());
        fields.put("deviceName", device.name());
        fields.put("random", random);
        fields.put(
                "sign",
                Login.signRegistration(device, productSecret, random, method).value());
        fields.put("signMethod", method.wireName());
        return fields.entrySet().stream()
                .map(field -> field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
    }

    private URI uri() {
        String host = endpoint.host().contains(":") ? "[" + endpoint.host() + "]" : endpoint.host();
        return URI.create(
                (endpoint.tls() ? "https://" : "http://") + host + ":" + endpoint.port() + "/auth/register/device");
    }

    private HttpClient client() {
        HttpClient.Builder client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(timeout);
        TrustManagerFactory trust = endpoint.trust();
        if (trust != null) {
            try {
                SSLContext tls = SSLContext.getInstance("TLS");
                tls.init(null, trust.getTrustManagers(), null);
                client.sslContext(tls);
            } catch (GeneralSecurityException e) {
                throw new AssertionError("TLS is part of every Java platform this library runs on", e);
            }
        }
        return client.build();
    }

    private Mono<byte[]> body(HttpResponse<Flow.Publisher<List<ByteBuffer>>> response) {
        return JdkFlowAdapter.flowPublisherToFlux(response.body())
                .reduceWith(ByteArrayOutputStream::new, HttpRegistration::append)
                .map(ByteArrayOutputStream::toByteArray)
                .doOnNext(read -> checkStatus(response.statusCode()));
    }

    private static ByteArrayOutputStream append(ByteArrayOutputStream body, List<ByteBuffer> more) {
        for (ByteBuffer buffer : more) {
            byte[] bytes = new byte[buffer.remaining()];
            buffer.get(bytes);
            body.writeBytes(bytes);
        }
        if (body.size() > LARGEST_ANSWER) {
            throw malformed("more than " + LARGEST_ANSWER + " bytes");
        }
        return body;
    }

    private void checkStatus(int status) {
        if (status == 429 || status >= 500) {
            throw new ChannelException(Reason.SERVER_BUSY, endpoint + " answered with status " + status, null);
        }
        if (status != 200) {
            throw malformed("status " + status + " (expected: 200)");
        }
    }

    private static Credentials read(DeviceId device, byte[] body) {
        JsonNode answer;
        try {
            answer = Messages.read(body);
        } catch (MalformedMessage e) {
            throw malformed(e.why());
        }
        int code = answer.path("code").asInt(-1);
        if (code != 200) {
            Problem problem = Problem.of(code);
            throw new RegistrationException(
                    problem, code, "The platform does not register " + device + ": " + problem + ", code " + code);
        }
        JsonNode secret = answer.path("data").path("deviceSecret");
        if (!secret.isTextual() || secret.textValue().isEmpty()) {
            throw malformed("deviceSecret: missing");
        }
        return new Credentials.DeviceSecret(device, secret.textValue());
    }

    private Throwable translate(Throwable failure) {
        if (failure instanceof ChannelException known) {
            return known;
        }
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof ChannelException known) {
                return known;
            }
            if (cause instanceof HttpTimeoutException) {
                return new ChannelException(Reason.TIMEOUT, endpoint + " did not answer in " + timeout, failure);
            }
            if (cause instanceof SSLException) {
                return new ChannelException(
                        Reason.TLS, "TLS with " + endpoint + " failed: " + cause.getMessage(), failure);
            }
        }
        return MqttConnection.translate(failure);
    }

    private static ChannelException malformed(String why) {
        return new ChannelException(Reason.MALFORMED_TRIGGER, "Answer to a registration: " + why, null);
    }
}
