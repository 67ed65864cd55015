package io.otaflux.samples.platform;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/** Which devices a job is for. */
final class Targets {

    private static final BigDecimal ALL_PERCENT = BigDecimal.valueOf(100);

    private final PlatformState state;
    private final Packages packages;

    Targets(PlatformState state, Packages packages) {
        this.state = state;
        this.packages = packages;
    }

    /**
     * The devices that a job begins with.
     *
     * @throws RequestRefusedException if a device that is named is not there or never reported the module
     */
    List<RegisteredDevice> now(JobRequest request, FirmwarePackage firmware) {
        Integer dynamicMode = request.dynamicMode();
        if (dynamicMode != null && dynamicMode == 2) {
            return List.of();
        }
        List<RegisteredDevice> targets = candidates(request, firmware)
                .filter(device -> takes(request, firmware, device))
                .toList();
        BigDecimal gray = request.grayPercent();
        return gray == null || targets.isEmpty() ? targets : share(targets, gray, firmware.id());
    }

    private Stream<RegisteredDevice> candidates(JobRequest request, FirmwarePackage firmware) {
        String product = firmware.productKey();
        List<String> names = request.devices();
        if (names != null) {
            return new LinkedHashSet<>(names).stream().map(name -> named(new DeviceKey(product, name), firmware));
        }
        if (request.group() != null) {
            return packages.requireGroup(product, request.group()).devices().stream()
                    .map(name -> state.device(new DeviceKey(product, name)))
                    .flatMap(Stream::ofNullable);
        }
        return state.devices().stream()
                .filter(device -> device.productKey().equals(product))
                .sorted(Comparator.comparing(RegisteredDevice::deviceName));
    }

    private RegisteredDevice named(DeviceKey key, FirmwarePackage firmware) {
        RegisteredDevice device = state.device(key);
        if (device == null) {
            throw RequestRefusedException.notFound("device", key.toString());
        }
        if (!device.versions().containsKey(firmware.module())) {
            throw RequestRefusedException.conflict(
                    "device '" + key + "' has never reported a version of module " + firmware.module());
        }
        return device;
    }

    /** Whether a device that reports later is one of a dynamic job's. */
    boolean includes(JobRequest request, FirmwarePackage firmware, RegisteredDevice device) {
        String group = request.group();
        return firmware.productKey().equals(device.productKey())
                && takes(request, firmware, device)
                && (group == null
                        || packages.requireGroup(device.productKey(), group)
                                .devices()
                                .contains(device.deviceName()));
    }

    /** Whether a device is in a version that the job upgrades. */
    static boolean takes(JobRequest request, FirmwarePackage firmware, RegisteredDevice device) {
        String version = device.versions().get(firmware.module());
        Set<String> sources = sources(request, firmware);
        return version != null
                && !version.equals(firmware.version())
                && (sources.isEmpty() || sources.contains(version));
    }

    /** Which versions a job takes devices from; empty for any. */
    static Set<String> sources(JobRequest request, FirmwarePackage firmware) {
        return firmware.srcVersion() == null ? request.sourceVersions() : Set.of(firmware.srcVersion());
    }

    /**
     * A share of the devices: always the same ones for a package, all of a smaller share among those of a larger, and other
     * ones for another package, so that no device is always the first to be tried on.
     */
    private static List<RegisteredDevice> share(List<RegisteredDevice> devices, BigDecimal percent, String salt) {
        int size = percent.multiply(BigDecimal.valueOf(devices.size()))
                .divide(ALL_PERCENT, 0, RoundingMode.FLOOR)
                .intValueExact();
        Map<String, RegisteredDevice> shuffled = new TreeMap<>();
        devices.forEach(device -> shuffled.put(hash(salt + "/" + device.deviceName()), device));
        return shuffled.values().stream().limit(Math.max(1, size)).toList();
    }

    private static String hash(String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
