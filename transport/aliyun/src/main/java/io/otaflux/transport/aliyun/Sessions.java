package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.Backoff;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * Which devices behind the gateway are wanted, and which of them have a session. Everything happens on the lane.
 *
 * <p>A device that is wanted is logged in on each new connection. Logins go out in batches, which the platform takes or
 * refuses as a whole; the devices of a batch that it refused are logged in one by one, after all others, so that one
 * which may not log in keeps nobody out. Such a one goes into no batch any more. No more than a few requests are under
 * way, and the rate is limited, across connections.
 */
final class Sessions {

    private static final Logger log = Loggers.getLogger(Sessions.class);

    /** How many login requests may wait for their answers. */
    private static final int IN_FLIGHT = 4;

    /** A session that lasted this long was a good one: when it is lost, the device is logged in again at once. */
    private static final Duration STABLE = Duration.ofSeconds(30);

    private final Line line;
    private final Requests requests;
    private final Scheduler lane;
    private final LongSupplier nanoClock;
    private final Backoff backoff;
    private final Consumer<GatewayEvent> events;
    private final String path;

    private final Map<DeviceId, Member> members = new HashMap<>();
    private final Set<Member> together = new LinkedHashSet<>();
    private final Set<Member> alone = new LinkedHashSet<>();

    private boolean connected;
    private boolean pumping;

    /** Which connection it is; what belongs to an earlier one is no longer of interest. */
    private int epoch;

    private int inFlight;

    private LoginRate rate;

    Sessions(
            Line line,
            Requests requests,
            Scheduler lane,
            LongSupplier nanoClock,
            Backoff backoff,
            Consumer<GatewayEvent> events) {
        this.line = line;
        this.requests = requests;
        this.lane = lane;
        this.nanoClock = nanoClock;
        this.backoff = backoff;
        this.events = events;
        this.rate = new LoginRate(nanoClock);
        this.path =
                "/ext/session/" + line.device().product() + "/" + line.device().name() + "/combine/";
    }

    /** Lets tests of thousands of devices end soon. */
    void limit(LoginRate rate) {
        this.rate = rate;
    }

    // ---- What others want ----

    /** Makes devices wanted; see {@link AliyunGateway#login(Collection)}. Called on any thread. */
    Flux<GatewayEvent> login(Collection<SubDevice> devices) {
        return Flux.defer(() -> {
            Map<DeviceId, SubDevice> wanted = new LinkedHashMap<>();
            devices.forEach(device -> wanted.put(device.id(), device));
            if (wanted.isEmpty()) {
                return Flux.empty();
            }
            return Flux.create(sink -> lane.schedule(() -> {
                Waiting waiting = new Waiting(sink, wanted.size());
                wanted.values().forEach(device -> want(device, waiting));
                sink.onDispose(() -> lane.schedule(() -> wanted.keySet().forEach(device -> {
                    Member member = members.get(device);
                    if (member != null) {
                        member.waiting.remove(waiting);
                    }
                })));
                pump();
            }));
        });
    }

    private void want(SubDevice device, Waiting waiting) {
        Member member = members.computeIfAbsent(device.id(), id -> new Member(id, device));
        member.device = device;
        if (member.state == State.ONLINE) {
            waiting.answered(new GatewayEvent.LoggedIn(device.id()));
            return;
        }
        member.waiting.add(waiting);
        if (member.state == State.OUT) {
            // Somebody may have put right what was wrong.
            queueUp(member);
        }
    }

    /** Makes devices unwanted; see {@link AliyunGateway#logout(Collection)}. Called on any thread. */
    Mono<Void> logout(Collection<DeviceId> devices) {
        return Mono.<List<DeviceId>>create(sink -> lane.schedule(() -> {
                    List<DeviceId> left = new ArrayList<>();
                    new LinkedHashSet<>(devices).forEach(device -> {
                        Member member = members.get(device);
                        if (member != null) {
                            if (connected && (member.state == State.ONLINE || member.state == State.ASKED)) {
                                left.add(device);
                            }
                            forget(member, new GatewayException(Refusal.LOGGED_OUT, device + ": was logged out"));
                        }
                    });
                    sink.success(left);
                }))
                .flatMap(left -> left.isEmpty() ? Mono.empty() : logOut(left));
    }

    private Mono<Void> logOut(List<DeviceId> left) {
        return Requests.each(left, LoginRate.BATCH, this::leave)
                .onErrorResume(
                        GatewayException.class,
                        refused -> line.unsubscribe(filters(left)).then(Mono.error(refused)))
                .then(line.unsubscribe(filters(left)))
                // Without a connection there are no sessions.
                .onErrorResume(
                        ChannelException.class,
                        e -> e.reason() == Reason.CONNECTION_LOST ? Mono.empty() : Mono.error(e));
    }

    private Mono<Void> leave(List<DeviceId> batch) {
        Mono<JsonNode> answer = batch.size() == 1
                ? requests.ask(
                        path + "logout",
                        "combine.logout",
                        GatewayMessages.names(batch).get(0))
                : requests.ask(path + "batch_logout", "combine.batch_logout", GatewayMessages.names(batch));
        return answer.then()
                .onErrorResume(GatewayException.class, refused -> {
                    boolean gone = batch.size() == 1 && refused.refusal() == Refusal.NO_SESSION;
                    return gone ? Mono.empty() : Mono.error(refused);
                })
                .retryWhen(Requests.patiently(backoff, lane, Mono::error));
    }

    /** Takes devices out without a word to the platform, which knows. */
    void deleted(Collection<DeviceId> devices, GatewayException cause) {
        List<DeviceId> gone = new ArrayList<>();
        devices.forEach(device -> {
            Member member = members.get(device);
            if (member != null) {
                gone.add(device);
                forget(member, cause);
            }
        });
        if (connected && !gone.isEmpty()) {
            int present = epoch;
            line.unsubscribe(filters(gone))
                    .subscribe(
                            never -> {},
                            e -> log.debug("{}: could not unsubscribe in connection {}", line.device(), present, e));
        }
    }

    /** Why the device cannot be heard, where that will not change by itself soon; otherwise null. */
    @Nullable
    GatewayException refusal(DeviceId device) {
        Member member = members.get(device);
        return member == null
                ? new GatewayException(Refusal.LOGGED_OUT, device + ": is not logged in")
                : member.state == State.OUT ? member.refusal : null;
    }

    /** The device that is wanted and equals this one, so that what is kept of thousands of pushes shares it; otherwise null. */
    @Nullable
    DeviceId wanted(DeviceId device) {
        Member member = members.get(device);
        return member == null ? null : member.id;
    }

    boolean isOnline(DeviceId device) {
        Member member = members.get(device);
        return member != null && member.state == State.ONLINE;
    }

    // ---- The connection ----

    void connected() {
        connected = true;
        epoch++;
        inFlight = 0;
        members.values().forEach(member -> {
            if (member.state != State.OUT || member.refusal == null || isWorthAnotherTry(member.refusal)) {
                queueUp(member);
            }
        });
        pump();
    }

    private static boolean isWorthAnotherTry(GatewayException refusal) {
        return refusal.refusal() != Refusal.LOGGED_IN_ELSEWHERE;
    }

    void disconnected() {
        connected = false;
        epoch++;
        together.clear();
        alone.clear();
        members.values().forEach(member -> {
            if (member.state == State.ONLINE && lasted(member)) {
                member.losses = 0;
            }
            if (member.state != State.OUT) {
                member.state = State.WAITING;
            }
        });
    }

    /** There will be no connection until somebody wants one: who waits for a login is told why. */
    void fail(Throwable cause) {
        Set<Waiting> told = new LinkedHashSet<>();
        members.values().forEach(member -> {
            told.addAll(member.waiting);
            member.waiting.clear();
        });
        // Each once, however many logins it waits for, and none that was told by its connection already.
        told.stream()
                .map(waiting -> waiting.sink)
                .filter(sink -> !sink.isCancelled())
                .forEach(sink -> sink.error(cause));
    }

    // ---- What the platform says ----

    /** The platform ended a session, or will not have one. */
    void refused(DeviceId device, GatewayException cause) {
        Member member = members.get(device);
        if (member == null || (member.refusal != null && member.refusal.refusal() == cause.refusal())) {
            // Platforms say it twice: on the topic of the device, and on that of errors.
            log.debug("{}: {}", device, cause.getMessage());
        } else if (cause.refusal() == Refusal.DELETED) {
            deleted(List.of(device), cause);
        } else if (cause.refusal() == Refusal.NO_SESSION) {
            if (member.state == State.ONLINE) {
                line.closed(device);
                events.accept(new GatewayEvent.LoginRefused(device, cause));
                later(List.of(member), lasted(member) ? 0 : member.losses + 1);
            }
        } else if (cause.isTransient()) {
            // It says nothing about the session, and has no need to be put right by anybody.
            log.warn("{}: {}", device, cause.getMessage());
        } else {
            refuse(member, cause);
        }
    }

    private boolean lasted(Member member) {
        return nanoClock.getAsLong() - member.onlineSince > STABLE.toNanos();
    }

    void enabled(DeviceId device) {
        events.accept(new GatewayEvent.Enabled(device));
        Member member = members.get(device);
        if (member != null && member.state == State.OUT) {
            queueUp(member);
            pump();
        }
    }

    // ---- Logging in ----

    private void queueUp(Member member) {
        member.state = State.WAITING;
        member.refusal = null;
        (member.suspect ? alone : together).add(member);
    }

    private void pump() {
        while (connected && inFlight < IN_FLIGHT && !(together.isEmpty() && alone.isEmpty())) {
            int most = together.isEmpty() ? 1 : Math.min(LoginRate.BATCH, together.size());
            long wait = rate.take(most);
            if (wait > 0) {
                if (!pumping) {
                    pumping = true;
                    lane.schedule(
                            () -> {
                                pumping = false;
                                pump();
                            },
                            wait,
                            TimeUnit.NANOSECONDS);
                }
                return;
            }
            ask(take(together.isEmpty() ? alone : together, most));
        }
    }

    private static List<Member> take(Set<Member> queue, int most) {
        List<Member> taken = new ArrayList<>(most);
        for (Iterator<Member> each = queue.iterator(); each.hasNext() && taken.size() < most; ) {
            taken.add(each.next());
            each.remove();
        }
        return taken;
    }

    private void ask(List<Member> batch) {
        int asked = epoch;
        inFlight++;
        batch.forEach(member -> member.state = State.ASKED);
        List<SubDevice> devices = batch.stream().map(member -> member.device).toList();
        Mono<JsonNode> answer = batch.size() == 1
                ? requests.ask(path + "login", "combine.login", GatewayMessages.login(devices.get(0)))
                : requests.ask(path + "batch_login", "combine.batch_login", GatewayMessages.batchLogin(devices));
        answer.then(Mono.defer(() -> line.subscribe(
                        filters(devices.stream().map(SubDevice::id).toList()))))
                .publishOn(lane)
                .subscribe(never -> {}, e -> answered(asked, batch, e), () -> answered(asked, batch, null));
    }

    private void answered(int asked, List<Member> batch, @Nullable Throwable failure) {
        if (asked != epoch) {
            return;
        }
        inFlight--;
        List<Member> wanted = batch.stream()
                // Logged out, or refused by another message, while its login was under way.
                .filter(member -> member.state == State.ASKED && members.get(member.id()) == member)
                .toList();
        if (failure == null) {
            wanted.forEach(this::online);
        } else if (!(failure instanceof GatewayException refused) || refused.isTransient()) {
            log.warn("{}: {} sub-devices are not logged in yet: {}", line.device(), batch.size(), failure.getMessage());
            wanted.stream().mapToInt(member -> member.losses + 1).max().ifPresent(losses -> later(wanted, losses));
        } else if (batch.size() > 1) {
            log.warn("{}: a batch was refused and is tried one by one: {}", line.device(), refused.getMessage());
            wanted.forEach(member -> {
                member.state = State.WAITING;
                alone.add(member);
            });
        } else {
            wanted.forEach(member -> refused(member.id(), refused));
        }
        pump();
    }

    private void online(Member member) {
        member.state = State.ONLINE;
        member.suspect = false;
        member.onlineSince = nanoClock.getAsLong();
        line.opened(member.id());
        tell(member, new GatewayEvent.LoggedIn(member.id()));
    }

    /** Logs in again after a wait that grows with the number of times that it went wrong. */
    private void later(List<Member> batch, int losses) {
        int present = epoch;
        batch.forEach(member -> {
            member.state = State.WAITING;
            member.losses = losses;
        });
        Duration wait = losses == 0 ? Duration.ZERO : backoff.delay(losses);
        lane.schedule(
                () -> {
                    if (present == epoch) {
                        batch.stream()
                                .filter(member -> member.state == State.WAITING && members.get(member.id()) == member)
                                .forEach(this::queueUp);
                        pump();
                    }
                },
                wait.toNanos(),
                TimeUnit.NANOSECONDS);
    }

    private void refuse(Member member, GatewayException cause) {
        log.warn("{}: {}", member.id(), cause.getMessage());
        together.remove(member);
        alone.remove(member);
        member.state = State.OUT;
        member.refusal = cause;
        member.suspect = true;
        line.refused(member.id(), cause);
        tell(member, new GatewayEvent.LoginRefused(member.id(), cause));
    }

    private void forget(Member member, GatewayException cause) {
        together.remove(member);
        alone.remove(member);
        member.state = State.OUT;
        members.remove(member.id());
        line.forgotten(member.id(), cause);
        tell(member, new GatewayEvent.LoginRefused(member.id(), cause));
    }

    private void tell(Member member, GatewayEvent event) {
        events.accept(event);
        List<Waiting> told = List.copyOf(member.waiting);
        member.waiting.clear();
        told.forEach(waiting -> waiting.answered(event));
    }

    /** What is listened to for these devices. */
    private static List<String> filters(Collection<DeviceId> devices) {
        List<String> filters = new ArrayList<>();
        devices.forEach(device -> {
            Topics topics = Topics.of(device);
            filters.add(topics.upgrade());
            filters.add(topics.queryReply());
            for (String order : AliyunGateway.ORDERS) {
                filters.add("/sys/" + device.product() + "/" + device.name() + order);
            }
            filters.add(AliyunGateway.ERROR + device.product() + "/" + device.name());
        });
        return filters;
    }

    private enum State {
        /** It waits for a connection, or for its turn. */
        WAITING,
        /** It was asked for. */
        ASKED,
        ONLINE,
        /** It was refused. */
        OUT
    }

    private static final class Member {

        private final Set<Waiting> waiting = new LinkedHashSet<>(1);
        private final DeviceId id;
        private SubDevice device;
        private State state = State.OUT;
        private @Nullable GatewayException refusal;
        private boolean suspect;
        private int losses;
        private long onlineSince;

        Member(DeviceId id, SubDevice device) {
            this.id = id;
            this.device = device;
        }

        DeviceId id() {
            return id;
        }
    }

    /** Who waits for logins. */
    private static final class Waiting {

        private final FluxSink<GatewayEvent> sink;
        private int left;

        Waiting(FluxSink<GatewayEvent> sink, int left) {
            this.sink = sink;
            this.left = left;
        }

        void answered(GatewayEvent event) {
            sink.next(event);
            if (--left == 0) {
                sink.complete();
            }
        }
    }
}
