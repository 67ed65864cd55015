package io.otaflux.transport.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.UnpooledDirectByteBuf;
import io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator;
import io.netty.channel.RecvByteBufAllocator;
import java.nio.ByteBuffer;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * How much is read from a socket at once, and into what, for all connections of one source. Each begins with a small buffer.
 * When a read fills what it gets, the next one is given more; when reads have become small, less again.
 *
 * <p>Buffers are few and are used over and over: reads of megabytes cost less processor time than those of
 * kilobytes, but Netty's allocators keep no buffer of that size and would take it from the system, fill it with zeros, and
 * give it back at each read; the adaptive one does so with everything above 16 KiB where the heap is of 512 MiB or less. Who
 * finds none of the larger ones left reads into a smaller one, and who finds none at all into a small one of the allocator's.
 * So the memory of the larger ones is bounded for any number of connections.
 */
final class ReceiveBuffers extends DefaultMaxMessagesRecvByteBufAllocator {

    static final int SMALL = 64 * 1024;
    static final int MEDIUM = 128 * 1024;

    /** How many of the largest buffers one download keeps busy. */
    static final int FEWEST = 4;

    /** After how many reads that were small for their buffer the next one is smaller. */
    private static final int SMALL_READS = 4;

    private final int largest;
    /** Null where somebody else says where all buffers come from. */
    private final @Nullable Spare smallOnes;

    private final @Nullable Spare mediumOnes;
    private final @Nullable Spare largestOnes;

    /**
     * @param largest how many bytes are read at once, at most
     * @param room how many bytes the buffers of each size may take together; 0 for all buffers from the channel's allocator.
     *     There are {@value #FEWEST} in any case: what is read into, what waits, and what is hashed and written
     */
    ReceiveBuffers(int largest, long room) {
        this.largest = largest;
        this.smallOnes = room > 0 ? new Spare(Math.min(SMALL, largest), room) : null;
        this.mediumOnes = room > 0 && largest > SMALL ? new Spare(Math.min(MEDIUM, largest), room) : null;
        this.largestOnes = room > 0 && largest > MEDIUM ? new Spare(largest, room) : null;
    }

    /** How many of its own buffers are in use. */
    int lent() {
        return lent(smallOnes) + lent(mediumOnes) + lent(largestOnes);
    }

    private static int lent(@Nullable Spare spare) {
        return spare == null ? 0 : spare.lent();
    }

    @Override
    public RecvByteBufAllocator.ExtendedHandle newHandle() {
        return new Handle();
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
            ByteBuf lent = size > MEDIUM ? lend(largestOnes) : null;
            if (lent == null && size > SMALL) {
                lent = lend(mediumOnes);
            }
            if (lent == null) {
                lent = lend(smallOnes);
            }
            return lent != null ? lent : allocator.ioBuffer(smallOnes == null ? size : Math.min(size, SMALL));
        }

        private static @Nullable ByteBuf lend(@Nullable Spare spare) {
            return spare == null ? null : spare.lend();
        }

        @Override
        public void lastBytesRead(int bytes) {
            super.lastBytesRead(bytes);
            if (bytes == attemptedBytesRead() && bytes >= size) {
                size = size < MEDIUM ? Math.min(MEDIUM, largest) : largest;
                smallReads = 0;
            } else if (bytes >= size / 16) {
                smallReads = 0;
            } else if (bytes > 0 && ++smallReads == SMALL_READS) {
                smallReads = 0;
                size = Math.min(size > MEDIUM ? MEDIUM : SMALL, largest);
            }
        }
    }

    /** The buffers of one size that are not in use. */
    private static final class Spare {

        private final int size;
        private final int most;
        private final AtomicInteger made = new AtomicInteger();
        /** The last one first: it may still be in the processor's cache. */
        private final Deque<ByteBuffer> idle = new ConcurrentLinkedDeque<>();

        Spare(int size, long room) {
            this.size = size;
            this.most = (int) Math.max(FEWEST, room / size);
        }

        int lent() {
            return made.get() - idle.size();
        }

        /** Null where all are in use. */
        @Nullable
        ByteBuf lend() {
            ByteBuffer memory = idle.pollFirst();
            if (memory == null) {
                if (made.getAndUpdate(n -> n < most ? n + 1 : n) == most) {
                    return null;
                }
                try {
                    memory = ByteBuffer.allocateDirect(size);
                } catch (OutOfMemoryError e) {
                    // The process is short of memory outside the heap. Then smaller ones have to do.
                    made.decrementAndGet();
                    return null;
                }
            }
            return new Lent(memory, idle);
        }
    }

    /** A buffer that is in use, from when it is read into to when its last slice is released. */
    private static final class Lent extends UnpooledDirectByteBuf {

        private final ByteBuffer memory;
        private final Deque<ByteBuffer> idle;

        Lent(ByteBuffer memory, Deque<ByteBuffer> idle) {
            super(ByteBufAllocator.DEFAULT, memory, memory.capacity());
            this.memory = memory;
            this.idle = idle;
            clear();
        }

        @Override
        protected void deallocate() {
            super.deallocate();
            idle.addFirst(memory);
        }
    }
}
