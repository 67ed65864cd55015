package io.otaflux.samples.platform;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.channel.AbortedException;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * The REST API below {@code /api/v1}: JSON in and out, errors as {@code {"code", "message"}} with the right status, a bearer
 * token for everything but the health check and the description. {@code openapi.json} describes every route that
 * {@link #routes()} has.
 */
final class RestApi {

    private static final Logger log = LoggerFactory.getLogger(RestApi.class);
    private static final String BASE = "/api/v1";
    private static final int MAX_JSON_BYTES = 1 << 20;
    private static final Duration HEARTBEAT = Duration.ofSeconds(15);

    private final ObjectMapper json = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.ALWAYS))
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private final Operations operations;
    private final ArtifactFiles artifacts;
    private final Access access;
    private final byte[] description;
    private final List<Route> routes;

    RestApi(Operations operations, ArtifactFiles artifacts, Access access) throws IOException {
        this.operations = operations;
        this.artifacts = artifacts;
        this.access = access;
        this.description = WebPage.resource("openapi.json");
        this.routes = List.of(
                open("GET", "/health", call -> call.send(200, Map.of("status", "UP"))),
                open("GET", "/openapi.json", call -> call.send(200, description)),
                route("GET", "/products", call -> call.send(operations.products())),
                route(
                        "POST",
                        "/products",
                        call -> call.body(NewProduct.class)
                                .flatMap(it -> operations.createProduct(present("productKey", it.productKey())))
                                .flatMap(it -> call.send(201, it))),
                route("GET", "/products/{productKey}", call -> call.send(operations.product(call.path("productKey")))),
                route(
                        "PUT",
                        "/products/{productKey}",
                        call -> call.send(call.body(ProductSettings.class)
                                .flatMap(it -> operations.allowDynamicRegistration(
                                        call.path("productKey"),
                                        present("dynamicRegistration", it.dynamicRegistration()))))),
                route(
                        "GET",
                        "/products/{productKey}/config",
                        call -> call.send(operations.config(call.path("productKey")))),
                route(
                        "PUT",
                        "/products/{productKey}/config",
                        call -> call.send(call.content()
                                .flatMap(content -> operations.configure(
                                        call.path("productKey"), artifacts.store(content, Limits.MAX_CONFIG_BYTES))))),
                route(
                        "DELETE",
                        "/products/{productKey}/config",
                        call -> call.send(operations.unconfigure(call.path("productKey")))),
                route(
                        "POST",
                        "/products/{productKey}/secret",
                        call -> call.send(operations.renewProductSecret(call.path("productKey")))),
                route(
                        "GET",
                        "/products/{productKey}/devices",
                        call -> call.send(operations.devices(call.path("productKey")))),
                route(
                        "POST",
                        "/products/{productKey}/devices",
                        call -> call.body(NewDevice.class)
                                .flatMap(it -> operations.createDevice(
                                        new DeviceKey(call.path("productKey"), present("deviceName", it.deviceName()))))
                                .flatMap(it -> call.send(201, it))),
                route(
                        "GET",
                        "/products/{productKey}/devices/{deviceName}",
                        call -> call.send(operations.device(call.device()))),
                route(
                        "DELETE",
                        "/products/{productKey}/devices/{deviceName}",
                        call -> call.send(operations.deleteDevice(call.device()))),
                route(
                        "POST",
                        "/products/{productKey}/devices/{deviceName}/disable",
                        call -> call.send(operations.disable(call.device(), true))),
                route(
                        "POST",
                        "/products/{productKey}/devices/{deviceName}/enable",
                        call -> call.send(operations.disable(call.device(), false))),
                route(
                        "POST",
                        "/products/{productKey}/devices/{deviceName}/reset",
                        call -> call.send(operations.reset(call.device()))),
                route(
                        "PUT",
                        "/products/{productKey}/devices/{deviceName}/certificate",
                        call -> call.send(call.body(Certificate.class)
                                .flatMap(it -> operations.trustCertificate(
                                        call.device(), Limits.fingerprint(present("sha256", it.sha256())))))),
                route(
                        "DELETE",
                        "/products/{productKey}/devices/{deviceName}/certificate",
                        call -> call.send(operations.trustCertificate(call.device(), null))),
                route(
                        "GET",
                        "/products/{productKey}/devices/{deviceName}/topology",
                        call -> call.send(operations.topology(call.device()))),
                route(
                        "PUT",
                        "/products/{productKey}/devices/{deviceName}/topology/{subProductKey}/{subDeviceName}",
                        call -> call.send(operations.link(call.device(), call.subDevice()))),
                route(
                        "DELETE",
                        "/products/{productKey}/devices/{deviceName}/topology/{subProductKey}/{subDeviceName}",
                        call -> call.send(operations.unlink(call.device(), call.subDevice()))),
                route(
                        "POST",
                        "/products/{productKey}/devices/{deviceName}/topology/{subProductKey}/{subDeviceName}/invite",
                        call -> call.send(operations.invite(call.device(), call.subDevice()))),
                route(
                        "GET",
                        "/products/{productKey}/devices/{deviceName}/tasks",
                        call -> call.send(operations.tasks(call.device()))),
                route(
                        "POST",
                        "/products/{productKey}/devices/{deviceName}/tasks/cancel",
                        call -> call.send(operations.cancelDevice(call.device(), call.query("job")))),
                route(
                        "GET",
                        "/products/{productKey}/modules",
                        call -> call.send(operations.modules(call.path("productKey")))),
                route(
                        "POST",
                        "/products/{productKey}/modules",
                        call -> call.body(NewModule.class)
                                .flatMap(it -> operations.createModule(
                                        call.path("productKey"),
                                        present("name", it.name()),
                                        it.alias(),
                                        it.description()))
                                .flatMap(it -> call.send(201, it))),
                route(
                        "PUT",
                        "/products/{productKey}/modules/{module}",
                        call -> call.body(ModuleTexts.class)
                                .flatMap(it -> call.send(operations.editModule(
                                        call.path("productKey"), call.path("module"), it.alias(), it.description())))),
                route(
                        "GET",
                        "/products/{productKey}/groups",
                        call -> call.send(operations.groups(call.path("productKey")))),
                route(
                        "GET",
                        "/products/{productKey}/groups/{group}",
                        call -> call.send(operations.group(call.path("productKey"), call.path("group")))),
                route(
                        "PUT",
                        "/products/{productKey}/groups/{group}",
                        call -> call.body(GroupMembers.class)
                                .flatMap(it -> call.send(
                                        operations.putGroup(call.path("productKey"), call.path("group"), it.names())))),
                route("POST", "/files", this::uploadFile),
                route("PUT", "/files", this::uploadFile),
                route(
                        "GET",
                        "/packages",
                        call -> call.send(operations
                                .packages()
                                .map(packages ->
                                        packages.stream().map(PackageJson::of).toList()))),
                route("POST", "/packages", this::addPackage),
                route("PUT", "/packages", this::addPackage),
                route(
                        "GET",
                        "/packages/{packageId}",
                        call -> call.send(
                                operations.firmware(call.path("packageId")).map(PackageJson::of))),
                route(
                        "DELETE",
                        "/packages/{packageId}",
                        call -> call.send(
                                operations.removePackage(call.path("packageId")).map(PackageJson::of))),
                route(
                        "GET",
                        "/jobs",
                        call -> call.send(operations
                                .jobs()
                                .map(jobs -> jobs.stream().map(JobJson::of).toList()))),
                route(
                        "POST",
                        "/jobs",
                        call -> call.body(JobJson.New.class)
                                .flatMap(it -> operations.createJob(it.request()))
                                .flatMap(it -> call.send(201, JobJson.of(it)))),
                route(
                        "GET",
                        "/jobs/{jobId}",
                        call -> call.send(operations.job(call.path("jobId")).map(JobJson::of))),
                route(
                        "POST",
                        "/jobs/{jobId}/cancel",
                        call -> call.bodyIfAny(JobJson.Cancel.class)
                                .map(JobJson.Cancel::flags)
                                .defaultIfEmpty(CancelFlags.ALL)
                                .flatMap(flags -> call.send(operations
                                        .cancelJob(call.path("jobId"), flags)
                                        .map(JobJson::of)))),
                route(
                        "POST",
                        "/jobs/{jobId}/stop",
                        call -> call.send(operations.stopJob(call.path("jobId")).map(JobJson::of))),
                route("GET", "/jobs/{jobId}/tasks", this::listTasks),
                route("GET", "/tasks/{taskId}", call -> call.send(operations.task(call.path("taskId")))),
                route("POST", "/tasks/confirm", call -> call.withTasks(operations::confirm)),
                route("POST", "/tasks/retry", call -> call.withTasks(operations::restart)),
                route("POST", "/tasks/cancel", call -> call.withTasks(operations::cancelTasks)),
                route("GET", "/jobs/{jobId}/events", this::watchJob),
                route("GET", "/events", call -> call.stream(operations.events().map(this::event))));
    }

    /** One way to call the API; {@code open} without the token. */
    record Route(HttpMethod method, String template, boolean open, Function<Call, Publisher<Void>> handler) {

        /** The variables of a path that fits the template, or null if it does not. */
        @Nullable
        Map<String, String> match(String path) {
            String[] expected = template.split("/", -1);
            String[] actual = path.split("/", -1);
            if (expected.length != actual.length) {
                return null;
            }
            Map<String, String> variables = new HashMap<>();
            for (int i = 0; i < expected.length; i++) {
                if (expected[i].startsWith("{")) {
                    variables.put(expected[i].substring(1, expected[i].length() - 1), actual[i]);
                } else if (!expected[i].equals(actual[i])) {
                    return null;
                }
            }
            return variables;
        }
    }

    List<Route> routes() {
        return routes;
    }

    Mono<Void> serve(HttpServerRequest request, HttpServerResponse response) {
        Call call = new Call(request, response);
        return Mono.defer(() -> Mono.from(dispatch(call)))
                .onErrorResume(
                        RequestRefusedException.class,
                        refused -> call.refuse(
                                refused.reason().httpStatus(), refused.reason().name(), refused.getMessage()))
                .onErrorResume(error -> {
                    if (response.hasSentHeaders() || error instanceof AbortedException) {
                        // Too late for an answer, or nobody is there any more who would read it.
                        return Mono.error(error);
                    }
                    log.error("{} {} failed", request.method(), call.path, error);
                    return call.refuse(500, "INTERNAL", "the platform failed; its log says why");
                });
    }

    private Publisher<Void> dispatch(Call call) {
        WebPage.protect(call.response.responseHeaders());
        if (!access.isForUs(call.request.requestHeaders().get(HttpHeaderNames.HOST))) {
            return call.refuse(421, "MISDIRECTED_REQUEST", "this platform does not go by the name in the Host header");
        }
        boolean pathExists = false;
        for (Route route : routes) {
            Map<String, String> variables = route.match(call.path);
            if (variables == null) {
                continue;
            }
            pathExists = true;
            if (route.method().equals(call.request.method())) {
                call.variables.putAll(variables);
                return route.open() ? route.handler().apply(call) : authorized(call, route);
            }
        }
        return pathExists
                ? call.refuse(405, "METHOD_NOT_ALLOWED", call.request.method() + " is not for " + call.path)
                : call.refuse(404, "NOT_FOUND", "there is no " + call.path);
    }

    private Mono<Void> authorized(Call call, Route route) {
        return access.check(call.request.requestHeaders().get(HttpHeaderNames.AUTHORIZATION))
                .flatMap(verdict -> switch (verdict) {
                    case GRANTED -> Mono.from(route.handler().apply(call));
                    case NO_TOKEN, WRONG_TOKEN -> {
                        call.response.header(HttpHeaderNames.WWW_AUTHENTICATE, "Bearer");
                        yield call.refuse(401, "UNAUTHORIZED", "the API wants the platform's token as bearer token");
                    }
                    case TOO_MANY -> {
                        call.response.header(HttpHeaderNames.RETRY_AFTER, "1");
                        yield call.refuse(429, "TOO_MANY_REQUESTS", "too many wrong tokens; none is looked at now");
                    }
                });
    }

    /** A package as JSON has files that were uploaded before; anything else is the only file itself. */
    private Mono<Void> addPackage(Call call) {
        String type = call.request.requestHeaders().get(HttpHeaderNames.CONTENT_TYPE, "");
        if (type.startsWith(HttpHeaderValues.APPLICATION_JSON.toString())) {
            return call.body(PackageJson.New.class)
                    .flatMap(it -> operations.addPackage(it.request(), it.uploaded()))
                    .flatMap(it -> call.send(201, PackageJson.of(it)));
        }
        PackageRequest request = new PackageJson.New(
                        call.query("product"),
                        call.query("module"),
                        call.query("version"),
                        call.query("name"),
                        call.query("type"),
                        call.query("srcVersion"),
                        call.query("signMethod"),
                        call.query("customInfo"),
                        call.flag("needToVerify"),
                        call.flag("digestSign"),
                        null)
                .request();
        return operations
                .addPackage(request, call.query("fileName"), Mono.defer(() -> artifacts.store(call.request.receive())))
                .flatMap(it -> call.send(201, PackageJson.of(it)));
    }

    private Mono<Void> uploadFile(Call call) {
        return operations
                .upload(Mono.defer(() -> artifacts.store(call.request.receive())))
                .flatMap(it -> call.send(201, it));
    }

    private Mono<Void> listTasks(Call call) {
        String status = call.query("status");
        TaskStatus only;
        try {
            only = status == null ? null : TaskStatus.valueOf(status);
        } catch (IllegalArgumentException e) {
            throw RequestRefusedException.invalid(
                    "status must be one of " + List.of(TaskStatus.values()) + ", not '" + status + "'");
        }
        return call.send(operations.tasks(
                call.path("jobId"), only, call.number("offset", 0), call.number("limit", Long.MAX_VALUE)));
    }

    private Publisher<Void> watchJob(Call call) {
        String jobId = call.path("jobId");
        // Asked first: an unknown job is a 404, not a stream that breaks.
        return operations
                .job(jobId)
                .flatMap(job -> call.stream(operations
                        .watch(jobId)
                        .map(task -> event("task", task))
                        .concatWith(operations.job(jobId).map(ended -> event("end", JobJson.of(ended))))));
    }

    private static <T> T present(String what, @Nullable T value) {
        if (value == null) {
            throw RequestRefusedException.invalid(what + " is missing");
        }
        return value;
    }

    private static Route route(String method, String template, Function<Call, Publisher<Void>> handler) {
        return new Route(HttpMethod.valueOf(method), BASE + template, false, handler);
    }

    private static Route open(String method, String template, Function<Call, Publisher<Void>> handler) {
        return new Route(HttpMethod.valueOf(method), BASE + template, true, handler);
    }

    private String event(PlatformEvent event) {
        if (event instanceof TaskChange change) {
            return event("task", change.task());
        }
        if (event instanceof Job job) {
            return event("job", JobJson.of(job));
        }
        if (event instanceof PackageView firmware) {
            return event("package", PackageJson.of(firmware));
        }
        if (event instanceof ApplicationMessage message) {
            return event(message.kind(), message);
        }
        if (event instanceof DeviceRemoved) {
            return event("device-removed", event);
        }
        if (event instanceof PackageRemoved) {
            return event("package-removed", event);
        }
        return event(event instanceof Device ? "device" : "product", event);
    }

    private String event(String name, Object data) {
        return "event: " + name + "\ndata: " + new String(bytes(data), StandardCharsets.UTF_8) + "\n\n";
    }

    private byte[] bytes(Object value) {
        if (value instanceof byte[] ready) {
            return ready;
        }
        try {
            return json.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One request and its answer. */
    final class Call {

        private final HttpServerRequest request;
        private final HttpServerResponse response;
        private final String path;
        private final Map<String, List<String>> query;
        private final Map<String, String> variables = new HashMap<>();

        Call(HttpServerRequest request, HttpServerResponse response) {
            this.request = request;
            this.response = response;
            QueryStringDecoder uri = new QueryStringDecoder(request.uri());
            this.path = uri.path();
            this.query = uri.parameters();
        }

        private String path(String variable) {
            return present(variable, variables.get(variable));
        }

        private DeviceKey device() {
            return new DeviceKey(path("productKey"), path("deviceName"));
        }

        private DeviceKey subDevice() {
            return new DeviceKey(path("subProductKey"), path("subDeviceName"));
        }

        private @Nullable String query(String name) {
            List<String> values = query.get(name);
            return values == null ? null : values.get(0);
        }

        /** True or false; null if nothing is said. */
        private @Nullable Boolean flag(String name) {
            String value = query(name);
            if (value != null && !value.equals("true") && !value.equals("false")) {
                throw RequestRefusedException.invalid(name + " must be true or false, not '" + value + "'");
            }
            return value == null ? null : Boolean.valueOf(value);
        }

        private long number(String name, long otherwise) {
            String value = query(name);
            try {
                long number = value == null ? otherwise : Long.parseLong(value);
                if (number >= 0) {
                    return number;
                }
            } catch (NumberFormatException e) {
                log.debug("{} is no number", name, e);
            }
            throw RequestRefusedException.invalid(name + " must be a number from 0, not '" + value + "'");
        }

        private <T> Mono<T> body(Class<T> type) {
            return content().map(collected -> read(collected, type));
        }

        /** Empty if there is no body. */
        private <T> Mono<T> bodyIfAny(Class<T> type) {
            return content().filter(collected -> collected.length > 0).map(collected -> read(collected, type));
        }

        private Mono<byte[]> content() {
            return request.receive()
                    .collect(ByteArrayOutputStream::new, (collected, part) -> collect(collected, part))
                    .map(ByteArrayOutputStream::toByteArray);
        }

        private Mono<Void> withTasks(Function<Collection<String>, Mono<List<Task>>> command) {
            return body(JobJson.TaskIds.class)
                    .flatMap(it -> send(command.apply(it.taskIds() == null ? List.of() : it.taskIds())));
        }

        private void collect(ByteArrayOutputStream collected, ByteBuf part) {
            if (collected.size() + part.readableBytes() > MAX_JSON_BYTES) {
                throw RequestRefusedException.tooLarge("the body", MAX_JSON_BYTES);
            }
            byte[] bytes = new byte[part.readableBytes()];
            part.readBytes(bytes);
            collected.writeBytes(bytes);
        }

        private <T> T read(byte[] body, Class<T> type) {
            try {
                T value = json.readValue(body, type);
                if (value == null) {
                    throw RequestRefusedException.invalid("the body must be a JSON object");
                }
                return value;
            } catch (UnrecognizedPropertyException e) {
                throw RequestRefusedException.invalid("the body has an unknown field '" + e.getPropertyName() + "'");
            } catch (JsonMappingException e) {
                if (e.getCause() instanceof RequestRefusedException refused) {
                    throw refused;
                }
                String field = e.getPath().isEmpty() ? null : e.getPath().get(0).getFieldName();
                throw RequestRefusedException.invalid(
                        field == null
                                ? "the body must be a JSON object"
                                : "the field '" + field + "' has a wrong type");
            } catch (IOException e) {
                throw RequestRefusedException.invalid("the body is not JSON");
            }
        }

        private <T> Mono<Void> send(Mono<T> answer) {
            return answer.flatMap(value -> send(200, value));
        }

        private Mono<Void> send(int status, Object value) {
            byte[] body = bytes(value);
            return response.status(status)
                    .header(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_JSON)
                    .header(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_STORE)
                    .header(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(body.length))
                    .sendByteArray(Mono.just(body))
                    .then();
        }

        private Mono<Void> refuse(int status, String code, @Nullable String message) {
            if (!request.method().equals(HttpMethod.GET)) {
                // What is left of the body may not have been read; the next request would be looked for within it.
                response.header(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
            }
            return send(status, new Failure(code, message == null ? code : message));
        }

        /** Server-sent events; comments in between show both sides that the other is there. */
        private Mono<Void> stream(Flux<String> events) {
            Flux<String> heartbeat =
                    Flux.interval(HEARTBEAT).map(tick -> ": \n\n").onBackpressureDrop();
            Flux<String> content =
                    events.publish(shared -> Flux.merge(shared, heartbeat.takeUntilOther(shared.ignoreElements())));
            return response.sse()
                    .header(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_CACHE)
                    // Not concat, which misses a client that goes away in this moment, and lets the heart beat on for
                    // ever.
                    .sendString(Flux.just(Flux.just(": \n\n"), content).flatMap(Function.identity(), 1))
                    .then();
        }
    }

    private record Failure(String code, String message) {}

    private record NewProduct(@Nullable String productKey) {}

    private record ProductSettings(@Nullable Boolean dynamicRegistration) {}

    private record Certificate(@Nullable String sha256) {}

    private record NewDevice(@Nullable String deviceName) {}

    private record NewModule(
            @Nullable String name,
            @Nullable String alias,
            @Nullable String description) {}

    private record ModuleTexts(
            @Nullable String alias, @Nullable String description) {}

    private record GroupMembers(@Nullable List<String> devices) {

        List<String> names() {
            if (devices == null) {
                throw RequestRefusedException.invalid("devices is missing: the names of the group's devices");
            }
            devices.forEach(name -> Limits.name("a device name", name));
            return devices;
        }
    }
}
