package io.otaflux.samples.platform;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A version of a module of a product, with the files that bring it.
 *
 * @param id what jobs name it by
 * @param productKey the product whose devices can take it
 * @param name what people call it, unique, or null
 * @param module the module it upgrades; {@code default} is the device's own firmware
 * @param version the version a device reports once it runs it; opaque, compared for equality only
 * @param srcVersion the only version that a delta can be applied to; null for a full package
 * @param files one to twenty
 * @param signMethod which of a file's digests is pushed to devices
 * @param customInfo free text for the device ({@code extData._package_udi} on the wire), or null
 * @param needToVerify whether a verification job has to succeed before any other job may bring it
 * @param createdAt when it was added
 */
public record FirmwarePackage(
        String id,
        String productKey,
        @Nullable String name,
        String module,
        String version,
        @Nullable String srcVersion,
        List<PackageFile> files,
        SignMethod signMethod,
        @Nullable String customInfo,
        boolean needToVerify,
        Instant createdAt) {

    /** Reads what this or an earlier version of the platform has kept: packages had their only file's properties themselves. */
    @JsonCreator
    static FirmwarePackage kept(
            @JsonProperty("id") String id,
            @JsonProperty("productKey") String productKey,
            @JsonProperty("name") @Nullable String name,
            @JsonProperty("module") String module,
            @JsonProperty("version") String version,
            @JsonProperty("srcVersion") @Nullable String srcVersion,
            @JsonProperty("files") @Nullable List<PackageFile> files,
            @JsonProperty("signMethod") SignMethod signMethod,
            @JsonProperty("customInfo") @Nullable String customInfo,
            @JsonProperty("needToVerify") boolean needToVerify,
            @JsonProperty("createdAt") Instant createdAt,
            @JsonProperty("size") long size,
            @JsonProperty("md5") String md5,
            @JsonProperty("sha256") String sha256) {
        return new FirmwarePackage(
                id,
                productKey,
                name,
                module,
                version,
                srcVersion,
                files == null ? List.of(new PackageFile(null, size, md5, sha256, null)) : List.copyOf(files),
                signMethod,
                customInfo,
                needToVerify,
                createdAt);
    }

    /** Whether it is the difference from one version to another. */
    public boolean delta() {
        return srcVersion != null;
    }

    /** Length of all its files in bytes. */
    public long size() {
        return files.stream().mapToLong(PackageFile::size).sum();
    }

    /** MD5 of its first file, lower-case hex. */
    public String md5() {
        return files.get(0).md5();
    }

    /** SHA-256 of its first file, lower-case hex. */
    public String sha256() {
        return files.get(0).sha256();
    }

    /** The digest of its first file that is pushed to devices. */
    public String sign() {
        return files.get(0).sign(signMethod);
    }

    /** The number that a download over MQTT asks for it by. */
    long streamId() {
        return Long.parseLong(id.substring(1));
    }
}
