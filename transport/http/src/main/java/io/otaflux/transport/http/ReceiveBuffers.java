package io.otaflux.transport.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.UnpooledDirectByteBuf;
import io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator;
import io.netty.channel.RecvByteBufAllocator;
import java.nio.ByteBuffer;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * How much is read from a socket at once, and into what, for all connections of one source. Each begins with a small buffer.
 * As long as its reads fill what they get, it is given four times as much; when they have become small, less again.
 *
 * <p>The largest ones are few and are used over and over: reads of megabytes cost a third less processor time than those of
 * kilobytes, but Netty's allocators keep no buffer of that size and would take it from the system, fill it with zeros, and
 * give it back at each read. Who finds none left reads into a buffer of {@value #MEDIUM} bytes. So memory is bounded for any
 * number of connections.
 */
final class ReceiveBuffers extends DefaultMaxMessagesRecvByteBufAllocator {

    static final int SMALL = 64 * 1024;
    static final int MEDIUM = 256 * 1024;

    /** How many of the largest buffers one download keeps busy. */
    static final int FEWEST = 4;

    /** After how many reads that were small for their buffer the next one is smaller. */
    private static final int SMALL_READS = 4;

    private final int largest;
    private final int most;
    /** Null where somebody else says where all buffers come from. */
    private final @Nullable Queue<ByteBuffer> spare;

    private final AtomicInteger made = new AtomicInteger();

    /**
     * @param largest how many bytes are read at once, at most
     * @param room how many bytes the largest buffers may take together; 0 for all buffers from the channel's allocator. There
     *     are {@value #FEWEST} in any case: what is read into, what waits, and what is hashed and written
     */
    ReceiveBuffers(int largest, long room) {
        this.largest = largest;
        this.most = (int) Math.max(FEWEST, room / largest);
        this.spare = room > 0 && largest > MEDIUM ? new ConcurrentLinkedQueue<>() : null;
    }

    /** How many of the largest buffers are in use. */
    int lent() {
        return spare == null ? 0 : made.get() - spare.size();
    }

    @Override
    @SuppressWarnings("deprecation") // The only kind of handle that there is.
    public RecvByteBufAllocator.Handle newHandle() {
        return new Handle();
    }

    private @Nullable ByteBuf lend() {
        if (spare == null) {
            return null;
        }
        ByteBuffer memory = spare.poll();
        if (memory == null) {
            if (made.getAndUpdate(n -> n < most ? n + 1 : n) == most) {
                return null;
            }
            try {
                memory = ByteBuffer.allocateDirect(largest);
            } catch (OutOfMemoryError e) {
                // The process is short of memory outside the heap. Then smaller ones have to do.
                made.decrementAndGet();
                return null;
            }
        }
        return new Lent(memory, spare);
    }

    private final class Handle extends MaxMessageHandle {

        private int size = Math.min(SMALL, largest);
        private int smallReads;

        @Override
        public int guess() {
            return size;
        }

        @Override
        public ByteBuf allocate(ByteBufAllocator allocator) {
            if (size <= MEDIUM) {
                return allocator.ioBuffer(size);
            }
            ByteBuf lent = lend();
            return lent != null ? lent : allocator.ioBuffer(spare == null ? size : MEDIUM);
        }

        @Override
        public void lastBytesRead(int bytes) {
            super.lastBytesRead(bytes);
            if (bytes == attemptedBytesRead() && bytes >= size) {
                size = (int) Math.min(4L * size, largest);
                smallReads = 0;
            } else if (bytes >= size / 16) {
                smallReads = 0;
            } else if (bytes > 0 && ++smallReads == SMALL_READS) {
                smallReads = 0;
                size = Math.max(size / 4, Math.min(SMALL, largest));
            }
        }
    }

    /** One of the largest buffers, from when it is read into to when its last slice is released. */
    private static final class Lent extends UnpooledDirectByteBuf {

        private final ByteBuffer memory;
        private final Queue<ByteBuffer> spare;

        Lent(ByteBuffer memory, Queue<ByteBuffer> spare) {
            super(ByteBufAllocator.DEFAULT, memory, memory.capacity());
            this.memory = memory;
            this.spare = spare;
            clear();
        }

        @Override
        protected void deallocate() {
            super.deallocate();
            spare.add(memory);
        }
    }
}
