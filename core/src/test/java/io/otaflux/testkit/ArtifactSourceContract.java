package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.util.ReferenceCountUtil;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Content;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.Digest;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

/**
 * What every {@link ArtifactSource} promises. A test class that implements {@link #origin()} inherits the tests.
 *
 * <p>Each test has an origin of its own and, at its end, expects that not one buffer of the origin's {@link
 * Origin#ledger()} is left.
 */
public interface ArtifactSourceContract {

    /** The longest that any one step of a test may take. */
    Duration PATIENCE = Duration.ofSeconds(30);

    /** A new place to fetch from, with nothing in it. */
    Origin origin();

    /** A place whose content the test decides, and a source that fetches from it. */
    interface Origin extends AutoCloseable {

        /** The source under test. Always the same one. */
        ArtifactSource source();

        /** Where the buffers that the source hands out are written down. */
        BufferLedger ledger();

        /**
         * Puts {@code content} there in place of what was there before; other content has another validator.
         *
         * @return where it is; the same at each call
         */
        URI serve(byte[] content);

        /** Takes away what is there. */
        void remove();

        @Override
        void close();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 8_191, 65_537, 3_000_001})
    default void theWholeArtifactArrivesByteForByte(int size) {
        byte[] content = randomBytes(size);
        try (Origin origin = origin()) {
            Answer answer = ask(origin, artifact(origin.serve(content), size), 0, null);

            assertThat(answer.offset()).isZero();
            assertThat(answer.size()).isEqualTo(size);
            assertThat(answer.bytes()).isEqualTo(content);
            assertNoLeaks(origin);
        }
    }

    @Test
    default void anArtifactOfUnknownSizeArrivesWhole() {
        byte[] content = randomBytes(100_000);
        try (Origin origin = origin()) {
            Answer answer = ask(origin, artifact(origin.serve(content), Artifact.UNKNOWN_SIZE), 0, null);

            assertThat(answer.size()).isIn(Artifact.UNKNOWN_SIZE, (long) content.length);
            assertThat(answer.bytes()).isEqualTo(content);
            assertNoLeaks(origin);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 70_000, 199_999})
    default void theAnswerGoesOnAtTheOffsetWhileTheContentIsTheSame(int offset) {
        byte[] content = randomBytes(200_000);
        try (Origin origin = origin()) {
            Artifact artifact = artifact(origin.serve(content), content.length);
            String validator = ask(origin, artifact, 0, null).validator();

            Answer rest = ask(origin, artifact, offset, validator);

            assertThat(rest.offset()).isEqualTo(offset);
            assertThat(rest.size()).isEqualTo(content.length);
            assertThat(rest.validator()).isEqualTo(validator);
            assertThat(rest.bytes()).isEqualTo(Arrays.copyOfRange(content, offset, content.length));
            assertNoLeaks(origin);
        }
    }

    @Test
    default void theAnswerStartsOverWhenTheContentIsAnother() {
        byte[] before = randomBytes(200_000);
        byte[] after = randomBytes(200_000);
        try (Origin origin = origin()) {
            Artifact artifact = artifact(origin.serve(before), before.length);
            String validator = ask(origin, artifact, 0, null).validator();
            origin.serve(after);

            assertThat(validator)
                    .as("a source that resumes tells contents apart")
                    .isNotNull();
            Answer answer = ask(origin, artifact, 100_000, validator);

            assertThat(answer.offset()).isZero();
            assertThat(answer.validator()).isNotEqualTo(validator);
            assertThat(answer.bytes()).isEqualTo(after);
            assertNoLeaks(origin);
        }
    }

    @Test
    default void withoutAValidatorTheAnswerGoesOnOrStartsOver() {
        byte[] content = randomBytes(200_000);
        try (Origin origin = origin()) {
            Answer answer = ask(origin, artifact(origin.serve(content), content.length), 150_000, null);

            assertThat(answer.offset()).isIn(0L, 150_000L);
            assertThat(answer.bytes())
                    .isEqualTo(Arrays.copyOfRange(content, Math.toIntExact(answer.offset()), content.length));
            assertNoLeaks(origin);
        }
    }

    @Test
    default void nothingIsAskedBeforeSubscriptionAndEachSubscriptionAsksAgain() {
        byte[] before = randomBytes(1_000);
        byte[] after = randomBytes(1_000);
        try (Origin origin = origin()) {
            Artifact artifact = artifact(origin.serve(randomBytes(1_000)), 1_000);
            Flux<byte[]> asked =
                    origin.source().read(new Request(artifact, 0, null), content -> collect(content.bytes()));

            origin.serve(before);
            asked.as(StepVerifier::create)
                    .assertNext(bytes -> assertThat(bytes).isEqualTo(before))
                    .expectComplete()
                    .verify(PATIENCE);
            origin.serve(after);
            asked.as(StepVerifier::create)
                    .assertNext(bytes -> assertThat(bytes).isEqualTo(after))
                    .expectComplete()
                    .verify(PATIENCE);
            assertNoLeaks(origin);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 1})
    default void anotherLengthThanTheDeclaredOneFailsBeforeTheFirstByte(int difference) {
        try (Origin origin = origin()) {
            long declared = 50_000;
            URI location = origin.serve(randomBytes(Math.toIntExact(declared) + difference));
            AtomicBoolean called = new AtomicBoolean();

            origin.source()
                    .read(new Request(artifact(location, declared), 0, null), content -> {
                        called.set(true);
                        return collect(content.bytes());
                    })
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> {
                        assertThat(error).isInstanceOf(LengthMismatchException.class);
                        LengthMismatchException mismatch = (LengthMismatchException) error;
                        assertThat(mismatch.expected()).isEqualTo(declared);
                        assertThat(mismatch.actual()).isEqualTo(declared + difference);
                        assertThat(mismatch.reason())
                                .isEqualTo(difference > 0 ? Reason.ENDLESS_DATA : Reason.TRUNCATED);
                    })
                    .verify(PATIENCE);

            assertThat(called).as("consumer was called").isFalse();
            assertNoLeaks(origin);
        }
    }

    @Test
    default void anArtifactThatIsNotThereIsAPermanentError() {
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(10));
            origin.remove();

            origin.source()
                    .read(new Request(artifact(location, 10), 0, null), content -> collect(content.bytes()))
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> {
                        assertThat(error).isInstanceOf(SourceException.class);
                        assertThat(((SourceException) error).reason()).isEqualTo(Reason.NOT_FOUND);
                        assertThat(((SourceException) error).isTransient()).isFalse();
                    })
                    .verify(PATIENCE);
            assertNoLeaks(origin);
        }
    }

    @Test
    default void whatTheConsumerMakesOfTheAnswerIsEmitted() {
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(100_000));

            origin.source()
                    .read(
                            new Request(artifact(location, 100_000), 0, null),
                            content -> content.bytes()
                                    .map(ArtifactSourceContract::measure)
                                    .reduce(0, Integer::sum)
                                    .flatMapMany(sum -> Flux.just("first", "second", sum.toString())))
                    .as(StepVerifier::create)
                    .expectNext("first", "second", "100000")
                    .expectComplete()
                    .verify(PATIENCE);
            assertNoLeaks(origin);
        }
    }

    @Test
    default void anErrorOfTheConsumerPassesThroughUnchanged() {
        IllegalStateException bug = new IllegalStateException("the consumer's own");
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(500_000));
            Request request = new Request(artifact(location, 500_000), 0, null);

            origin.source()
                    .read(
                            request,
                            content -> content.bytes().handle((buffer, sink) -> {
                                buffer.release();
                                sink.error(bug);
                            }))
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error).isSameAs(bug))
                    .verify(PATIENCE);
            origin.source()
                    .read(request, content -> {
                        throw bug;
                    })
                    .as(StepVerifier::create)
                    .expectErrorSatisfies(error -> assertThat(error).isSameAs(bug))
                    .verify(PATIENCE);

            assertNoLeaks(origin);
            assertWorks(origin);
        }
    }

    @Test
    default void aConsumerThatLeavesTheBytesAloneHarmsNobody() {
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(2_000_000));

            Flux.range(0, 20)
                    .concatMap(i -> origin.source()
                            .read(
                                    new Request(artifact(location, 2_000_000), 0, null),
                                    content -> Mono.just(content.size())))
                    .as(StepVerifier::create)
                    .expectNextCount(20)
                    .expectComplete()
                    .verify(PATIENCE);

            assertNoLeaks(origin);
            assertWorks(origin);
        }
    }

    @Test
    default void cancellationEndsTheRequestAndReleasesWhatIsOnItsWay() {
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(5_000_000));

            Flux.range(0, 20)
                    .concatMap(i -> origin.source()
                            .read(
                                    new Request(artifact(location, 5_000_000), 0, null),
                                    content -> content.bytes().map(ArtifactSourceContract::measure))
                            .take(1))
                    .as(StepVerifier::create)
                    .expectNextCount(20)
                    .expectComplete()
                    .verify(PATIENCE);

            assertNoLeaks(origin);
            assertWorks(origin);
        }
    }

    @Test
    default void noMoreBuffersComeThanWereAskedFor() {
        try (Origin origin = origin()) {
            URI location = origin.serve(randomBytes(5_000_000));
            Hesitant hesitant = new Hesitant();

            origin.source()
                    .read(new Request(artifact(location, 5_000_000), 0, null), content -> {
                        content.bytes().subscribe(hesitant);
                        return hesitant.ended();
                    })
                    .subscribe();

            hesitant.awaitSubscription();
            for (int i = 1; i <= 5; i++) {
                hesitant.request(1);
                int expected = i;
                Awaitility.await().atMost(PATIENCE).until(() -> hesitant.received() >= expected);
                assertThat(hesitant.received()).isEqualTo(expected);
            }
            Awaitility.await().during(Duration.ofMillis(300)).atMost(PATIENCE).until(() -> hesitant.received() == 5);
            hesitant.cancel();
            assertNoLeaks(origin);
            assertWorks(origin);
        }
    }

    @Test
    default void anOffsetBeforeTheStartIsABug() {
        assertThatThrownBy(() -> new Request(artifact(URI.create("https://example.org/a"), 1), -1, null))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("offset: -1");
    }

    private static void assertWorks(Origin origin) {
        byte[] content = randomBytes(10_000);
        assertThat(ask(origin, artifact(origin.serve(content), content.length), 0, null)
                        .bytes())
                .isEqualTo(content);
    }

    private static void assertNoLeaks(Origin origin) {
        Awaitility.await().atMost(PATIENCE).untilAsserted(origin.ledger()::assertNoLeaks);
    }

    /** A source moves bytes and leaves the digest to those who take them, so that it is never the right one here. */
    private static Artifact artifact(URI location, long size) {
        return new Artifact("artifact.bin", location, size, List.of(Digest.sha256("0".repeat(64))));
    }

    private static Answer ask(Origin origin, Artifact artifact, long offset, @Nullable String validator) {
        AtomicReference<Answer> answer = new AtomicReference<>();
        origin.source()
                .read(
                        new Request(artifact, offset, validator),
                        content -> collect(content.bytes()).map(bytes -> Answer.of(content, bytes)))
                .as(StepVerifier::create)
                .consumeNextWith(answer::set)
                .expectComplete()
                .verify(PATIENCE);
        return answer.get();
    }

    private static Mono<byte[]> collect(Flux<ByteBuf> bytes) {
        return bytes.doOnDiscard(ByteBuf.class, ReferenceCountUtil::release)
                .reduceWith(ByteArrayOutputStream::new, (collected, buffer) -> {
                    collected.writeBytes(ByteBufUtil.getBytes(buffer));
                    buffer.release();
                    return collected;
                })
                .map(ByteArrayOutputStream::toByteArray);
    }

    private static int measure(ByteBuf buffer) {
        int readable = buffer.readableBytes();
        buffer.release();
        return readable;
    }

    private static byte[] randomBytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }

    /** An answer with all its bytes. */
    record Answer(long offset, long size, @Nullable String validator, byte[] bytes) {

        static Answer of(Content content, byte[] bytes) {
            return new Answer(content.offset(), content.size(), content.validator(), bytes);
        }
    }

    /** A subscriber that asks for nothing by itself. */
    final class Hesitant extends BaseSubscriber<ByteBuf> {

        private final Sinks.Empty<Void> ended = Sinks.empty();
        private volatile int received;
        private volatile boolean subscribed;

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            subscribed = true;
        }

        @Override
        protected void hookOnNext(ByteBuf buffer) {
            buffer.release();
            received = received + 1;
        }

        @Override
        protected void hookFinally(SignalType type) {
            ended.tryEmitEmpty();
        }

        int received() {
            return received;
        }

        Mono<Void> ended() {
            return ended.asMono();
        }

        void awaitSubscription() {
            Awaitility.await().atMost(PATIENCE).until(() -> subscribed);
        }
    }
}
