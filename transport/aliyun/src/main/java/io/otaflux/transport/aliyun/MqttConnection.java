package io.otaflux.transport.aliyun;

import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttClientSslConfig;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.datatypes.MqttTopicFilter;
import com.hivemq.client.mqtt.exceptions.ConnectionClosedException;
import com.hivemq.client.mqtt.lifecycle.MqttDisconnectSource;
import com.hivemq.client.mqtt.mqtt3.Mqtt3ClientBuilder;
import com.hivemq.client.mqtt.mqtt3.Mqtt3RxClient;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3ConnAckException;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.connect.connack.Mqtt3ConnAckReturnCode;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import com.hivemq.client.mqtt.mqtt3.message.subscribe.Mqtt3Subscribe;
import com.hivemq.client.mqtt.mqtt3.message.subscribe.Mqtt3Subscription;
import com.hivemq.client.mqtt.mqtt3.message.unsubscribe.Mqtt3Unsubscribe;
import io.otaflux.ChannelException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.reactivex.Flowable;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * One MQTT 3.1.1 connection, from its first byte to its last; it never comes back. The next connection is another one with
 * a client of its own. The session lives at the broker, which delivers again what this connection did not acknowledge,
 * and the client library never sees two deliveries of one message, which it could mix up after a reconnect.
 */
final class MqttConnection {

    private static final Logger log = Loggers.getLogger(MqttConnection.class);

    /** How many messages of QoS 0 may wait to be worked on. The others are as many as the broker leaves in flight. */
    private static final int UNRELIABLE = 1_024;

    /** How many topics one packet subscribes to. */
    private static final int FILTERS = 100;

    private static final Duration GOODBYE = Duration.ofSeconds(2);

    private static final ByteBuffer EMPTY = ByteBuffer.allocate(0).asReadOnlyBuffer();

    private final Mqtt3RxClient client;
    private final Disposable inbound;
    private final Consumer<Inbound> messages;
    private final Scheduler lane;

    /** What arrived and was not handed on. */
    private final Pile waiting = new Pile();

    private final AtomicInteger unreliable = new AtomicInteger();

    /** Whose acknowledgement is to be sent. */
    private final Pile confirmed = new Pile();

    /** The one on which messages arrive; known as soon as one has arrived. */
    private volatile @Nullable Executor loop;

    private final Sinks.Empty<Void> opened = Sinks.empty();
    private final Sinks.Empty<Void> lost = Sinks.empty();
    private volatile boolean isLost;
    private volatile boolean wasHungUp;

    private MqttConnection(Mqtt3ClientBuilder builder, Consumer<Inbound> messages, Scheduler lane) {
        this.messages = messages;
        this.lane = lane;
        client = builder.addDisconnectedListener(context -> {
                    wasHungUp = context.getSource() == MqttDisconnectSource.SERVER
                            && context.getCause() instanceof ConnectionClosedException
                            && context.getCause().getCause() == null;
                    fail(translate(context.getCause()));
                })
                .buildRx();
        // Before CONNECT: what the broker has queued would otherwise be acknowledged and dropped by the library.
        inbound = Flux.from(client.publishes(MqttGlobalPublishFilter.ALL, true))
                // All of it: what is not taken at once the library goes through again at every message and at every
                // acknowledgement.
                .subscribe(publish -> arrived(new Inbound(publish)), gone -> log.debug("The message flow ended", gone));
    }

    private void arrived(Inbound message) {
        if (loop == null) {
            loop = Loops.current();
        }
        if (message.hasRoom() && waiting.put(message)) {
            lane.schedule(this::handOn);
        }
    }

    /** On the lane. What is left when nobody listens any more the broker delivers again. */
    private void handOn() {
        Inbound message = waiting.take();
        while (message != null) {
            Inbound next = message.next();
            message.makeRoom();
            if (!inbound.isDisposed()) {
                messages.accept(message);
            }
            message = next;
        }
    }

    /**
     * Acknowledgements come in dozens, when the journal has synchronised what they are for. The library would wake the loop for
     * each of them; on the loop it need not.
     */
    private void confirmSoon(Inbound message) {
        Executor known = loop;
        if (known == null) {
            message.confirm();
            return;
        }
        if (confirmed.put(message)) {
            try {
                known.execute(this::confirm);
            } catch (RejectedExecutionException gone) {
                // The threads of its connection have ended, so there is nobody left to be told.
                log.debug("Acknowledged after the end of its connection: {}", message.publish.getTopic());
                confirmed.take();
            }
        }
    }

    private void confirm() {
        Inbound message = confirmed.take();
        while (message != null) {
            Inbound next = message.next();
            message.confirm();
            message = next;
        }
    }

    /**
     * Begins to connect; {@link #opened()} tells how that goes. Whoever calls this calls {@link #close()} in the end.
     *
     * @param messages what takes in each message, on the lane
     */
    static MqttConnection open(
            Settings settings, InetSocketAddress address, Consumer<Inbound> messages, Scheduler lane) {
        return open(
                settings.endpoint(),
                settings.login(),
                settings.keepAlive(),
                settings.timeout(),
                address,
                messages,
                lane);
    }

    /** The same for one that is no device's everyday connection. */
    static MqttConnection open(
            Endpoint endpoint,
            Login login,
            Duration keepAlive,
            Duration limit,
            InetSocketAddress address,
            Consumer<Inbound> messages,
            Scheduler lane) {
        int timeout = (int) limit.toMillis();
        var transport = MqttClient.builder()
                .useMqttVersion3()
                .identifier(login.clientIdentifier())
                .executorConfig(Loops.take())
                .simpleAuth()
                .username(login.userName())
                .password(login.password().value().getBytes(StandardCharsets.UTF_8))
                .applySimpleAuth()
                .transportConfig()
                .serverAddress(address)
                .socketConnectTimeout(timeout, TimeUnit.MILLISECONDS)
                .mqttConnectTimeout(timeout, TimeUnit.MILLISECONDS);
        if (endpoint.tls()) {
            transport = transport.sslConfig(MqttClientSslConfig.builder()
                    .trustManagerFactory(endpoint.trust())
                    .keyManagerFactory(endpoint.identity())
                    .handshakeTimeout(timeout, TimeUnit.MILLISECONDS)
                    .build());
        }
        MqttConnection connection = new MqttConnection(transport.applyTransportConfig(), messages, lane);
        connection.connect(keepAlive, login.lasting());
        return connection;
    }

    /** The library goes on connecting when its subscriber cancels, so this subscription never is. */
    private void connect(Duration keepAlive, boolean lasting) {
        Mono.from(client.connectWith()
                        // Kept at the broker: pushes of QoS 1 wait there while the device is away.
                        .cleanSession(!lasting)
                        .keepAlive((int) keepAlive.toSeconds())
                        .applyConnect()
                        .toFlowable())
                .subscribe(accepted -> opened.tryEmitEmpty(), refused -> opened.tryEmitError(translate(refused)));
    }

    /** @return a {@code Mono} that completes when the platform let the device in, and errors when it will not */
    Mono<Void> opened() {
        return opened.asMono();
    }

    /** @return a {@code Mono} that errors as soon as the connection is lost or could not be made */
    Mono<Void> lost() {
        return lost.asMono();
    }

    /** Tells whether the platform ended it, in good order and without a reason. */
    boolean wasHungUp() {
        return wasHungUp;
    }

    /** Declares the connection lost. */
    void fail(OtaException cause) {
        isLost = true;
        lost.tryEmitError(cause);
    }

    /** @return a {@code Mono} that completes when the broker has granted all subscriptions, of QoS 1 */
    Mono<Void> subscribe(String... filters) {
        return subscribe(MqttQos.AT_LEAST_ONCE, filters);
    }

    /** @param qos at most; 0 is for what is of no use to a later connection */
    Mono<Void> subscribe(MqttQos qos, String... filters) {
        Mqtt3Subscribe subscribe = Mqtt3Subscribe.builder()
                .addSubscriptions(Stream.of(filters)
                        .map(filter -> Mqtt3Subscription.builder()
                                .topicFilter(filter)
                                .qos(qos)
                                .build()))
                .build();
        return Mono.from(client.subscribe(subscribe).toFlowable()).then();
    }

    /**
     * Subscribes to many topics, in packets of no more than {@value #FILTERS}.
     *
     * @return a {@code Mono} that completes when the broker has answered all of them. One that grants less than it was
     *     asked for may deliver all the same, as platforms do that deliver without any subscription
     */
    Mono<Void> subscribe(List<String> filters) {
        return Flux.fromIterable(filters)
                .buffer(FILTERS)
                .concatMap(packet -> subscribe(packet.toArray(String[]::new))
                        .onErrorResume(Mqtt3SubAckException.class, refused -> {
                            log.warn("The broker does not grant all of {} subscriptions", packet.size());
                            return Mono.empty();
                        }))
                .then();
    }

    /** @return a {@code Mono} that completes when the broker has answered */
    Mono<Void> unsubscribe(List<String> filters) {
        return Flux.fromIterable(filters)
                .buffer(FILTERS)
                .concatMap(packet -> {
                    Mqtt3Unsubscribe unsubscribe = Mqtt3Unsubscribe.builder()
                            .addTopicFilters(packet.stream().map(MqttTopicFilter::of))
                            .build();
                    return Mono.from(client.unsubscribe(unsubscribe).<Void>toFlowable());
                })
                .then();
    }

    /** @return a {@code Mono} that completes when the broker has acknowledged the message */
    Mono<Void> publish(String topic, byte[] payload) {
        return publish(MqttQos.AT_LEAST_ONCE, topic, payload);
    }

    /** @return a {@code Mono} that completes when the message is on its way (QoS 0), or acknowledged */
    Mono<Void> publish(MqttQos qos, String topic, byte[] payload) {
        Mqtt3Publish message =
                Mqtt3Publish.builder().topic(topic).qos(qos).payload(payload).build();
        return Flux.from(client.publish(Flowable.just(message)))
                .concatMap(
                        result -> result.getError().<Mono<Void>>map(Mono::error).orElse(Mono.empty()))
                .then();
    }

    /**
     * Says goodbye, then stops listening; in this order, because messages that arrive at a cancelled flow are
     * acknowledged by the library and lost.
     *
     * @return a {@code Mono} that completes after that, or after two seconds while it goes on. Never errors
     */
    Mono<Void> close() {
        Mono<Void> goodbye = opened.asMono()
                .then(Mono.defer(() -> {
                    Mono<Void> disconnected = Mono.from(client.disconnect().toFlowable());
                    Executor known = loop;
                    // From there it comes behind the acknowledgements that were given before.
                    return known == null ? disconnected : disconnected.subscribeOn(Schedulers.fromExecutor(known));
                }))
                .onErrorResume(gone -> Mono.empty())
                .doFinally(end -> {
                    inbound.dispose();
                    Loops.giveBack();
                })
                .cache();
        goodbye.subscribe();
        return goodbye.timeout(GOODBYE, Mono.empty());
    }

    /** Gives an error of the library, of TLS or of the network its name. */
    static OtaException translate(Throwable failure) {
        if (failure instanceof OtaException known) {
            return known;
        }
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof Mqtt3ConnAckException refused) {
                Mqtt3ConnAckReturnCode code = refused.getMqttMessage().getReturnCode();
                return code == Mqtt3ConnAckReturnCode.SERVER_UNAVAILABLE
                        ? new ChannelException(Reason.SERVER_BUSY, "The platform is not available (CONNACK 3)", failure)
                        : new ChannelException(
                                Reason.CONNECTION_REFUSED,
                                "The platform refused the device: CONNACK " + code.getCode() + ", " + code,
                                failure);
            }
            if (cause instanceof SSLException || cause instanceof GeneralSecurityException) {
                return new ChannelException(Reason.TLS, "TLS failed: " + innermost(cause), failure);
            }
            if (cause instanceof TimeoutException || isTimeoutOfLibrary(cause)) {
                return new ChannelException(Reason.TIMEOUT, "The platform did not answer in time", failure);
            }
        }
        return new ChannelException(Reason.CONNECTION_LOST, "No connection: " + innermost(failure), failure);
    }

    /** The library has no type of its own for an answer that it waited for in vain. */
    private static boolean isTimeoutOfLibrary(Throwable cause) {
        return String.valueOf(cause.getMessage()).startsWith("Timeout while waiting for");
    }

    private static @Nullable String innermost(Throwable failure) {
        Throwable cause = failure;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }

    /**
     * Messages that some threads put down, and another one takes away all at once. It is their chain itself: most connections
     * are idle, and there may be thousands.
     */
    private static final class Pile extends AtomicReference<@Nullable Inbound> {

        /** Tells whether it was empty: then somebody must be told to take them away. */
        boolean put(Inbound message) {
            while (true) {
                Inbound top = get();
                message.next = top;
                if (compareAndSet(top, message)) {
                    return top == null;
                }
            }
        }

        /** Takes all away and returns the first; the others are behind it in the order in which they came. */
        @Nullable
        Inbound take() {
            Inbound first = null;
            Inbound message = getAndSet(null);
            while (message != null) {
                Inbound before = message.next;
                message.next = first;
                first = message;
                message = before;
            }
            return first;
        }
    }

    /** A message as it came; the flag is whether it was acknowledged. To run it is to acknowledge it. */
    final class Inbound extends AtomicBoolean implements Runnable {

        private final transient Mqtt3Publish publish;

        /** In the pile, or in what was taken from it. */
        private transient @Nullable Inbound next;

        private Inbound(Mqtt3Publish publish) {
            this.publish = publish;
        }

        /** The one behind this, which then is in no pile: it may go to the other one at once. */
        private @Nullable Inbound next() {
            Inbound behind = next;
            next = null;
            return behind;
        }

        String topic() {
            return publish.getTopic().toString();
        }

        byte[] payload() {
            return publish.getPayloadAsBytes();
        }

        /** The payload, to be read. */
        ByteBuffer bytes() {
            return publish.getPayload().orElse(EMPTY);
        }

        /** Tells whether it may wait with the others; one of QoS 0 may be lost. */
        private boolean hasRoom() {
            return publish.getQos() != MqttQos.AT_MOST_ONCE || unreliable.getAndIncrement() < UNRELIABLE || lose();
        }

        private boolean lose() {
            unreliable.decrementAndGet();
            log.debug("Too much at once: lost a message on {}", publish.getTopic());
            return false;
        }

        private void makeRoom() {
            if (publish.getQos() == MqttQos.AT_MOST_ONCE) {
                unreliable.decrementAndGet();
            }
        }

        /** Tells whether the broker waits for the acknowledgement; after the end of the connection it does not. */
        boolean isOwed() {
            return publish.getQos() != MqttQos.AT_MOST_ONCE && !isLost;
        }

        /** Tells the broker, the first time. It does no harm when the connection is gone. */
        void acknowledge() {
            if (compareAndSet(false, true)) {
                confirmSoon(this);
            }
        }

        @Override
        public void run() {
            acknowledge();
        }

        private void confirm() {
            try {
                publish.acknowledge();
            } catch (RejectedExecutionException gone) {
                // As above.
                log.debug("Acknowledged after the end of its connection: {}", publish.getTopic());
            }
        }
    }
}
