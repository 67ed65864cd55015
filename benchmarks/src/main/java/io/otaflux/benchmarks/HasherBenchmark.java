package io.otaflux.benchmarks;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What {@link Hasher} adds to the digest of the JDK that it wraps: one buffer of {@code size}, digest included. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 400, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 4, time = 400, timeUnit = TimeUnit.MILLISECONDS)
public class HasherBenchmark {

    @Param({"MD5", "SHA-256"})
    public String algorithm = "";

    /** Whether the buffer is on the heap, or where sockets and files have theirs. */
    @Param({"heap", "direct"})
    public String memory = "";

    @Param({"65536", "262144", "1048576", "4194304"})
    public int size;

    private ByteBuf buffer = Unpooled.EMPTY_BUFFER;
    private Hasher hasher = new Hasher(Set.of(Digest.Algorithm.MD5));
    private MessageDigest digest = newDigest("MD5");

    @Setup(Level.Trial)
    public void open() {
        byte[] content = new byte[size];
        new Random(1).nextBytes(content);
        buffer = (memory.equals("heap")
                        ? PooledByteBufAllocator.DEFAULT.heapBuffer(size, size)
                        : PooledByteBufAllocator.DEFAULT.directBuffer(size, size))
                .writeBytes(content);
        hasher = new Hasher(Set.of(Digest.Algorithm.named(algorithm)));
        digest = newDigest(algorithm);
    }

    @TearDown(Level.Trial)
    public void close() {
        buffer.release();
    }

    @Benchmark
    public List<Digest> hasher() {
        hasher.update(buffer);
        return hasher.finish();
    }

    @Benchmark
    public byte[] bareDigest() {
        if (buffer.hasArray()) {
            digest.update(buffer.array(), buffer.arrayOffset(), size);
        } else {
            digest.update(buffer.nioBuffer());
        }
        return digest.digest();
    }

    private static MessageDigest newDigest(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
