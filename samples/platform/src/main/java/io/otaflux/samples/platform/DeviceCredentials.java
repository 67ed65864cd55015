package io.otaflux.samples.platform;

/**
 * What a device logs in with.
 *
 * @param productKey its product
 * @param deviceName its name within the product
 * @param deviceSecret the key of its password HMAC; not part of {@link #toString()}
 */
public record DeviceCredentials(String productKey, String deviceName, String deviceSecret) {

    @Override
    public String toString() {
        return "DeviceCredentials[" + productKey + "/" + deviceName + ", secret hidden]";
    }
}
