package io.otaflux.samples.platform;

import java.util.List;
import java.util.Optional;

/** The protocol's topics, and which of them a device may use. */
final class DeviceTopics {

    /** What the platform subscribes to: every device's reports and queries. */
    static final List<String> PLATFORM_SUBSCRIPTIONS =
            List.of("/ota/device/inform/+/+", "/ota/device/progress/+/+", "/sys/+/+/thing/ota/firmware/get");

    private static final String UPGRADE = "/ota/device/upgrade/";
    private static final String QUERY = "/thing/ota/firmware/get";

    private DeviceTopics() {}

    /** What a message from a device is about. */
    enum Kind {
        INFORM,
        PROGRESS,
        QUERY
    }

    /** A topic taken apart. */
    record Address(Kind kind, DeviceKey device) {}

    static String upgrade(DeviceKey device) {
        return UPGRADE + device.productKey() + "/" + device.deviceName();
    }

    static String queryReply(DeviceKey device) {
        return "/sys/" + device.productKey() + "/" + device.deviceName() + QUERY + "_reply";
    }

    /** What a session that asks for it ({@code _ss=1}) is sent without subscribing. */
    static List<String> implicitSubscriptions(DeviceKey device) {
        return List.of(upgrade(device), queryReply(device));
    }

    /** The device whose upgrade topic this is. */
    static Optional<DeviceKey> upgradeTarget(String topic) {
        if (!topic.startsWith(UPGRADE)) {
            return Optional.empty();
        }
        String[] levels = topic.substring(UPGRADE.length()).split("/", -1);
        return levels.length == 2 ? Optional.of(new DeviceKey(levels[0], levels[1])) : Optional.empty();
    }

    /** What a topic that matched {@link #PLATFORM_SUBSCRIPTIONS} stands for. */
    static Optional<Address> parse(String topic) {
        String[] levels = topic.split("/", -1);
        if (levels.length == 6 && topic.startsWith("/ota/device/")) {
            DeviceKey device = new DeviceKey(levels[4], levels[5]);
            return switch (levels[3]) {
                case "inform" -> Optional.of(new Address(Kind.INFORM, device));
                case "progress" -> Optional.of(new Address(Kind.PROGRESS, device));
                default -> Optional.empty();
            };
        }
        if (levels.length == 8 && topic.startsWith("/sys/") && topic.endsWith(QUERY)) {
            return Optional.of(new Address(Kind.QUERY, new DeviceKey(levels[2], levels[3])));
        }
        return Optional.empty();
    }

    /**
     * Whether a device may publish to a topic: its own reports, and requests below its own {@code /sys} branch. Requests the
     * platform does not answer (device information, configuration, …) are let through, because clients of this protocol send
     * them without being asked and a refusal would look like a fault.
     */
    static boolean mayPublish(DeviceKey device, String topic) {
        String own = device.productKey() + "/" + device.deviceName();
        return topic.equals("/ota/device/inform/" + own)
                || topic.equals("/ota/device/progress/" + own)
                || topic.equals("/ota/device/request/" + own)
                || (topic.startsWith("/sys/" + own + "/") && !topic.endsWith("_reply"));
    }

    /** Whether a device may subscribe to a filter: its own upgrades, and anything below its own {@code /sys} branch. */
    static boolean maySubscribe(DeviceKey device, String filter) {
        String own = device.productKey() + "/" + device.deviceName();
        return filter.equals(UPGRADE + own)
                || filter.equals("/ota/device/request/" + own)
                || filter.startsWith("/sys/" + own + "/");
    }
}
