package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.Artifact;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.RefusedException;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the {@code data} of a push or of the answer to a query. The shapes that are read are the union of what
 * the platforms' documents, captures and SDKs of several years show: {@code code} and {@code id} of any type or absent,
 * one artifact inline or several in {@code files}, {@code sign} with {@code signMethod} or only {@code md5}, no module
 * for the device's own firmware, fields that nobody here knows.
 */
final class PushReader {

    /** What a version looks like. */
    private static final Pattern VERSION = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}");

    /** How long a configuration may be: 64 KB. */
    private static final int MAX_CONFIGURATION = 64 * 1024;

    /** How many files one package may have. */
    private static final int MAX_FILES = 20;

    /** Where most payloads have room while they are read. They are read on the lanes, which are as many as processors. */
    private static final ThreadLocal<byte[]> SCRATCH = ThreadLocal.withInitial(() -> new byte[8 * 1024]);

    private PushReader() {}

    /** Reads the payload of a push to {@code device}, which the topic named. Never throws. */
    static Push read(DeviceId device, byte[] payload) {
        return read(device, payload, payload.length);
    }

    /** The same of what is left in {@code payload}, of which nothing is kept. */
    static Push read(DeviceId device, ByteBuffer payload) {
        int size = payload.remaining();
        byte[] scratch = SCRATCH.get();
        byte[] bytes = size <= scratch.length ? scratch : new byte[size];
        payload.get(bytes, 0, size);
        return read(device, bytes, size);
    }

    private static Push read(DeviceId device, byte[] payload, int size) {
        try {
            return read(device, Messages.readData(payload, size), UpgradeTrigger.DEFAULT_MODULE);
        } catch (MalformedMessage e) {
            return new Push.Skipped(null, malformed(device, e.why()));
        }
    }

    /** Reads the {@code data} of an answer about {@code module}, in which the module may be left out. Never throws. */
    static Push readAnswer(DeviceId device, JsonNode data, String module) {
        boolean nothing = data.isMissingNode()
                || data.isNull()
                || (data.isObject() && !data.has("url") && !data.has("files") && !data.has("dProtocol"));
        if (nothing) {
            return new Push.Nothing();
        }
        return data.isObject()
                ? read(device, Fields.of(data), module)
                : new Push.Skipped(null, malformed(device, "data: " + Fields.kind(data) + " (expected: an object)"));
    }

    private static Push read(DeviceId device, Fields data, String moduleIfAbsent) {
        String module = null;
        try {
            module = optional(data, "module").orElse(moduleIfAbsent);
            // The reserved one is no platform's: an upgrade in its name would be one that nobody reports.
            if (!isName(module) || module.equals(AliyunDevice.CONFIG_MODULE)) {
                module = null;
                throw new MalformedMessage("module: not a name");
            }
            return read(device, module, data);
        } catch (MalformedMessage e) {
            return new Push.Skipped(module, malformed(device, e.why()));
        } catch (IllegalArgumentException e) {
            // What core refuses: a digest of the wrong length, a name that is none. It quotes names only.
            return new Push.Skipped(module, malformed(device, String.valueOf(e.getMessage())));
        }
    }

    private static Push read(DeviceId device, String module, Fields data) throws MalformedMessage {
        String version = required(data, "version");
        if (isStream(data) && !data.path("dProtocol").asText().equalsIgnoreCase("mqtt")) {
            return new Push.Skipped(module, unsupported(device, module, "a download over something unknown"));
        }
        List<Artifact> artifacts = data.has("files") ? files(module, data) : List.of(single(module, data));
        JsonNode isDiff = data.path("isDiff");
        boolean delta = isDiff.asInt() != 0 || isDiff.asBoolean();
        return new Push.Upgrade(new UpgradeTrigger(device, module, version, artifacts, data.texts("extData"), delta));
    }

    /** Tells whether the bytes come over this connection, and no URL is named. */
    private static boolean isStream(Fields data) {
        return !data.has("url") && !data.has("files") && data.has("dProtocol");
    }

    /**
     * Reads what a remote configuration is: an upgrade of a module of its own to a version that is its id. Never throws.
     *
     * @param data of the answer to the question for it, or the parameters of a push
     */
    static Push readConfiguration(DeviceId device, JsonNode data) {
        if (data.isMissingNode() || data.isNull() || (data.isObject() && !data.has("url"))) {
            return new Push.Nothing();
        }
        Fields fields = Fields.of(data);
        try {
            String type = optional(fields, "getType").orElse("file");
            if (!type.equals("file")) {
                return new Push.Skipped(
                        null, unsupported(device, AliyunDevice.CONFIG_MODULE, "a configuration that is no file"));
            }
            String id = required(fields, "configId");
            long size = size(fields, "configSize");
            if (size > MAX_CONFIGURATION) {
                throw new MalformedMessage(
                        "configSize: " + size + " bytes (expected: at most " + MAX_CONFIGURATION + ")");
            }
            Artifact artifact = new Artifact(
                    "configuration", location(fields, "url"), size, digests(fields, method(fields), "sign", "md5"));
            return new Push.Upgrade(new UpgradeTrigger(
                    device, AliyunDevice.CONFIG_MODULE, version(id), List.of(artifact), Map.of("configId", id)));
        } catch (MalformedMessage e) {
            return new Push.Skipped(null, malformed(device, e.why()));
        } catch (IllegalArgumentException e) {
            return new Push.Skipped(null, malformed(device, String.valueOf(e.getMessage())));
        }
    }

    /** The id as a version, which it nearly always could be. */
    private static String version(String id) {
        if (VERSION.matcher(id).matches()) {
            return id;
        }
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.SHA_256));
        hasher.update(ByteBuffer.wrap(id.getBytes(StandardCharsets.UTF_8)));
        return "id-" + hasher.finish().get(0).hex().substring(0, 32);
    }

    /** One artifact inline; the platform gives it no name, so it has its module's. */
    private static Artifact single(String module, Fields data) throws MalformedMessage {
        URI location = isStream(data)
                ? Downloads.location(size(data, "streamId"), size(data, "streamFileId"))
                : location(data, "url");
        return new Artifact(
                module, location, size(data, "size"), digests(data, method(data), "sign", "md5"), signature(data));
    }

    private static List<Artifact> files(String module, Fields data) throws MalformedMessage {
        JsonNode files = data.path("files");
        if (!files.isArray() || files.isEmpty() || files.size() > MAX_FILES) {
            throw new MalformedMessage("files: " + Fields.kind(files) + " of " + files.size()
                    + " (expected: an array of 1 to " + MAX_FILES + ")");
        }
        List<Artifact> artifacts = new ArrayList<>();
        for (JsonNode node : files) {
            Fields file = Fields.of(node);
            String name = optional(file, "fileName").orElse(module + "-" + artifacts.size());
            artifacts.add(new Artifact(
                    allowed(name),
                    location(file, "fileUrl"),
                    size(file, "fileSize"),
                    digests(file, method(data), "fileSign", "fileMd5"),
                    signature(files.size() == 1 && !file.has("digestsign") ? data : file)));
        }
        return artifacts;
    }

    /**
     * The signature over a digest, which is no matter of the reader's: anything that is no text is none. The documents have
     * it of single files only; a file of several is taken to carry its own.
     */
    private static @Nullable String signature(Fields node) {
        String signature = node.text("digestsign");
        return signature == null || signature.isEmpty() ? null : signature;
    }

    /**
     * Digests that are named, at most one of an algorithm. None at all is passed on: whether that is good enough is
     * decided where upgrades are admitted.
     */
    private static List<Digest> digests(
            Fields node, Digest.@Nullable Algorithm method, String signField, String md5Field) throws MalformedMessage {
        Digest md5 = optional(node, md5Field).map(Digest::md5).orElse(null);
        Optional<String> sign = optional(node, signField);
        if (sign.isPresent() && method == null && md5 == null) {
            throw new MalformedMessage("signMethod: missing, beside a " + signField);
        }
        Digest signed = sign.isPresent() && method != null ? new Digest(method, sign.get()) : null;
        if (signed == null) {
            return md5 == null ? List.of() : List.of(md5);
        }
        if (md5 == null) {
            return List.of(signed);
        }
        if (method != Digest.Algorithm.MD5) {
            return List.of(signed, md5);
        }
        if (!signed.matches(md5)) {
            throw new MalformedMessage(signField + " and " + md5Field + ": two different MD5 digests");
        }
        return List.of(signed);
    }

    private static Digest.@Nullable Algorithm method(Fields data) throws MalformedMessage {
        Optional<String> name = optional(data, "signMethod");
        return name.isPresent() ? Digest.Algorithm.named(name.get()) : null;
    }

    /** A length in bytes, or the number of a stream; a number, or the same number as a string. */
    private static long size(Fields node, String field) throws MalformedMessage {
        JsonNode size = node.path(field);
        String digits = size.isIntegralNumber() || size.isTextual() ? size.asText() : "";
        if (!isNumber(digits)) {
            throw new MalformedMessage(field + ": " + Fields.kind(size) + " (expected: a number)");
        }
        return Long.parseLong(digits);
    }

    /** Tells whether it is what a module's name looks like. */
    private static boolean isName(String text) {
        int length = text.length();
        if (length == 0 || length > 64 || ".-".indexOf(text.charAt(0)) >= 0) {
            return false;
        }
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            boolean allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || isDigit(c) || "_.-".indexOf(c) >= 0;
            if (!allowed) {
                return false;
            }
        }
        return true;
    }

    /** Tells whether it is one of 1 to 18 digits. */
    private static boolean isNumber(String text) {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            if (!isDigit(text.charAt(i))) {
                return false;
            }
        }
        return length >= 1 && length <= 18;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private static URI location(Fields node, String field) throws MalformedMessage {
        try {
            URI location = new URI(required(node, field));
            String scheme = String.valueOf(location.getScheme()).toLowerCase(Locale.ROOT);
            if (!(scheme.equals("https") || scheme.equals("http")) || location.getHost() == null) {
                throw new MalformedMessage(field + ": not an http(s) URL with a host");
            }
            return location;
        } catch (URISyntaxException e) {
            throw new MalformedMessage(field + ": not a URL, at character " + e.getIndex());
        }
    }

    private static String required(Fields node, String field) throws MalformedMessage {
        return optional(node, field).orElseThrow(() -> new MalformedMessage(field + ": missing"));
    }

    /** A text; absent, null and empty are the same. */
    private static Optional<String> optional(Fields node, String field) throws MalformedMessage {
        String text = node.text(field);
        if (text == null) {
            JsonNode value = node.path(field);
            if (!value.isMissingNode() && !value.isNull()) {
                throw new MalformedMessage(field + ": " + Fields.kind(value) + " (expected: a string)");
            }
            return Optional.empty();
        }
        return text.isEmpty() ? Optional.empty() : Optional.of(text);
    }

    /** The name with everything replaced that a name here may not have; it is for people, and never a path. */
    private static String allowed(String name) {
        String letters = name.replaceAll("[^A-Za-z0-9._+@() -]", "_");
        return letters.matches("[A-Za-z0-9_].*") ? letters : "_" + letters;
    }

    private static OtaException malformed(DeviceId device, String what) {
        return new ChannelException(Reason.MALFORMED_TRIGGER, "Push to " + device + ": " + what, null);
    }

    private static OtaException unsupported(DeviceId device, String module, String what) {
        return new RefusedException(
                Stage.TRANSPORT, Reason.UNSUPPORTED, "Push to " + device + " " + module + ": " + what);
    }
}
