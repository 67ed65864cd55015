package io.otaflux.samples.platform;

import org.jspecify.annotations.Nullable;

/**
 * What a package is to be, but for its files.
 *
 * @param productKey the product whose devices can take it
 * @param module the module it upgrades
 * @param version the version it brings
 * @param name what people call it, 1 to 40 characters, unique on the platform; null for no name
 * @param srcVersion the only version that it can be applied to, which makes it a delta; null for a full package
 * @param signMethod which digest is pushed to devices
 * @param customInfo free text for devices, at most 4096 characters, or null
 * @param needToVerify whether a verification job has to succeed before any other job
 * @param digestSign whether the platform signs the digests with its key
 */
public record PackageRequest(
        String productKey,
        String module,
        String version,
        @Nullable String name,
        @Nullable String srcVersion,
        SignMethod signMethod,
        @Nullable String customInfo,
        boolean needToVerify,
        boolean digestSign) {

    /** A full package whose SHA-256 is pushed, unsigned, without a name, and with no need to be verified. */
    public static PackageRequest of(String productKey, String module, String version) {
        return new PackageRequest(productKey, module, version, null, null, SignMethod.SHA256, null, false, false);
    }

    /** The same package with another digest. */
    public PackageRequest withSignMethod(SignMethod method) {
        return new PackageRequest(
                productKey, module, version, name, srcVersion, method, customInfo, needToVerify, digestSign);
    }

    /** The same package with a name. */
    public PackageRequest withName(String unique) {
        return new PackageRequest(
                productKey, module, version, unique, srcVersion, signMethod, customInfo, needToVerify, digestSign);
    }

    /** The difference from this version. */
    public PackageRequest asDeltaFrom(String source) {
        return new PackageRequest(
                productKey, module, version, name, source, signMethod, customInfo, needToVerify, digestSign);
    }

    /** The same package with free text for devices. */
    public PackageRequest withCustomInfo(String text) {
        return new PackageRequest(
                productKey, module, version, name, srcVersion, signMethod, text, needToVerify, digestSign);
    }

    /** The same package, to be verified on a few devices first. */
    public PackageRequest withVerification() {
        return new PackageRequest(
                productKey, module, version, name, srcVersion, signMethod, customInfo, true, digestSign);
    }

    /** The same package with signed digests. */
    public PackageRequest withDigestSign() {
        return new PackageRequest(
                productKey, module, version, name, srcVersion, signMethod, customInfo, needToVerify, true);
    }
}
