package io.otaflux.benchmarks;

import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.callback.DeviceHandles;
import io.otaflux.callback.Ota;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import reactor.core.Disposable;

/**
 * What the callbacks add to the stages that they run on: a trigger of 64 KiB, downloaded, verified, put in its place and
 * confirmed, with the journal, and with a platform and a source in memory.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
public class CallbackBenchmark {

    private static final int SIZE = 64 * 1024;

    @Benchmark
    public UpgradeEvent stages(Stages stages) throws InterruptedException {
        return stages.channel.upgrade(stages.scene.trigger());
    }

    @Benchmark
    public UpgradeEvent callbacks(Callbacks callbacks) throws InterruptedException {
        return callbacks.channel.upgrade(callbacks.scene.trigger());
    }

    /** The stages, composed by hand. */
    @State(Scope.Benchmark)
    public static class Stages {

        private final Scene scene = new Scene(SIZE);
        private final LocalChannel channel = new LocalChannel();
        private final OtaClient client = OtaClient.builder(channel)
                .source(scene.source())
                .store(scene.store())
                .installer(
                        "app",
                        verified -> verified.file().moveTo(scene.target()).thenReturn(Installer.Effect.IMMEDIATE))
                .build();
        private final Disposable running = client.triggers()
                .flatMap(trigger ->
                        client.download(trigger).flatMap(client::verify).flatMap(client::install))
                .subscribe();

        @TearDown(Level.Trial)
        public void close() throws IOException {
            running.dispose();
            client.dispose();
            scene.close();
        }
    }

    /** The program of the original {@code ota} module. */
    @State(Scope.Benchmark)
    public static class Callbacks {

        private final Scene scene = new Scene(SIZE);
        private final LocalChannel channel = new LocalChannel();
        private final int handle = DeviceHandles.register(channel);
        private final Map<String, Object> info = new HashMap<>();
        private final Ota ota = program();

        private Ota program() {
            Ota program =
                    Ota.builder().source(scene.source()).store(scene.store()).build();
            info.put("store_path", scene.target().toString());
            info.put("device_handle", handle);
            program.onTrigger(data -> {
                info.putAll(data);
                program.download(info);
            });
            program.onDownload(code -> program.verify(info));
            program.onVerify(code -> program.report(info));
            program.init(info);
            return program;
        }

        @TearDown(Level.Trial)
        public void close() throws IOException {
            ota.close();
            DeviceHandles.unregister(handle);
            scene.close();
        }
    }
}
