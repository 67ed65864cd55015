package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Hooks;

/** Logins in virtual time. */
class SessionsTest {

    @Test
    void inNoSecondAreMoreThanTwoHundredLoggedInAlsoAcrossReconnects() {
        assertStaysBelowTheLimit(150, false);
    }

    @Test
    void aRateThatIsTooHighOrForgetsTheConnectionBeforeIsFound() {
        Mutant.assertCaught("a limit of logins", () -> assertStaysBelowTheLimit(1000, false));
        Mutant.assertCaught("a limit across connections", () -> assertStaysBelowTheLimit(150, true));
    }

    /** @param renewed whether each connection begins with a new bucket */
    private static void assertStaysBelowTheLimit(int perSecond, boolean renewed) {
        PlayedLine played = new PlayedLine();
        played.limit(perSecond);
        played.login(2000);
        for (int connection = 0; connection < 6; connection++) {
            if (renewed) {
                played.limit(perSecond);
            }
            played.connect();
            played.pass(Duration.ofMillis(150));
            played.disconnect();
        }
        played.connect();
        played.pass(Duration.ofSeconds(20));

        assertThat(played.online).hasSize(2000);
        List<Long> logins = played.logins;
        for (int first = 0, last = 0; first < logins.size(); first++) {
            while (last < logins.size() && logins.get(last) - logins.get(first) < TimeUnit.SECONDS.toNanos(1)) {
                last++;
            }
            assertThat(last - first).as("logins within a second").isLessThanOrEqualTo(200);
        }
    }

    @Test
    void aDeviceThatThePlatformCannotAnswerForHoldsUpNobody() {
        PlayedLine played = new PlayedLine();
        played.codes.put(id(1), "500");
        played.login(1);
        played.connect();
        played.pass(Duration.ofSeconds(1));

        played.login(120);
        played.pass(Duration.ofSeconds(2));

        assertThat(played.online).hasSizeGreaterThanOrEqualTo(70);
        played.codes.clear();
        played.pass(Duration.ofMinutes(1));
        assertThat(played.online).hasSize(120);
    }

    @Test
    void aSessionThatIsLostAgainAndAgainIsMadeAtGrowingIntervals() {
        PlayedLine played = new PlayedLine();
        played.login(1);
        played.connect();
        for (int second = 0; second < 600; second++) {
            played.pass(Duration.ofSeconds(1));
            if (played.online.contains(id(1))) {
                played.sessions.refused(id(1), new GatewayException(Refusal.NO_SESSION, "no session"));
            }
        }

        assertThat(played.logins).hasSizeBetween(5, 60);
    }

    @Test
    void oneThatWasRefusedGoesIntoNoBatchAnyMore() {
        PlayedLine played = new PlayedLine();
        played.codes.put(id(7), "6204");
        played.login(20);
        played.connect();
        played.pass(Duration.ofSeconds(5));
        assertThat(played.online).hasSize(19);
        assertThat(played.requests).containsExactly(20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);

        played.requests.clear();
        played.disconnect();
        played.connect();
        played.pass(Duration.ofSeconds(5));

        assertThat(played.requests).containsExactly(19, 1);
        assertThat(played.refused).containsKey(id(7));
    }

    @Test
    void whatIsAnsweredAfterTheConnectionIsAnswerToNothing() {
        PlayedLine played = new PlayedLine();
        played.login(1);
        played.connect();
        played.pass(PlayedLine.LATENCY.dividedBy(2));
        played.disconnect();
        played.pass(PlayedLine.LATENCY);

        assertThat(played.online).isEmpty();
    }

    @Test
    void aLoginThatIsNotAnsweredIsAskedForAgain() {
        PlayedLine played = new PlayedLine();
        played.codes.put(id(1), PlayedLine.SILENCE);
        played.login(1);
        played.connect();
        played.pass(PlayedLine.TIMEOUT);
        played.codes.clear();
        played.pass(Duration.ofSeconds(5));

        assertThat(played.requests).hasSize(2);
        assertThat(played.online).containsExactly(id(1));
    }

    @Test
    void aRequestThatIsNeverAnsweredFailsAfterFiveTimes() {
        PlayedLine played = new PlayedLine();
        played.codes.put(id(1), PlayedLine.SILENCE);
        List<Throwable> failures = new ArrayList<>();
        played.gateway().add(List.of(TestTopology.sub(1))).subscribe(never -> {}, failures::add);
        played.pass(Duration.ofMinutes(2));

        assertThat(played.requests).containsExactly(1, 1, 1, 1, 1);
        assertThat(failures)
                .singleElement()
                .isInstanceOfSatisfying(
                        ChannelException.class, e -> assertThat(e.reason()).isEqualTo(Reason.TIMEOUT));
    }

    @Test
    void whoWaitsForManyLoginsIsToldOnceThatTheyWillNotCome() {
        PlayedLine played = new PlayedLine();
        List<Throwable> failures = new ArrayList<>();
        List<Throwable> dropped = Collections.synchronizedList(new ArrayList<>());
        Hooks.onErrorDropped(dropped::add);
        try {
            played.sessions
                    .login(IntStream.range(1, 100).mapToObj(TestTopology::sub).toList())
                    .subscribe(event -> {}, failures::add);
            played.sessions.login(List.of(TestTopology.sub(1))).subscribe().dispose();
            played.pass(Duration.ZERO);
            played.sessions.fail(new IllegalStateException("refused"));
        } finally {
            Hooks.resetOnErrorDropped();
        }

        assertThat(failures).hasSize(1);
        assertThat(dropped).isEmpty();
    }

    @Test
    void connectionsThatWereLostDoNotMakeALaterLoginWait() {
        PlayedLine played = new PlayedLine();
        played.login(1);
        for (int connection = 0; connection < 50; connection++) {
            played.connect();
            played.pass(PlayedLine.LATENCY.dividedBy(2));
            played.disconnect();
        }
        played.codes.put(id(1), "429");
        played.connect();
        played.pass(PlayedLine.LATENCY.multipliedBy(2));
        played.codes.clear();
        played.pass(Duration.ofSeconds(1));

        assertThat(played.online).containsExactly(id(1));
    }

    @Test
    void anErrorThatEndsNoSessionLeavesItAlone() {
        PlayedLine played = new PlayedLine();
        played.login(1);
        played.connect();
        played.pass(Duration.ofSeconds(1));

        for (String code : List.of("429", "500", "503")) {
            played.sessions.refused(id(1), GatewayException.answered("the session of " + id(1), code));
        }

        assertThat(played.sessions.isOnline(id(1))).isTrue();
        assertThat(played.refused).isEmpty();
    }

    @Test
    void aLogoutThatComesTooOftenIsRepeatedAsItWas() {
        PlayedLine played = new PlayedLine();
        played.login(3);
        played.connect();
        played.pass(Duration.ofSeconds(1));
        played.requests.clear();
        played.codes.put(id(2), "429");
        List<String> ends = new ArrayList<>();
        played.sessions
                .logout(List.of(id(1), id(2), id(3)))
                .subscribe(never -> {}, failure -> ends.add(failure.toString()), () -> ends.add("done"));
        played.pass(PlayedLine.LATENCY);

        assertThat(played.requests).containsExactly(3);
        played.codes.clear();
        played.pass(Duration.ofMinutes(1));
        assertThat(played.requests).containsExactly(3, 3);
        assertThat(ends).containsExactly("done");
    }

    private static DeviceId id(int number) {
        return TestTopology.sub(number).id();
    }
}
