package io.otaflux.storage;

import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaException.Stage;
import io.otaflux.StorageException;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import io.otaflux.callback.Unpacker;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Installs an upgrade of one or several files by replacing a directory: with the files under their names, or with what is in
 * them, where they are {@linkplain #unpacking() archives}.
 *
 * <p>Everything is written beside the directory, hashed once more on the way, and made durable; then the directory, which is a
 * symbolic link from then on, leads there in one step. So at every instant, with power or without, there is the whole old
 * directory or the whole new one; the old one stays as {@code <name>.previous}. Only the first time, where there is a directory
 * that was not installed this way, two steps are needed: after a crash between them the directory is missing until the next
 * installation, or {@link #to}, puts it back.
 *
 * <p>It blocks on threads of its own and of the store, never on the subscriber's. Cancellation leaves the old or the new
 * directory.
 */
public final class DirectoryInstaller implements Installer {

    private final Disk disk;
    private final SwitchedDirectory directory;
    private final Archive.@Nullable Limits archives;
    private final Effect effect;
    private volatile @Nullable UpgradeKey installed;

    private DirectoryInstaller(
            Disk disk, SwitchedDirectory directory, Archive.@Nullable Limits archives, Effect effect) {
        this.disk = disk;
        this.directory = directory;
        this.archives = archives;
        this.effect = effect;
    }

    /**
     * Replaces {@code directory}, which need not exist yet; the one it is in must. The new version is in effect at once.
     * Finishes what a crash has interrupted, and blocks for that.
     *
     * @throws StorageException when the directory cannot be used
     */
    public static DirectoryInstaller to(Path directory) {
        return to(directory, Disk.REAL);
    }

    /** For tests, which stop at any change of the medium. */
    static DirectoryInstaller to(Path directory, Disk disk) {
        SwitchedDirectory switched = new SwitchedDirectory(disk, directory);
        try {
            switched.repair();
        } catch (IOException e) {
            throw disk.failure(Stage.INSTALL, "Could not use", directory, e);
        }
        return new DirectoryInstaller(disk, switched, null, Effect.IMMEDIATE);
    }

    /** The same installer with another effect: {@link Installer.Effect#AFTER_RESTART} where whoever uses the files reads them at start. */
    public DirectoryInstaller effect(Effect whenItCounts) {
        return new DirectoryInstaller(disk, directory, archives, whenItCounts);
    }

    /**
     * The same installer for archives: zip, tar or gzipped tar, of at most 4 GiB and 65,536 entries unpacked. An archive
     * with links, or with names that lead out of the directory, is refused, and so is a file that is no archive.
     */
    public DirectoryInstaller unpacking() {
        return new DirectoryInstaller(disk, directory, Archive.Limits.DEFAULT, effect);
    }

    /** The same with limits of one's own, for each archive. */
    public DirectoryInstaller unpacking(long mostBytes, int mostEntries) {
        return new DirectoryInstaller(disk, directory, new Archive.Limits(mostBytes, mostEntries), effect);
    }

    @Override
    public Mono<Effect> install(Verified verified) {
        return Mono.defer(() -> {
            checkNames(verified);
            String name = name(verified);
            return Copy.work(disk, directory.path(), () -> isInUse(name))
                    .flatMapMany(there -> there ? Mono.just(effect) : replaced(verified, name))
                    .singleOrEmpty()
                    .doOnNext(done -> installed = verified.trigger().key());
        });
    }

    private void checkNames(Verified verified) {
        Set<String> names = new HashSet<>();
        for (Verified.File file : verified.files()) {
            if (!names.add(file.artifact().name())) {
                throw new InstallException(
                        directory.path() + ": two files are called "
                                + file.artifact().name() + " (expected: each with a name of its own)",
                        null);
            }
        }
    }

    private boolean isInUse(String name) throws IOException {
        directory.repair();
        String inUse = directory.inUse();
        return inUse != null && inUse.startsWith(name + ".");
    }

    private Mono<Effect> replaced(Verified verified, String name) {
        return Mono.usingWhen(
                Copy.work(disk, directory.path(), () -> new Filling(directory.place(name))),
                filling -> Flux.fromIterable(verified.files())
                        .flatMap(file -> brought(file, filling), 1)
                        .then(Copy.work(disk, directory.path(), filling::finish)),
                filling -> Copy.work(disk, directory.path(), filling::discard));
    }

    private Mono<Boolean> brought(Verified.File file, Filling filling) {
        Archive.Limits limits = archives;
        if (limits == null) {
            return Copy.of(disk, file, filling.place.resolve(file.artifact().name()), () -> true);
        }
        return Copy.work(disk, directory.path(), () -> directory.place("archive"))
                .flatMapMany(archive -> Copy.of(disk, file, archive, () -> {
                    Archive.unpack(disk, archive, filling.place, limits);
                    return disk.delete(archive);
                }))
                .singleOrEmpty();
    }

    /** A version of a directory that is being filled. */
    private final class Filling {

        private final Path place;
        private boolean over;

        Filling(Path place) throws IOException {
            this.place = place;
            disk.createDirectory(place);
        }

        synchronized Effect finish() throws IOException {
            if (over) {
                throw new IOException("the installation was cancelled");
            }
            over = true;
            try {
                disk.syncDirectory(place);
                directory.use(place);
            } catch (IOException | RuntimeException e) {
                over = place.getFileName().toString().equals(directory.inUse());
                throw e;
            }
            return effect;
        }

        synchronized boolean discard() throws IOException {
            boolean unfinished = !over;
            over = true;
            return unfinished && disk.deleteTree(place);
        }
    }

    /** True until this process ends: who comes up next reads the new files. */
    @Override
    public boolean awaitsRestart(UpgradeTrigger trigger) {
        return effect == Effect.AFTER_RESTART && trigger.key().equals(installed);
    }

    /**
     * Brings back the directory that the last installation replaced; again, and the other one is back.
     *
     * @return a {@code Mono} that completes when that survives a power cut, and errors with {@link InstallException} where
     *     there is no previous directory
     */
    public Mono<Void> rollBack() {
        return Copy.work(disk, directory.path(), () -> {
                    directory.rollBack();
                    return true;
                })
                .then();
    }

    /** The same for callback-style programs, whose archive is a file of theirs. */
    public static final class Unpacking implements Unpacker {

        @Override
        public Mono<Void> unpack(Path archive, Path directory) {
            return Copy.work(Disk.REAL, directory, () -> unpackNow(Disk.REAL, archive, directory))
                    .then();
        }

        static boolean unpackNow(Disk disk, Path archive, Path directory) throws IOException {
            SwitchedDirectory switched = new SwitchedDirectory(disk, directory);
            switched.repair();
            Path place = switched.place("unpacked");
            try {
                disk.createDirectory(place);
                Archive.unpack(disk, archive, place, Archive.Limits.DEFAULT);
                switched.use(place);
                return true;
            } catch (IOException | RuntimeException e) {
                if (!String.valueOf(place.getFileName()).equals(switched.inUse())) {
                    disk.deleteTree(place);
                }
                throw e;
            }
        }
    }

    /** What an installation is called: the same for the same content, by which a repetition is known. */
    private String name(Verified verified) {
        Hasher hasher = new Hasher(List.of(Digest.Algorithm.SHA_256));
        hasher.update(text(archives == null ? "files" : "archives"));
        for (Verified.File file : verified.files()) {
            hasher.update(text("\n" + file.artifact().name() + " " + file.digest()));
        }
        return Objects.requireNonNull(hasher.finish().get(0)).hex().substring(0, 32);
    }

    private static ByteBuffer text(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public String toString() {
        return "DirectoryInstaller[" + directory.path() + "]";
    }
}
