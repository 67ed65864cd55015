package io.otaflux.samples.platform;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A product as it is kept: with its secret, which dynamic registration is checked against.
 *
 * @param productSecret never null: a product of a state that had none gets one when it is read
 * @param dynamicRegistration whether devices of the product may fetch their secrets
 * @param config the devices' remote configuration, or null for none
 */
record RegisteredProduct(
        String productKey,
        Instant createdAt,
        @Nullable String productSecret,
        boolean dynamicRegistration,
        @Nullable RemoteConfig config) {

    private static final int SECRET_BYTES = 16;

    RegisteredProduct {
        if (productSecret == null) {
            productSecret = DurableFiles.randomHex(SECRET_BYTES);
        }
    }

    static RegisteredProduct of(String productKey, Instant now) {
        return new RegisteredProduct(productKey, now, null, false, null);
    }

    RegisteredProduct withDynamicRegistration(boolean on) {
        return new RegisteredProduct(productKey, createdAt, productSecret, on, config);
    }

    RegisteredProduct withFreshSecret() {
        return new RegisteredProduct(productKey, createdAt, null, dynamicRegistration, config);
    }

    RegisteredProduct withConfig(@Nullable RemoteConfig newConfig) {
        return new RegisteredProduct(productKey, createdAt, productSecret, dynamicRegistration, newConfig);
    }

    Product view() {
        return new Product(productKey, dynamicRegistration, createdAt);
    }

    ProductCredentials credentials() {
        return new ProductCredentials(productKey, secret());
    }

    String secret() {
        if (productSecret == null) {
            throw new IllegalStateException("a product always has a secret");
        }
        return productSecret;
    }

    @Override
    public String toString() {
        return "RegisteredProduct[" + productKey + ", dynamicRegistration=" + dynamicRegistration + "]";
    }
}
