package io.otaflux.samples.platform;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Who may use the API and the page: whoever shows the token, in a header that a browser never adds by itself, so that no other
 * site can have it do anything.
 *
 * <p>A wrong token is answered after a pause, and while {@value #MOST_WAITING} wrong ones wait no token is looked at: guessing
 * has a speed limit however many connections it comes over. The pause does not end with its connection, which would be a way
 * to skip it.
 *
 * <p>A platform that listens on the loopback address only answers to names that mean this machine: a page of another site
 * whose name was made to point to 127.0.0.1 (DNS rebinding) would otherwise be of the same origin as the platform.
 */
final class Access {

    static final int MOST_WAITING = 32;
    static final Duration PAUSE = Duration.ofMillis(300);

    private static final Pattern LOOPBACK = Pattern.compile("127(\\.\\d{1,3}){3}");
    private static final Pattern PORT = Pattern.compile(":\\d{0,5}$");

    private final byte[] expected;
    private final AtomicInteger waiting = new AtomicInteger();
    private final @Nullable Set<String> names;

    /** @param names those the platform is asked by, or null for any; names that mean the loopback address need not be there */
    private Access(String token, @Nullable Set<String> names) {
        this.expected = ("Bearer " + token).getBytes(StandardCharsets.UTF_8);
        this.names = names;
    }

    /**
     * The rules for a platform that listens on {@code host}.
     *
     * @param publicAddress what others reach it by, for example through a proxy on this machine; null if nobody said
     */
    static Access of(String token, String host, @Nullable URI publicAddress) {
        if (!isLoopback(host.toLowerCase(Locale.ROOT))) {
            return new Access(token, null);
        }
        Set<String> names = new HashSet<>();
        if (publicAddress != null && publicAddress.getHost() != null) {
            names.add(publicAddress.getHost().toLowerCase(Locale.ROOT));
        }
        return new Access(token, names);
    }

    enum Verdict {
        GRANTED,
        NO_TOKEN,
        WRONG_TOKEN,
        TOO_MANY
    }

    /** What becomes of a request with this header; emits late if the token is wrong. */
    Mono<Verdict> check(@Nullable String authorization) {
        return Mono.defer(() -> {
            if (authorization == null) {
                return Mono.just(Verdict.NO_TOKEN);
            }
            if (waiting.get() >= MOST_WAITING) {
                return Mono.just(Verdict.TOO_MANY);
            }
            if (MessageDigest.isEqual(expected, authorization.getBytes(StandardCharsets.UTF_8))) {
                return Mono.just(Verdict.GRANTED);
            }
            waiting.incrementAndGet();
            Mono<Long> pause = Mono.delay(PAUSE)
                    .doFinally(end -> waiting.decrementAndGet())
                    .cache();
            pause.subscribe();
            return pause.thenReturn(Verdict.WRONG_TOKEN);
        });
    }

    /** Whether a request with this Host header is for a name that the platform goes by. */
    boolean isForUs(@Nullable String host) {
        if (names == null) {
            return true;
        }
        if (host == null) {
            return false;
        }
        String name = PORT.matcher(host.toLowerCase(Locale.ROOT)).replaceFirst("");
        return isLoopback(name) || names.contains(name);
    }

    private static boolean isLoopback(String name) {
        return name.equals("localhost")
                || name.equals("::1")
                || name.equals("[::1]")
                || LOOPBACK.matcher(name).matches();
    }
}
