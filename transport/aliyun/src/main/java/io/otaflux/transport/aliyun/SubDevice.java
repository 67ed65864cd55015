package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;

/**
 * A device behind a gateway, which speaks to the platform for it.
 *
 * @param productKey the product it belongs to
 * @param deviceName its name there
 * @param deviceSecret what proves that it is that device; in no {@code toString}
 */
public record SubDevice(String productKey, String deviceName, String deviceSecret) {

    /** @throws IllegalArgumentException when a name is not one, see {@link DeviceId}, or the secret is empty */
    public SubDevice {
        DeviceId id = new DeviceId(productKey, deviceName);
        if (deviceSecret.isEmpty()) {
            throw new IllegalArgumentException("secret of " + id + ": empty");
        }
    }

    /** Who it is. */
    public DeviceId id() {
        return new DeviceId(productKey, deviceName);
    }

    @Override
    public String toString() {
        return "SubDevice[" + productKey + "/" + deviceName + "]";
    }
}
