package io.otaflux.samples.platform;

import java.time.Instant;

/**
 * A kind of device. Packages and devices belong to one.
 *
 * @param productKey its name
 * @param createdAt when it was created
 */
public record Product(String productKey, Instant createdAt) implements PlatformEvent {}
