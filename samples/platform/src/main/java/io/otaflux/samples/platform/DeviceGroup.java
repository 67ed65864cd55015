package io.otaflux.samples.platform;

import java.util.List;

/**
 * Devices of a product that jobs can name together.
 *
 * @param productKey the product
 * @param name its name within the product
 * @param devices the names of its devices, sorted
 */
public record DeviceGroup(String productKey, String name, List<String> devices) {}
