package io.otaflux.samples.platform;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.mqtt.MqttConnAckMessage;
import io.netty.handler.codec.mqtt.MqttConnectMessage;
import io.netty.handler.codec.mqtt.MqttConnectReturnCode;
import io.netty.handler.codec.mqtt.MqttFixedHeader;
import io.netty.handler.codec.mqtt.MqttMessage;
import io.netty.handler.codec.mqtt.MqttMessageBuilders;
import io.netty.handler.codec.mqtt.MqttMessageIdVariableHeader;
import io.netty.handler.codec.mqtt.MqttMessageType;
import io.netty.handler.codec.mqtt.MqttPublishMessage;
import io.netty.handler.codec.mqtt.MqttQoS;
import io.netty.handler.codec.mqtt.MqttSubAckMessage;
import io.netty.handler.codec.mqtt.MqttSubAckPayload;
import io.netty.handler.codec.mqtt.MqttSubscribeMessage;
import io.netty.handler.codec.mqtt.MqttSubscribePayload;
import io.netty.handler.codec.mqtt.MqttTopicSubscription;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.api.core.TransportConfiguration;
import org.apache.activemq.artemis.core.config.Configuration;
import org.apache.activemq.artemis.core.config.WildcardConfiguration;
import org.apache.activemq.artemis.core.config.impl.ConfigurationImpl;
import org.apache.activemq.artemis.core.protocol.mqtt.MQTTInterceptor;
import org.apache.activemq.artemis.core.protocol.mqtt.MQTTProtocolHandler;
import org.apache.activemq.artemis.core.protocol.mqtt.MQTTStateManager;
import org.apache.activemq.artemis.core.remoting.impl.netty.NettyAcceptorFactory;
import org.apache.activemq.artemis.core.remoting.impl.netty.NettyConnection;
import org.apache.activemq.artemis.core.remoting.impl.netty.TransportConstants;
import org.apache.activemq.artemis.core.server.ActiveMQServer;
import org.apache.activemq.artemis.core.server.ServerConsumer;
import org.apache.activemq.artemis.core.server.ServerSession;
import org.apache.activemq.artemis.core.server.impl.ActiveMQServerImpl;
import org.apache.activemq.artemis.core.server.impl.ServiceRegistryImpl;
import org.apache.activemq.artemis.core.server.plugin.ActiveMQServerConsumerPlugin;
import org.apache.activemq.artemis.core.server.plugin.ActiveMQServerSessionPlugin;
import org.apache.activemq.artemis.core.settings.impl.AddressFullMessagePolicy;
import org.apache.activemq.artemis.core.settings.impl.AddressSettings;
import org.apache.activemq.artemis.spi.core.protocol.RemotingConnection;
import org.apache.activemq.artemis.spi.core.remoting.Acceptor;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An Artemis broker in this process that behaves towards devices as Alibaba's does.
 *
 * <ul>
 *   <li>Logins are checked by {@link DeviceAuthenticator}, topics by {@link DeviceTopics}. A publish to a foreign topic is
 *       dropped without breaking the connection; a subscription to one is refused in the SUBACK.
 *   <li>A keepalive below 30 s is refused with CONNACK 2; one above 1200 s is accepted (documents and the C client's header
 *       disagree on what the real platform does with it).
 *   <li>A second login of a device ends its first connection, whatever client ids the two use, and devices that use the
 *       same client id do not get in each other's way: a session belongs to a device ({@link DeviceSecurity}).
 *   <li>A session whose client id has {@code _ss=1} is sent its topics without subscribing: Alibaba's C client never sends a
 *       SUBSCRIBE for them. A gateway is sent the topics of the sub-devices that are logged in through it in the same way
 *       ({@link Outbox}), and may, but need not, subscribe to them.
 * </ul>
 *
 * <p>It keeps nothing on disk: what a device missed is pushed again when it listens again.
 */
final class EmbeddedBroker implements Broker {

    private static final Logger log = LoggerFactory.getLogger(EmbeddedBroker.class);
    private static final String ACCEPTOR = "mqtt";
    private static final String SECURED_ACCEPTOR = "mqtts";
    private static final SimpleString UNDELIVERABLE = SimpleString.of("undeliverable");
    private static final long GOODBYE_SECONDS = 1;
    private static final int SHORTEST_KEEPALIVE_SECONDS = 30;
    private static final long MAX_BYTES_PER_TOPIC = 16L << 20;
    /** Room for a push with twenty files to each of two thousand sub-devices. */
    private static final long MAX_BYTES_PER_OUTBOX = 64L << 20;

    private final String host;
    private final boolean isAnyAddress;
    private final Login login;
    private final DeviceSecurity security;
    private final Presence presence;
    private final ActiveMQServer server;
    private final Map<DeviceKey, Session> sessions = new ConcurrentHashMap<>();
    private final Map<DeviceKey, Set<Long>> listeners = new HashMap<>();
    private final int port;
    private final int tlsPort;
    private volatile @Nullable RemotingConnection platformConnection;
    private volatile CountDownLatch platformGone = new CountDownLatch(0);

    /**
     * Starts the broker.
     *
     * @param host the address to listen on
     * @param port the port to listen on, or 0 for any free one
     * @param tls where and how to listen for TLS as well, or null
     * @param scratch a directory for the broker's own use
     * @param gateways the gateway through which a device is logged in, or null
     * @throws IOException if it does not start, for example because the port is taken
     */
    EmbeddedBroker(
            String host,
            int port,
            @Nullable TlsSettings tls,
            Path scratch,
            DeviceAuthenticator authenticator,
            Function<DeviceKey, @Nullable DeviceKey> gateways,
            Presence presence)
            throws IOException {
        this.host = host;
        this.isAnyAddress = InetAddress.getByName(host).isAnyLocalAddress();
        this.presence = presence;
        this.login = new Login("otaflux-platform", DurableFiles.randomHex(16));
        this.security = new DeviceSecurity(authenticator, login, gateways, presence::refused);
        ServiceRegistryImpl services = new ServiceRegistryImpl();
        services.addIncomingInterceptor((MQTTInterceptor) this::incoming);
        services.addOutgoingInterceptor((MQTTInterceptor) this::outgoing);
        try {
            this.server =
                    new ActiveMQServerImpl(configuration(host, port, tls, scratch), null, security, null, services);
        } catch (Exception e) {
            throw new IOException("the MQTT broker cannot be set up for " + host + ":" + port, e);
        }
        try {
            server.registerBrokerPlugin(new ListeningDevices());
            server.registerBrokerPlugin(new LeavingDevices());
            server.start();
            this.port = actualPort(ACCEPTOR);
            this.tlsPort = tls == null ? 0 : actualPort(SECURED_ACCEPTOR);
        } catch (Exception e) {
            close();
            throw new IOException("the MQTT broker does not start on " + host + ":" + port, e);
        }
        if (this.port <= 0 || (tls != null && tlsPort <= 0)) {
            close();
            throw new IOException("the MQTT broker cannot listen on " + host + ":" + port
                    + (tls == null ? "" : " or, with TLS, on port " + tls.port()));
        }
    }

    @Override
    public String host() {
        return isAnyAddress ? InetAddress.getLoopbackAddress().getHostAddress() : host;
    }

    @Override
    public int port() {
        return port;
    }

    /** Where devices connect with TLS, or 0 for nowhere. */
    @Override
    public int tlsPort() {
        return tlsPort;
    }

    private int actualPort(String acceptor) {
        Acceptor listening = server.getRemotingService().getAcceptor(acceptor);
        return listening == null ? 0 : listening.getActualPort();
    }

    @Override
    public Login login() {
        return login;
    }

    @Override
    public boolean tellsPresence() {
        return true;
    }

    @Override
    public void close() {
        try {
            // The platform's client has said goodbye; a broker that stops while it still hears that complains loudly.
            platformGone.await(GOODBYE_SECONDS, TimeUnit.SECONDS);
            server.stop();
        } catch (Exception e) {
            log.warn("the MQTT broker did not stop cleanly", e);
        }
    }

    private static Configuration configuration(String host, int port, @Nullable TlsSettings tls, Path scratch)
            throws Exception {
        // Topics keep their slashes as addresses, so that permissions read like the protocol's documents.
        WildcardConfiguration topics =
                new WildcardConfiguration().setDelimiter('/').setSingleWord('+').setAnyWords('#');
        Configuration configuration = new ConfigurationImpl()
                .setName("otaflux-platform")
                .setPersistenceEnabled(false)
                .setMqttSubscriptionPersistenceEnabled(false)
                .setSecurityEnabled(true)
                // A password is right for one client id and one secret only, so no answer may be remembered by user.
                .setAuthenticationCacheSize(0)
                .setAuthorizationCacheSize(0)
                .setJMXManagementEnabled(false)
                .setMaxDiskUsage(-1)
                .setPagingDirectory(scratch.resolve("paging").toString())
                .setWildCardConfiguration(topics)
                .addAddressSetting("#", addressSettings(MAX_BYTES_PER_TOPIC))
                .addAddressSetting(Outbox.ADDRESSES, addressSettings(MAX_BYTES_PER_OUTBOX))
                .addAcceptorConfiguration(
                        ACCEPTOR,
                        "tcp://" + host + ":" + port
                                + "?protocols=MQTT;closeMqttConnectionOnPublishAuthorizationFailure=false");
        return tls == null ? configuration : configuration.addAcceptorConfiguration(secured(host, tls, scratch));
    }

    private static TransportConfiguration secured(String host, TlsSettings tls, Path scratch) throws IOException {
        Map<String, Object> options = new HashMap<>();
        options.put(TransportConstants.HOST_PROP_NAME, host);
        options.put(TransportConstants.PORT_PROP_NAME, tls.port());
        options.put(TransportConstants.PROTOCOLS_PROP_NAME, "MQTT");
        options.put(TransportConstants.SSL_ENABLED_PROP_NAME, true);
        options.put(TransportConstants.KEYSTORE_TYPE_PROP_NAME, "PEMCFG");
        options.put(
                TransportConstants.KEYSTORE_PATH_PROP_NAME,
                tls.describe(scratch).toString());
        if (tls.clientAuthorities() != null) {
            // Wanted, not needed: a device with a secret comes without a certificate.
            options.put(TransportConstants.WANT_CLIENT_AUTH_PROP_NAME, true);
            options.put(TransportConstants.TRUSTSTORE_TYPE_PROP_NAME, "PEMCA");
            options.put(
                    TransportConstants.TRUSTSTORE_PATH_PROP_NAME,
                    tls.clientAuthorities().toAbsolutePath().toString());
        }
        return new TransportConfiguration(
                NettyAcceptorFactory.class.getName(),
                options,
                SECURED_ACCEPTOR,
                Map.of("closeMqttConnectionOnPublishAuthorizationFailure", false));
    }

    private static AddressSettings addressSettings(long maxBytes) {
        return new AddressSettings()
                // Nobody listens there: what cannot be delivered is pushed again when its device is back.
                .setDeadLetterAddress(UNDELIVERABLE)
                .setExpiryAddress(UNDELIVERABLE)
                .setMaxSizeBytes(maxBytes)
                .setAddressFullMessagePolicy(AddressFullMessagePolicy.DROP);
    }

    private boolean incoming(MqttMessage packet, RemotingConnection connection) {
        if (!(packet instanceof MqttConnectMessage connect)
                || connect.variableHeader().keepAliveTimeSeconds() >= SHORTEST_KEEPALIVE_SECONDS
                || DeviceAuthenticator.isRegistration(connect.payload().clientIdentifier())) {
            return true;
        }
        channel(connection)
                .writeAndFlush(connAck(MqttConnectReturnCode.CONNECTION_REFUSED_IDENTIFIER_REJECTED))
                .addListener(ChannelFutureListener.CLOSE);
        return false;
    }

    private static Channel channel(RemotingConnection connection) {
        return ((NettyConnection) connection.getTransportConnection()).getChannel();
    }

    /** A device's CONNACK passes here after its login was accepted and before its session starts. */
    private boolean outgoing(MqttMessage packet, RemotingConnection connection) {
        if (packet instanceof MqttPublishMessage publish
                && Outbox.isAddress(publish.variableHeader().topicName())) {
            send(connection, Outbox.open(publish));
            return false;
        }
        return !(packet instanceof MqttConnAckMessage answer) || answered(answer, connection);
    }

    /** @return whether the broker is to send its answer to the CONNECT itself */
    private boolean answered(MqttConnAckMessage answer, RemotingConnection connection) {
        MqttConnectReturnCode code = answer.variableHeader().connectReturnCode();
        if (code == MqttConnectReturnCode.CONNECTION_REFUSED_NOT_AUTHORIZED) {
            // The broker says so of every login it does not take; the protocol means wrong credentials by 4.
            send(connection, connAck(MqttConnectReturnCode.CONNECTION_REFUSED_BAD_USER_NAME_OR_PASSWORD));
            return false;
        }
        if (code != MqttConnectReturnCode.CONNECTION_ACCEPTED) {
            return true;
        }
        DeviceSecurity.DeviceLogin login = security.login(connection).orElse(null);
        if (login == null) {
            platformGone = new CountDownLatch(1);
            platformConnection = connection;
            return true;
        }
        DeviceAuthenticator.Admission admission = login.admission();
        if (!admission.isRegistration()) {
            loggedIn(admission.device(), login.clientId(), connection);
        }
        if (admission.topic() == null || admission.payload() == null) {
            return true;
        }
        // Behind the CONNACK, and nobody subscribes to it.
        send(connection, answer);
        send(
                connection,
                MqttMessageBuilders.publish()
                        .topicName(admission.topic())
                        .qos(MqttQoS.AT_MOST_ONCE)
                        .payload(Unpooled.wrappedBuffer(admission.payload()))
                        .build());
        return false;
    }

    private static MqttConnAckMessage connAck(MqttConnectReturnCode code) {
        return MqttMessageBuilders.connAck().returnCode(code).build();
    }

    private static void send(RemotingConnection connection, MqttMessage packet) {
        channel(connection).writeAndFlush(packet).addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
    }

    /** @param isImplicit whether it is sent its topics without subscribing to them */
    private record Session(RemotingConnection connection, boolean isImplicit) {}

    private void loggedIn(DeviceKey device, String clientId, RemotingConnection connection) {
        ChannelPipeline pipeline = channel(connection).pipeline();
        pipeline.addBefore(
                pipeline.context(MQTTProtocolHandler.class).name(), null, new SubDeviceSubscriptions(device));
        subscribe(device, connection.getClientID());
        boolean isImplicit = DeviceAuthenticator.wantsImplicitSubscriptions(clientId);
        synchronized (sessions) {
            sessions.put(device, new Session(connection, isImplicit));
            presence.connected(device);
        }
    }

    /** The session, once it starts, takes up the subscriptions in its state as those of an earlier connection. */
    private void subscribe(DeviceKey device, String sessionName) {
        try {
            MQTTStateManager.getInstance(server)
                    .getSessionState(sessionName)
                    .addSubscription(
                            new MqttTopicSubscription(Outbox.address(device), MqttQoS.AT_LEAST_ONCE),
                            server.getConfiguration().getWildcardConfiguration(),
                            null);
        } catch (Exception e) {
            throw new IllegalStateException("device " + device + " could not be subscribed to its topics", e);
        }
    }

    @Override
    public Delivery deliver(DeviceKey connection, String topic, byte[] payload) {
        Session session = sessions.get(connection);
        boolean isOwn = DeviceTopics.device(topic).filter(connection::equals).isPresent();
        return isOwn && (session == null || !session.isImplicit())
                ? new Delivery(topic, payload)
                : new Delivery(Outbox.address(connection), Outbox.seal(topic, payload));
    }

    @Override
    public void disconnect(DeviceKey device) {
        Session session = sessions.get(device);
        if (session != null) {
            channel(session.connection()).close().addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
        }
    }

    /**
     * Acknowledges a gateway's subscriptions to what it is sent anyway, before the broker sees them: thousands of sub-devices
     * would else be thousands of queues, and each would outlive the sub-device's session. (An interceptor of the broker
     * cannot do this: a packet that it keeps back ends the connection.)
     */
    private final class SubDeviceSubscriptions extends ChannelDuplexHandler {

        private final DeviceKey device;
        /** By packet, what is granted here of it, in the packet's order; null for what the broker is left to answer. */
        private final Map<Integer, List<@Nullable Integer>> answeredInPart = new HashMap<>();

        SubDeviceSubscriptions(DeviceKey device) {
            this.device = device;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object packet) {
            if (!(packet instanceof MqttSubscribeMessage subscribe)) {
                context.fireChannelRead(packet);
                return;
            }
            List<@Nullable Integer> granted = new ArrayList<>();
            List<MqttTopicSubscription> others = new ArrayList<>();
            for (MqttTopicSubscription subscription : subscribe.payload().topicSubscriptions()) {
                if (isOfSubDevice(subscription.topicFilter())) {
                    granted.add(subscription.qualityOfService() == MqttQoS.AT_MOST_ONCE ? 0 : 1);
                } else {
                    granted.add(null);
                    others.add(subscription);
                }
            }
            int id = subscribe.variableHeader().messageId();
            if (others.size() == granted.size()) {
                context.fireChannelRead(packet);
            } else if (others.isEmpty()) {
                context.writeAndFlush(subAck(id, granted, List.of()))
                        .addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
            } else {
                answeredInPart.put(id, granted);
                context.fireChannelRead(new MqttSubscribeMessage(
                        subscribe.fixedHeader(),
                        subscribe.idAndPropertiesVariableHeader(),
                        new MqttSubscribePayload(others)));
            }
        }

        @Override
        public void write(ChannelHandlerContext context, Object packet, ChannelPromise promise) throws Exception {
            Object whole = packet;
            if (packet instanceof MqttSubAckMessage answer) {
                int id = answer.variableHeader().messageId();
                List<@Nullable Integer> granted = answeredInPart.remove(id);
                if (granted != null) {
                    whole = subAck(id, granted, answer.payload().reasonCodes());
                }
            }
            super.write(context, whole, promise);
        }

        private boolean isOfSubDevice(String filter) {
            return DeviceTopics.device(filter)
                            .filter(owner -> !owner.equals(device))
                            .isPresent()
                    && security.maySubscribe(device, filter);
        }

        private MqttMessage subAck(int id, List<@Nullable Integer> granted, List<Integer> others) {
            Iterator<Integer> brokers = others.iterator();
            List<Integer> all = new ArrayList<>();
            granted.forEach(here -> all.add(here == null ? brokers.next() : here));
            return new MqttSubAckMessage(
                    new MqttFixedHeader(MqttMessageType.SUBACK, false, MqttQoS.AT_MOST_ONCE, false, 0),
                    MqttMessageIdVariableHeader.from(id),
                    new MqttSubAckPayload(all));
        }
    }

    private final class ListeningDevices implements ActiveMQServerConsumerPlugin {

        @Override
        public void afterCreateConsumer(ServerConsumer consumer) {
            device(consumer).ifPresent(device -> {
                synchronized (listeners) {
                    listeners.computeIfAbsent(device, key -> new HashSet<>()).add(consumer.getID());
                    presence.startedListening(device);
                }
            });
        }

        @Override
        public void afterCloseConsumer(ServerConsumer consumer, boolean failed) {
            device(consumer).ifPresent(device -> {
                synchronized (listeners) {
                    Set<Long> consumers = listeners.get(device);
                    if (consumers != null && consumers.remove(consumer.getID()) && consumers.isEmpty()) {
                        listeners.remove(device);
                        presence.stoppedListening(device);
                    }
                }
            });
        }

        private Optional<DeviceKey> device(ServerConsumer consumer) {
            String address = consumer.getQueueAddress().toString();
            return DeviceTopics.upgradeTarget(address)
                    .or(() -> Outbox.device(address).filter(device -> {
                        Session session = sessions.get(device);
                        return session != null && session.isImplicit();
                    }));
        }
    }

    /** Under the same lock as a login, so that a second login and the end of the first are told in their order. */
    private void loggedOut(DeviceKey device, RemotingConnection connection) {
        synchronized (sessions) {
            Session session = sessions.get(device);
            if (session != null && session.connection().equals(connection)) {
                sessions.remove(device);
                presence.disconnected(device);
            }
        }
    }

    private final class LeavingDevices implements ActiveMQServerSessionPlugin {

        @Override
        public void afterCloseSession(ServerSession session, boolean failed) {
            RemotingConnection connection = session.getRemotingConnection();
            security.device(connection).ifPresent(device -> loggedOut(device, connection));
            if (connection.equals(platformConnection)) {
                platformGone.countDown();
            }
        }
    }
}
