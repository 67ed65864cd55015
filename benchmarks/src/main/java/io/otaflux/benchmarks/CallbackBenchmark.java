package io.otaflux.benchmarks;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.callback.DeviceHandles;
import io.otaflux.callback.Ota;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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
import reactor.core.Disposable;

/**
 * What the callbacks add to the stages that they run on: a trigger, downloaded, put in its place, verified and confirmed,
 * with the journal, and with a platform and a source in memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 4, time = 2)
public class CallbackBenchmark {

    @Param({"65536", "8388608"})
    public int size;

    private final LocalChannel channel = new LocalChannel();
    private @Nullable Scene scene;

    @Setup(Level.Trial)
    public void open() {
        scene = new Scene(size);
    }

    @TearDown(Level.Trial)
    public void close() throws IOException {
        scene().close();
    }

    private Scene scene() {
        return Objects.requireNonNull(scene);
    }

    /** By callbacks. */
    @Benchmark
    public UpgradeEvent callbacks(Callbacks callbacks) throws InterruptedException {
        return channel.upgrade(scene().trigger());
    }

    /** By reactive calls that do the same, in the same order. */
    @Benchmark
    public UpgradeEvent calls(Calls calls) throws InterruptedException {
        return channel.upgrade(scene().trigger());
    }

    /** By the stages with an installer, where the installation is journaled as well. */
    @Benchmark
    public UpgradeEvent stages(Stages stages) throws InterruptedException {
        return channel.upgrade(scene().trigger());
    }

    /** The program of the original {@code ota} module. */
    @State(Scope.Benchmark)
    public static class Callbacks {

        private int handle;
        private @Nullable Ota ota;

        @Setup(Level.Trial)
        public void open(CallbackBenchmark benchmark) {
            Scene scene = benchmark.scene();
            handle = DeviceHandles.register(benchmark.channel);
            Ota program =
                    Ota.builder().source(scene.source()).store(scene.store()).build();
            Map<String, Object> info = new HashMap<>();
            info.put("store_path", scene.target().toString());
            info.put("device_handle", handle);
            program.onTrigger(data -> {
                info.putAll(data);
                program.download(info);
            });
            program.onDownload(code -> program.verify(info));
            program.onVerify(code -> program.report(info));
            program.init(info);
            ota = program;
        }

        @TearDown(Level.Trial)
        public void close() {
            Objects.requireNonNull(ota).close();
            DeviceHandles.unregister(handle);
        }
    }

    /** What that program does, without callbacks. */
    @State(Scope.Benchmark)
    public static class Calls {

        private @Nullable OtaClient client;
        private @Nullable Disposable running;

        @Setup(Level.Trial)
        public void open(CallbackBenchmark benchmark) {
            Scene scene = benchmark.scene();
            OtaClient built = OtaClient.builder(benchmark.channel)
                    .source(scene.source())
                    .store(scene.store())
                    .build();
            client = built;
            running = built.triggers()
                    .flatMap(trigger -> built.download(trigger)
                            .delayUntil(downloaded -> downloaded.files().get(0).moveTo(scene.target()))
                            .flatMap(built::verify)
                            .then(built.report(trigger.module(), trigger.version())))
                    .subscribe();
        }

        @TearDown(Level.Trial)
        public void close() {
            Objects.requireNonNull(running).dispose();
            Objects.requireNonNull(client).dispose();
        }
    }

    /** The stages, composed by hand. */
    @State(Scope.Benchmark)
    public static class Stages {

        private @Nullable OtaClient client;
        private @Nullable Disposable running;

        @Setup(Level.Trial)
        public void open(CallbackBenchmark benchmark) {
            Scene scene = benchmark.scene();
            OtaClient built = OtaClient.builder(benchmark.channel)
                    .source(scene.source())
                    .store(scene.store())
                    .installer(
                            "app",
                            verified -> verified.file().moveTo(scene.target()).thenReturn(Installer.Effect.IMMEDIATE))
                    .build();
            client = built;
            running = built.triggers()
                    .flatMap(trigger ->
                            built.download(trigger).flatMap(built::verify).flatMap(built::install))
                    .subscribe();
        }

        @TearDown(Level.Trial)
        public void close() {
            Objects.requireNonNull(running).dispose();
            Objects.requireNonNull(client).dispose();
        }
    }
}
