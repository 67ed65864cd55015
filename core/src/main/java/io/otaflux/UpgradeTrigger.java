package io.otaflux;

import java.util.List;
import java.util.Map;

/**
 * A platform's request to bring one module of one device to one version.
 *
 * @param device whose module it is
 * @param module the separately versioned part of the device; {@link #DEFAULT_MODULE} is the device's own firmware
 * @param version the version to reach; compared for equality only
 * @param artifacts what to fetch, in the platform's order; never empty, nearly always one
 * @param tags what the platform attached for the application; may be empty
 * @param delta whether the artifacts are the difference from the version that runs, and no use without it. It is no part
 *     of the upgrade's identity, since the digests tell a difference from a whole
 */
public record UpgradeTrigger(
        DeviceId device,
        String module,
        String version,
        List<Artifact> artifacts,
        Map<String, String> tags,
        boolean delta) {

    /** The module that is the device's own firmware. */
    public static final String DEFAULT_MODULE = "default";

    /**
     * @throws IllegalArgumentException when a name is not allowed, there is no artifact, or the artifacts together are
     *     larger than a {@code long} can tell
     */
    public UpgradeTrigger {
        Names.MODULE.check("module", module);
        Names.VERSION.check("version", version);
        artifacts = List.copyOf(artifacts);
        if (artifacts.isEmpty()) {
            throw new IllegalArgumentException("artifacts: none (expected: at least one)");
        }
        long room = Long.MAX_VALUE;
        for (Artifact artifact : artifacts) {
            room -= Math.max(0, artifact.size());
            if (room < 0) {
                throw new IllegalArgumentException("artifacts: larger together than " + Long.MAX_VALUE + " bytes");
            }
        }
        tags = Map.copyOf(tags);
    }

    /** An upgrade to whole artifacts. */
    public UpgradeTrigger(
            DeviceId device, String module, String version, List<Artifact> artifacts, Map<String, String> tags) {
        this(device, module, version, artifacts, tags, false);
    }

    /** An upgrade to one whole artifact without tags. */
    public UpgradeTrigger(DeviceId device, String module, String version, Artifact artifact) {
        this(device, module, version, List.of(artifact), Map.of());
    }

    /** The first artifact, and nearly always the only one. */
    public Artifact artifact() {
        return artifacts.get(0);
    }

    /** What makes two triggers ask for the same upgrade: everything but where the bytes are at the moment. */
    public UpgradeKey key() {
        List<List<Digest>> digests = artifacts.size() == 1
                ? List.of(artifact().digests())
                : artifacts.stream().map(Artifact::digests).toList();
        return new UpgradeKey(device, module, version, digests);
    }

    /** The sum of the artifacts' sizes in bytes, or {@link Artifact#UNKNOWN_SIZE} when one is unknown. */
    public long size() {
        long sum = 0;
        for (Artifact artifact : artifacts) {
            if (artifact.size() == Artifact.UNKNOWN_SIZE) {
                return Artifact.UNKNOWN_SIZE;
            }
            sum += artifact.size();
        }
        return sum;
    }

    @Override
    public String toString() {
        return "UpgradeTrigger[" + device + " " + module + " -> " + version + ", " + (delta ? "delta " : "") + artifacts
                + "]";
    }
}
