package io.otaflux.samples.platform;

import java.time.Instant;

/**
 * The remote configuration of a product's devices: one file.
 *
 * @param configId what it is told apart from earlier ones by
 * @param size its length in bytes
 * @param sha256 its SHA-256, lower-case hex; also its name on disk
 * @param createdAt when it was set
 */
public record RemoteConfig(String configId, long size, String sha256, Instant createdAt) {}
