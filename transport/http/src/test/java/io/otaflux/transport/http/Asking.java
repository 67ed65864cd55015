package io.otaflux.transport.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.util.ReferenceCountUtil;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Content;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.Digest;
import io.otaflux.OtaException;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** Asks a source and waits for what comes of it. */
final class Asking {

    static final Duration PATIENCE = Duration.ofSeconds(30);

    private Asking() {}

    /** For a source that may ask the servers of these tests, which are on loopback. */
    static HttpArtifactSource.Builder local() {
        return HttpArtifactSource.builder().allowNetworks("127.0.0.0/8", "::1/128");
    }

    static Artifact artifact(URI location, long size) {
        return new Artifact("artifact.bin", location, size, List.of(Digest.sha256("0".repeat(64))));
    }

    static Request whole(URI location, long size) {
        return new Request(artifact(location, size), 0, null);
    }

    static Request rest(URI location, long size, long offset, @Nullable String validator) {
        return new Request(artifact(location, size), offset, validator);
    }

    static Answer ask(ArtifactSource source, Request request) {
        AtomicReference<Answer> answer = new AtomicReference<>();
        source.read(
                        request,
                        content -> collect(content.bytes())
                                .map(bytes -> new Answer(content.offset(), content.size(), content.validator(), bytes)))
                .as(StepVerifier::create)
                .consumeNextWith(answer::set)
                .expectComplete()
                .verify(PATIENCE);
        return answer.get();
    }

    static OtaException failure(ArtifactSource source, Request request) {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        source.read(request, (Content content) -> collect(content.bytes()))
                .as(StepVerifier::create)
                .expectErrorSatisfies(failure::set)
                .verify(PATIENCE);
        assertThat(failure.get()).isInstanceOf(OtaException.class);
        return (OtaException) failure.get();
    }

    static Mono<byte[]> collect(Flux<ByteBuf> bytes) {
        return bytes.doOnDiscard(ByteBuf.class, ReferenceCountUtil::release)
                .reduceWith(ByteArrayOutputStream::new, (collected, buffer) -> {
                    collected.writeBytes(ByteBufUtil.getBytes(buffer));
                    buffer.release();
                    return collected;
                })
                .map(ByteArrayOutputStream::toByteArray);
    }

    /** An answer with all its bytes. */
    record Answer(long offset, long size, @Nullable String validator, byte[] bytes) {

        String text() {
            return new String(bytes, ISO_8859_1);
        }
    }
}
