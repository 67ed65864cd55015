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
