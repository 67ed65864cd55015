package io.otaflux.samples.platform;

import com.fasterxml.jackson.annotation.JsonIgnore;
import org.jspecify.annotations.Nullable;

/** One record of the state log: exactly one of its parts is there. {@code before} is not written. */
record StateEntry(
        @Nullable RegisteredProduct product,
        @Nullable RegisteredDevice device,
        @Nullable DeviceKey removed,
        @Nullable FirmwarePackage firmware,
        @Nullable StoredJob job,
        @Nullable Task task,
        @Nullable ProductModule module,
        @Nullable DeviceGroup group,
        @Nullable String removedPackage,
        @JsonIgnore @Nullable Task before) {

    static StateEntry of(RegisteredProduct product) {
        return new StateEntry(product, null, null, null, null, null, null, null, null, null);
    }

    static StateEntry of(RegisteredDevice device) {
        return new StateEntry(null, device, null, null, null, null, null, null, null, null);
    }

    static StateEntry ofRemoved(DeviceKey device) {
        return new StateEntry(null, null, device, null, null, null, null, null, null, null);
    }

    static StateEntry of(FirmwarePackage firmware) {
        return new StateEntry(null, null, null, firmware, null, null, null, null, null, null);
    }

    static StateEntry of(StoredJob job) {
        return new StateEntry(null, null, null, null, job, null, null, null, null, null);
    }

    static StateEntry of(@Nullable Task before, Task task) {
        return new StateEntry(null, null, null, null, null, task, null, null, null, before);
    }

    static StateEntry of(ProductModule module) {
        return new StateEntry(null, null, null, null, null, null, module, null, null, null);
    }

    static StateEntry of(DeviceGroup group) {
        return new StateEntry(null, null, null, null, null, null, null, group, null, null);
    }

    static StateEntry ofRemovedPackage(String id) {
        return new StateEntry(null, null, null, null, null, null, null, null, id, null);
    }
}
