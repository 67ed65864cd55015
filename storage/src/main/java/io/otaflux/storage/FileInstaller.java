package io.otaflux.storage;

import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.StorageException;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Installs an upgrade of one file by replacing a file.
 *
 * <p>The verified bytes are copied to a temporary file beside it, hashed once more on the way, and made durable; the file
 * that was there is kept under the name {@code <name>.previous}; then the new one takes its place in one step. So at every
 * instant, with power or without, there is the old file or the whole new one. The new file has the permissions of the old
 * one. Where the bytes are installed already nothing is touched, so that a repetition does not lose the previous file.
 *
 * <p>An upgrade of several files is refused with {@link InstallException}: files cannot be replaced together in one step.
 * {@link DirectoryInstaller} and {@link SlotInstaller} take such upgrades.
 *
 * <p>It blocks on threads of its own and of the store, never on the subscriber's. Cancellation leaves the old or the new
 * file and takes the temporary one away.
 */
public final class FileInstaller implements Installer {

    private static final String PREVIOUS = ".previous";
    private static final String TEMPORARY = ".otaflux";

    private final AtomicLong number = new AtomicLong(System.nanoTime());
    private final Path file;
    private final Path directory;
    private final Effect effect;
    private final Disk disk;
    private volatile @Nullable UpgradeKey installed;
    private boolean tidy;

    private FileInstaller(Path file, Effect effect, Disk disk) {
        this.file = file.toAbsolutePath();
        this.effect = effect;
        this.disk = disk;
        Path parent = this.file.getParent();
        if (parent == null) {
            throw new IllegalArgumentException("file: " + file + " (expected: a file in a directory)");
        }
        this.directory = parent;
    }

    /** Replaces {@code file}, which need not exist yet; its directory must. The new version is in effect at once. */
    public static FileInstaller to(Path file) {
        return new FileInstaller(Objects.requireNonNull(file, "file"), Effect.IMMEDIATE, Disk.REAL);
    }

    /** The same installer with another effect: {@link Installer.Effect#AFTER_RESTART} where whoever uses the file reads it at start. */
    public FileInstaller effect(Effect whenItCounts) {
        return new FileInstaller(file, whenItCounts, disk);
    }

    /** For tests, which stop at any change of the medium. */
    FileInstaller disk(Disk watched) {
        return new FileInstaller(file, effect, watched);
    }

    @Override
    public Mono<Effect> install(Verified verified) {
        return Mono.defer(() -> {
            if (verified.files().size() != 1) {
                return Mono.error(new InstallException(
                        file + ": the upgrade has " + verified.files().size() + " files (expected: 1)", null));
            }
            Verified.File content = verified.file();
            Path temporary = sibling("." + file.getFileName() + "." + number.incrementAndGet() + TEMPORARY);
            return Copy.work(disk, file, () -> {
                        removeLeftovers();
                        return isInstalled(content);
                    })
                    .flatMapMany(there -> there
                            ? Mono.just(effect)
                            : Copy.of(disk, content, temporary, () -> {
                                replaceBy(temporary);
                                return effect;
                            }))
                    .singleOrEmpty()
                    .doOnNext(done -> installed = verified.trigger().key());
        });
    }

    /** True until this process ends: who comes up next reads the new file. */
    @Override
    public boolean awaitsRestart(UpgradeTrigger trigger) {
        return effect == Effect.AFTER_RESTART && trigger.key().equals(installed);
    }

    /**
     * Brings back the file that the last installation replaced.
     *
     * @return a {@code Mono} that completes when that survives a power cut, and errors with {@link InstallException} where
     *     there is no previous file
     */
    public Mono<Void> rollBack() {
        return Copy.work(disk, file, () -> {
                    Path previous = sibling(file.getFileName() + PREVIOUS);
                    if (!Files.exists(previous, LinkOption.NOFOLLOW_LINKS)) {
                        throw new InstallException(file + ": there is no previous file to roll back to", null);
                    }
                    disk.rename(previous, file);
                    disk.syncDirectory(directory);
                    return true;
                })
                .then();
    }

    private Path sibling(String name) {
        return directory.resolve(name);
    }

    private boolean isInstalled(Verified.File content) throws IOException {
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) != content.size()) {
            return false;
        }
        Hasher hasher = new Hasher(List.of(content.digest().algorithm()));
        try (FileChannel channel = Disk.openToRead(file)) {
            ByteBuffer buffer = ByteBuffer.allocate(64 * 1024);
            while (channel.read(buffer) >= 0) {
                hasher.update(buffer.flip());
                buffer.clear();
            }
        }
        Digest present = hasher.finish().get(0);
        return present.matches(content.digest());
    }

    /** One at a time: an installation that was cancelled may be ending here while the next one has begun. */
    private synchronized void replaceBy(Path temporary) throws IOException {
        if (Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
            throw new StorageException(
                    Stage.INSTALL, Reason.IO_FAILED, "Could not replace " + file + ": it is a directory", null);
        }
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            keepPermissions(temporary);
            keepPrevious();
        }
        disk.rename(temporary, file);
        disk.syncDirectory(directory);
    }

    private void keepPermissions(Path temporary) throws IOException {
        PosixFileAttributeView from = Files.getFileAttributeView(file, PosixFileAttributeView.class);
        PosixFileAttributeView to = Files.getFileAttributeView(temporary, PosixFileAttributeView.class);
        if (from != null && to != null) {
            to.setPermissions(from.readAttributes().permissions());
        }
    }

    /** A second name for the old file, given in one step to replace the one before it: the file itself stays in place. */
    private void keepPrevious() throws IOException {
        Path link = sibling("." + file.getFileName() + "." + number.incrementAndGet() + TEMPORARY);
        try {
            disk.link(link, file);
        } catch (UnsupportedOperationException | FileSystemException e) {
            // A file system without hard links.
            copyTo(link);
        }
        try {
            disk.rename(link, sibling(file.getFileName() + PREVIOUS));
        } catch (IOException e) {
            throw disk.deleted(link, e);
        }
        // Renaming does nothing where both are names of the same file already, because a crash came after this line.
        disk.delete(link);
    }

    private void copyTo(Path copy) throws IOException {
        try {
            disk.copy(file, copy);
        } catch (IOException e) {
            throw disk.deleted(copy, e);
        }
    }

    /** What earlier processes left when they were cut off; once, since from then on the temporary files are of this one. */
    private synchronized void removeLeftovers() throws IOException {
        if (tidy) {
            return;
        }
        String prefix = "." + file.getFileName() + ".";
        try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(
                directory,
                path -> path.getFileName().toString().startsWith(prefix)
                        && path.getFileName().toString().endsWith(TEMPORARY))) {
            for (Path leftover : leftovers) {
                disk.delete(leftover);
            }
        }
        tidy = true;
    }

    @Override
    public String toString() {
        return "FileInstaller[" + file + "]";
    }
}
