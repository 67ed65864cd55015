package io.otaflux.samples.platform;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Optional;
import java.util.Set;
import javax.security.auth.Subject;
import org.apache.activemq.artemis.core.security.CheckType;
import org.apache.activemq.artemis.core.security.Role;
import org.apache.activemq.artemis.spi.core.protocol.RemotingConnection;
import org.apache.activemq.artemis.spi.core.security.ActiveMQSecurityManager5;
import org.apache.activemq.artemis.spi.core.security.jaas.UserPrincipal;
import org.jspecify.annotations.Nullable;

/** Who may log in to the embedded broker, and to which topics. */
final class DeviceSecurity implements ActiveMQSecurityManager5 {

    private final DeviceAuthenticator authenticator;
    private final Broker.Login platform;

    /** @param platform the login of the platform's own client, which may use every topic */
    DeviceSecurity(DeviceAuthenticator authenticator, Broker.Login platform) {
        this.authenticator = authenticator;
        this.platform = platform;
    }

    @Override
    @SuppressWarnings("NullAway") // Artemis is not annotated: null is how it wants to hear "refused".
    public Subject authenticate(
            @Nullable String user,
            @Nullable String password,
            RemotingConnection connection,
            @Nullable String securityDomain) {
        boolean known = isPlatform(user, password)
                || authenticator
                        .authenticate(connection.getClientID(), user, password)
                        .isPresent();
        if (!known || user == null) {
            return null;
        }
        Subject subject = new Subject();
        subject.getPrincipals().add(new UserPrincipal(user));
        return subject;
    }

    @Override
    public boolean authorize(Subject subject, Set<Role> roles, CheckType checkType, String address) {
        String user = user(subject);
        if (user.equals(platform.username())) {
            return true;
        }
        Optional<DeviceKey> device = DeviceAuthenticator.device(user);
        if (device.isEmpty()) {
            return false;
        }
        // A queue of a subscription is checked as address::queue.
        int queue = address.indexOf("::");
        String topic = queue < 0 ? address : address.substring(0, queue);
        return switch (checkType) {
            case SEND -> DeviceTopics.mayPublish(device.get(), topic);
            case CONSUME,
                    CREATE_NON_DURABLE_QUEUE,
                    DELETE_NON_DURABLE_QUEUE,
                    CREATE_DURABLE_QUEUE,
                    DELETE_DURABLE_QUEUE -> DeviceTopics.maySubscribe(device.get(), topic);
            case CREATE_ADDRESS ->
                DeviceTopics.maySubscribe(device.get(), topic) || DeviceTopics.mayPublish(device.get(), topic);
            default -> false;
        };
    }

    @Override
    public boolean validateUser(String user, String password) {
        throw new UnsupportedOperationException("a login cannot be checked without its client id");
    }

    @Override
    public boolean validateUserAndRole(String user, String password, Set<Role> roles, CheckType checkType) {
        throw new UnsupportedOperationException("a login cannot be checked without its client id");
    }

    /** The device that a connection has proved to be; empty for the platform itself. */
    Optional<DeviceKey> device(RemotingConnection connection) {
        Subject subject = connection.getSubject();
        return subject == null ? Optional.empty() : DeviceAuthenticator.device(user(subject));
    }

    private boolean isPlatform(@Nullable String user, @Nullable String password) {
        return platform.username().equals(user)
                && password != null
                && MessageDigest.isEqual(
                        platform.password().getBytes(StandardCharsets.UTF_8),
                        password.getBytes(StandardCharsets.UTF_8));
    }

    private static String user(Subject subject) {
        return subject.getPrincipals(UserPrincipal.class).iterator().next().getName();
    }
}
