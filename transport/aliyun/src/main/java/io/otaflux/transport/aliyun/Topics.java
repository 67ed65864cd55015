package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import org.jspecify.annotations.Nullable;

/**
 * The topics of one device's upgrades. They are put together when they are needed, since thousands of devices seldom need
 * them.
 *
 * @param path product and name, as they are in each of them
 */
record Topics(String path) {

    static final String UPGRADE = "/ota/device/upgrade/";
    static final String QUERY_REPLY = "/thing/ota/firmware/get_reply";

    /** Where old platforms are asked, and answer. */
    static final String LEGACY_QUERY = "/ota/device/request/";

    static final String CONFIGURATION_PUSH = "/thing/config/push";
    static final String CONFIGURATION_QUERY = "/thing/config/get";
    static final String CONFIGURATION_REPLY = CONFIGURATION_QUERY + "_reply";

    /** Tells whether {@code filter} is one that the device subscribes to by itself. */
    boolean isListenedTo(String filter) {
        return filter.equals(upgrade()) || filter.equals(queryReply()) || filter.equals(downloadReply());
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
        int end = topic.length() - after.length();
        if (!topic.startsWith(before) || !topic.endsWith(after) || end < before.length()) {
            return null;
        }
        int slash = topic.indexOf('/', before.length());
        if (slash < 0 || slash >= end) {
            return null;
        }
        try {
            // A name with another slash in it is none.
            return new DeviceId(topic.substring(before.length(), slash), topic.substring(slash + 1, end));
        } catch (IllegalArgumentException noDevice) {
            return null;
        }
    }

    static Topics of(DeviceId device) {
        return new Topics(device.product() + "/" + device.name());
    }

    String inform() {
        return "/ota/device/inform/" + path;
    }

    String upgrade() {
        return UPGRADE + path;
    }

    String progress() {
        return "/ota/device/progress/" + path;
    }

    String query() {
        return "/sys/" + path + "/thing/ota/firmware/get";
    }

    String queryReply() {
        return "/sys/" + path + QUERY_REPLY;
    }

    String download() {
        return "/sys/" + path + "/thing/file/download";
    }

    String downloadReply() {
        return "/sys/" + path + "/thing/file/download_reply";
    }
}
