package io.otaflux;

import io.netty.buffer.ByteBuf;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Where the bytes of artifacts come from. */
public interface ArtifactSource {

    /**
     * Asks once for an artifact and hands the answer to {@code consumer}. Each subscription is one request (redirects
     * included); nothing is asked before.
     *
     * <p>The scoped form leaves no answer unread: when what {@code consumer} returned ends or is cancelled, the request
     * ends with it, and the connection is closed or reused.
     *
     * @return a {@code Flux} of what {@code consumer} makes of the answer. It errors with {@link TransferException} where
     *     asking again may help, with {@link SourceException} where it will not, and with {@link LengthMismatchException}
     *     when the source has another number of bytes than {@link Artifact#size()}; errors of {@code consumer}'s
     *     publisher pass through unchanged
     */
    <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer);

    /**
     * Gives back what the source holds, such as connections and threads. Requests that are under way end with an error.
     *
     * @return a {@code Mono} that starts when it is subscribed to, and completes when nothing is held any more. Defaults to
     *     nothing to do
     */
    default Mono<Void> close() {
        return Mono.empty();
    }

    /**
     * What is asked for.
     *
     * @param artifact which artifact
     * @param offset how many bytes are here already; the answer should go on from there
     * @param validator what {@link Content#validator()} was when those bytes came; null where there was none, and then
     *     an answer that goes on at {@code offset} proves nothing by itself
     */
    record Request(Artifact artifact, long offset, @Nullable String validator) {

        public Request {
            if (offset < 0) {
                throw new IllegalArgumentException("offset: " + offset + " (expected: >= 0)");
            }
        }
    }

    /**
     * The answer, before its first byte.
     *
     * @param offset where {@code bytes} start: the offset that was asked for, or 0 when the source starts over
     * @param size how many bytes the whole artifact has, or {@link Artifact#UNKNOWN_SIZE}
     * @param validator what identifies this very content at its source, to be handed back unchanged when the transfer
     *     goes on later; null where the source has nothing of the kind
     * @param bytes the bytes, to be subscribed to at most once. The subscriber releases each buffer. Buffers arrive on an
     *     event loop, which must not be blocked; demand reaches the socket. It errors like {@link #read}, and completes
     *     only at the true end
     */
    record Content(long offset, long size, @Nullable String validator, Flux<ByteBuf> bytes) {}

    /** Makes a source with default settings; found with {@link java.util.ServiceLoader} by programs that configure none. */
    interface Provider {

        ArtifactSource create();
    }
}
