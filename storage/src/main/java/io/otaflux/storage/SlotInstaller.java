package io.otaflux.storage;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.StorageException;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * Installs the device's own firmware into one of two slots and goes back to the other one when the new version does not
 * come up.
 *
 * <p>In the directory there are the slots {@code a} and {@code b}, each with the files of one version under the names of
 * their artifacts, and the symbolic link {@code current} to the slot that is to run. An upgrade goes into the slot that is
 * not in use; {@code current} is switched in one step when everything in it is durable. The version that was confirmed last
 * is never touched.
 *
 * <p>The program, or whatever starts it, calls {@link #boot()} once at each start and runs what that answers. Each start of
 * a version that is not confirmed is counted before it happens; after {@link Builder#starts} of them without
 * {@link #confirm}, the slot before it is in use again. A power cut at any instant leaves exactly one version to run: the
 * old one or the whole new one.
 *
 * <p>A directory without any slot is fine, and so is one where {@code current} already links to {@code a} or {@code b}: what
 * is in that slot counts as confirmed, as version {@value #FACTORY}.
 */
public final class SlotInstaller implements Installer {

    /*
     * On disk:
     *
     *   a/, b/          the slots; what is in them is whole if, and only if, the state gives them a version
     *   current         -> a or b; always follows the state, and is put right when the directory is opened
     *   state           one line, see SmallFile: a=<version> b=<version> confirmed=<slot> pending=<slot> starts=<n>
     *   .new-<n>/       a slot that is being filled; deleted when the directory is opened
     *
     * The state decides. An upgrade is: state without the version of the spare slot; its files deleted; the new ones
     * written to .new-<n>, synchronised, renamed to the slot; state with the version, pending; `current` switched. A crash
     * before the last state leaves the old version in use, a crash after it the new one.
     */

    /** The version of what was in a slot before anything was installed by this library. */
    public static final String FACTORY = "factory";

    private static final Logger log = Loggers.getLogger(SlotInstaller.class);
    private static final String CURRENT = "current";
    private static final String STATE = "state";
    private static final String KIND = "slots";
    private static final String FILLING = ".new-";

    private final AtomicLong number = new AtomicLong(System.nanoTime());
    private final Path directory;
    private final int starts;
    private final Disk disk;
    private volatile State state;

    /** The version that this start gave up, as long as nobody was told. */
    private final AtomicReference<@Nullable String> givenUp = new AtomicReference<>();

    private SlotInstaller(Builder builder) throws IOException {
        this.starts = builder.starts;
        this.disk = builder.disk;
        disk.createDirectories(builder.directory);
        this.directory = builder.directory.toRealPath();
        this.state = load();
        tidyUp();
        switchTo(state.inUse());
    }

    /**
     * The slots in {@code directory}, which is created where there is none, with default settings. Finishes what a crash
     * has interrupted, and blocks for that.
     *
     * @throws StorageException when the directory cannot be used
     */
    public static SlotInstaller in(Path directory) {
        return builder(directory).build();
    }

    /** Settings of an installer for the slots in {@code directory}. */
    public static Builder builder(Path directory) {
        return new Builder(directory);
    }

    /**
     * Counts a start and answers what is to run. Called once at each start of the device or program, before anything that
     * may fail.
     *
     * @return a {@code Mono} that emits what {@code current} links to by then, when the count would survive a power cut. It
     *     completes empty where no slot is in use: nothing was installed yet, or the first version ever installed did not
     *     come up; what runs then is what the device came with. It errors with {@link StorageException}
     */
    public Mono<Boot> boot() {
        return Copy.work(disk, directory, this::bootNow).handle((version, sink) -> version.ifPresent(sink::next));
    }

    private synchronized Optional<Boot> bootNow() throws IOException {
        State now = load();
        String rolledBack = null;
        if (now.pending != null) {
            if (now.starts >= starts) {
                rolledBack = now.versions.get(now.pending);
                log.warn(
                        "{}: {} was started {} times and not confirmed; rolling back",
                        directory,
                        rolledBack,
                        now.starts);
                now = now.without(now.pending);
            } else {
                now = new State(now.versions, now.confirmed, now.pending, now.starts + 1);
            }
            save(now);
        }
        switchTo(now.inUse());
        if (rolledBack != null) {
            givenUp.set(rolledBack);
        }
        Slot inUse = now.inUse();
        return inUse == null
                ? Optional.empty()
                : Optional.of(
                        new Boot(path(inUse), Objects.requireNonNull(now.versions.get(inUse)), now.starts, rolledBack));
    }

    /**
     * {@inheritDoc} Where the version was started already and only waits to be confirmed, there is nothing to do.
     *
     * @return a {@code Mono} that errors with {@link InstallException} and {@link OtaException.Reason#ROLLED_BACK} when this
     *     start of the device has just given the version up: an installation that was cut off after its switch, and whose
     *     version did not come up, is begun again by somebody who knows nothing of that. It can be installed after that
     */
    @Override
    public Mono<Effect> install(Verified verified) {
        return Mono.defer(() -> {
            Set<String> names = new HashSet<>();
            for (Verified.File file : verified.files()) {
                if (!names.add(file.artifact().name())) {
                    return Mono.error(new InstallException(
                            directory + ": two files are called "
                                    + file.artifact().name() + " (expected: one)",
                            null));
                }
            }
            String version = verified.trigger().version();
            if (tellsGivenUp(version)) {
                return Mono.error(new InstallException(
                        Reason.ROLLED_BACK,
                        directory + ": version " + version + " was started " + starts
                                + " times and not confirmed; it was rolled back",
                        null));
            }
            Path filling = directory.resolve(FILLING + number.incrementAndGet());
            return Copy.work(disk, directory, () -> runsUnconfirmed(version))
                    .flatMapMany(running -> running ? Mono.just(Effect.IMMEDIATE) : install(verified, version, filling))
                    .singleOrEmpty();
        });
    }

    private Mono<Effect> install(Verified verified, String version, Path filling) {
        return Mono.usingWhen(
                Copy.work(disk, directory, () -> prepare(filling)),
                spare -> Flux.fromIterable(verified.files())
                        .flatMap(
                                file -> Copy.of(
                                        disk,
                                        file,
                                        filling.resolve(file.artifact().name()),
                                        () -> true),
                                1)
                        .then(Copy.work(disk, directory, () -> finish(spare, version, filling))),
                spare -> Copy.work(disk, directory, () -> disk.deleteTree(filling)));
    }

    private synchronized boolean runsUnconfirmed(String version) throws IOException {
        State now = load();
        if (now.pending == null || now.starts == 0) {
            return false;
        }
        String running = now.versions.get(now.pending);
        if (version.equals(running)) {
            return true;
        }
        throw new InstallException(
                directory + ": version " + running + " runs from slot " + now.pending
                        + " and is not confirmed yet (expected: confirmed or rolled back)",
                null);
    }

    /** Empties the spare slot. What is pending in it has not been started, so the slot before it is in use again. */
    private synchronized Slot prepare(Path filling) throws IOException {
        State now = load();
        Slot spare = now.spare();
        if (now.versions.containsKey(spare)) {
            now = now.without(spare);
            save(now);
            switchTo(now.inUse());
        }
        disk.deleteTree(path(spare));
        disk.createDirectory(filling);
        return spare;
    }

    private synchronized Effect finish(Slot spare, String version, Path filling) throws IOException {
        State now = load();
        if (spare != now.spare() || now.versions.containsKey(spare)) {
            throw new InstallException(directory + ": slot " + spare + " was taken by another installation", null);
        }
        disk.syncDirectory(filling);
        disk.rename(filling, path(spare));
        disk.syncDirectory(directory);
        now = now.with(spare, version);
        save(now);
        switchTo(spare);
        return Effect.AFTER_RESTART;
    }

    /**
     * {@inheritDoc}
     *
     * @return a {@code Mono} that errors with {@link InstallException} when another version is in use
     */
    @Override
    public Mono<Void> confirm(UpgradeTrigger trigger) {
        return Copy.work(disk, directory, () -> confirmNow(trigger.version())).then();
    }

    private synchronized boolean confirmNow(String version) throws IOException {
        State now = load();
        Slot inUse = now.inUse();
        String running = inUse == null ? null : now.versions.get(inUse);
        if (!version.equals(running)) {
            throw new InstallException(
                    directory + ": version " + (running == null ? "none" : running) + " is in use (expected: " + version
                            + ")",
                    null);
        }
        if (now.pending != null) {
            save(new State(now.versions, inUse, null, 0));
        }
        return true;
    }

    /** Tells true once, to whoever has to learn that this start gave {@code version} up. */
    private boolean tellsGivenUp(String version) {
        return version.equals(givenUp.getAndUpdate(known -> version.equals(known) ? null : known));
    }

    @Override
    public boolean awaitsRestart(UpgradeTrigger trigger) {
        if (tellsGivenUp(trigger.version())) {
            return false;
        }
        State now = state;
        return now.pending != null && now.starts == 0 && trigger.version().equals(now.versions.get(now.pending));
    }

    private Path path(Slot slot) {
        return directory.resolve(slot.toString());
    }

    private State load() throws IOException {
        State written =
                SmallFile.read(directory.resolve(STATE), KIND).map(this::parse).orElse(null);
        State loaded = written == null ? adopted() : written;
        state = loaded;
        return loaded;
    }

    private @Nullable State parse(Map<String, String> values) {
        try {
            return State.of(values);
        } catch (IllegalArgumentException e) {
            log.warn("{} makes no sense: {}; going on without it", directory.resolve(STATE), e.getMessage());
            return null;
        }
    }

    /** What is there without a state: a slot that somebody filled and linked by hand. */
    private State adopted() throws IOException {
        String linked = linked();
        if (linked == null) {
            return new State(Map.of(), null, null, 0);
        }
        Slot slot = Slot.named(linked);
        if (slot == null || !Files.isDirectory(path(slot), LinkOption.NOFOLLOW_LINKS)) {
            throw new StorageException(
                    Stage.INSTALL,
                    Reason.CORRUPT,
                    directory.resolve(CURRENT) + ": links to " + linked + " (expected: a directory a or b beside it)",
                    null);
        }
        return new State(Map.of(slot, FACTORY), slot, null, 0);
    }

    private void save(State next) throws IOException {
        SmallFile.write(disk, directory.resolve(STATE), KIND, next.values());
        state = next;
    }

    private @Nullable String linked() throws IOException {
        try {
            return Files.readSymbolicLink(directory.resolve(CURRENT)).toString();
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    private void switchTo(@Nullable Slot slot) throws IOException {
        Path current = directory.resolve(CURRENT);
        if (slot == null) {
            if (disk.delete(current)) {
                disk.syncDirectory(directory);
            }
            return;
        }
        if (slot.toString().equals(linked())) {
            return;
        }
        disk.relink(current, Path.of(slot.toString()), directory.resolve(CURRENT + SmallFile.TEMPORARY));
    }

    private void tidyUp() throws IOException {
        try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(directory, FILLING + "*")) {
            for (Path leftover : leftovers) {
                disk.deleteTree(leftover);
            }
        }
    }

    @Override
    public String toString() {
        return "SlotInstaller[" + directory + "]";
    }

    /**
     * What is to run.
     *
     * @param slot the directory with its files
     * @param version which version that is
     * @param attempt how often this version was started without having been confirmed, this time included; 0 when it is
     *     confirmed
     * @param rolledBackFrom the version that this start gave up; null where it did not
     */
    public record Boot(
            Path slot,
            String version,
            int attempt,
            @Nullable String rolledBackFrom) {}

    private enum Slot {
        A,
        B;

        Slot other() {
            return this == A ? B : A;
        }

        static @Nullable Slot named(String name) {
            for (Slot slot : values()) {
                if (slot.toString().equals(name)) {
                    return slot;
                }
            }
            return null;
        }

        /** The name of its directory. */
        @Override
        public String toString() {
            return this == A ? "a" : "b";
        }
    }

    /**
     * @param versions which slots are whole, and what is in them
     * @param confirmed the slot to fall back to
     * @param pending the slot that is on trial
     * @param starts how often the pending one was started
     */
    private record State(
            Map<Slot, String> versions,
            @Nullable Slot confirmed,
            @Nullable Slot pending,
            int starts) {

        /** @throws IllegalArgumentException when these are not what {@link #values} makes */
        static State of(Map<String, String> values) {
            Map<Slot, String> versions = new EnumMap<>(Slot.class);
            for (Slot slot : Slot.values()) {
                String version = values.get(slot.toString());
                if (version != null) {
                    versions.put(slot, version);
                }
            }
            State state = new State(
                    versions,
                    whole("confirmed", values, versions),
                    whole("pending", values, versions),
                    Integer.parseInt(values.getOrDefault("starts", "0")));
            if (state.starts < 0) {
                throw new IllegalArgumentException("starts: " + state.starts + " (expected: >= 0)");
            }
            if (state.pending != null && state.pending == state.confirmed) {
                throw new IllegalArgumentException("slot " + state.pending + " is both pending and confirmed");
            }
            return state;
        }

        /** A slot that is in use and therefore has a version. */
        private static @Nullable Slot whole(String use, Map<String, String> values, Map<Slot, String> versions) {
            String name = values.get(use);
            if (name == null) {
                return null;
            }
            Slot slot = Slot.named(name);
            if (slot == null || !versions.containsKey(slot)) {
                throw new IllegalArgumentException(use + ": " + name + " (expected: a slot with a version)");
            }
            return slot;
        }

        Map<String, String> values() {
            Map<String, String> values = new TreeMap<>();
            versions.forEach((slot, version) -> values.put(slot.toString(), version));
            if (confirmed != null) {
                values.put("confirmed", confirmed.toString());
            }
            if (pending != null) {
                values.put("pending", pending.toString());
            }
            values.put("starts", Integer.toString(starts));
            return values;
        }

        @Nullable
        Slot inUse() {
            return pending != null ? pending : confirmed;
        }

        Slot spare() {
            return confirmed == null ? Slot.A : confirmed.other();
        }

        /** The slot has nothing in it that could run. */
        State without(Slot slot) {
            Map<Slot, String> fewer = new EnumMap<>(Slot.class);
            fewer.putAll(versions);
            fewer.remove(slot);
            return new State(fewer, confirmed, pending == slot ? null : pending, 0);
        }

        /** The slot has a new version in it, to be tried at the next start. */
        State with(Slot slot, String version) {
            Map<Slot, String> more = new EnumMap<>(Slot.class);
            more.putAll(versions);
            more.put(slot, version);
            return new State(more, confirmed, slot, 0);
        }
    }

    /** Settings of a {@link SlotInstaller}. */
    public static final class Builder {

        private final Path directory;
        private int starts = 3;
        private Disk disk = Disk.REAL;

        private Builder(Path directory) {
            this.directory = Objects.requireNonNull(directory, "directory");
        }

        /** How often a version is started without being confirmed before it is given up. Defaults to 3. */
        public Builder starts(int starts) {
            if (starts < 1) {
                throw new IllegalArgumentException("starts: " + starts + " (expected: >= 1)");
            }
            this.starts = starts;
            return this;
        }

        /** For tests, which stop at any change of the medium. */
        Builder disk(Disk watched) {
            this.disk = watched;
            return this;
        }

        /**
         * Opens the directory.
         *
         * @throws StorageException as {@link SlotInstaller#in} does
         */
        public SlotInstaller build() {
            try {
                return new SlotInstaller(this);
            } catch (IOException e) {
                throw disk.failure(Stage.INSTALL, "Could not use the slots in", directory, e);
            }
        }
    }
}
