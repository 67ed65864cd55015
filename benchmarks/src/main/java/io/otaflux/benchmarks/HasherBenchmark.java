package io.otaflux.benchmarks;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import java.nio.ByteBuffer;
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

/** What {@link Hasher} adds to the digest of the JDK that it wraps: one direct buffer of {@code size}, digest included. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class HasherBenchmark {

    @Param({"MD5", "SHA-256"})
    public String algorithm = "";

    @Param({"65536", "1048576"})
    public int size;

    private ByteBuf buffer = PooledByteBufAllocator.DEFAULT.directBuffer(0, 0);
    private Hasher hasher = new Hasher(Set.of(Digest.Algorithm.MD5));
    private MessageDigest digest = newDigest("MD5");

    @Setup(Level.Trial)
    public void open() {
        byte[] content = new byte[size];
        new Random(1).nextBytes(content);
        buffer.release();
        buffer = PooledByteBufAllocator.DEFAULT.directBuffer(size, size).writeBytes(content);
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
        ByteBuffer bytes = buffer.nioBuffer();
        digest.update(bytes);
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
