package io.otaflux.samples.platform;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A version of a module of a product, with the file that brings it.
 *
 * @param id what jobs name it by
 * @param productKey the product whose devices can take it
 * @param module the module it upgrades; {@code default} is the device's own firmware
 * @param version the version a device reports once it runs it; opaque, compared for equality only
 * @param size length of the file in bytes
 * @param md5 MD5 of the file, lower-case hex
 * @param sha256 SHA-256 of the file, lower-case hex; also its name on disk
 * @param signMethod which of the two is pushed to devices
 * @param customInfo free text for the device ({@code extData._package_udi} on the wire), or null
 * @param createdAt when it was uploaded
 */
public record FirmwarePackage(
        String id,
        String productKey,
        String module,
        String version,
        long size,
        String md5,
        String sha256,
        SignMethod signMethod,
        @Nullable String customInfo,
        Instant createdAt)
        implements PlatformEvent {

    /** The digest that is pushed to devices. */
    public String sign() {
        return signMethod == SignMethod.MD5 ? md5 : sha256;
    }
}
