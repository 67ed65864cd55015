package io.otaflux.callback;

import io.otaflux.UpgradeChannel;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The ints by which callback-style programs know their devices. A device that offers {@code getDeviceHandle()} registers its
 * channel here, and {@link Ota#init} finds it.
 */
public final class DeviceHandles {

    private static final Map<Integer, UpgradeChannel> CHANNELS = new ConcurrentHashMap<>();
    private static final AtomicInteger LAST = new AtomicInteger();

    private DeviceHandles() {}

    /** Gives {@code channel} a handle, which is positive and never used twice in a process. */
    public static int register(UpgradeChannel channel) {
        int handle = LAST.incrementAndGet();
        CHANNELS.put(handle, channel);
        return handle;
    }

    /** Forgets a handle; unknown ones are ignored. */
    public static void unregister(int handle) {
        CHANNELS.remove(handle);
    }

    static Optional<UpgradeChannel> find(int handle) {
        return Optional.ofNullable(CHANNELS.get(handle));
    }
}
