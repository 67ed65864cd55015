package io.otaflux.samples.platform;

/**
 * What devices of a product register with, if they may.
 *
 * @param productKey the product
 * @param productSecret the key of a registration's HMAC; not part of {@link #toString()}
 */
public record ProductCredentials(String productKey, String productSecret) {

    @Override
    public String toString() {
        return "ProductCredentials[" + productKey + ", secret hidden]";
    }
}
