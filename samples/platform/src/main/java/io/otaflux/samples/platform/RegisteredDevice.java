package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;

/** A device as it is kept: with its secret, which the platform needs to check a login. */
record RegisteredDevice(
        String productKey, String deviceName, String deviceSecret, Map<String, String> versions, Instant createdAt) {

    DeviceKey key() {
        return new DeviceKey(productKey, deviceName);
    }

    RegisteredDevice withVersion(String module, String version) {
        Map<String, String> updated = new TreeMap<>(versions);
        updated.put(module, version);
        return new RegisteredDevice(productKey, deviceName, deviceSecret, Map.copyOf(updated), createdAt);
    }

    @Override
    public String toString() {
        return "RegisteredDevice[" + key() + ", versions=" + versions + "]";
    }
}
