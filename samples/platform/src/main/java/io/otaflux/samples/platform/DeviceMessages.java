package io.otaflux.samples.platform;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The JSON of the device protocol.
 *
 * <p>Reading takes what devices really send: ids and steps as strings or numbers, a NUL byte after the text (AliOS Things sends
 * the terminator of its C string), a comma too many (Alibaba's C client), no {@code method}, {@code version} or {@code id}.
 * Writing gives what all of them can read; see {@link #push}.
 */
final class DeviceMessages {

    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(JsonReadFeature.ALLOW_TRAILING_COMMA).build();
    /** What a download over MQTT calls the file of a package; packages of several files cannot be had that way. */
    static final int ONLY_FILE = 1;

    private static final int MAX_DESCRIPTION = 1024;

    private DeviceMessages() {}

    /** A device says which version of a module it runs. */
    record Inform(String module, String version) {}

    /** A device says how far an upgrade is; {@code step} is negative for a failure. */
    record Progress(String module, int step, String description) {}

    /** A device asks what there is to do. {@code id} is whatever it sent, to be sent back as it is. */
    record Query(String module, JsonNode id) {}

    /** Any other request of a device; {@code id} is whatever it sent, {@code params} is null if it sent none. */
    record Request(JsonNode id, JsonNode params) {}

    /** A message cannot be understood; the text says why and holds nothing of the message but the names of its fields. */
    static final class MalformedMessageException extends RuntimeException {
        MalformedMessageException(String message) {
            super(message);
        }
    }

    static Inform readInform(byte[] payload) {
        JsonNode params = params(read(payload));
        String version = text(params, "version");
        if (version == null || !Limits.isName(version)) {
            throw new MalformedMessageException("inform without a valid params.version");
        }
        return new Inform(module(params), version);
    }

    static Progress readProgress(byte[] payload) {
        JsonNode params = params(read(payload));
        String step = text(params, "step");
        if (step == null) {
            throw new MalformedMessageException("progress without params.step");
        }
        String description = text(params, "desc");
        try {
            return new Progress(
                    module(params), Integer.parseInt(step.strip()), description == null ? "" : shortened(description));
        } catch (NumberFormatException e) {
            throw new MalformedMessageException("progress with a params.step that is not a whole number");
        }
    }

    static Query readQuery(byte[] payload) {
        JsonNode message = read(payload);
        JsonNode params = message.path("params");
        return new Query(params.isObject() ? module(params) : Limits.DEFAULT_MODULE, id(message));
    }

    /**
     * The query of 2018, which knows no modules and is answered on its own topic.
     *
     * @return null if this is an answer
     */
    static @Nullable Query readLegacyQuery(byte[] payload) {
        JsonNode message = read(payload);
        return message.has("data") && !message.has("params") ? null : new Query(Limits.DEFAULT_MODULE, id(message));
    }

    /** What a device is told of its remote configuration, pushed or asked for. */
    static ObjectNode config(RemoteConfig config, URI url) {
        ObjectNode data = JSON.createObjectNode();
        data.put("configId", config.configId());
        data.put("configSize", config.size());
        data.put("sign", config.sha256());
        data.put("signMethod", SignMethod.SHA256.wireName());
        data.put("url", url.toString());
        data.put("getType", "file");
        return data;
    }

    static Request readRequest(byte[] payload) {
        JsonNode message = read(payload);
        JsonNode params = message.path("params");
        if (params.isTextual()) {
            // Alibaba's C client sends the parameters of thing/topo/get as a text that holds an object.
            params = read(params.textValue().getBytes(StandardCharsets.UTF_8));
        }
        return new Request(id(message), params.isMissingNode() ? JsonNodeFactory.instance.nullNode() : params);
    }

    /** An answer. All four fields are always there: Alibaba's C client drops one that lacks any of them. */
    static byte[] reply(JsonNode id, int code, JsonNode data, String message) {
        ObjectNode root = JSON.createObjectNode();
        root.set("id", id);
        root.put("code", code);
        root.set("data", data);
        root.put("message", message);
        return write(root);
    }

    /** Tells a device that logged in with a certificate who it is. */
    static byte[] identity(DeviceKey device) {
        return write(name(device));
    }

    /** What a device that registered is given: its secret, or, if it was not known before, a token. */
    static ObjectNode registered(RegisteredDevice device, boolean unlisted) {
        ObjectNode root = JSON.createObjectNode();
        if (unlisted) {
            root.put("clientId", device.productKey() + "." + device.deviceName());
        }
        root.setAll(name(device.key()));
        if (unlisted) {
            root.put("deviceToken", device.token());
        } else {
            root.put("deviceSecret", device.deviceSecret());
        }
        return root;
    }

    static ObjectNode name(DeviceKey device) {
        ObjectNode name = JSON.createObjectNode();
        name.put("productKey", device.productKey());
        name.put("deviceName", device.deviceName());
        return name;
    }

    /** An answer that says no. */
    static byte[] refusal(JsonNode id, DeviceRefusedException refused) {
        return reply(id, refused.code(), JSON.createObjectNode(), refused.why());
    }

    /** What the platform asks of a device. */
    static byte[] request(long id, String method, JsonNode params) {
        ObjectNode root = JSON.createObjectNode();
        root.put("id", Long.toString(id));
        root.put("version", "1.0");
        root.set("params", params);
        root.put("method", method);
        return write(root);
    }

    /**
     * A push as captured from the real platform: {@code code} is the string "1000", {@code id} a number of milliseconds, and
     * the method is spelled {@code Md5} or {@code Sha256}, the only spellings Alibaba's C client takes.
     */
    static byte[] push(Jobs.Offer offer, Function<PackageFile, URI> urls, Instant now) {
        ObjectNode root = JSON.createObjectNode();
        root.put("code", "1000");
        root.set("data", data(offer, urls));
        root.put("id", now.toEpochMilli());
        root.put("message", "success");
        return write(root);
    }

    /** The answer to a query when there is something to do: the same data as in a push. */
    static byte[] queryReply(Query query, Jobs.Offer offer, Function<PackageFile, URI> urls) {
        return queryReply(query, data(offer, urls));
    }

    /** The answer to a query when there is nothing to do: data without anything in it. */
    static byte[] emptyQueryReply(Query query) {
        return queryReply(query, JSON.createObjectNode());
    }

    private static byte[] queryReply(Query query, ObjectNode data) {
        return reply(query.id(), 200, data, "success");
    }

    /**
     * What an offer is about. A package of one file always has the form of one file: Alibaba's C client looks for the fields of
     * that form within a {@code files} of one element, and finds none.
     */
    private static ObjectNode data(Jobs.Offer offer, Function<PackageFile, URI> urls) {
        FirmwarePackage firmware = offer.firmware();
        Map<String, String> tags = offer.tags();
        boolean single = firmware.files().size() == 1;
        PackageFile first = firmware.files().get(0);
        boolean stream = single && offer.protocol() == DownloadProtocol.MQTT;
        // The order of the fields is that of the captures.
        ObjectNode data = JSON.createObjectNode();
        if (single) {
            data.put("size", first.size());
        }
        if (stream) {
            data.put("streamId", firmware.streamId());
        }
        if (single) {
            data.put("sign", first.sign(firmware.signMethod()));
        }
        if (stream) {
            data.put("dProtocol", "mqtt");
        }
        data.put("version", firmware.version());
        if (single && !stream) {
            data.put("url", urls.apply(first).toString());
        }
        data.put("signMethod", firmware.signMethod().wireName());
        if (stream) {
            data.put("streamFileId", ONLY_FILE);
        }
        if (single && firmware.signMethod() == SignMethod.MD5) {
            data.put("md5", first.md5());
        }
        if (single && first.digestsign() != null) {
            data.put("digestsign", first.digestsign());
        }
        if (firmware.delta()) {
            data.put("isDiff", 1);
        }
        if (!single) {
            ArrayNode files = data.putArray("files");
            firmware.files()
                    .forEach(file -> describe(files.addObject(), file, firmware.signMethod(), urls.apply(file)));
        }
        if (!firmware.module().equals(Limits.DEFAULT_MODULE)) {
            data.put("module", firmware.module());
        }
        String customInfo = firmware.customInfo();
        if (!tags.isEmpty() || customInfo != null) {
            ObjectNode extData = data.putObject("extData");
            tags.forEach(extData::put);
            if (customInfo != null) {
                extData.put("_package_udi", customInfo);
            }
        }
        return data;
    }

    private static void describe(ObjectNode data, PackageFile file, SignMethod method, URI url) {
        data.put("fileSize", file.size());
        data.put("fileName", file.name());
        data.put("fileUrl", url.toString());
        data.put("fileSign", file.sign(method));
        if (method == SignMethod.MD5) {
            data.put("fileMd5", file.md5());
        }
        if (file.digestsign() != null) {
            data.put("digestsign", file.digestsign());
        }
    }

    private static JsonNode read(byte[] payload) {
        int length = payload.length;
        while (length > 0 && payload[length - 1] == 0) {
            length--;
        }
        try {
            JsonNode message = JSON.readTree(payload, 0, length);
            if (!message.isObject()) {
                throw new MalformedMessageException("not a JSON object");
            }
            return message;
        } catch (IOException e) {
            throw new MalformedMessageException("not JSON (" + e.getClass().getSimpleName() + ")");
        }
    }

    private static JsonNode id(JsonNode message) {
        JsonNode id = message.path("id");
        return id.isValueNode() ? id : JsonNodeFactory.instance.textNode("");
    }

    private static JsonNode params(JsonNode message) {
        JsonNode params = message.path("params");
        if (!params.isObject()) {
            throw new MalformedMessageException("no params");
        }
        return params;
    }

    private static String module(JsonNode params) {
        String module = text(params, "module");
        if (module == null || module.isEmpty()) {
            return Limits.DEFAULT_MODULE;
        }
        if (!Limits.isName(module)) {
            throw new MalformedMessageException("params.module is not a valid name");
        }
        return module;
    }

    static @Nullable String text(JsonNode node, String field) {
        JsonNode value = node.path(field);
        return value.isTextual() || value.isNumber() ? value.asText() : null;
    }

    private static String shortened(String text) {
        return text.length() <= MAX_DESCRIPTION ? text : text.substring(0, MAX_DESCRIPTION);
    }

    static byte[] write(ObjectNode message) {
        try {
            return JSON.writeValueAsBytes(message);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a tree of plain values can always be written", e);
        }
    }
}
