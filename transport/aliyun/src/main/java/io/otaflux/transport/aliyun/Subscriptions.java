package io.otaflux.transport.aliyun;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.datatypes.MqttTopic;
import com.hivemq.client.mqtt.datatypes.MqttTopicFilter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.Logger;
import reactor.util.Loggers;

/** The topics that a program has subscribed to itself. Everything but {@link #messages} happens on the lane. */
final class Subscriptions {

    private static final Logger log = Loggers.getLogger(Subscriptions.class);

    private final Map<MqttTopicFilter, MqttQos> filters = new LinkedHashMap<>();
    private final Sinks.Many<Message> messages = Sinks.many().multicast().directBestEffort();

    /** What came on a topic, as the text that it is for the original module. */
    record Message(String topic, String text) {}

    /** Every message from now on, for any number of subscribers; who has no demand misses some. */
    Flux<Message> messages() {
        return messages.asFlux();
    }

    /** @throws IllegalArgumentException when {@code filter} is none */
    Mono<Void> add(String filter, MqttQos qos, @Nullable MqttConnection present, Duration limit) {
        filters.put(MqttTopicFilter.of(filter), qos);
        return present == null ? Mono.empty() : present.subscribe(qos, filter).timeout(limit);
    }

    void remove(String filter) {
        filters.remove(MqttTopicFilter.of(filter));
    }

    /** A refusal is the program's affair, and no reason to give up a connection that upgrades come over. */
    void connected(MqttConnection present, Duration limit) {
        filters.forEach((filter, qos) -> present.subscribe(qos, filter.toString())
                .timeout(limit)
                .subscribe(never -> {}, refused -> log.warn("Not subscribed to {}: {}", filter, refused.toString())));
    }

    /** Tells whether somebody subscribed to {@code topic}. */
    boolean received(String topic, byte[] payload) {
        MqttTopic name = MqttTopic.of(topic);
        if (filters.keySet().stream().noneMatch(filter -> filter.matches(name))) {
            return false;
        }
        messages.tryEmitNext(new Message(topic, new String(payload, StandardCharsets.UTF_8)));
        return true;
    }
}
