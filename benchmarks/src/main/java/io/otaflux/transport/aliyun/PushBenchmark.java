package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.AuxCounters;
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
import org.openjdk.jmh.annotations.Warmup;

/**
 * One push, from the payload to the trigger: of one file inline, or of several. It stands in the package of what it measures,
 * which nobody outside sees.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 4, time = 1)
public class PushBenchmark {

    private static final DeviceId DEVICE = new DeviceId("product", "device");

    @Param({"1", "5", "20"})
    public int files;

    private byte[] payload = new byte[0];

    /** Beside pushes per second: 10^6 bytes of them. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Bytes {

        public double megabytes;

        @Setup(Level.Iteration)
        public void reset() {
            megabytes = 0;
        }
    }

    @Setup(Level.Trial)
    public void write() {
        payload = """
            {"id":"123","code":"1000","message":"success","data":{%s,"version":"2.0.1","module":"app",\
            "signMethod":"SHA256","extData":{"site":"hangzhou-3","_package_udi":"{\\"ota_notice\\":\\"restart\\"}"}}}""".formatted(files == 1 ? inline() : several()).getBytes(StandardCharsets.UTF_8);
        if (!(read(new Bytes()) instanceof Push.Upgrade)) {
            throw new IllegalStateException("this is no push: " + new String(payload, StandardCharsets.UTF_8));
        }
    }

    @Benchmark
    public Object read(Bytes bytes) {
        Push push = PushReader.read(DEVICE, payload);
        bytes.megabytes += payload.length / 1e6;
        return push;
    }

    private static String inline() {
        return "\"size\":93796291,\"sign\":\"" + "0f".repeat(32) + "\",\"url\":\"" + location(0) + "\"";
    }

    private String several() {
        return IntStream.range(0, files)
                .mapToObj(i -> "{\"fileSize\":93796291,\"fileName\":\"part-" + i + ".bin\",\"fileUrl\":\"" + location(i)
                        + "\",\"fileMd5\":\"" + "0f".repeat(16) + "\",\"fileSign\":\"" + "0f".repeat(32) + "\"}")
                .collect(Collectors.joining(",", "\"files\":[", "]"));
    }

    /** As long as those that a platform signs. */
    private static String location(int file) {
        return "https://ota.example.org/product/" + file + "/ota/firmware.bin?Expires=1767225600&OSSAccessKeyId="
                + "a".repeat(24) + "&Signature=" + "b".repeat(28) + "%3D&security-token=" + "c".repeat(600);
    }
}
