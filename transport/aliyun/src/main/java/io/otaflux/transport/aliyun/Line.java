package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import java.util.List;
import reactor.core.publisher.Mono;

/** What the devices behind a gateway need of its conversation. What is not a {@code Mono} is called on the lane. */
interface Line {

    /** The gateway. */
    DeviceId device();

    boolean isConnected();

    /** Completes when there is a connection, on the lane; errors when there will be none. */
    Mono<Void> connected();

    /** Completes when the broker has the message; errors when there is no connection. */
    Mono<Void> publish(String topic, byte[] payload);

    /** Completes when the broker has answered; one that grants less than it was asked for may deliver all the same. */
    Mono<Void> subscribe(List<String> filters);

    Mono<Void> unsubscribe(List<String> filters);

    /** An id that no other message of this conversation has. */
    String nextId();

    /** A sub-device can be heard. */
    void opened(DeviceId device);

    /** A sub-device cannot be heard for now. */
    void closed(DeviceId device);

    /** A sub-device cannot be heard, and what it has to say is not to wait. */
    void refused(DeviceId device, GatewayException cause);

    /** A sub-device is no longer spoken for here. */
    void forgotten(DeviceId device, GatewayException cause);
}
