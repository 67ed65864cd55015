package io.otaflux.samples.platform;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.ByteArrayOutputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * What devices ask for over HTTP before they connect: their secret ({@code /auth/register/device}), or a token to log in with
 * ({@code /auth/devicename}). Forms in, JSON {@code {"code","data","message"}} out, always with status 200: clients look at the
 * code.
 */
final class DeviceAuthApi {

    static final String PATH = "/auth/";

    private static final Logger log = LoggerFactory.getLogger(DeviceAuthApi.class);
    private static final int MAX_FORM_BYTES = 8 << 10;
    private static final int OK = 200;
    private static final int NOT_FOUND = 404;
    private static final int BAD_PARAMETERS = 460;
    private static final int FAILED = 500;
    private static final int BAD_METHOD = 6292;
    private static final int BAD_SIGNATURE = 6600;

    private final Operations operations;
    private final Broker broker;

    DeviceAuthApi(Operations operations, Broker broker) {
        this.operations = operations;
        this.broker = broker;
    }

    Mono<Void> serve(HttpServerRequest request, HttpServerResponse response) {
        return answer(request)
                .onErrorResume(DeviceRefusedException.class, refused -> Mono.just(refusal(refused)))
                .onErrorResume(error -> {
                    log.error("{} failed", request.path(), error);
                    return Mono.just(refusal(new DeviceRefusedException(FAILED, "the platform failed")));
                })
                .flatMap(answer -> {
                    byte[] body = DeviceMessages.write(answer);
                    return response.header(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_JSON)
                            .header(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(body.length))
                            .sendByteArray(Mono.just(body))
                            .then();
                });
    }

    private Mono<ObjectNode> answer(HttpServerRequest request) {
        String path = new QueryStringDecoder(request.uri()).path();
        boolean isRegistration = path.equals("/auth/register/device");
        if (!request.method().equals(HttpMethod.POST) || (!isRegistration && !path.equals("/auth/devicename"))) {
            return Mono.error(new DeviceRefusedException(NOT_FOUND, "not found"));
        }
        return request.receive()
                .collect(ByteArrayOutputStream::new, DeviceAuthApi::collect)
                .map(body -> Form.read(body.toString(StandardCharsets.UTF_8)))
                .flatMap(form -> isRegistration ? register(form) : authenticate(form, brokerHost(request)));
    }

    /** The embedded broker listens where this does, so a device that came here by an address reaches it there, too. */
    private String brokerHost(HttpServerRequest request) {
        InetSocketAddress here = request.hostAddress();
        return broker.tellsPresence() && here != null && here.getAddress() != null
                ? here.getAddress().getHostAddress()
                : broker.host();
    }

    private static void collect(ByteArrayOutputStream collected, ByteBuf part) {
        if (collected.size() + part.readableBytes() > MAX_FORM_BYTES) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "the form is larger than " + MAX_FORM_BYTES + " bytes");
        }
        byte[] bytes = new byte[part.readableBytes()];
        part.readBytes(bytes);
        collected.writeBytes(bytes);
    }

    private record Form(Map<String, List<String>> fields) {

        static Form read(String body) {
            try {
                return new Form(new QueryStringDecoder(body, false).parameters());
            } catch (IllegalArgumentException e) {
                throw new DeviceRefusedException(BAD_PARAMETERS, "the body is not a form");
            }
        }

        @Nullable
        String get(String name) {
            List<String> values = fields.get(name);
            return values == null ? null : values.get(0);
        }

        DeviceKey device() {
            String productKey = get("productKey");
            String deviceName = get("deviceName");
            if (productKey == null || deviceName == null || !Limits.isName(productKey) || !Limits.isName(deviceName)) {
                throw new DeviceRefusedException(BAD_PARAMETERS, "productKey or deviceName is missing or malformed");
            }
            return new DeviceKey(productKey, deviceName);
        }

        @Override
        public String toString() {
            return "Form";
        }
    }

    private Mono<ObjectNode> register(Form form) {
        return Mono.defer(() -> operations.register(new Registration.Claim(
                        form.device(), form.get("random"), form.get("signMethod"), form.get("sign"), false)))
                .map(device -> success(DeviceMessages.registered(device, false)));
    }

    private Mono<ObjectNode> authenticate(Form form, String brokerHost) {
        return Mono.fromCallable(() -> {
            DeviceKey device = form.device();
            String clientId = form.get("clientId");
            String signature = form.get("sign");
            String method = form.get("signmethod");
            if (method == null) {
                method = form.get("signMethod");
            }
            if (clientId == null || signature == null) {
                throw new DeviceRefusedException(BAD_PARAMETERS, "clientId or sign is missing");
            }
            if (method == null || !DeviceAuthenticator.isMethod(method)) {
                throw new DeviceRefusedException(BAD_METHOD, "invalid sign method");
            }
            String text = DeviceAuthenticator.signedText(clientId, device, form.get("timestamp"));
            if (!DeviceAuthenticator.isSigned(method, operations.credentials().secret(device), text, signature)) {
                throw new DeviceRefusedException(BAD_SIGNATURE, "invalid sign");
            }
            PreAuthentications.Token token = operations.preAuthentications().issue(device);
            ObjectNode data = JsonNodeFactory.instance.objectNode();
            data.put("iotId", token.iotId());
            data.put("iotToken", token.iotToken());
            data.putObject("resources")
                    .putObject("mqtt")
                    .put("host", brokerHost)
                    .put("port", broker.port());
            return success(data);
        });
    }

    private static ObjectNode success(ObjectNode data) {
        ObjectNode answer = JsonNodeFactory.instance.objectNode();
        answer.put("code", OK);
        answer.set("data", data);
        answer.put("message", "success");
        return answer;
    }

    private static ObjectNode refusal(DeviceRefusedException refused) {
        ObjectNode answer = JsonNodeFactory.instance.objectNode();
        answer.put("code", refused.code());
        answer.putObject("data");
        answer.put("message", refused.why());
        return answer;
    }
}
