package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A device as it is kept: with its secret, which the platform needs to check a login.
 *
 * @param gateway the device whose topology it is in, or null for none
 * @param disabled whether it is shut out
 * @param activated whether it has ever logged in, after which its secret is not handed out any more
 */
record RegisteredDevice(
        String productKey,
        String deviceName,
        String deviceSecret,
        Map<String, String> versions,
        Instant createdAt,
        @Nullable DeviceKey gateway,
        boolean disabled,
        boolean activated) {

    static RegisteredDevice of(DeviceKey key, String secret, Instant now) {
        return new RegisteredDevice(key.productKey(), key.deviceName(), secret, Map.of(), now, null, false, false);
    }

    DeviceKey key() {
        return new DeviceKey(productKey, deviceName);
    }

    RegisteredDevice withVersion(String module, String version) {
        Map<String, String> updated = new TreeMap<>(versions);
        updated.put(module, version);
        return new RegisteredDevice(
                productKey, deviceName, deviceSecret, Map.copyOf(updated), createdAt, gateway, disabled, activated);
    }

    RegisteredDevice below(@Nullable DeviceKey newGateway) {
        return new RegisteredDevice(
                productKey, deviceName, deviceSecret, versions, createdAt, newGateway, disabled, activated);
    }

    RegisteredDevice asDisabled(boolean nowDisabled) {
        return new RegisteredDevice(
                productKey, deviceName, deviceSecret, versions, createdAt, gateway, nowDisabled, activated);
    }

    RegisteredDevice asActivated(boolean nowActivated) {
        return new RegisteredDevice(
                productKey, deviceName, deviceSecret, versions, createdAt, gateway, disabled, nowActivated);
    }

    @Override
    public String toString() {
        return "RegisteredDevice[" + key() + ", versions=" + versions + "]";
    }
}
