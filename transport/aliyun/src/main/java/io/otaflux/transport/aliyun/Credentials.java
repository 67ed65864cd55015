package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;

/** Who a device is and by what it proves that. What is secret is in no {@code toString}. */
public sealed interface Credentials {

    /** Who the device is: product key and device name. */
    DeviceId device();

    /** The secret that the device has in common with its platform. */
    record DeviceSecret(DeviceId device, String deviceSecret) implements Credentials {

        /** @throws IllegalArgumentException when the secret is empty */
        public DeviceSecret {
            checkPresent("device secret", deviceSecret);
        }

        @Override
        public String toString() {
            return "DeviceSecret[" + device + "]";
        }
    }

    /** What a platform gave to a device that it did not know before: the login as it is, with nothing to be signed. */
    record DeviceToken(DeviceId device, String clientId, String deviceToken) implements Credentials {

        /** @throws IllegalArgumentException when the client id or the token is empty */
        public DeviceToken {
            checkPresent("client id", clientId);
            checkPresent("device token", deviceToken);
        }

        @Override
        public String toString() {
            return "DeviceToken[" + device + "]";
        }
    }

    /** The name that belongs to the certificate by which the device proves who it is. Nothing of it is secret. */
    record Certified(DeviceId device) implements Credentials {}

    private static void checkPresent(String what, String value) {
        if (value.isEmpty()) {
            throw new IllegalArgumentException(what + ": empty");
        }
    }
}
