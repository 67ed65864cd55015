package io.otaflux.samples.platform;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What can be brought to devices, and the modules it is for. Synchronous and without input or output; a method that refuses
 * does so before it changes anything.
 */
final class Packages {

    private final PlatformState state;

    Packages(PlatformState state) {
        this.state = state;
    }

    FirmwarePackage add(PackageRequest request, List<PackageFile> files, Instant now) {
        check(request);
        Limits.fileNames(files.stream().map(PackageFile::name).toList());
        if (isNew(request.productKey(), request.module())) {
            state.put(new ProductModule(request.productKey(), request.module(), "", "", now));
        }
        FirmwarePackage firmware = new FirmwarePackage(
                state.nextPackageId(),
                request.productKey(),
                request.name(),
                request.module(),
                request.version(),
                request.srcVersion(),
                List.copyOf(files),
                request.signMethod(),
                request.customInfo(),
                request.needToVerify(),
                now);
        state.put(firmware);
        return firmware;
    }

    /** Refuses what {@link #add} would refuse, before a file has been taken in. */
    void check(PackageRequest request) {
        String productKey = request.productKey();
        requireProduct(productKey);
        Limits.name("module", request.module());
        Limits.name("version", request.version());
        Limits.packageName(request.name());
        Limits.customInfo(request.customInfo());
        String source = request.srcVersion();
        if (source != null && Limits.name("srcVersion", source).equals(request.version())) {
            throw RequestRefusedException.invalid(
                    "srcVersion of a delta must be another version than the one it brings, " + request.version());
        }
        if (state.packages().size() >= Limits.MAX_PACKAGES) {
            throw RequestRefusedException.conflict(
                    "there are " + Limits.MAX_PACKAGES + " packages, the most there can be");
        }
        if (isNew(productKey, request.module())) {
            checkNewModule(productKey, request.module());
        }
        for (FirmwarePackage firmware : state.packages()) {
            if (request.name() != null && request.name().equals(firmware.name())) {
                throw RequestRefusedException.conflict(
                        "package " + firmware.id() + " is called '" + request.name() + "' already");
            }
            if (firmware.productKey().equals(productKey)
                    && firmware.module().equals(request.module())
                    && firmware.version().equals(request.version())
                    && (source == null ? !firmware.delta() : source.equals(firmware.srcVersion()))) {
                throw RequestRefusedException.conflict("package " + firmware.id() + " is already version "
                        + request.version() + (source == null ? "" : " as a delta from " + source) + " of module "
                        + request.module() + " of product " + productKey);
            }
        }
    }

    /** Forgets a package that no job has been about: what a job was about stays known. */
    FirmwarePackage remove(String packageId) {
        FirmwarePackage firmware = require(packageId);
        List<String> jobs = state.jobsOf(packageId);
        if (!jobs.isEmpty()) {
            throw RequestRefusedException.conflict("package " + packageId + " is what job " + jobs.get(jobs.size() - 1)
                    + " brings; only a package that no job brings can be deleted");
        }
        state.removePackage(packageId);
        return firmware;
    }

    FirmwarePackage require(String packageId) {
        FirmwarePackage firmware = state.firmware(packageId);
        if (firmware == null) {
            throw RequestRefusedException.notFound("package", packageId);
        }
        return firmware;
    }

    /** Of the verifications of a package the last one counts that was not cancelled. */
    PackageView view(FirmwarePackage firmware) {
        if (!firmware.needToVerify()) {
            return new PackageView(firmware, PackageView.NOT_NEEDED, 0);
        }
        List<String> jobs = state.jobsOf(firmware.id());
        for (int i = jobs.size() - 1; i >= 0; i--) {
            StoredJob job = state.job(jobs.get(i));
            if (job != null && job.request().verification() && !job.cancelled()) {
                Map<TaskStatus, Integer> counts = state.taskCounts(job.id());
                int all = counts.values().stream().mapToInt(Integer::intValue).sum();
                int ended = counts.entrySet().stream()
                        .filter(count -> count.getKey().isFinal())
                        .mapToInt(Map.Entry::getValue)
                        .sum();
                int status = ended < all || job.planned()
                        ? PackageView.VERIFYING
                        : counts.getOrDefault(TaskStatus.SUCCEEDED, 0) == all
                                ? PackageView.VERIFIED
                                : PackageView.FAILED;
                return new PackageView(firmware, status, all == 0 ? 0 : 100 * ended / all);
            }
        }
        return new PackageView(firmware, PackageView.NOT_VERIFIED, 0);
    }

    /** The modules of a product by name: {@code default}, those that were created, and those that packages are for. */
    List<ProductModule> modules(String productKey) {
        RegisteredProduct product = requireProduct(productKey);
        Map<String, ProductModule> modules = new TreeMap<>();
        modules.put(
                Limits.DEFAULT_MODULE,
                new ProductModule(productKey, Limits.DEFAULT_MODULE, "", "", product.createdAt()));
        state.packages().stream()
                .filter(firmware -> firmware.productKey().equals(productKey))
                .forEach(firmware -> modules.putIfAbsent(
                        firmware.module(),
                        new ProductModule(productKey, firmware.module(), "", "", firmware.createdAt())));
        state.modules(productKey).forEach(module -> modules.put(module.name(), module));
        return new ArrayList<>(modules.values());
    }

    ProductModule createModule(
            String productKey, String name, @Nullable String alias, @Nullable String description, Instant now) {
        requireProduct(productKey);
        Limits.name("a module's name", name);
        checkNewModule(productKey, name);
        ProductModule module = new ProductModule(
                productKey, name, Limits.text("alias", alias), Limits.text("description", description), now);
        state.put(module);
        return module;
    }

    /** Changes what can be changed of a module; null leaves a text as it is. */
    ProductModule editModule(String productKey, String name, @Nullable String alias, @Nullable String description) {
        for (ProductModule module : modules(productKey)) {
            if (module.name().equals(name) && !name.equals(Limits.DEFAULT_MODULE)) {
                ProductModule edited = new ProductModule(
                        productKey,
                        name,
                        alias == null ? module.alias() : Limits.text("alias", alias),
                        description == null ? module.description() : Limits.text("description", description),
                        module.createdAt());
                state.put(edited);
                return edited;
            }
        }
        throw RequestRefusedException.notFound("module of one's own", productKey + "/" + name);
    }

    /** Makes a group what is said, or creates it. */
    DeviceGroup putGroup(String productKey, String name, List<String> devices) {
        requireProduct(productKey);
        Limits.name("a group's name", name);
        for (String device : devices) {
            DeviceKey key = new DeviceKey(productKey, device);
            if (state.device(key) == null) {
                throw RequestRefusedException.notFound("device", key.toString());
            }
        }
        DeviceGroup group = new DeviceGroup(productKey, name, List.copyOf(new TreeSet<>(devices)));
        state.put(group);
        return group;
    }

    DeviceGroup requireGroup(String productKey, String name) {
        DeviceGroup group = state.group(productKey, name);
        if (group == null) {
            throw RequestRefusedException.notFound("group", productKey + "/" + name);
        }
        return group;
    }

    private RegisteredProduct requireProduct(String productKey) {
        Limits.name("productKey", productKey);
        RegisteredProduct product = state.product(productKey);
        if (product == null) {
            throw RequestRefusedException.notFound("product", productKey);
        }
        return product;
    }

    private boolean isNew(String productKey, String module) {
        return modules(productKey).stream().noneMatch(known -> known.name().equals(module));
    }

    private void checkNewModule(String productKey, String name) {
        List<ProductModule> modules = modules(productKey);
        for (ProductModule module : modules) {
            if (module.name().equalsIgnoreCase(name)) {
                throw RequestRefusedException.conflict("product '" + productKey + "' has a module '" + module.name()
                        + "'; names of modules must differ in more than case");
            }
        }
        // Of which one is the default module.
        if (modules.size() > Limits.MAX_MODULES) {
            throw RequestRefusedException.conflict("product '" + productKey + "' has " + Limits.MAX_MODULES
                    + " modules beside the default one, the most there can be");
        }
    }
}
