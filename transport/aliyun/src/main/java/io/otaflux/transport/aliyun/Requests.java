package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.retry.Retry;

/** A gateway's requests that wait for their answers, which come on the topic of the request with {@code _reply} behind it. */
final class Requests {

    private static final Logger log = Loggers.getLogger(Requests.class);

    private static final int TRIES = 5;

    private final Line line;
    private final Scheduler lane;
    private final Duration timeout;
    private final Map<String, Waiting> waiting = new HashMap<>();

    Requests(Line line, Scheduler lane, Duration timeout) {
        this.line = line;
        this.lane = lane;
        this.timeout = timeout;
    }

    /**
     * Asks once.
     *
     * @return a {@code Mono} that emits the {@code data} of the answer, which may be missing, on the lane. It errors with
     *     {@link GatewayException} when the platform says no, with {@link ChannelException} when it says nothing
     *     ({@link Reason#TIMEOUT}) or the connection is lost
     */
    Mono<JsonNode> ask(String topic, String method, JsonNode params) {
        return Mono.<JsonNode>create(sink -> lane.schedule(() -> {
                    if (!line.isConnected()) {
                        sink.error(lost(method));
                        return;
                    }
                    String id = line.nextId();
                    waiting.put(id, new Waiting(topic + "_reply", method, sink));
                    sink.onDispose(() -> lane.schedule(() -> waiting.remove(id)));
                    line.publish(topic, Messages.request(id, method, params))
                            .subscribe(
                                    never -> {},
                                    // The end of the connection, or of the time for an answer, tells whoever waits.
                                    unsent -> log.debug("{} {}: not sent", line.device(), method, unsent));
                }))
                .timeout(
                        timeout,
                        Mono.error(() -> new ChannelException(
                                Reason.TIMEOUT, line.device() + " " + method + ": no answer within " + timeout, null)),
                        lane);
    }

    /**
     * Makes a request of many devices in batches, one after the other. Those of a batch that the platform refuses are tried
     * one by one, so that one of them does not stand in the way of the others; not so where it was asked too often.
     *
     * @return a {@code Mono} that errors with the first refusal of one device when all have been tried, the others
     *     suppressed in it, and with anything else at once
     */
    static <T> Mono<Void> each(Collection<T> devices, int most, Function<List<T>, Mono<?>> request) {
        return Flux.fromIterable(List.copyOf(devices))
                .buffer(most)
                .concatMap(batch -> refusal(batch, request)
                        .flatMapMany(refused -> batch.size() == 1 || refused.refusal() == Refusal.TOO_OFTEN
                                ? Flux.just(refused)
                                : Flux.fromIterable(batch).concatMap(one -> refusal(List.of(one), request))))
                .collectList()
                .flatMap(refusals -> {
                    if (refusals.isEmpty()) {
                        return Mono.empty();
                    }
                    GatewayException first = refusals.get(0);
                    refusals.stream().skip(1).forEach(first::addSuppressed);
                    return Mono.error(first);
                });
    }

    private static <T> Mono<GatewayException> refusal(List<T> batch, Function<List<T>, Mono<?>> request) {
        return request.apply(batch)
                .then(Mono.<GatewayException>empty())
                .onErrorResume(GatewayException.class, Mono::just);
    }

    /**
     * Asks again after a growing wait, up to five times in all, when the platform is busy or silent.
     *
     * @param whenLost what to do when the connection was lost: ask again when it emits
     */
    static Retry patiently(Backoff backoff, Scheduler lane, Function<ChannelException, Mono<Long>> whenLost) {
        return Retry.from(ends -> {
            int[] tries = {0};
            return ends.concatMap(end -> {
                Throwable failure = end.failure();
                if (failure instanceof ChannelException lost && lost.reason() == Reason.CONNECTION_LOST) {
                    return whenLost.apply(lost);
                }
                boolean passes = failure instanceof GatewayException refused
                        ? refused.isTransient() && refused.refusal() != Refusal.NO_SESSION
                        : failure instanceof ChannelException silent && silent.reason() == Reason.TIMEOUT;
                return passes && ++tries[0] < TRIES ? Mono.delay(backoff.delay(tries[0]), lane) : Mono.error(failure);
            });
        });
    }

    /**
     * Takes an answer in.
     *
     * @throws MalformedMessage when it makes no sense
     */
    void answered(String topic, byte[] payload) throws MalformedMessage {
        JsonNode root = Messages.read(payload);
        Waiting asked = waiting.get(root.path("id").asText());
        if (asked == null || !asked.topic.equals(topic)) {
            log.debug("{}: an answer to nobody's question", line.device());
            return;
        }
        waiting.remove(root.path("id").asText());
        String code = root.path("code").asText("200");
        if (code.equals("200") || code.equals("1000")) {
            asked.sink.success(root.path("data"));
        } else {
            asked.sink.error(GatewayException.answered(
                    line.device() + " " + asked.method, code.matches("[0-9]{1,6}") ? code : "?"));
        }
    }

    /** The connection is gone, and so are the answers. */
    void disconnected() {
        List.copyOf(waiting.values()).forEach(asked -> asked.sink.error(lost(asked.method)));
        waiting.clear();
    }

    private ChannelException lost(String method) {
        return new ChannelException(
                Reason.CONNECTION_LOST, line.device() + " " + method + ": the connection was lost", null);
    }

    private record Waiting(String topic, String method, MonoSink<JsonNode> sink) {}
}
