package io.otaflux;

import java.util.List;

/**
 * The identity of an upgrade. A platform may push the same upgrade many times, each time with a fresh URL and another
 * message id; all of them have one key.
 *
 * @param device whose module it is
 * @param module which module
 * @param version the version to reach
 * @param digests the digests of each artifact, in order
 */
public record UpgradeKey(DeviceId device, String module, String version, List<List<Digest>> digests) {

    public UpgradeKey {
        digests = List.copyOf(digests);
    }

    @Override
    public String toString() {
        return device + " " + module + " -> " + version;
    }
}
