package io.otaflux;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Digests of one stream of bytes while it flows, several algorithms in one pass. It belongs to one subscription and one
 * thread at a time.
 */
public final class Hasher {

    /** As much as stays in the innermost cache. */
    private static final ThreadLocal<byte[]> COPY = ThreadLocal.withInitial(() -> new byte[8 * 1024]);

    private final Map<Digest.Algorithm, MessageDigest> running = new EnumMap<>(Digest.Algorithm.class);
    /** The same, to go through without an iterator for every few bytes. */
    private final MessageDigest[] digests;

    private long bytes;

    /** @throws IllegalArgumentException when {@code algorithms} is empty */
    public Hasher(Collection<Digest.Algorithm> algorithms) {
        if (algorithms.isEmpty()) {
            throw new IllegalArgumentException("algorithms: none (expected: at least one)");
        }
        algorithms.forEach(algorithm -> running.put(algorithm, algorithm.newMessageDigest()));
        this.digests = running.values().toArray(MessageDigest[]::new);
    }

    /** Takes in the readable bytes and leaves the buffer as it was: neither its indexes nor its reference count change. */
    public void update(ByteBuf buffer) {
        if (buffer.nioBufferCount() == 1) {
            update(buffer.internalNioBuffer(buffer.readerIndex(), buffer.readableBytes()));
        } else {
            for (ByteBuffer part : buffer.nioBuffers()) {
                update(part);
            }
        }
    }

    /** Takes in the remaining bytes and leaves the buffer's position as it was. */
    public void update(ByteBuffer buffer) {
        int length = buffer.remaining();
        if (buffer.hasArray()) {
            update(buffer.array(), buffer.arrayOffset() + buffer.position(), length);
        } else {
            // A digest works on arrays. Left alone, each would take one of its own, and copy once more.
            byte[] array = COPY.get();
            for (int at = buffer.position(); at < buffer.limit(); at += array.length) {
                int part = Math.min(array.length, buffer.limit() - at);
                buffer.get(at, array, 0, part);
                update(array, 0, part);
            }
        }
        bytes += length;
    }

    private void update(byte[] array, int start, int length) {
        for (MessageDigest digest : digests) {
            digest.update(array, start, length);
        }
    }

    /** The number of bytes taken in since the last {@link #reset()}. */
    public long bytes() {
        return bytes;
    }

    /** Forgets everything, as if nothing had been taken in. */
    public void reset() {
        running.values().forEach(MessageDigest::reset);
        bytes = 0;
    }

    /** The digests of the bytes so far, weakest first; the hasher starts over. */
    public List<Digest> finish() {
        List<Digest> digests = new ArrayList<>();
        running.forEach((algorithm, digest) -> digests.add(Digest.of(algorithm, digest.digest())));
        bytes = 0;
        return List.copyOf(digests);
    }
}
