package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelOption;
import io.netty.channel.RecvByteBufAllocator;
import io.otaflux.testkit.BufferLedger;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.netty.http.client.HttpClient;

class ReceiveBuffersTest {

    private static final int LARGE = 1 << 20;

    private final BufferLedger ledger = new BufferLedger();
    private final ReceiveBuffers buffers = new ReceiveBuffers(LARGE, 1);
    private final RecvByteBufAllocator.ExtendedHandle handle = buffers.newHandle();

    @AfterEach
    void nothingIsLeftOver() {
        ledger.assertNoLeaks();
        assertThat(buffers.lent()).isZero();
    }

    @Test
    void aConnectionBeginsSmallAndGrowsWhileItsReadsFillWhatTheyGet() {
        assertThat(read(ReceiveBuffers.SMALL)).isEqualTo(ReceiveBuffers.SMALL);
        assertThat(read(ReceiveBuffers.MEDIUM)).isEqualTo(ReceiveBuffers.MEDIUM);
        assertThat(read(LARGE)).isEqualTo(LARGE);
        assertThat(read(LARGE)).as("it is not asked for more").isEqualTo(LARGE);
    }

    @Test
    void overTlsReadsDoNotGrowBeyond512KiB() {
        List<HttpClient> clients = new ArrayList<>();
        HttpArtifactSource source = Asking.local()
                .client(client -> {
                    clients.add(client);
                    return client;
                })
                .build();
        // Nobody listens there: it is asked for the client only.
        Asking.failure(source, Asking.whole(URI.create("https://127.0.0.1:1/a"), 1));
        source.close().block(Asking.PATIENCE);

        assertThat(clients)
                .extracting(ReceiveBuffersTest::largestRead)
                .as("plain, and over TLS")
                .containsExactly(2 << 20, 512 << 10);
    }

    private static int largestRead(HttpClient client) {
        ReceiveBuffers allocator =
                (ReceiveBuffers) client.configuration().options().get(ChannelOption.RECVBUF_ALLOCATOR);
        RecvByteBufAllocator.ExtendedHandle handle =
                Objects.requireNonNull(allocator).newHandle();
        for (int i = 0; i < 10; i++) {
            handle.attemptedBytesRead(handle.guess());
            handle.lastBytesRead(handle.guess());
        }
        return handle.guess();
    }

    @Test
    void aReadThatFillsNothingLeavesTheSizeAsItIs() {
        for (int i = 0; i < 10; i++) {
            assertThat(read(16 * 1024)).isEqualTo(ReceiveBuffers.SMALL);
        }
        assertThat(ledger.handedOut()).as("buffers of the allocator").isZero();
    }

    @Test
    void severalSmallReadsMakeItSmallAgain() {
        grow();
        List<Integer> sizes = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            sizes.add(read(1));
        }
        assertThat(sizes).startsWith(LARGE, LARGE, LARGE, LARGE, ReceiveBuffers.MEDIUM);
        assertThat(sizes).endsWith(ReceiveBuffers.SMALL);
    }

    @Test
    void oneSmallReadIsNoReason() {
        grow();
        for (int i = 0; i < 10; i++) {
            read(1);
            read(LARGE / 2);
        }
        assertThat(read(LARGE)).isEqualTo(LARGE);
    }

    @Test
    void thoseOfEachSizeAreFewAndUsedAgain() {
        grow();
        List<ByteBuf> taken = new ArrayList<>();
        for (int size : new int[] {LARGE, ReceiveBuffers.MEDIUM, ReceiveBuffers.SMALL}) {
            for (int i = 0; i < ReceiveBuffers.FEWEST; i++) {
                ByteBuf lent = handle.allocate(ledger.allocator());
                assertThat(lent.capacity()).isEqualTo(size);
                taken.add(lent);
            }
        }
        assertThat(ledger.handedOut()).as("buffers of the allocator").isZero();

        ByteBuf beyond = handle.allocate(ledger.allocator());
        assertThat(beyond.capacity()).isEqualTo(ReceiveBuffers.SMALL);
        assertThat(ledger.handedOut()).isOne();

        taken.remove(0).writeByte(1).release();
        ByteBuf again = handle.allocate(ledger.allocator());
        assertThat(again.capacity()).isEqualTo(LARGE);
        assertThat(again.readableBytes())
                .as("what an earlier answer left in it")
                .isZero();
        taken.add(again);
        taken.add(beyond);
        taken.forEach(ByteBuf::release);
    }

    @Test
    void aBufferIsLentUntilItsLastSliceIsReleased() {
        grow();
        ByteBuf buffer = handle.allocate(ledger.allocator()).writeZero(LARGE);
        ByteBuf slice = buffer.readRetainedSlice(10);
        buffer.release();
        assertThat(buffers.lent()).isOne();
        slice.release();
        assertThat(buffers.lent()).isZero();
    }

    @Test
    void withoutRoomAllBuffersAreOfTheAllocator() {
        RecvByteBufAllocator.ExtendedHandle plain = new ReceiveBuffers(LARGE, 0).newHandle();
        for (int i = 1; i <= 5; i++) {
            ByteBuf buffer = plain.allocate(ledger.allocator());
            assertThat(ledger.handedOut()).isEqualTo(i);
            plain.attemptedBytesRead(buffer.writableBytes());
            plain.lastBytesRead(buffer.writableBytes());
            assertThat(buffer.capacity()).isLessThanOrEqualTo(LARGE);
            buffer.release();
        }
        assertThat(plain.guess()).isEqualTo(LARGE);
    }

    private void grow() {
        while (handle.guess() < LARGE) {
            read(LARGE);
        }
    }

    /** @return how large the buffer was of a read for which there are so many bytes */
    private int read(int available) {
        ByteBuf buffer = handle.allocate(ledger.allocator());
        int size = buffer.writableBytes();
        handle.attemptedBytesRead(size);
        handle.lastBytesRead(Math.min(size, available));
        buffer.release();
        return size;
    }
}
