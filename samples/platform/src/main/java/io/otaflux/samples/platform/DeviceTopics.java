package io.otaflux.samples.platform;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The protocol's topics, and whose they are. */
final class DeviceTopics {

    private static final String UPGRADE = "/ota/device/upgrade/";
    private static final int OTA_LEVELS = 6;

    /** What the platform subscribes to: every device's reports and requests. */
    static final List<String> PLATFORM_SUBSCRIPTIONS = Stream.concat(
                    Stream.of("/ota/device/inform/+/+", "/ota/device/progress/+/+"),
                    Arrays.stream(Kind.values())
                            .filter(kind -> kind.suffix != null)
                            .map(kind -> kind.prefix + "+/+" + kind.suffix))
            .toList();

    private static final Map<String, Kind> REQUESTS = new HashMap<>();
    private static final Set<String> OTA_REPORTS = Set.of("inform", "progress", "request");
    private static final Set<String> ANSWERED_BY_DEVICES = Set.of(
            "/thing/topo/change_reply",
            "/thing/topo/add/notify_reply",
            "/thing/disable_reply",
            "/thing/enable_reply",
            "/thing/delete_reply",
            "/thing/config/push_reply");

    static {
        for (Kind kind : Kind.values()) {
            if (kind.suffix != null) {
                REQUESTS.put(kind.prefix + kind.suffix, kind);
            }
        }
    }

    private DeviceTopics() {}

    /** What a message from a device is about. */
    enum Kind {
        INFORM("", null),
        PROGRESS("", null),
        QUERY("/sys/", "/thing/ota/firmware/get"),
        LEGACY_QUERY("/ota/device/request/", ""),
        CONFIG_GET("/sys/", "/thing/config/get"),
        FILE_DOWNLOAD("/sys/", "/thing/file/download"),
        TOPO_ADD("/sys/", "/thing/topo/add"),
        TOPO_DELETE("/sys/", "/thing/topo/delete"),
        TOPO_GET("/sys/", "/thing/topo/get"),
        LIST_FOUND("/sys/", "/thing/list/found"),
        SUB_REGISTER("/sys/", "/thing/sub/register"),
        SUB_UNREGISTER("/sys/", "/thing/sub/unregister"),
        PRODUCT_REGISTER("/sys/", "/thing/proxy/provisioning/product_register"),
        LOGIN("/ext/session/", "/combine/login"),
        LOGOUT("/ext/session/", "/combine/logout"),
        BATCH_LOGIN("/ext/session/", "/combine/batch_login"),
        BATCH_LOGOUT("/ext/session/", "/combine/batch_logout");

        private final String prefix;
        private final @Nullable String suffix;

        Kind(String prefix, @Nullable String suffix) {
            this.prefix = prefix;
            this.suffix = suffix;
        }
    }

    /** A topic taken apart. */
    record Address(Kind kind, DeviceKey device) {}

    static String upgrade(DeviceKey device) {
        return UPGRADE + path(device);
    }

    /** A topic below a device's own branch, for example {@code thing/disable}. */
    static String system(DeviceKey device, String name) {
        return "/sys/" + path(device) + "/" + name;
    }

    /** Where a gateway is told what has become of its sub-devices' sessions. */
    static String error(DeviceKey gateway) {
        return "/ext/error/" + path(gateway);
    }

    /** Where a request on this topic is answered. */
    static String reply(String topic) {
        return topic + "_reply";
    }

    /** The device whose upgrade topic this is. */
    static Optional<DeviceKey> upgradeTarget(String topic) {
        return topic.startsWith(UPGRADE) ? device(topic) : Optional.empty();
    }

    /** The device that a topic, or a filter whose names are written out, belongs to. */
    static Optional<DeviceKey> device(String topic) {
        String[] levels = topic.split("/", -1);
        if (levels.length < 4 || !levels[0].isEmpty()) {
            return Optional.empty();
        }
        return switch (levels[1]) {
            case "ota" ->
                levels[2].equals("device") && levels.length == OTA_LEVELS
                        ? named(levels[4], levels[5])
                        : Optional.empty();
            case "sys" -> named(levels[2], levels[3]);
            case "ext" -> levels.length > 4 ? named(levels[3], levels[4]) : Optional.empty();
            default -> Optional.empty();
        };
    }

    /** What a topic that matched {@link #PLATFORM_SUBSCRIPTIONS} stands for. */
    static Optional<Address> parse(String topic) {
        return device(topic).flatMap(device -> {
            if (topic.startsWith("/ota/device/")) {
                return switch (topic.split("/", -1)[3]) {
                    case "inform" -> Optional.of(new Address(Kind.INFORM, device));
                    case "progress" -> Optional.of(new Address(Kind.PROGRESS, device));
                    case "request" -> Optional.of(new Address(Kind.LEGACY_QUERY, device));
                    default -> Optional.empty();
                };
            }
            int at = topic.indexOf('/', 1) + 1;
            if (topic.startsWith("/ext/")) {
                at = topic.indexOf('/', at) + 1;
            }
            Kind kind = REQUESTS.get(
                    topic.substring(0, at) + topic.substring(at + path(device).length()));
            return kind == null ? Optional.empty() : Optional.of(new Address(kind, device));
        });
    }

    /**
     * Whether a topic that belongs to a device is one that the device speaks on: its reports, and requests below its own
     * branches. Requests the platform does not answer (device information, properties, …) are let through, because clients of
     * this protocol send them without being asked and a refusal would look like a fault.
     */
    static boolean isFromDevice(String topic) {
        if (topic.startsWith("/ota/device/")) {
            return OTA_REPORTS.contains(topic.split("/", -1)[3]);
        }
        return topic.startsWith("/ext/session/") || (topic.startsWith("/sys/") && !isForgedReply(topic));
    }

    private static boolean isForgedReply(String topic) {
        return topic.endsWith("_reply")
                && device(topic)
                        .map(device ->
                                topic.substring("/sys/".length() + path(device).length()))
                        .filter(ANSWERED_BY_DEVICES::contains)
                        .isEmpty();
    }

    /** Whether a filter that belongs to a device is one that the device may listen to. */
    static boolean isForDevice(String filter) {
        return filter.startsWith(UPGRADE)
                || filter.startsWith("/ota/device/request/")
                || filter.startsWith("/ext/")
                || filter.startsWith("/sys/");
    }

    private static String path(DeviceKey device) {
        return device.productKey() + "/" + device.deviceName();
    }

    private static Optional<DeviceKey> named(String productKey, String deviceName) {
        return Limits.isName(productKey) && Limits.isName(deviceName)
                ? Optional.of(new DeviceKey(productKey, deviceName))
                : Optional.empty();
    }
}
