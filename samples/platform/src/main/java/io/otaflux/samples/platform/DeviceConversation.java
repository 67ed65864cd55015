package io.otaflux.samples.platform;

import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.lifecycle.MqttClientDisconnectedContext;
import com.hivemq.client.mqtt.lifecycle.MqttDisconnectSource;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.Mqtt3Client;
import com.hivemq.client.mqtt.mqtt3.Mqtt3ClientBuilder;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * The platform as a client of the broker: hears devices, publishes to them.
 *
 * <p>A message is acknowledged to the broker after what it changed is durable, so a platform that is killed in between is
 * given it again (by a broker that outlives it). A message that cannot be understood, or comes from an unknown device, is
 * counted, logged without its contents and acknowledged; it never ends the stream.
 */
final class DeviceConversation implements AutoCloseable {

    /** What becomes of a message; each method's Mono completes when what it changed is durable. */
    interface Listener {

        Mono<Void> informed(DeviceKey device, DeviceMessages.Inform inform);

        Mono<Void> progressed(DeviceKey device, DeviceMessages.Progress progress);

        /** Emits the payload of the answer. */
        Mono<byte[]> queried(DeviceKey device, DeviceMessages.Query query);

        /** Emits the payload of the answer to any other request. */
        Mono<byte[]> requested(DeviceKey device, DeviceTopics.Kind kind, DeviceMessages.Request request);

        /** Whose connection a device is reached over: its own, or that of the gateway that it is logged in through. */
        DeviceKey connection(DeviceKey device);
    }

    private static final Logger log = LoggerFactory.getLogger(DeviceConversation.class);
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final long RECONNECT_SECONDS = 1;
    private static final int MESSAGES_IN_WORK = 256;

    private final Broker broker;
    private final Listener listener;
    private final Mqtt3AsyncClient client;
    private final AtomicLong malformed = new AtomicLong();
    private volatile boolean wasConnected;
    private volatile boolean closing;
    private volatile @Nullable Throwable refusal;
    private @Nullable Disposable messages;

    /** @param clientId of this platform; the same after a restart, so that a broker can keep its session */
    DeviceConversation(Broker broker, String clientId, Listener listener) {
        this.broker = broker;
        this.listener = listener;
        Mqtt3ClientBuilder builder = Mqtt3Client.builder()
                .identifier(clientId)
                .serverHost(broker.host())
                .serverPort(broker.port())
                .addConnectedListener(connected -> wasConnected = true)
                .addDisconnectedListener(this::disconnected);
        Broker.Login login = broker.login();
        if (login != null) {
            builder = builder.simpleAuth()
                    .username(login.username())
                    .password(login.password().getBytes(StandardCharsets.UTF_8))
                    .applySimpleAuth();
        }
        this.client = builder.buildAsync();
    }

    /** Connects and subscribes. The Mono fails if the broker cannot be reached, or refuses, within ten seconds. */
    Mono<Void> start() {
        return Mono.defer(() -> {
                    // Before CONNECT: a broker that kept our session sends what it has without being asked.
                    messages = Flux.from(client.toRx().publishes(MqttGlobalPublishFilter.ALL, true))
                            .onErrorComplete(error -> closing)
                            .flatMapSequential(this::receive, MESSAGES_IN_WORK)
                            .subscribe(
                                    ignored -> {},
                                    error -> log.error("the conversation with the devices has ended", error));
                    return Mono.fromFuture(client.connectWith()
                            .cleanSession(broker.tellsPresence())
                            .send());
                })
                .then(Flux.fromIterable(DeviceTopics.PLATFORM_SUBSCRIPTIONS)
                        .concatMap(filter -> Mono.fromFuture(() -> client.subscribeWith()
                                .topicFilter(filter)
                                .qos(MqttQos.AT_LEAST_ONCE)
                                .send()))
                        .then())
                .timeout(PATIENCE)
                .onErrorMap(error -> new IllegalStateException(
                        "no MQTT broker answers at " + broker.host() + ":" + broker.port(),
                        refusal == null ? error : refusal));
    }

    /** Publishes to a device, over its own connection or its gateway's. */
    Mono<Void> publish(DeviceKey device, String topic, byte[] payload) {
        return publishOver(listener.connection(device), topic, payload);
    }

    /** Publishes over a device's own connection, whatever device the topic belongs to. */
    Mono<Void> publishOver(DeviceKey connection, String topic, byte[] payload) {
        return Mono.defer(() -> {
            Broker.Delivery delivery = broker.deliver(connection, topic, payload);
            return publish(delivery.topic(), delivery.payload());
        });
    }

    /**
     * Publishes, not retained. At QoS 1: the real platform was seen to push at QoS 0, but a device gets the lower
     * of this and what it subscribed with, so QoS 1 takes nothing from those who want 0 and loses nothing for the others.
     */
    private Mono<Void> publish(String topic, byte[] payload) {
        return Mono.fromFuture(() -> client.publishWith()
                        .topic(topic)
                        .qos(MqttQos.AT_LEAST_ONCE)
                        .payload(payload)
                        .send())
                .then();
    }

    /** How many messages could not be understood or came from unknown devices. */
    long ignoredMessages() {
        return malformed.get();
    }

    /** Disconnects, then stops listening. */
    @Override
    public void close() {
        closing = true;
        if (client.getState().isConnectedOrReconnect()) {
            try {
                client.disconnect().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (Exception e) {
                log.debug("the platform's connection was gone before it was closed", e);
            }
        }
        if (messages != null) {
            messages.dispose();
        }
    }

    private void disconnected(MqttClientDisconnectedContext context) {
        if (context.getSource() == MqttDisconnectSource.USER) {
            return;
        }
        if (wasConnected) {
            context.getReconnector().reconnect(true).delay(RECONNECT_SECONDS, TimeUnit.SECONDS);
        } else {
            refusal = context.getCause();
        }
    }

    private Mono<Void> receive(Mqtt3Publish message) {
        return Mono.defer(() -> handle(message))
                .onErrorResume(DeviceMessages.MalformedMessageException.class, error -> {
                    ignore(message, error.getMessage());
                    return Mono.empty();
                })
                .then(Mono.<Void>fromRunnable(message::acknowledge))
                .onErrorResume(error -> {
                    // Not acknowledged: a broker that outlives this platform gives it to the next one.
                    log.error("a message on {} could not be dealt with", message.getTopic(), error);
                    return Mono.empty();
                });
    }

    private Mono<Void> handle(Mqtt3Publish message) {
        if (message.isRetain()) {
            // The protocol has no retained messages; one would tell an old story again at every start.
            return Mono.empty();
        }
        DeviceTopics.Address address =
                DeviceTopics.parse(message.getTopic().toString()).orElse(null);
        if (address == null) {
            ignore(message, "not a topic of the protocol");
            return Mono.empty();
        }
        byte[] payload = message.getPayloadAsBytes();
        DeviceKey device = address.device();
        return switch (address.kind()) {
            case INFORM -> listener.informed(device, DeviceMessages.readInform(payload));
            case PROGRESS -> listener.progressed(device, DeviceMessages.readProgress(payload));
            case QUERY ->
                listener.queried(device, DeviceMessages.readQuery(payload))
                        .flatMap(answer -> answer(device, message, answer));
            case LEGACY_QUERY -> {
                DeviceMessages.Query query = DeviceMessages.readLegacyQuery(payload);
                yield query == null
                        ? Mono.empty()
                        : listener.queried(device, query).flatMap(answer -> publish(device, topic(message), answer));
            }
            default ->
                listener.requested(device, address.kind(), DeviceMessages.readRequest(payload))
                        .flatMap(answer -> answer(device, message, answer));
        };
    }

    private static String topic(Mqtt3Publish message) {
        return message.getTopic().toString();
    }

    private Mono<Void> answer(DeviceKey device, Mqtt3Publish question, byte[] answer) {
        return publish(device, DeviceTopics.reply(topic(question)), answer);
    }

    private void ignore(Mqtt3Publish message, @Nullable String why) {
        malformed.incrementAndGet();
        log.warn("a message on {} is ignored: {}", message.getTopic(), why);
    }
}
