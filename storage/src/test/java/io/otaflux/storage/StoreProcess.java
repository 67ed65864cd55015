package io.otaflux.storage;

import io.otaflux.ArtifactStore;
import io.otaflux.StorageException;
import io.otaflux.testkit.ArtifactStoreContract;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Flux;

/** A process of its own that uses a store, to be killed or to be in the way. */
final class StoreProcess implements AutoCloseable {

    private static final String SAYS = "StoreProcess: ";

    static final String NOTHING_MORE = "nothing more";
    static final String COMPLETE = "complete";

    static final int SIZE = 64 << 20;
    static final long SEED = 4711;

    private final Process process;
    private final BufferedReader output;

    private StoreProcess(Path directory, String mode) throws IOException {
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        this.process = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx256m",
                        "-Xshare:auto",
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        classPath,
                        StoreProcess.class.getName(),
                        directory.toString(),
                        mode))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        this.output = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    }

    /** Opens the store and stays. */
    static StoreProcess holding(Path directory) throws IOException {
        return new StoreProcess(directory, "hold");
    }

    /** Writes an artifact of {@link #SIZE} bytes and says after each checkpoint where it is. */
    static StoreProcess appending(Path directory) throws IOException {
        return new StoreProcess(directory, "append");
    }

    /**
     * Says the number of the thread that touches the medium, waits to be told to {@link #go}, and then does the steps of a
     * {@link WholeLife}. It names each one that is done.
     */
    static StoreProcess living(Path directory) throws IOException {
        return new StoreProcess(directory, "live");
    }

    void go() throws IOException {
        process.getOutputStream().write('\n');
        process.getOutputStream().flush();
    }

    /** The next thing that it says; what a library prints is none of it. */
    String line() throws IOException {
        String line = output.readLine();
        while (line != null && !line.startsWith(SAYS)) {
            line = output.readLine();
        }
        return line == null ? NOTHING_MORE : line.substring(SAYS.length());
    }

    private static void say(Object what) {
        System.out.println(SAYS + what);
    }

    /** Ends it the hard way, and waits until it has gone. */
    @Override
    public void close() {
        process.destroyForcibly().onExit().join();
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments[1].equals("live")) {
            live(Path.of(arguments[0]));
            return;
        }
        ArtifactStore store;
        try {
            store = FileArtifactStore.builder(Path.of(arguments[0]))
                    .checkpointBytes(1 << 20)
                    .build();
        } catch (StorageException e) {
            say(e.reason());
            return;
        }
        say("open");
        if (arguments[1].equals("append")) {
            append(store);
        }
        int end = System.in.read();
        say("ended " + end);
    }

    private static void live(Path home) throws IOException {
        try (OneThreadDisk disk = new OneThreadDisk()) {
            WholeLife life = new WholeLife(home, disk);
            say(OneThreadDisk.threadId());
            if (System.in.read() < 0) {
                return;
            }
            life.live(StoreProcess::say);
            say(COMPLETE);
        }
    }

    private static void append(ArtifactStore store) {
        byte[] content = ArtifactStoreContract.bytes(SIZE, SEED);
        Flux.usingWhen(
                        store.open(ArtifactStoreContract.artifact("firmware", content)),
                        writer -> writer.begin(writer.offset(), SIZE, "\"v1\"")
                                .thenMany(Flux.defer(() -> writer.append(
                                        ArtifactStoreContract.chunks(content, (int) writer.offset(), SIZE, 50_000),
                                        ArtifactStoreContract.hasher()))),
                        ArtifactStore.Writer::close)
                .doOnNext(StoreProcess::say)
                .blockLast(Duration.ofMinutes(1));
        say(COMPLETE);
    }
}
