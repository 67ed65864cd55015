package io.otaflux.samples.platform;

import java.util.Map;

/**
 * A device as the platform knows it.
 *
 * @param productKey its product
 * @param deviceName its name within the product
 * @param versions the version it last reported for each module; empty until it has reported one
 * @param online whether it is connected (embedded broker), or was heard from since the platform started (external broker)
 */
public record Device(String productKey, String deviceName, Map<String, String> versions, boolean online)
        implements PlatformEvent {}
