package io.otaflux.samples.platform;

import java.time.Instant;

/**
 * A part of a product's devices that is upgraded by itself. A product has at most ten beside {@code default}.
 *
 * @param productKey the product
 * @param name its name, which does not change; no other of the product differs from it in case only
 * @param alias what people call it; may be empty
 * @param description what it is; may be empty
 * @param createdAt when it was created
 */
public record ProductModule(String productKey, String name, String alias, String description, Instant createdAt) {}
