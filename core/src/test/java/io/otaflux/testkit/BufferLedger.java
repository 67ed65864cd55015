package io.otaflux.testkit;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * A ledger of every buffer a test handed out. A buffer that nobody released by the end is a leak, and every leak counts:
 * unlike a sampling detector this one misses none.
 *
 * <p>Buffers are written down either by {@link #track}, or by allocating them from {@link #allocator()}.
 */
public final class BufferLedger {

    private final Queue<ByteBuf> handedOut = new ConcurrentLinkedQueue<>();

    /** Writes {@code buffer} down and returns it. */
    public ByteBuf track(ByteBuf buffer) {
        handedOut.add(buffer);
        return buffer;
    }

    /** A new buffer with a copy of {@code bytes}, written down. */
    public ByteBuf buffer(byte[] bytes) {
        return track(Unpooled.directBuffer(bytes.length).writeBytes(bytes));
    }

    /** An allocator that writes down every buffer it makes, for a client or server under test. */
    public ByteBufAllocator allocator() {
        return new AbstractByteBufAllocator(true) {
            @Override
            protected ByteBuf newHeapBuffer(int initialCapacity, int maxCapacity) {
                return track(UnpooledByteBufAllocator.DEFAULT.heapBuffer(initialCapacity, maxCapacity));
            }

            @Override
            protected ByteBuf newDirectBuffer(int initialCapacity, int maxCapacity) {
                return track(UnpooledByteBufAllocator.DEFAULT.directBuffer(initialCapacity, maxCapacity));
            }

            @Override
            public boolean isDirectBufferPooled() {
                return false;
            }
        };
    }

    /** How many buffers were written down. */
    public int handedOut() {
        return handedOut.size();
    }

    /** The buffers that still hold a reference. */
    public List<ByteBuf> leaked() {
        return handedOut.stream().filter(buffer -> buffer.refCnt() > 0).toList();
    }

    /** @throws AssertionError when a buffer still holds a reference */
    public void assertNoLeaks() {
        List<ByteBuf> leaked = leaked();
        if (!leaked.isEmpty()) {
            throw new AssertionError(
                    leaked.size() + " of " + handedOut.size() + " buffers leaked, the first is " + leaked.get(0));
        }
    }
}
