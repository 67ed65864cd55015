package io.otaflux;

import java.util.List;
import org.jspecify.annotations.Nullable;

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

    // Written out: the compiler's are put together at their first use, which a short process pays for.
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof UpgradeKey that
                && device.equals(that.device)
                && module.equals(that.module)
                && version.equals(that.version)
                && digests.equals(that.digests);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * (31 * device.hashCode() + module.hashCode()) + version.hashCode()) + digests.hashCode();
    }

    @Override
    public String toString() {
        return device + " " + module + " -> " + version;
    }
}
