package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.abort;

import io.otaflux.testkit.RequiresProgram;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A real file system in a file, whose power can be cut: the kernel then forgets what it had not yet written to the medium,
 * and every later access fails. It needs root, and the right to mount.
 */
final class LoopFileSystem implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    /**
     * On a line of input it cuts the power: FS_IOC_SHUTDOWN, without flushing the log. Until then it synchronises a file
     * of its own, if it is told to, as other programs on a device do: without that the kernel may keep back everything
     * since the mount, and a cut takes it away as a whole, which is a state too good to be true.
     */
    private static final String SWITCH = """
            import fcntl, os, select, struct, sys
            directory = os.open(sys.argv[1], os.O_RDONLY)
            noise = os.open(sys.argv[1] + '/noise', os.O_CREAT | os.O_WRONLY, 0o600)
            print('ready', flush=True)
            while not select.select([0], [], [], 0.03)[0]:
                if sys.argv[2] == 'noisy':
                    os.write(noise, b'noise')
                    os.fsync(noise)
            fcntl.ioctl(directory, 0x8004587d, struct.pack('I', 2))
            print('cut', flush=True)
            """;

    enum Kind {
        EXT4(64 << 20, "mkfs.ext4", "-q", "-F"),
        /** The smallest one that mkfs.xfs makes. */
        XFS(300 << 20, "mkfs.xfs", "-q", "-f");

        private final long size;
        private final List<String> format;

        Kind(long size, String... format) {
            this.size = size;
            this.format = List.of(format);
        }
    }

    private final Kind kind;
    private final Path image;
    private final Path root;
    private boolean mounted;
    private @Nullable Process powerSwitch;

    private LoopFileSystem(Kind kind, Path directory) {
        this.kind = kind;
        this.image = directory.resolve(kind + ".image");
        this.root = directory.resolve(kind + ".mounted");
    }

    /** Makes one in {@code directory} and mounts it. The test is skipped, aloud, where nobody may do that. */
    static LoopFileSystem make(Kind kind, Path directory) throws IOException {
        LoopFileSystem made = new LoopFileSystem(kind, directory);
        Files.createDirectories(made.root);
        try (RandomAccessFile file = new RandomAccessFile(made.image.toFile(), "rw")) {
            file.setLength(kind.size);
        }
        made.format();
        try {
            made.mount();
        } catch (IllegalStateException e) {
            String reason = "SKIPPED power cuts: nobody may mount a file system here: " + e.getMessage();
            System.err.println(reason);
            abort(reason);
        }
        return made;
    }

    Path root() {
        return root;
    }

    /** Empties it by making it anew. */
    void renew() {
        unmount();
        format();
        mount();
    }

    private void format() {
        List<String> command = new ArrayList<>();
        command.add(
                RequiresProgram.Installed.find(kind.format.get(0)).orElseThrow().toString());
        command.addAll(kind.format.subList(1, kind.format.size()));
        command.add(image.toString());
        run(command);
    }

    private void mount() {
        run(List.of("mount", "-o", "loop", image.toString(), root.toString()));
        mounted = true;
    }

    private void unmount() {
        if (mounted) {
            // Whoever was killed lets go of his files a moment later.
            await().atMost(PATIENCE)
                    .pollInterval(Duration.ofMillis(10))
                    .ignoreExceptionsInstanceOf(IllegalStateException.class)
                    .until(() -> {
                        run(List.of("umount", root.toString()));
                        return true;
                    });
            mounted = false;
        }
    }

    /** From now on the power can be cut. */
    void arm(boolean noisy) throws IOException {
        Process started = new ProcessBuilder("python3", "-c", SWITCH, root.toString(), noisy ? "noisy" : "calm")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        powerSwitch = started;
        assertThat(line(started)).isEqualTo("ready");
    }

    /** Cuts the power, at once; whoever uses the file system still sees an error from now on. */
    void cut() throws IOException {
        Process running = powerSwitch;
        if (running == null) {
            throw new IllegalStateException("not armed");
        }
        OutputStream input = running.getOutputStream();
        input.write('\n');
        input.flush();
        assertThat(line(running)).isEqualTo("cut");
        running.onExit().join();
        powerSwitch = null;
    }

    private static String line(Process process) throws IOException {
        // The reader may take more than a line, and there never is more.
        return String.valueOf(
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII))
                        .readLine());
    }

    /** What the device finds when the power is back. */
    void restore() {
        unmount();
        mount();
    }

    private static void run(List<String> command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int code = process.onExit().join().exitValue();
            if (code != 0) {
                throw new IllegalStateException(command + ": " + code + ": " + output.strip());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        if (powerSwitch != null) {
            powerSwitch.destroyForcibly().onExit().join();
        }
        unmount();
    }
}
