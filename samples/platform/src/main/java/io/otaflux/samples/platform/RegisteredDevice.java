package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A device as it is kept: with its secret, which the platform needs to check a login.
 *
 * @param gateway the device whose topology it is in, or null for none
 * @param disabled whether it is shut out
 * @param activated whether it has ever logged in, after which its secret is not handed out any more
 * @param token what it logs in with if it registered without being known before, or null
 * @param certificate SHA-256 of the certificate that it may log in with, lower-case hex, or null
 */
record RegisteredDevice(
        String productKey,
        String deviceName,
        String deviceSecret,
        Map<String, String> versions,
        Instant createdAt,
        @Nullable DeviceKey gateway,
        boolean disabled,
        boolean activated,
        @Nullable String token,
        @Nullable String certificate) {

    static RegisteredDevice of(DeviceKey key, String secret, Instant now) {
        return new RegisteredDevice(
                key.productKey(), key.deviceName(), secret, Map.of(), now, null, false, false, null, null);
    }

    DeviceKey key() {
        return new DeviceKey(productKey, deviceName);
    }

    RegisteredDevice withVersion(String module, String version) {
        Map<String, String> updated = new TreeMap<>(versions);
        updated.put(module, version);
        return with(draft -> draft.versions = Map.copyOf(updated));
    }

    RegisteredDevice below(@Nullable DeviceKey newGateway) {
        return with(draft -> draft.gateway = newGateway);
    }

    RegisteredDevice asDisabled(boolean nowDisabled) {
        return with(draft -> draft.disabled = nowDisabled);
    }

    RegisteredDevice asActivated(boolean nowActivated) {
        return with(draft -> draft.activated = nowActivated);
    }

    RegisteredDevice withToken(String newToken) {
        return with(draft -> draft.token = newToken);
    }

    RegisteredDevice withCertificate(@Nullable String fingerprint) {
        return with(draft -> draft.certificate = fingerprint);
    }

    private RegisteredDevice with(Consumer<Draft> change) {
        Draft draft = new Draft(this);
        change.accept(draft);
        return new RegisteredDevice(
                productKey,
                deviceName,
                deviceSecret,
                draft.versions,
                createdAt,
                draft.gateway,
                draft.disabled,
                draft.activated,
                draft.token,
                draft.certificate);
    }

    private static final class Draft {

        private Map<String, String> versions;
        private @Nullable DeviceKey gateway;
        private boolean disabled;
        private boolean activated;
        private @Nullable String token;
        private @Nullable String certificate;

        Draft(RegisteredDevice device) {
            this.versions = device.versions;
            this.gateway = device.gateway;
            this.disabled = device.disabled;
            this.activated = device.activated;
            this.token = device.token;
            this.certificate = device.certificate;
        }
    }

    @Override
    public String toString() {
        return "RegisteredDevice[" + key() + ", versions=" + versions + "]";
    }
}
