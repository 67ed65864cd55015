package io.otaflux.samples.platform;

/**
 * What names a device: its product and its name within the product.
 *
 * @param productKey its product
 * @param deviceName its name within the product
 */
public record DeviceKey(String productKey, String deviceName) {

    @Override
    public String toString() {
        return productKey + "/" + deviceName;
    }
}
