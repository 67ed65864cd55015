package io.otaflux.samples.platform;

import org.jspecify.annotations.Nullable;

/**
 * The MQTT broker that devices and the platform meet at. The platform is an ordinary client of it in every case; what
 * differs is who checks logins and whether the broker says who is connected.
 */
interface Broker extends AutoCloseable {

    /** Where the platform's own client connects. */
    String host();

    /** Where devices and the platform's own client connect. */
    int port();

    /** Where devices connect with TLS, or 0 if that is nowhere or not known. */
    default int tlsPort() {
        return 0;
    }

    /** The platform's own login, or null for none. */
    @Nullable
    Login login();

    /** Whether {@link Presence} hears of devices; if not, a device counts as online once it has reported something. */
    boolean tellsPresence();

    /**
     * What to publish so that a message on a topic reaches a device's connection. The topic itself, unless the connection
     * did not, or could not, subscribe to it.
     */
    default Delivery deliver(DeviceKey connection, String topic, byte[] payload) {
        return new Delivery(topic, payload);
    }

    /** Ends a device's connection, if it has one here. */
    default void disconnect(DeviceKey device) {}

    @Override
    void close();

    /** A publication; never compared. */
    @SuppressWarnings("ArrayRecordComponent")
    record Delivery(String topic, byte[] payload) {}

    /** A user name and password; the password is not part of {@link #toString()}. */
    record Login(String username, String password) {

        @Override
        public String toString() {
            return "Login[" + username + ", password hidden]";
        }
    }

    /** Hears which devices come and go, on the broker's threads. */
    interface Presence {

        /** Messages to the device's upgrade topic reach it from now on. */
        void startedListening(DeviceKey device);

        /** The device has no subscription to its upgrade topic any more. */
        void stoppedListening(DeviceKey device);

        /** The device has logged in. */
        void connected(DeviceKey device);

        /** The device's connection is gone, and no other has taken its place. */
        void disconnected(DeviceKey device);

        /** A device's connection published on a topic of another device, and was not let. */
        void refused(DeviceKey connection, DeviceKey device);
    }
}
