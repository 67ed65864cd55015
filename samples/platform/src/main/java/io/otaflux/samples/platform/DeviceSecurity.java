package io.otaflux.samples.platform;

import java.security.cert.X509Certificate;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import javax.security.auth.Subject;
import org.apache.activemq.artemis.core.security.CheckType;
import org.apache.activemq.artemis.core.security.Role;
import org.apache.activemq.artemis.spi.core.protocol.RemotingConnection;
import org.apache.activemq.artemis.spi.core.security.ActiveMQSecurityManager5;
import org.apache.activemq.artemis.spi.core.security.jaas.UserPrincipal;
import org.apache.activemq.artemis.utils.CertificateUtil;
import org.jspecify.annotations.Nullable;

/** Who may log in to the embedded broker, as which session, and to which topics. */
final class DeviceSecurity implements ActiveMQSecurityManager5 {

    private final DeviceAuthenticator authenticator;
    private final Broker.Login platform;
    private final Function<DeviceKey, @Nullable DeviceKey> gateways;
    private final BiConsumer<DeviceKey, DeviceKey> refused;

    /**
     * @param platform the login of the platform's own client, which may use every topic
     * @param gateways the gateway through which a device is logged in, or null; that gateway may use the device's topics
     * @param refused hears of a device that published on a topic of another and was not let
     */
    DeviceSecurity(
            DeviceAuthenticator authenticator,
            Broker.Login platform,
            Function<DeviceKey, @Nullable DeviceKey> gateways,
            BiConsumer<DeviceKey, DeviceKey> refused) {
        this.authenticator = authenticator;
        this.platform = platform;
        this.gateways = gateways;
        this.refused = refused;
    }

    @Override
    @SuppressWarnings("NullAway") // Artemis is not annotated: null is how it wants to hear "refused".
    public Subject authenticate(
            @Nullable String user,
            @Nullable String password,
            RemotingConnection connection,
            @Nullable String securityDomain) {
        if (isPlatform(user, password)) {
            return subject(platform.username(), null);
        }
        String name = user == null ? "" : user;
        Subject earlier = connection.getSubject();
        if (earlier != null && user(earlier).equals(name)) {
            // Artemis asks again for every permission; the client id is not the one that was signed any more.
            login(earlier).ifPresent(login -> connection.setClientID(sessionName(login.admission())));
            return earlier;
        }
        String clientId = connection.getClientID();
        DeviceAuthenticator.Admission admission = authenticator
                .authenticate(new DeviceAuthenticator.Attempt(clientId, user, password, fingerprint(connection)))
                .orElse(null);
        if (admission == null) {
            return null;
        }
        connection.setClientID(sessionName(admission));
        return subject(name, new DeviceLogin(clientId == null ? "" : clientId, admission));
    }

    /** What a device's connection came with and was let in as. */
    record DeviceLogin(String clientId, DeviceAuthenticator.Admission admission) {}

    private static @Nullable String fingerprint(RemotingConnection connection) {
        X509Certificate[] chain = CertificateUtil.getCertsFromConnection(connection);
        return chain == null || chain.length == 0 ? null : DeviceCertificates.fingerprint(chain[0]);
    }

    @Override
    public boolean authorize(Subject subject, Set<Role> roles, CheckType checkType, String address) {
        String user = user(subject);
        if (user.equals(platform.username())) {
            return true;
        }
        DeviceKey device = device(subject).orElse(null);
        if (device == null) {
            return false;
        }
        // A queue of a subscription is checked as address::queue.
        int queue = address.indexOf("::");
        String topic = queue < 0 ? address : address.substring(0, queue);
        return switch (checkType) {
            case SEND -> mayPublish(device, topic);
            case CONSUME,
                    CREATE_NON_DURABLE_QUEUE,
                    DELETE_NON_DURABLE_QUEUE,
                    CREATE_DURABLE_QUEUE,
                    DELETE_DURABLE_QUEUE -> maySubscribe(device, topic);
            case CREATE_ADDRESS ->
                DeviceTopics.isFromDevice(topic) ? mayPublish(device, topic) : maySubscribe(device, topic);
            default -> false;
        };
    }

    /** Whether a connection may listen to a filter: one of its device's, or of a sub-device that is logged in through it. */
    boolean maySubscribe(DeviceKey device, String filter) {
        return filter.equals(Outbox.address(device)) || (DeviceTopics.isForDevice(filter) && mayUse(device, filter));
    }

    private boolean mayPublish(DeviceKey device, String topic) {
        if (!DeviceTopics.isFromDevice(topic)) {
            return false;
        }
        boolean allowed = mayUse(device, topic);
        // An answer to "you are disabled" comes when the session is over, and is not worth an error.
        if (!allowed && !topic.endsWith("_reply")) {
            DeviceTopics.device(topic).ifPresent(other -> refused.accept(device, other));
        }
        return allowed;
    }

    private boolean mayUse(DeviceKey device, String topic) {
        DeviceKey owner = DeviceTopics.device(topic).orElse(null);
        return owner != null && (owner.equals(device) || device.equals(gateways.apply(owner)));
    }

    @Override
    public boolean validateUser(String user, String password) {
        throw new UnsupportedOperationException("a login cannot be checked without its client id");
    }

    @Override
    public boolean validateUserAndRole(String user, String password, Set<Role> roles, CheckType checkType) {
        throw new UnsupportedOperationException("a login cannot be checked without its client id");
    }

    /** The device that a connection has proved to be; empty for the platform itself and for registrations. */
    Optional<DeviceKey> device(RemotingConnection connection) {
        Subject subject = connection.getSubject();
        return subject == null ? Optional.empty() : device(subject);
    }

    /** What a connection came with; empty for the platform itself. */
    Optional<DeviceLogin> login(RemotingConnection connection) {
        Subject subject = connection.getSubject();
        return subject == null ? Optional.empty() : login(subject);
    }

    private static Optional<DeviceKey> device(Subject subject) {
        return login(subject)
                .map(DeviceLogin::admission)
                .filter(admission -> !admission.isRegistration())
                .map(DeviceAuthenticator.Admission::device);
    }

    private static Optional<DeviceLogin> login(Subject subject) {
        return subject.getPublicCredentials(DeviceLogin.class).stream().findFirst();
    }

    /**
     * What the broker knows a device's session by, in place of the client id. Client ids are free text: two devices may use
     * the same, which must not make them share a session, and one device may use several, which must not give it two.
     */
    private static String sessionName(DeviceAuthenticator.Admission admission) {
        return (admission.isRegistration() ? "registration:" : "device:") + admission.device();
    }

    private static Subject subject(String user, @Nullable DeviceLogin login) {
        Subject subject = new Subject();
        subject.getPrincipals().add(new UserPrincipal(user));
        if (login != null) {
            subject.getPublicCredentials().add(login);
        }
        return subject;
    }

    private boolean isPlatform(@Nullable String user, @Nullable String password) {
        return platform.username().equals(user)
                && password != null
                && DeviceAuthenticator.isSame(platform.password(), password);
    }

    private static String user(Subject subject) {
        return subject.getPrincipals(UserPrincipal.class).iterator().next().getName();
    }
}
