package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.Mutant;
import java.net.URI;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.test.scheduler.VirtualTimeScheduler;

/** A hundred devices whose server was away, and how they come back to it. */
class OutageStormTest {

    private static final int DEVICES = 100;
    private static final Duration OUTAGE = Duration.ofMinutes(5);
    private static final Backoff PATIENT = new Backoff(Duration.ofSeconds(1), Duration.ofMinutes(2), 100);
    private static final byte[] CONTENT = new byte[1_000];

    /** A hundred in two minutes are less than one in a second; that as many as this fall into one by chance is out of the question. */
    private static final int CROWD = 20;

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a server that cannot be reached,",
        "a server that asks for a minute, 60",
        "one that asks for a day, 86400"
    })
    void devicesDoNotComeBackTogether(String outage, @Nullable Integer retryAfter) {
        VirtualTimeScheduler time = VirtualTimeScheduler.create();
        NavigableMap<Long, Integer> perSecond = new TreeMap<>();
        Duration asked = retryAfter == null ? null : Duration.ofSeconds(retryAfter);
        MemorySource behind = new MemorySource();
        ArtifactSource server = new ArtifactSource() {
            @Override
            public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                return Flux.defer(() -> {
                    long now = time.now(TimeUnit.SECONDS);
                    perSecond.merge(now, 1, Integer::sum);
                    return now < OUTAGE.toSeconds()
                            ? Flux.error(new TransferException(Reason.SERVER_BUSY, "away", null, asked))
                            : behind.read(request, consumer);
                });
            }
        };
        List<UpgradeEvent.Succeeded> succeeded = new ArrayList<>();
        Disposable.Composite running = Disposables.composite();
        for (int i = 0; i < DEVICES; i++) {
            MemoryChannel channel = new MemoryChannel(new DeviceId("product", "device-" + i));
            OtaClient ota = OtaClient.builder(channel)
                    .source(server)
                    .store(new MemoryStore())
                    .backoff(PATIENT)
                    .scheduler(time)
                    .installer(verified -> verified.file()
                            .read()
                            .doOnNext(buffer -> buffer.release())
                            .then()
                            .thenReturn(Installer.Effect.IMMEDIATE))
                    .build();
            running.add(ota.upgrades().ofType(UpgradeEvent.Succeeded.class).subscribe(succeeded::add));
            URI location = URI.create("https://files.example.com/app.bin");
            behind.serve(location, CONTENT);
            channel.push(new UpgradeTrigger(
                    channel.device(),
                    "app",
                    "2",
                    new Artifact("app.bin", location, CONTENT.length, List.of(Digest.sha256(sha256())))));
        }

        time.advanceTimeBy(OUTAGE.plus(PATIENT.max().multipliedBy(3)));

        running.dispose();
        int peak = perSecond.tailMap(OUTAGE.toSeconds()).values().stream()
                .mapToInt(n -> n)
                .max()
                .orElseThrow();
        System.err.println("figure: " + DEVICES + " devices after an outage of " + OUTAGE.toMinutes() + " min ("
                + outage + "): at most " + peak + " requests in one second");
        assertThat(perSecond.firstEntry().getValue()).isGreaterThanOrEqualTo(DEVICES);
        assertThat(succeeded).hasSize(DEVICES);
        assertThat(peak).isLessThan(CROWD);
        behind.ledger().assertNoLeaks();
    }

    @Test
    void withoutChanceTheyWouldComeTogether() {
        Waits real = PATIENT::pause;
        spread(real, null);
        spread(real, Duration.ofMinutes(1));

        Mutant.assertCaught("full jitter", () -> spread((retry, asked) -> bound(retry), null));
        Mutant.assertCaught(
                "jitter after Retry-After",
                () -> spread((retry, asked) -> asked == null ? bound(retry) : asked, Duration.ofMinutes(1)));
    }

    private interface Waits {

        Duration before(int retry, @Nullable Duration asked);
    }

    /** The sixth time that a hundred come back which went away together, or the first when they were told when to. */
    private static void spread(Waits waits, @Nullable Duration asked) {
        int tries = asked == null ? 6 : 1;
        NavigableMap<Long, Integer> perSecond = new TreeMap<>();
        for (int i = 0; i < DEVICES; i++) {
            Duration at = Duration.ZERO;
            for (int retry = 1; retry <= tries; retry++) {
                at = at.plus(waits.before(retry, asked));
            }
            perSecond.merge(at.toSeconds(), 1, Integer::sum);
        }
        assertThat(perSecond.values()).allMatch(n -> n < CROWD);
    }

    private static Duration bound(int retry) {
        Duration doubled = PATIENT.first().multipliedBy(1L << (retry - 1));
        return doubled.compareTo(PATIENT.max()) < 0 ? doubled : PATIENT.max();
    }

    private static String sha256() {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(CONTENT));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
