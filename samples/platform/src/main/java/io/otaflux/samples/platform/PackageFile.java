package io.otaflux.samples.platform;

import org.jspecify.annotations.Nullable;

/**
 * A file of a package.
 *
 * @param name what devices call it, 1 to 32 characters; null for an only file, whose name is not told to them
 * @param size its length in bytes
 * @param md5 its MD5, lower-case hex
 * @param sha256 its SHA-256, lower-case hex; also its name on disk
 * @param digestsign a signature over the binary digest that is pushed, in Base64, or null if the package is not signed
 */
public record PackageFile(
        @Nullable String name,
        long size,
        String md5,
        String sha256,
        @Nullable String digestsign) {

    /** The digest that is pushed to devices. */
    public String sign(SignMethod method) {
        return method == SignMethod.MD5 ? md5 : sha256;
    }

    PackageFile signed(String signature) {
        return new PackageFile(name, size, md5, sha256, signature);
    }
}
