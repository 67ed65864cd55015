package io.otaflux.samples.platform;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Who authenticated over HTTP and may log in with a token instead of a signature: the latest token of each device, until the
 * platform ends. On any thread.
 */
final class PreAuthentications {

    private static final int TOKEN_BYTES = 16;

    private final Map<String, Token> tokens = new ConcurrentHashMap<>();

    /**
     * What a device logs in with.
     *
     * @param iotId the user name
     * @param iotToken the password; not part of {@link #toString()}
     */
    record Token(DeviceKey device, String iotId, String iotToken) {

        @Override
        public String toString() {
            return "Token[" + device + "]";
        }
    }

    Token issue(DeviceKey device) {
        Token token = new Token(device, iotId(device), DurableFiles.randomHex(TOKEN_BYTES));
        tokens.put(token.iotId(), token);
        return token;
    }

    /** A device is no more: another that is given its name has another secret, and needs a token of its own. */
    void forget(DeviceKey device) {
        tokens.remove(iotId(device));
    }

    private static String iotId(DeviceKey device) {
        // A user name with & would be taken for that of a device.
        return device.productKey() + "/" + device.deviceName();
    }

    /** The device that was given this token, or null. */
    @Nullable
    DeviceKey device(String iotId, String iotToken) {
        Token token = tokens.get(iotId);
        return token != null && DeviceAuthenticator.isSame(token.iotToken(), iotToken) ? token.device() : null;
    }
}
