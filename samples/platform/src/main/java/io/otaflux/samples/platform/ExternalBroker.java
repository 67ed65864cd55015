package io.otaflux.samples.platform;

import java.net.URI;
import org.jspecify.annotations.Nullable;

/**
 * Somebody else's broker, for example Mosquitto.
 *
 * <p>It checks logins and topics its own way: the HMAC of this protocol is not checked, keepalive and {@code _ss=1} mean
 * nothing, and it does not say who is connected. A device is taken to be online once it has reported something, and a version
 * report is what a re-push waits for.
 *
 * @param host its host
 * @param port its port
 * @param login the platform's login there, or null for none
 */
record ExternalBroker(String host, int port, @Nullable Login login) implements Broker {

    private static final int MQTT_PORT = 1883;

    static ExternalBroker at(URI uri, @Nullable Login login) {
        String host = uri.getHost();
        if (!"tcp".equals(uri.getScheme()) || host == null || uri.getUserInfo() != null) {
            throw new IllegalArgumentException(
                    "a broker is tcp://host[:port], without a user name in it; its scheme is " + uri.getScheme());
        }
        return new ExternalBroker(host, uri.getPort() < 0 ? MQTT_PORT : uri.getPort(), login);
    }

    @Override
    public boolean tellsPresence() {
        return false;
    }

    @Override
    public void close() {
        // It is not ours to stop.
    }
}
