package io.otaflux.samples.platform;

/** What names a device: its product and its name within the product. */
record DeviceKey(String productKey, String deviceName) {

    @Override
    public String toString() {
        return productKey + "/" + deviceName;
    }
}
