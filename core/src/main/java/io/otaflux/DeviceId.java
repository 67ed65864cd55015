package io.otaflux;

import org.jspecify.annotations.Nullable;

/**
 * The one thing that is kept up to date: a gateway itself or a device behind it.
 *
 * @param product what kind of device it is, as the platform groups them
 * @param name which one of its kind
 */
public record DeviceId(String product, String name) {

    /** @throws IllegalArgumentException when a part is not 1 to 64 of {@code A-Z a-z 0-9 _ . : @ -}, or starts with a dot or dash */
    public DeviceId {
        Names.DEVICE.check("product", product);
        Names.DEVICE.check("name", name);
    }

    // Written out: the compiler's are put together at their first use, which a short process pays for.
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof DeviceId that && product.equals(that.product) && name.equals(that.name);
    }

    @Override
    public int hashCode() {
        return 31 * product.hashCode() + name.hashCode();
    }

    @Override
    public String toString() {
        return product + "/" + name;
    }
}
