package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import org.jspecify.annotations.Nullable;

/** The topics of one device's upgrades. */
record Topics(
        String inform,
        String upgrade,
        String progress,
        String query,
        String queryReply,
        String download,
        String downloadReply) {

    static final String UPGRADE = "/ota/device/upgrade/";
    static final String QUERY_REPLY = "/thing/ota/firmware/get_reply";

    /** Where old platforms are asked, and answer. */
    static final String LEGACY_QUERY = "/ota/device/request/";

    static final String CONFIGURATION_PUSH = "/thing/config/push";
    static final String CONFIGURATION_QUERY = "/thing/config/get";
    static final String CONFIGURATION_REPLY = CONFIGURATION_QUERY + "_reply";

    /** Tells whether {@code filter} is one that the device subscribes to by itself. */
    boolean isListenedTo(String filter) {
        return filter.equals(upgrade) || filter.equals(queryReply) || filter.equals(downloadReply);
    }

    /** A topic of {@code device} about things in general. */
    static String sys(DeviceId device, String what) {
        return "/sys/" + device.product() + "/" + device.name() + what;
    }

    static String legacyQuery(DeviceId device) {
        return LEGACY_QUERY + device.product() + "/" + device.name();
    }

    /** The device in a topic that consists of {@code before}, product, slash, name and {@code after}; null in others. */
    static @Nullable DeviceId device(String topic, String before, String after) {
        if (!topic.startsWith(before) || !topic.endsWith(after) || topic.length() < before.length() + after.length()) {
            return null;
        }
        String[] path = topic.substring(before.length(), topic.length() - after.length())
                .split("/", -1);
        try {
            return path.length == 2 ? new DeviceId(path[0], path[1]) : null;
        } catch (IllegalArgumentException noDevice) {
            return null;
        }
    }

    static Topics of(DeviceId device) {
        String path = device.product() + "/" + device.name();
        return new Topics(
                "/ota/device/inform/" + path,
                UPGRADE + path,
                "/ota/device/progress/" + path,
                "/sys/" + path + "/thing/ota/firmware/get",
                "/sys/" + path + QUERY_REPLY,
                "/sys/" + path + "/thing/file/download",
                "/sys/" + path + "/thing/file/download_reply");
    }
}
