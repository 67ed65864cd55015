package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.otaflux.Digest.Algorithm;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class HasherTest {

    private final byte[] content = new byte[100_000];

    HasherTest() {
        new Random(7).nextBytes(content);
    }

    @Test
    void allAlgorithmsAreComputedInOnePassWeakestFirst() {
        Hasher hasher = new Hasher(EnumSet.allOf(Algorithm.class));
        hasher.update(ByteBuffer.wrap(content));

        assertThat(hasher.bytes()).isEqualTo(content.length);
        assertThat(hasher.finish())
                .isEqualTo(Arrays.stream(Algorithm.values()).map(this::expected).toList());
        assertThat(hasher.bytes()).isZero();
    }

    @Test
    void everyKindOfBufferCountsAndStaysAsItWas() {
        int half = content.length / 2;
        byte[] left = Arrays.copyOf(content, half);
        byte[] right = Arrays.copyOfRange(content, half, content.length);
        ByteBuf behind =
                Unpooled.buffer().writeBytes(new byte[5]).writeBytes(content).writeBytes(new byte[3]);
        behind.readerIndex(5).writerIndex(5 + content.length);
        List<ByteBuf> buffers = List.of(
                Unpooled.wrappedBuffer(content),
                Unpooled.directBuffer(content.length).writeBytes(content),
                Unpooled.wrappedBuffer(left, right),
                Unpooled.compositeBuffer()
                        .addComponents(true, Unpooled.copiedBuffer(left), Unpooled.EMPTY_BUFFER)
                        .addComponent(true, Unpooled.directBuffer().writeBytes(right)),
                Unpooled.wrappedBuffer(content).asReadOnly(),
                behind);
        for (ByteBuf buffer : buffers) {
            int reader = buffer.readerIndex();
            int writer = buffer.writerIndex();
            Hasher hasher = new Hasher(Set.of(Algorithm.SHA_256));

            hasher.update(buffer);

            assertThat(hasher.bytes()).isEqualTo(content.length);
            assertThat(hasher.finish()).as(buffer.toString()).containsExactly(expected(Algorithm.SHA_256));
            assertThat(buffer.readerIndex()).isEqualTo(reader);
            assertThat(buffer.writerIndex()).isEqualTo(writer);
            assertThat(buffer.refCnt()).isEqualTo(1);
            buffer.release();
        }
    }

    @Test
    void aByteBufferKeepsItsPosition() {
        ByteBuffer buffer = ByteBuffer.wrap(content).position(10).limit(1_000);
        Hasher hasher = new Hasher(Set.of(Algorithm.MD5));

        hasher.update(buffer);

        assertThat(hasher.bytes()).isEqualTo(990);
        assertThat(buffer.position()).isEqualTo(10);
        assertThat(buffer.limit()).isEqualTo(1_000);
    }

    @Test
    void nothingIsLeftAfterAResetOrAnEmptyBuffer() {
        Hasher hasher = new Hasher(Set.of(Algorithm.SHA_256));
        hasher.update(ByteBuffer.wrap(new byte[100]));
        hasher.reset();
        hasher.update(Unpooled.EMPTY_BUFFER);
        hasher.update(Unpooled.compositeBuffer());

        assertThat(hasher.bytes()).isZero();
        hasher.update(ByteBuffer.wrap(content));
        assertThat(hasher.finish()).containsExactly(expected(Algorithm.SHA_256));
    }

    @Test
    void aHasherWithoutAnAlgorithmIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Hasher(List.of()));
    }

    private Digest expected(Algorithm algorithm) {
        return Digest.of(algorithm, algorithm.newMessageDigest().digest(content));
    }
}
