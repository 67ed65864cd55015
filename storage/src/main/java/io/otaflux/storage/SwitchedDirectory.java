package io.otaflux.storage;

import io.otaflux.InstallException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import reactor.util.Logger;
import reactor.util.Loggers;

/** A directory that is replaced as a whole. Everything here blocks. */
final class SwitchedDirectory {

    /*
     * On disk, for /opt/app:
     *
     *   /opt/.app.otaflux/<version>/   whole, if a link leads there; otherwise being filled, or left by a crash
     *   /opt/app                       -> .app.otaflux/<version>, the one in use
     *   /opt/app.previous              -> .app.otaflux/<version>, the one before
     *
     * A version is filled, synchronised, and then the link is replaced in one step. Only a directory that somebody else made
     * is in the way of that, once: nothing replaces a directory by a link in one step. So it is moved to
     * /opt/.app.otaflux/, where the link of the previous version leads already, and then the link takes its place. A crash
     * between these two leaves no /opt/app; repair() makes it a link to the previous version.
     */

    private static final Logger log = Loggers.getLogger(SwitchedDirectory.class);
    private static final String PREVIOUS = ".previous";

    private final AtomicLong number = new AtomicLong(System.nanoTime());
    private final Disk disk;
    private final Path link;
    private final Path previous;
    private final Path versions;
    private boolean repaired;

    SwitchedDirectory(Disk disk, Path directory) {
        this.disk = disk;
        this.link = directory.toAbsolutePath().normalize();
        Path name = link.getFileName();
        if (name == null) {
            throw new IllegalArgumentException("directory: " + directory + " (expected: one with a name)");
        }
        this.previous = link.resolveSibling(name + PREVIOUS);
        this.versions = link.resolveSibling("." + name + ".otaflux");
    }

    Path path() {
        return link;
    }

    /** Puts right what a crash has interrupted and deletes what it has left; the first time only. */
    synchronized void repair() throws IOException {
        if (repaired) {
            return;
        }
        String before = version(previous);
        if (!Files.exists(link, LinkOption.NOFOLLOW_LINKS) && before != null && Files.isDirectory(path(before))) {
            relink(link, before);
        }
        if (Files.isDirectory(versions, LinkOption.NOFOLLOW_LINKS)) {
            Set<String> kept = new HashSet<>();
            kept.add(String.valueOf(version(link)));
            kept.add(String.valueOf(before));
            try (DirectoryStream<Path> all = Files.newDirectoryStream(versions)) {
                for (Path one : all) {
                    if (!kept.contains(String.valueOf(one.getFileName()))) {
                        disk.deleteTree(one);
                    }
                }
            }
        }
        repaired = true;
    }

    /** The name of the version in use; null where there is none that was installed here. */
    synchronized @Nullable String inUse() throws IOException {
        return version(link);
    }

    /** A new place beside the versions: an empty directory, or a name for a file. */
    synchronized Path place(String name) throws IOException {
        disk.createDirectories(versions);
        return versions.resolve(name + "." + number.incrementAndGet());
    }

    /** Makes {@code filled}, whose content is durable, the version in use, and deletes the one before the previous. */
    synchronized void use(Path filled) throws IOException {
        disk.syncDirectory(versions);
        String name = String.valueOf(filled.getFileName());
        String before = version(link);
        String beforeThat = version(previous);
        if (before != null) {
            relink(previous, before);
            relink(link, name);
        } else if (Files.isDirectory(link, LinkOption.NOFOLLOW_LINKS)) {
            before = "made-elsewhere." + number.incrementAndGet();
            relink(previous, before);
            disk.rename(link, path(before));
            try {
                disk.syncDirectory(versions);
                relink(link, name);
            } catch (IOException e) {
                throw movedBack(path(before), e);
            }
        } else if (Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
            throw new InstallException(link + ": is there and no directory (expected: a directory, or nothing)", null);
        } else {
            relink(link, name);
        }
        if (beforeThat != null && !beforeThat.equals(before)) {
            try {
                disk.deleteTree(path(beforeThat));
            } catch (IOException e) {
                // The new version is in use all the same; the next process tries again.
                log.warn("Could not remove {}: {}", path(beforeThat), e.toString());
            }
        }
    }

    /** A medium that fails between the two steps is no crash, and nobody would repair it until the next installation. */
    private IOException movedBack(Path made, IOException why) {
        try {
            if (!Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
                disk.rename(made, link);
                disk.syncDirectoryOf(link);
            }
        } catch (IOException e) {
            repaired = false;
            why.addSuppressed(e);
        }
        return why;
    }

    /** Swaps the version in use and the one before it. */
    synchronized void rollBack() throws IOException {
        String before = version(previous);
        if (before == null || !Files.isDirectory(path(before))) {
            throw new InstallException(link + ": there is no previous directory to roll back to", null);
        }
        String now = Objects.requireNonNullElse(version(link), before);
        relink(link, before);
        relink(previous, now);
    }

    private Path path(String version) {
        return versions.resolve(version);
    }

    private void relink(Path from, String version) throws IOException {
        Path target = Path.of(String.valueOf(versions.getFileName())).resolve(version);
        disk.relink(from, target, place("link"));
    }

    /** Where {@code from} leads, if it is a link that was made here. */
    private @Nullable String version(Path from) throws IOException {
        if (!Files.isSymbolicLink(from)) {
            return null;
        }
        Path target = link.resolveSibling(Files.readSymbolicLink(from)).normalize();
        return versions.equals(target.getParent()) ? String.valueOf(target.getFileName()) : null;
    }
}
