package io.otaflux.samples.cli;

import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.OtaException;
import io.otaflux.StorageException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** One download through the whole pipeline, whose installer puts the verified file where it was asked for. */
@Command(
        name = "download",
        description = {
            "Downloads a file, verifies it, and only then puts it in its place.",
            "What has arrived survives interruptions of every kind; the same command goes on from there."
        },
        footer = {
            "",
            "The file proves to be the right one by --sha256 or, weaker, --md5, and by --size. Without any of these, https is"
                    + " what vouches for it. Plain http vouches for nothing: it needs --allow-http and a digest. A redirect"
                    + " never leads from https to http.",
            "",
            "It does not hang: a server that is silent for longer than --timeout, or brings less than 16 KiB in a minute, is"
                    + " left, and asked again after a random wait of up to 2 minutes (up to 4 where it asks for that with"
                    + " Retry-After). After --retries tries in a row without a new byte it gives up, and after --deadline"
                    + " in any case.",
            "",
            "The server in the URL is asked wherever it is, since it was typed here. A redirect to another one is followed on"
                    + " the public Internet, and into networks of --allow-network."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:The file is there and verified.",
            "2:The command line makes no sense.",
            "3:The source cannot provide the file.",
            "4:The bytes are wrong: their digest or their length.",
            "5:The disk failed, is full, or may not be written to.",
            "6:Interrupted or given up; the same command goes on.",
            "130:Ended by Ctrl-C (143: SIGTERM) after a checkpoint; the same command goes on."
        })
final class DownloadCommand implements Callable<Integer> {

    private static final DeviceId HERE = new DeviceId("local", "download");
    private static final String STATE_SUFFIX = ".otaflux";
    private static final int LONGEST_NAME = 128;
    private static final Duration CONNECT = Duration.ofSeconds(10);

    private static final String RETRIES = "10";
    private static final String TIMEOUT = "30s";
    private static final String DEADLINE = "24h";

    /** Null in a command that was read by {@link #plain}. */
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(paramLabel = "URL", description = "Where the file is: https, or http with --allow-http.")
    @SuppressWarnings("NullAway.Init")
    private String url;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "Where to put it. A file that is there is replaced in one step.")
    @SuppressWarnings("NullAway.Init")
    private Path output;

    @ArgGroup(exclusive = true)
    private @Nullable DigestOption digest;

    @Option(names = "--size", paramLabel = "N", description = "Its exact length in bytes.")
    private @Nullable Long size;

    @Option(
            names = "--state",
            paramLabel = "DIR",
            description =
                    "Where to keep what has arrived. Defaults to the directory .FILE.otaflux beside FILE, which goes"
                            + " away in the end.")
    private @Nullable Path state;

    @Option(
            names = "--ca",
            paramLabel = "FILE",
            description = "Certificate authorities to trust (PEM) instead of the system's.")
    private @Nullable Path authorities;

    @Option(names = "--allow-http", description = "Take plain http, if there is a digest.")
    private boolean allowHttp;

    @Option(
            names = "--allow-network",
            paramLabel = "CIDR",
            description =
                    "A network that a redirect may lead to besides the public Internet, for example 192.168.0.0/16."
                            + " Repeatable.")
    private List<String> networks = List.of();

    @Option(
            names = "--retries",
            paramLabel = "N",
            defaultValue = RETRIES,
            description = "How often to try again in a row without a new byte. Defaults to ${DEFAULT-VALUE}.")
    private int retries;

    @Option(
            names = "--timeout",
            paramLabel = "TIME",
            defaultValue = TIMEOUT,
            converter = Span.Converter.class,
            description =
                    "How long the server may be silent, before it answers or later. Defaults to ${DEFAULT-VALUE}.")
    @SuppressWarnings("NullAway.Init")
    private Span timeout;

    @Option(
            names = "--deadline",
            paramLabel = "TIME",
            defaultValue = DEADLINE,
            converter = Span.Converter.class,
            description = "How long it may take in all. Defaults to ${DEFAULT-VALUE}.")
    @SuppressWarnings("NullAway.Init")
    private Span deadline;

    @Option(names = "--no-progress", description = "No progress bar, which there is on a terminal only.")
    private boolean noProgress;

    @Option(names = "--json", description = "Write each event as one line of JSON.")
    private boolean json;

    static final class DigestOption {

        @Option(names = "--sha256", paramLabel = "HEX", description = "Its SHA-256.")
        private @Nullable String sha256;

        @Option(
                names = "--md5",
                paramLabel = "HEX",
                description = "Its MD5: shows that nothing broke, not that nobody meddled.")
        private @Nullable String md5;

        static DigestOption of(String name, String value) {
            DigestOption option = new DigestOption();
            if (name.equals("--md5")) {
                option.md5 = value;
            } else {
                option.sha256 = value;
            }
            return option;
        }

        List<Digest> digests() {
            return Stream.concat(
                            Stream.ofNullable(sha256).map(Digest::sha256),
                            Stream.ofNullable(md5).map(Digest::md5))
                    .toList();
        }
    }

    /** Thrown by a plain command that makes no sense after all, before it has done anything: picocli can say why. */
    static final class UnclearException extends RuntimeException {

        private UnclearException() {
            super(null, null, false, false);
        }
    }

    /**
     * Reads a command line as scripts write it, which is most of them, without picocli: to start that takes longer than
     * to download a small file.
     *
     * @return null where picocli is needed: to make sense of it, to explain it or to complain about it
     */
    static @Nullable DownloadCommand plain(String... arguments) {
        if (arguments.length == 0 || !arguments[0].equals("download")) {
            return null;
        }
        DownloadCommand command = new DownloadCommand();
        command.retries = Integer.parseInt(RETRIES);
        command.timeout = Span.of(TIMEOUT);
        command.deadline = Span.of(DEADLINE);
        Set<String> seen = new HashSet<>();
        for (int i = 1; i < arguments.length; i++) {
            String word = arguments[i];
            int equals = word.startsWith("--") ? word.indexOf('=') : -1;
            String name = equals < 0 ? word : word.substring(0, equals);
            if (!name.startsWith("-")) {
                if (!isPlain(name) || !seen.add("URL")) {
                    return null;
                }
                command.url = name;
            } else if (command.flag(name)) {
                if (equals >= 0 || !seen.add(name)) {
                    return null;
                }
            } else {
                String value =
                        equals >= 0 ? word.substring(equals + 1) : i + 1 < arguments.length ? arguments[++i] : "";
                boolean again = !seen.add(name.equals("--output") ? "-o" : name);
                if (!isPlain(value) || (again && !name.equals("--allow-network")) || !command.value(name, value)) {
                    return null;
                }
            }
        }
        return seen.containsAll(Set.of("URL", "-o")) && !seen.containsAll(Set.of("--sha256", "--md5")) ? command : null;
    }

    /** Neither an option, nor the name of a file of arguments, nor quoted, nor what picocli would look into for variables. */
    private static boolean isPlain(String word) {
        return !word.isEmpty() && "-@'\"".indexOf(word.charAt(0)) < 0 && !word.contains("${");
    }

    private boolean flag(String name) {
        switch (name) {
            case "--allow-http" -> allowHttp = true;
            case "--no-progress" -> noProgress = true;
            case "--json" -> json = true;
            default -> {
                return false;
            }
        }
        return true;
    }

    private boolean value(String name, String value) {
        try {
            switch (name) {
                case "-o", "--output" -> output = Path.of(value);
                case "--sha256", "--md5" -> digest = DigestOption.of(name, value);
                case "--size" -> size = Long.valueOf(decimal(value));
                case "--state" -> state = Path.of(value);
                case "--ca" -> authorities = Path.of(value);
                case "--allow-network" ->
                    networks =
                            Stream.concat(networks.stream(), Stream.of(value)).toList();
                case "--retries" -> retries = Integer.parseInt(decimal(value));
                case "--timeout" -> timeout = Span.of(value);
                case "--deadline" -> deadline = Span.of(value);
                default -> {
                    return false;
                }
            }
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** Picocli knows hexadecimal and octal numbers, too. */
    private static String decimal(String number) {
        if (number.startsWith("0") && number.length() > 1) {
            throw new IllegalArgumentException(number);
        }
        return number;
    }

    @Override
    public Integer call() {
        Artifact artifact = artifact();
        if (retries < 0) {
            throw usage("--retries: " + retries + " (expected: >= 0)");
        }
        Path target = output.toAbsolutePath().normalize();
        checkWritable(target);
        boolean ownState = state == null;
        Path directory = state != null ? state : target.resolveSibling("." + target.getFileName() + STATE_SUFFIX);
        try {
            download(artifact, target, directory);
        } catch (CommandFailedException e) {
            if (ownState) {
                tidyUp(directory, e.exitCode() == ExitCode.WRONG_BYTES);
            }
            throw e;
        }
        if (ownState) {
            tidyUp(directory, true);
        }
        return ExitCode.OK;
    }

    private void download(Artifact artifact, Path target, Path directory) {
        PrintWriter err = err();
        AtomicLong durable = new AtomicLong();
        AtomicReference<UpgradeEvent.@Nullable Ended> end = new AtomicReference<>();
        try (Foreground foreground = new Foreground()) {
            HttpArtifactSource source = source(artifact.location());
            foreground.atEnd(() -> source.close().block());
            ArtifactStore store = open(directory);
            foreground.atEnd(() -> store.close().block());
            foreground.afterSignal(() -> err.println("otaflux download: stopped by a signal after " + durable
                    + " bytes; the same command goes on from there"));

            OtaClient ota = OtaClient.builder(UpgradeChannel.none(HERE))
                    .source(source)
                    .store(store)
                    .installer(verified -> verified.file().moveTo(target).thenReturn(Installer.Effect.IMMEDIATE))
                    .acceptMissingDigests(true)
                    .acceptWeakDigests(true)
                    .backoff(new Backoff(Backoff.DEFAULT.first(), Backoff.DEFAULT.max(), retries))
                    .deadline(deadline.duration())
                    .build();
            ProgressBar bar =
                    noProgress || json || !ProgressBar.isTerminal() ? null : new ProgressBar(err, System::nanoTime);
            if (bar != null) {
                foreground.atEnd(bar::clear);
            }
            PrintWriter out = out();
            foreground.run(ota.upgrade(new UpgradeTrigger(HERE, "file", "1", artifact)), event -> {
                if (json) {
                    out.println(Events.json(event));
                }
                if (event instanceof UpgradeEvent.Received received) {
                    durable.set(received.bytes());
                    if (bar != null) {
                        bar.show(received);
                    }
                } else if (event instanceof UpgradeEvent.Ended ended) {
                    end.set(ended);
                }
            });
        }
        if (end.get() instanceof UpgradeEvent.Failed failed) {
            throw failed(failed.cause());
        }
    }

    private static CommandFailedException failed(OtaException cause) {
        int exitCode = ExitCode.of(cause);
        String next = exitCode == ExitCode.RESUMABLE ? " (the same command goes on from where it stopped)" : "";
        return new CommandFailedException(exitCode, Line.of(cause) + next, cause);
    }

    private Artifact artifact() {
        URI location;
        try {
            location = new URI(url);
        } catch (URISyntaxException e) {
            // Its message has the whole of what was typed in it.
            throw usage("URL: " + e.getReason() + " at index " + e.getIndex());
        }
        List<Digest> digests;
        try {
            digests = digest == null ? List.of() : digest.digests();
        } catch (IllegalArgumentException e) {
            throw usage(Line.of(e));
        }
        String scheme = String.valueOf(location.getScheme()).toLowerCase(Locale.ROOT);
        if (!scheme.equals("https") && !scheme.equals("http")) {
            throw usage("URL: its scheme is " + scheme + " (expected: https or http)");
        }
        if (location.getHost() == null) {
            throw usage("URL: no host (expected: https://HOST/…)");
        }
        if (scheme.equals("http") && !allowHttp) {
            throw usage("URL: plain http (expected: https, or --allow-http and a digest)");
        }
        if (scheme.equals("http") && digests.isEmpty()) {
            throw usage("URL: plain http needs --sha256 or --md5");
        }
        if (size != null && size < 0) {
            throw usage("--size: " + size + " (expected: >= 0)");
        }
        return new Artifact(name(location), location, size == null ? Artifact.UNKNOWN_SIZE : size, digests);
    }

    /** For messages: what comes last in the path, as far as a name may look like that. */
    private static String name(URI location) {
        String path = String.valueOf(location.getPath());
        String last = path.substring(path.lastIndexOf('/') + 1)
                .replaceAll("[^A-Za-z0-9._+@() -]", "_")
                .replaceFirst("^[^A-Za-z0-9_]+", "");
        return last.isBlank() ? "file" : last.substring(0, Math.min(last.length(), LONGEST_NAME));
    }

    private static void checkWritable(Path target) {
        Path parent = target.getParent();
        if (parent == null || Files.isDirectory(target)) {
            throw new CommandFailedException(ExitCode.STORAGE, target + ": is a directory (expected: a file)");
        }
        if (!Files.isDirectory(parent)) {
            throw new CommandFailedException(ExitCode.STORAGE, parent + ": is no directory");
        }
        if (!Files.isWritable(parent)) {
            throw new CommandFailedException(ExitCode.STORAGE, parent + ": may not be written to");
        }
    }

    private HttpArtifactSource source(URI typed) {
        Duration silence = timeout.duration();
        HttpArtifactSource.Builder builder = HttpArtifactSource.builder()
                .allowHttp(allowHttp)
                .allowOrigin(typed)
                .connectTimeout(silence.compareTo(CONNECT) < 0 ? silence : CONNECT)
                .firstByteTimeout(silence)
                .stallTimeout(silence);
        try {
            builder.allowNetworks(networks.toArray(String[]::new));
        } catch (IllegalArgumentException e) {
            throw usage("--allow-network: " + Line.of(e));
        }
        try {
            if (authorities != null) {
                builder.trustedCertificates(authorities);
            }
            return builder.build();
        } catch (IllegalArgumentException e) {
            throw usage("--ca: " + Line.of(e));
        }
    }

    private static ArtifactStore open(Path directory) {
        try {
            return FileArtifactStore.in(directory);
        } catch (StorageException e) {
            throw new CommandFailedException(ExitCode.STORAGE, Line.of(e), e);
        }
    }

    /**
     * Removes the directory that this command made for itself, if nothing in it is worth going on from. What became of
     * the download is settled by then, so that a directory which stays is worth a warning and no more.
     */
    private void tidyUp(Path directory, boolean done) {
        if (!Files.isDirectory(directory)) {
            return;
        }
        try {
            if (done || !hasBytes(directory)) {
                Trees.delete(directory);
            }
        } catch (IOException e) {
            PrintWriter err = err();
            err.println("otaflux download: warning: could not remove " + directory + ": " + Line.of(e));
            err.flush();
        }
    }

    private static boolean hasBytes(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString())
                    .anyMatch(name -> !name.equals("lock") && !name.equals("journal"));
        }
    }

    private RuntimeException usage(String message) {
        return spec == null ? new UnclearException() : Commands.misuse(spec, message);
    }

    private PrintWriter out() {
        return spec == null ? Otaflux.lines(System.out) : spec.commandLine().getOut();
    }

    private PrintWriter err() {
        return spec == null ? Otaflux.lines(System.err) : spec.commandLine().getErr();
    }
}
