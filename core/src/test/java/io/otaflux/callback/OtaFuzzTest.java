package io.otaflux.callback;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.otaflux.ArtifactSource;
import io.otaflux.Backoff;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemoryStore;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.reactivestreams.Publisher;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;

/**
 * Whatever is in a dictionary, every function answers with a number. An input has a line {@code key=type:value} for each
 * entry; the types are those of {@link #value}.
 */
class OtaFuzzTest {

    private static final Set<Integer> CODES =
            Arrays.stream(ResultCode.values()).map(ResultCode::code).collect(Collectors.toUnmodifiableSet());

    /** There, and nothing in it is: what is fuzzed must not read or write files elsewhere. */
    private static final Path NOWHERE = Path.of(System.getProperty("java.io.tmpdir"), "otaflux-fuzz-nowhere");

    private static @Nullable Ota running;

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    @AfterAll
    static void stop() {
        if (running != null) {
            running.close();
            running = null;
        }
        log().setLevel(null);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        Map<String, Object> arguments = new HashMap<>();
        for (String line : new String(input, UTF_8).split("\n")) {
            int equals = line.indexOf('=');
            if (equals >= 0) {
                arguments.put(line.substring(0, equals), value(line.substring(equals + 1)));
            }
        }
        Ota ota = ota();
        assertThat(CODES).contains(ota.init(arguments), ota.report(arguments));
        if (staysNowhere(arguments.get("store_path"))) {
            assertThat(CODES).contains(ota.download(arguments), ota.verify(arguments), ota.upgrade(arguments));
        }
        Ota fresh = new Ota();
        assertThat(List.of(
                        fresh.report(arguments),
                        fresh.download(arguments),
                        fresh.verify(arguments),
                        fresh.upgrade(arguments)))
                .containsOnly(ResultCode.INIT_FAIL.code());
        fresh.close();
    }

    private static synchronized Ota ota() {
        if (running == null) {
            log().setLevel(Level.OFF);
            Ota ota = Ota.builder()
                    .store(new MemoryStore())
                    .source(new ArtifactSource() {
                        @Override
                        public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
                            return Flux.error(new SourceException(Reason.NOT_FOUND, 404, "nothing is there", null));
                        }
                    })
                    .client(client -> client.backoff(Backoff.none()))
                    .build();
            assertThat(ota.init(Map.of("device_handle", DeviceHandles.register(new MemoryChannel()))))
                    .isZero();
            running = ota;
        }
        return running;
    }

    private static Logger log() {
        return (Logger) LoggerFactory.getLogger("io.otaflux");
    }

    private static @Nullable Object value(String text) {
        String value = text.length() < 2 ? "" : text.substring(2);
        return switch (text.isEmpty() ? ' ' : text.charAt(0)) {
            case 's' -> value;
            case 'p' -> NOWHERE + "/" + value;
            case 'i' -> value.hashCode();
            case 'l' -> (long) value.hashCode() << 20;
            case 'd' -> (double) value.length();
            case 'b' -> value.getBytes(UTF_8);
            case 'm' -> Map.of(value, value);
            case 'c' -> new StringBuilder(value);
            default -> null;
        };
    }

    private static boolean staysNowhere(@Nullable Object path) {
        try {
            return !(path instanceof String text)
                    || Path.of(text).toAbsolutePath().normalize().startsWith(NOWHERE);
        } catch (InvalidPathException e) {
            return true;
        }
    }
}
