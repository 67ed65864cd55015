package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.samples.platform.Access.Verdict;
import io.otaflux.testkit.Mutant;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

class AccessTest {

    private static final String TOKEN = "CANARY-0123456789abcdef";
    private static final String RIGHT = "Bearer " + TOKEN;
    private static final String WRONG = "Bearer CANARY-guess";

    private VirtualTimeScheduler time;

    @BeforeEach
    void stopTheClock() {
        time = VirtualTimeScheduler.getOrSet();
    }

    @AfterEach
    void startTheClock() {
        VirtualTimeScheduler.reset();
    }

    @Test
    void theTokenIsGrantedAndItsAbsenceIsToldAtOnce() {
        Access access = Access.of(TOKEN, "127.0.0.1", null);

        assertThat(verdict(access.check(RIGHT))).containsExactly(Verdict.GRANTED);
        assertThat(verdict(access.check(null))).containsExactly(Verdict.NO_TOKEN);
    }

    @Test
    void aWrongTokenIsAnsweredAfterAPause() {
        Access access = Access.of(TOKEN, "127.0.0.1", null);
        for (String wrong : List.of("", "Bearer", TOKEN, RIGHT + "0", RIGHT.substring(0, 20), "bearer " + TOKEN)) {
            List<Verdict> verdict = verdict(access.check(wrong));
            time.advanceTimeBy(Access.PAUSE.minusMillis(1));
            assertThat(verdict).as(wrong).isEmpty();
            time.advanceTimeBy(Duration.ofMillis(1));
            assertThat(verdict).as(wrong).containsExactly(Verdict.WRONG_TOKEN);
        }
    }

    @Test
    void whileManyWrongTokensWaitNoneIsLookedAt() {
        harnessOfGuessing(Access.of(TOKEN, "127.0.0.1", null)::check);
    }

    @Test
    void aPauseThatEndsWithItsConnectionIsCaught() {
        AtomicInteger waiting = new AtomicInteger();
        Mutant.assertCaught(
                "a pause that outlives its connection",
                () -> harnessOfGuessing(authorization -> {
                    if (waiting.get() >= Access.MOST_WAITING) {
                        return Mono.just(Verdict.TOO_MANY);
                    }
                    if (RIGHT.equals(authorization)) {
                        return Mono.just(Verdict.GRANTED);
                    }
                    return Mono.delay(Access.PAUSE)
                            .doOnSubscribe(subscription -> waiting.incrementAndGet())
                            .doFinally(end -> waiting.decrementAndGet())
                            .thenReturn(Verdict.WRONG_TOKEN);
                }));
    }

    private void harnessOfGuessing(Function<String, Mono<Verdict>> check) {
        for (int i = 0; i < Access.MOST_WAITING; i++) {
            // Who hangs up at once, because a right token would have been answered by then, gains nothing.
            Disposable guess = check.apply(WRONG).subscribe();
            guess.dispose();
        }
        assertThat(verdict(check.apply(WRONG))).containsExactly(Verdict.TOO_MANY);
        assertThat(verdict(check.apply(RIGHT))).containsExactly(Verdict.TOO_MANY);
        time.advanceTimeBy(Access.PAUSE);
        assertThat(verdict(check.apply(RIGHT))).containsExactly(Verdict.GRANTED);
    }

    @Test
    void onTheLoopbackAddressOnlyNamesOfThisMachineAreOurs() {
        for (String bound : List.of("127.0.0.1", "localhost", "::1", "127.1.2.3", "LOCALHOST")) {
            harnessOfNames(Access.of(TOKEN, bound, URI.create("https://ota.example.com/base"))::isForUs);
        }
    }

    @Test
    void aNameThatBeginsLikeOursIsCaught() {
        Mutant.assertCaught(
                "the whole of the Host header",
                () -> harnessOfNames(host -> host != null
                        && (host.startsWith("127.0.0.1")
                                || host.startsWith("127.")
                                || host.startsWith("[::1]")
                                || host.toLowerCase(Locale.ROOT).startsWith("localhost")
                                || host.toLowerCase(Locale.ROOT).startsWith("ota.example.com"))));
        Mutant.assertCaught("the guard against DNS rebinding", () -> harnessOfNames(host -> true));
    }

    private static void harnessOfNames(Predicate<@Nullable String> isForUs) {
        for (String ours : List.of(
                "127.0.0.1",
                "127.0.0.1:8080",
                "127.9.9.9:1",
                "localhost:8080",
                "LocalHost",
                "[::1]:8080",
                "ota.example.com",
                "OTA.example.com:443")) {
            assertThat(isForUs.test(ours)).as(ours).isTrue();
        }
        for (String other : List.of(
                "",
                "evil.example",
                "127.0.0.1.evil.example",
                "localhost.evil.example:8080",
                "evil.example:127.0.0.1",
                "ota.example.com.evil.example",
                "example.com",
                "[::1].evil.example",
                "0.0.0.0",
                "10.0.0.1:8080")) {
            assertThat(isForUs.test(other)).as(other).isFalse();
        }
        assertThat(isForUs.test(null)).isFalse();
    }

    @Test
    void whoListensOnANetworkIsAskedByAnyName() {
        Access access = Access.of(TOKEN, "0.0.0.0", null);

        assertThat(access.isForUs("ota.example.com")).isTrue();
        assertThat(access.isForUs(null)).isTrue();
    }

    private static List<Verdict> verdict(Mono<Verdict> check) {
        List<Verdict> verdicts = new ArrayList<>();
        check.subscribe(verdicts::add);
        return verdicts;
    }
}
