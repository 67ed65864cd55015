package io.otaflux.samples.platform;

import java.time.Instant;

/**
 * A kind of device. Packages and devices belong to one.
 *
 * @param productKey its name
 * @param dynamicRegistration whether its devices may fetch their secrets with the product's
 * @param createdAt when it was created
 */
public record Product(String productKey, boolean dynamicRegistration, Instant createdAt) implements PlatformEvent {}
