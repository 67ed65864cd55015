package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A package as the REST API shows it.
 *
 * @param size length of all files together
 * @param md5 of the only file; null if there are several
 * @param sha256 of the only file; null if there are several
 */
record PackageJson(
        String id,
        String productKey,
        @Nullable String name,
        String module,
        String version,
        String type,
        @Nullable String srcVersion,
        long size,
        @Nullable String md5,
        @Nullable String sha256,
        SignMethod signMethod,
        List<PackageFile> files,
        @Nullable String customInfo,
        boolean needToVerify,
        int verifyStatus,
        int verifyProgress,
        Instant createdAt) {

    static PackageJson of(PackageView view) {
        FirmwarePackage firmware = view.firmware();
        boolean single = firmware.files().size() == 1;
        return new PackageJson(
                firmware.id(),
                firmware.productKey(),
                firmware.name(),
                firmware.module(),
                firmware.version(),
                firmware.delta() ? "DELTA" : "FULL",
                firmware.srcVersion(),
                firmware.size(),
                single ? firmware.md5() : null,
                single ? firmware.sha256() : null,
                firmware.signMethod(),
                firmware.files(),
                firmware.customInfo(),
                firmware.needToVerify(),
                view.verifyStatus(),
                view.verifyProgress(),
                firmware.createdAt());
    }

    /** What to make a package of: files that were uploaded before. */
    record New(
            @Nullable String product,
            @Nullable String module,
            @Nullable String version,
            @Nullable String name,
            @Nullable String type,
            @Nullable String srcVersion,
            @Nullable String signMethod,
            @Nullable String customInfo,
            @Nullable Boolean needToVerify,
            @Nullable Boolean digestSign,
            @Nullable List<NewFile> files) {

        PackageRequest request() {
            String kind = type == null ? srcVersion == null ? "FULL" : "DELTA" : type.toUpperCase(Locale.ROOT);
            if (!kind.equals("FULL") && !kind.equals("DELTA")) {
                throw RequestRefusedException.invalid("type must be FULL or DELTA, not '" + type + "'");
            }
            if (kind.equals("DELTA") != (srcVersion != null)) {
                throw RequestRefusedException.invalid("srcVersion must be there for type DELTA, and only for it");
            }
            return new PackageRequest(
                    present("product", product),
                    module == null ? Limits.DEFAULT_MODULE : module,
                    present("version", version),
                    name,
                    srcVersion,
                    signMethod == null ? SignMethod.SHA256 : SignMethod.parse(signMethod),
                    customInfo,
                    needToVerify != null && needToVerify,
                    digestSign != null && digestSign);
        }

        List<Operations.UploadedFile> uploaded() {
            if (files == null || files.isEmpty() || files.contains(null)) {
                throw RequestRefusedException.invalid("files is missing: name and sha256 of 1 to " + Limits.MAX_FILES
                        + " files that were uploaded before");
            }
            return files.stream()
                    .map(file -> new Operations.UploadedFile(file.name(), present("sha256 of a file", file.sha256())))
                    .toList();
        }

        private static String present(String what, @Nullable String value) {
            if (value == null) {
                throw RequestRefusedException.invalid(what + " is missing");
            }
            return value;
        }
    }

    record NewFile(@Nullable String name, @Nullable String sha256) {}
}
