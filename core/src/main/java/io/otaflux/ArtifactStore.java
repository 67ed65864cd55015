package io.otaflux;

import io.netty.buffer.ByteBuf;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Keeps artifacts across restarts. A partly written artifact survives a crash up to its last durable byte; a committed
 * one is complete, is named by its digest and never changes. No reader ever sees a partial artifact.
 *
 * <p>Whatever the medium does wrong is signalled as {@link StorageException}. Work happens on threads of the store that
 * may block, never on the subscriber's.
 */
public interface ArtifactStore {

    /**
     * Finds a committed artifact by the strongest of {@code digests}.
     *
     * @return a {@code Mono} that emits it, referenced until {@link Stored#release()}, or completes empty
     */
    Mono<Stored> find(Collection<Digest> digests);

    /**
     * Opens the one writer of {@code artifact}, at the durable offset which the previous one reached, also in an earlier
     * process. While another writer of the same artifact is open this waits for it to close. Two artifacts are the same
     * when their strongest digests are; without a digest, when their locations are, not counting the query.
     *
     * @return a {@code Mono} that emits the writer. Use it inside {@link Flux#usingWhen}, with {@link Writer#close()} for
     *     every end
     */
    Mono<Writer> open(Artifact artifact);

    /** The journal that is kept beside the artifacts, on the same medium. */
    UpgradeJournal journal();

    /**
     * Gives the medium back. Completes when nothing of the store is in use any more; open writers are closed, keeping
     * what is durable. Closing twice does nothing.
     */
    Mono<Void> close();

    /**
     * Appends to one artifact. Not for concurrent use: one call runs at a time, and its result is awaited or cancelled
     * before the next.
     */
    interface Writer {

        /** The number of durable bytes, which is where the next {@link #append} begins. */
        long offset();

        /** What {@link #begin} was told about the content these bytes are of; null where there was nothing. */
        @Nullable
        String validator();

        /** Feeds the durable bytes, read back from the medium, to {@code hasher}. */
        Mono<Void> replay(Hasher hasher);

        /**
         * Announces content. Nothing is written before there is room for all of it.
         *
         * @param start where the content starts: {@link #offset()} to go on, 0 to throw away what is there
         * @param size how many bytes the whole artifact has, or {@link Artifact#UNKNOWN_SIZE}
         * @param validator what identifies the content at its source; kept, durably, with the bytes
         * @return a {@code Mono} that completes when bytes may come, and errors with {@link OtaException.Reason#NO_SPACE}
         *     when they do not fit
         */
        Mono<Void> begin(long start, long size, @Nullable String validator);

        /**
         * Appends {@code bytes} in order and feeds each buffer to {@code hasher} on the thread that writes it. Each buffer
         * is released, also those that cancellation or an error leaves unwritten. Demand is bounded: a slow medium stops
         * the source.
         *
         * <p>Whatever was written and hashed when {@code bytes} ends, in error too, is made durable before this ends, so
         * that {@link #offset()} equals what {@code hasher} has seen. After cancellation {@link #close()} does that.
         *
         * @return a {@code Flux} that emits {@link #offset()} whenever it moved, dropping values for which there is no
         *     demand, and ends as {@code bytes} does, or with {@link StorageException}
         */
        Flux<Long> append(Flux<ByteBuf> bytes, Hasher hasher);

        /**
         * Makes what was appended readable, under the strongest of {@code digests}. If an artifact of that name is there
         * already, this one is dropped in its favour. Until this completes there is nothing for readers; afterwards the
         * artifact survives a power cut.
         *
         * @param digests what the bytes hash to
         */
        Mono<Stored> commit(List<Digest> digests);

        /** Throws away what was appended. The writer stays open, at offset 0. */
        Mono<Void> discard();

        /** Closes the writer after making durable what was written. Closing twice does nothing. Never cancelled half-way. */
        Mono<Void> close();
    }

    /** A committed artifact. It is not evicted while it is referenced. */
    interface Stored {

        /** The digest it is named by. */
        Digest digest();

        /** The digests that are known of its bytes, {@link #digest()} among them. */
        List<Digest> digests();

        /** Its length in bytes. */
        long size();

        /**
         * Emits its bytes, read from the medium at each subscription, on a thread that may block. The subscriber releases
         * each buffer.
         */
        Flux<ByteBuf> read();

        /**
         * Moves it out of the store to {@code target}, atomically replacing what is there: {@code target} is the old file
         * or the whole new one at any instant, and the new one survives a power cut when this completes.
         */
        Mono<Void> moveTo(Path target);

        /** Removes it from the store, referenced or not; those who still read it come to their end undisturbed. */
        Mono<Void> evict();

        /** Gives the reference back. Releasing twice does nothing. */
        void release();
    }

    /** Opens a store in a directory with default settings; found with {@link java.util.ServiceLoader}. */
    interface Provider {

        /** @throws StorageException when the directory cannot be used */
        ArtifactStore open(Path directory);
    }
}
