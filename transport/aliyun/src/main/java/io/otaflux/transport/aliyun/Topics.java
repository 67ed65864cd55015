package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;

/** The topics of one device's upgrades. */
record Topics(
        String inform,
        String upgrade,
        String progress,
        String query,
        String queryReply,
        String download,
        String downloadReply) {

    static Topics of(DeviceId device) {
        String path = device.product() + "/" + device.name();
        return new Topics(
                "/ota/device/inform/" + path,
                "/ota/device/upgrade/" + path,
                "/ota/device/progress/" + path,
                "/sys/" + path + "/thing/ota/firmware/get",
                "/sys/" + path + "/thing/ota/firmware/get_reply",
                "/sys/" + path + "/thing/file/download",
                "/sys/" + path + "/thing/file/download_reply");
    }
}
