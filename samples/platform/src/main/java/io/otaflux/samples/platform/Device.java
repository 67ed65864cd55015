package io.otaflux.samples.platform;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A device as the platform knows it.
 *
 * @param productKey its product
 * @param deviceName its name within the product
 * @param versions the version it last reported for each module; empty until it has reported one
 * @param online whether it is connected, itself or as a sub-device whose gateway is (embedded broker), or was heard from since
 *     the platform started (external broker)
 * @param gateway the gateway whose sub-device it is, or null
 * @param disabled whether it is shut out
 */
public record Device(
        String productKey,
        String deviceName,
        Map<String, String> versions,
        boolean online,
        @Nullable DeviceKey gateway,
        boolean disabled)
        implements PlatformEvent {}
