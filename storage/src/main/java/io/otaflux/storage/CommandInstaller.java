package io.otaflux.storage;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Installs an upgrade by running a program, which finds the verified bytes in a file. There is no shell in between: the
 * program gets exactly the arguments that are configured, and what a platform sends reaches it in environment variables
 * only.
 *
 * <table>
 * <caption>Environment of the program, besides PATH, HOME, LANG, LC_ALL, TZ and TMPDIR of this process</caption>
 * <tr><td>{@code OTAFLUX_FILE}</td><td>path of the first, and nearly always only, file</td></tr>
 * <tr><td>{@code OTAFLUX_FILES}</td><td>how many files there are</td></tr>
 * <tr><td>{@code OTAFLUX_FILE_1}, {@code OTAFLUX_FILE_2}, …</td><td>paths of all files, in the platform's order</td></tr>
 * <tr><td>{@code OTAFLUX_DIRECTORY}</td><td>the private directory that they are in, also the working directory</td></tr>
 * <tr><td>{@code OTAFLUX_PRODUCT}, {@code OTAFLUX_DEVICE}</td><td>whose upgrade it is</td></tr>
 * <tr><td>{@code OTAFLUX_MODULE}, {@code OTAFLUX_VERSION}</td><td>the module, and the version to reach</td></tr>
 * <tr><td>{@code OTAFLUX_DELTA}</td><td>{@code 1} when the files are a difference from the running version, else {@code 0}</td></tr>
 * <tr><td>{@code OTAFLUX_NAME}, {@code OTAFLUX_SIZE}</td><td>name and length in bytes of the first file</td></tr>
 * <tr><td>{@code OTAFLUX_DIGEST}</td><td>digest of the first file, as {@code SHA-256:<hex>}</td></tr>
 * </table>
 *
 * <p>Exit code 0 is success: by then what the program did must survive a power cut, and before that the old version must
 * stay usable. Any other code is an {@link InstallException} with the code and the end of what the program printed. When
 * its time is up, or the installation is cancelled, the program and its children are asked to end (SIGTERM) and 5 seconds
 * later made to (SIGKILL).
 *
 * <p>The files are removed afterwards. Blocking work happens on threads of this class and of the store.
 */
public final class CommandInstaller implements Installer {

    private static final Set<String> INHERITED = Set.of("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR");

    /** How much of the output goes into an error, from its end. */
    private static final int TAIL = 4 * 1024;

    private static final Duration GRACE = Duration.ofSeconds(5);

    private final List<String> command;
    private final Map<String, String> environment;
    private final @Nullable Path workDirectory;
    private final Duration timeLimit;
    private final Effect effect;
    private final boolean deltas;
    private volatile @Nullable UpgradeKey installed;

    private CommandInstaller(Builder builder) {
        this.command = builder.command;
        this.environment = Map.copyOf(builder.environment);
        this.workDirectory = builder.workDirectory;
        this.timeLimit = builder.timeLimit;
        this.effect = builder.effect;
        this.deltas = builder.deltas;
    }

    /** Runs {@code program} with {@code arguments}, with default settings. */
    public static CommandInstaller running(String program, String... arguments) {
        return builder(program, arguments).build();
    }

    /** Settings of an installer that runs {@code program} with {@code arguments}. */
    public static Builder builder(String program, String... arguments) {
        return new Builder(program, arguments);
    }

    @Override
    public Mono<Effect> install(Verified verified) {
        return Mono.usingWhen(
                        Copy.work(Disk.REAL, place(), () -> new Run(createDirectory())),
                        run -> copy(verified, run.directory)
                                .flatMapMany(files -> run.program(environment(verified, run.directory, files)))
                                .singleOrEmpty(),
                        run -> Copy.work(Disk.REAL, run.directory, run::end))
                .thenReturn(effect)
                .doOnNext(done -> installed = verified.trigger().key());
    }

    /** True until this process ends, where the program's work takes effect after a restart. */
    @Override
    public boolean awaitsRestart(UpgradeTrigger trigger) {
        return effect == Effect.AFTER_RESTART && trigger.key().equals(installed);
    }

    @Override
    public boolean acceptsDeltas() {
        return deltas;
    }

    private Path place() {
        return workDirectory == null ? Path.of(System.getProperty("java.io.tmpdir")) : workDirectory;
    }

    private Path createDirectory() throws IOException {
        return Files.createTempDirectory(place(), "otaflux-", FileArtifactStore.ownerOnly(place()));
    }

    private static Mono<List<Path>> copy(Verified verified, Path directory) {
        Set<String> names = new HashSet<>();
        List<Path> files = new ArrayList<>();
        for (Verified.File file : verified.files()) {
            String name = file.artifact().name();
            files.add(directory.resolve(names.add(name) ? name : files.size() + 1 + "-" + name));
        }
        return Flux.range(0, files.size())
                .flatMap(i -> Copy.of(Disk.REAL, verified.files().get(i), files.get(i), () -> true), 1)
                .then(Mono.just(files));
    }

    private Map<String, String> environment(Verified verified, Path directory, List<Path> files) {
        UpgradeTrigger trigger = verified.trigger();
        Map<String, String> variables = new HashMap<>();
        System.getenv().forEach((name, value) -> {
            if (INHERITED.contains(name)) {
                variables.put(name, value);
            }
        });
        variables.putAll(environment);
        variables.put("OTAFLUX_FILE", files.get(0).toString());
        variables.put("OTAFLUX_FILES", Integer.toString(files.size()));
        for (int i = 0; i < files.size(); i++) {
            variables.put("OTAFLUX_FILE_" + (i + 1), files.get(i).toString());
        }
        variables.put("OTAFLUX_DIRECTORY", directory.toString());
        variables.put("OTAFLUX_PRODUCT", trigger.device().product());
        variables.put("OTAFLUX_DEVICE", trigger.device().name());
        variables.put("OTAFLUX_MODULE", trigger.module());
        variables.put("OTAFLUX_VERSION", trigger.version());
        variables.put("OTAFLUX_DELTA", trigger.delta() ? "1" : "0");
        variables.put("OTAFLUX_NAME", verified.file().artifact().name());
        variables.put("OTAFLUX_SIZE", Long.toString(verified.file().size()));
        variables.put("OTAFLUX_DIGEST", verified.file().digest().toString());
        return variables;
    }

    private static boolean delete(Path directory) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                Files.deleteIfExists(file);
            }
        }
        return Files.deleteIfExists(directory);
    }

    @Override
    public String toString() {
        return "CommandInstaller[" + command.get(0) + "]";
    }

    /** One run of the program, and its directory. */
    private final class Run {

        private final Path directory;
        private final Tail tail = new Tail();
        private @Nullable Process process;
        private boolean ended;

        Run(Path directory) {
            this.directory = directory;
        }

        Mono<Boolean> program(Map<String, String> variables) {
            return Copy.work(Disk.REAL, directory, () -> start(variables))
                    .flatMap(started -> Mono.fromFuture(started.onExit(), true))
                    .timeout(timeLimit)
                    // On a thread that may wait for the rest of the output, which the timer's may not.
                    .onErrorResume(
                            TimeoutException.class,
                            e -> Copy.work(Disk.REAL, directory, () -> {
                                throw failure("did not finish within " + timeLimit, e);
                            }))
                    .flatMap(exited -> Copy.work(Disk.REAL, directory, () -> check(exited)));
        }

        private synchronized Process start(Map<String, String> variables) throws InterruptedException {
            if (ended) {
                throw new InstallException(command.get(0) + ": the installation was cancelled", null);
            }
            ProcessBuilder builder =
                    new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true);
            builder.environment().clear();
            builder.environment().putAll(variables);
            try {
                Process started = builder.start();
                process = started;
                started.getOutputStream().close();
                // A thread of its own: it reads for as long as the program runs.
                Thread reader = new Thread(() -> tail.read(started.getInputStream()), "otaflux-command-output");
                reader.setDaemon(true);
                reader.start();
                tail.reader = reader;
                return started;
            } catch (IOException e) {
                throw new InstallException(command.get(0) + ": could not be run: " + e.getMessage(), e);
            }
        }

        private boolean check(Process exited) throws InterruptedException {
            if (exited.exitValue() != 0) {
                throw failure("ended with exit code " + exited.exitValue(), null);
            }
            return true;
        }

        private InstallException failure(String what, @Nullable Throwable cause) {
            String output = tail.text();
            return new InstallException(
                    command.get(0) + ": " + what
                            + (output.isEmpty() ? ", without output" : ", after the output: " + output),
                    cause);
        }

        /** Ends the program if it still runs, waits for that, and removes the files. */
        private synchronized boolean end() throws IOException, InterruptedException {
            ended = true;
            if (process != null && process.isAlive()) {
                // Asked first, because those whose parent is gone cannot be found any more.
                List<ProcessHandle> family = Stream.concat(process.descendants(), Stream.of(process.toHandle()))
                        .toList();
                family.forEach(ProcessHandle::destroy);
                if (!awaitAll(family, GRACE)) {
                    family.forEach(ProcessHandle::destroyForcibly);
                    awaitAll(family, GRACE);
                }
            }
            return delete(directory);
        }

        private static boolean awaitAll(List<ProcessHandle> family, Duration limit) throws InterruptedException {
            try {
                CompletableFuture.allOf(
                                family.stream().map(ProcessHandle::onExit).toArray(CompletableFuture[]::new))
                        .get(limit.toMillis(), TimeUnit.MILLISECONDS);
                return true;
            } catch (TimeoutException e) {
                return false;
            } catch (ExecutionException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** The end of what a program prints. */
    private static final class Tail {

        private static final Duration LATE = Duration.ofSeconds(1);

        private final byte[] last = new byte[TAIL];
        private long length;
        private volatile @Nullable Thread reader;

        void read(InputStream output) {
            byte[] buffer = new byte[TAIL];
            try (output) {
                for (int read = output.read(buffer); read >= 0; read = output.read(buffer)) {
                    add(buffer, read);
                }
            } catch (IOException e) {
                // The program was killed in mid-sentence.
                add("…".getBytes(StandardCharsets.UTF_8), 3);
            }
        }

        private synchronized void add(byte[] bytes, int count) {
            for (int i = 0; i < count; i++) {
                last[(int) (length++ % TAIL)] = bytes[i];
            }
        }

        /** The end of the output as one line of printable characters; waits a moment for what is still on its way. */
        String text() {
            Thread reading = reader;
            try {
                if (reading != null) {
                    reading.join(LATE.toMillis());
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return collected();
        }

        private synchronized String collected() {
            int count = (int) Math.min(TAIL, length);
            byte[] ordered = new byte[count];
            for (int i = 0; i < count; i++) {
                ordered[i] = last[(int) ((length - count + i) % TAIL)];
            }
            return new String(ordered, StandardCharsets.UTF_8)
                    .strip()
                    .replaceAll("\\R", " | ")
                    .replaceAll("\\p{Cntrl}", "?");
        }
    }

    /** Settings of a {@link CommandInstaller}. */
    public static final class Builder {

        private final List<String> command;
        private final Map<String, String> environment = new HashMap<>();
        private @Nullable Path workDirectory;
        private Duration timeLimit = Duration.ofMinutes(10);
        private Effect effect = Effect.IMMEDIATE;
        private boolean deltas;

        private Builder(String program, String... arguments) {
            this.command =
                    Stream.concat(Stream.of(program), Arrays.stream(arguments)).toList();
        }

        /** Another variable for the program. Defaults to none. */
        public Builder environment(String name, String value) {
            environment.put(Objects.requireNonNull(name, "name"), Objects.requireNonNull(value, "value"));
            return this;
        }

        /** Where the private directory with the files is made; it needs room for them. Defaults to {@code java.io.tmpdir}. */
        public Builder workDirectory(Path directory) {
            this.workDirectory = Objects.requireNonNull(directory, "directory");
            return this;
        }

        /** How long the program may run. Defaults to 10 minutes. */
        public Builder timeLimit(Duration limit) {
            if (limit.isNegative() || limit.isZero()) {
                throw new IllegalArgumentException("timeLimit: " + limit + " (expected: > 0)");
            }
            this.timeLimit = limit;
            return this;
        }

        /** When what the program did counts. Defaults to {@link Installer.Effect#IMMEDIATE}. */
        public Builder effect(Effect whenItCounts) {
            this.effect = Objects.requireNonNull(whenItCounts, "whenItCounts");
            return this;
        }

        /** Lets the program have deltas too, which {@code OTAFLUX_DELTA} tells from whole files. Defaults to refusing them. */
        public Builder acceptDeltas() {
            this.deltas = true;
            return this;
        }

        public CommandInstaller build() {
            return new CommandInstaller(this);
        }
    }
}
