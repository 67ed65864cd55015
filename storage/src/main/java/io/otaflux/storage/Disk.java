package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import io.otaflux.OtaException;
import io.otaflux.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Every change of the medium goes through here, in the order in which it must become durable. A test overrides it to
 * write that order down, or to stop at any one change as a power cut would.
 */
class Disk {

    static final Disk REAL = new Disk();

    private static final int COPY_SIZE = 256 * 1024;

    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");
    private static final String BOOT = readBoot();

    /** Elsewhere a directory is synchronised like a file; Windows does not open one, and orders its metadata itself. */
    private static final boolean SYNCS_DIRECTORIES =
            !System.getProperty("os.name", "").toLowerCase(Locale.ROOT).startsWith("windows");

    private static final Set<OpenOption> OPENING = Set.of(
            StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE, LinkOption.NOFOLLOW_LINKS);
    private static final Set<OpenOption> CREATING = Set.of(
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.CREATE_NEW,
            LinkOption.NOFOLLOW_LINKS);
    private static final Set<OpenOption> READING = Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);

    private static String readBoot() {
        try {
            return Files.readString(BOOT_ID).strip();
        } catch (IOException e) {
            return "";
        }
    }

    /**
     * Names the run of the kernel: while it is the same, everything that was written is there, synchronised or not, whatever
     * became of the process that wrote it. Empty where that cannot be told.
     */
    String boot() {
        return BOOT;
    }

    /** Opens for reading and writing, creating the file where there is none. A symbolic link is refused. */
    FileChannel open(Path file) throws IOException {
        return FileChannel.open(file, OPENING);
    }

    /** Creates a file that must not be there, for reading and writing. */
    FileChannel create(Path file) throws IOException {
        return FileChannel.open(file, CREATING);
    }

    /** Opens an existing file to read it. A symbolic link is refused. */
    static FileChannel openToRead(Path file) throws IOException {
        return FileChannel.open(file, READING);
    }

    /** Writes the readable bytes at the channel's position and leaves the buffer's indexes as they were. */
    void write(FileChannel channel, ByteBuf bytes) throws IOException {
        if (bytes.nioBufferCount() == 1) {
            ByteBuffer all = bytes.internalNioBuffer(bytes.readerIndex(), bytes.readableBytes());
            while (all.hasRemaining()) {
                channel.write(all);
            }
        } else {
            for (ByteBuffer part : bytes.nioBuffers()) {
                write(channel, part);
            }
        }
    }

    /** Writes the remaining bytes at the channel's position. */
    void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Copies a file to {@code target}, which must not be there, and makes its bytes durable. */
    void copy(Path source, Path target) throws IOException {
        try (FileChannel from = openToRead(source);
                FileChannel to = create(target)) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(COPY_SIZE);
            while (from.read(buffer) >= 0) {
                write(to, buffer.flip());
                buffer.clear();
            }
            sync(to);
        }
    }

    void truncate(FileChannel channel, long size) throws IOException {
        channel.truncate(size);
    }

    /** @throws SyncFailedException when the medium did not take the bytes */
    void sync(FileChannel channel) throws IOException {
        force(channel);
    }

    private static void force(FileChannel channel) throws IOException {
        try {
            channel.force(true);
        } catch (ClosedChannelException e) {
            // Somebody interrupted this thread, which closes the channel and says nothing about the medium.
            throw e;
        } catch (IOException e) {
            throw new SyncFailedException(e);
        }
    }

    /** Makes creations, renames and deletions in {@code directory} durable. */
    void syncDirectory(Path directory) throws IOException {
        if (!SYNCS_DIRECTORIES) {
            return;
        }
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            force(channel);
        }
    }

    void syncDirectoryOf(Path file) throws IOException {
        Path directory = file.toAbsolutePath().getParent();
        if (directory != null) {
            syncDirectory(directory);
        }
    }

    /** Renames within one file system; what has the name of {@code target} is replaced in the same instant. */
    void rename(Path source, Path target) throws IOException {
        Files.move(source, target, StandardCopyOption.ATOMIC_MOVE);
    }

    void link(Path link, Path existing) throws IOException {
        Files.createLink(link, existing);
    }

    void symbolicLink(Path link, Path target) throws IOException {
        Files.createSymbolicLink(link, target);
    }

    void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
        Files.createDirectory(directory, attributes);
    }

    /** Creates {@code directory}, and those above it that are missing, durably. Does nothing where it is there. */
    void createDirectories(Path directory, FileAttribute<?>... attributes) throws IOException {
        if (Files.isDirectory(directory)) {
            return;
        }
        Path above = directory.toAbsolutePath().getParent();
        if (above != null) {
            createDirectories(above, attributes);
        }
        createDirectory(directory, attributes);
        syncDirectoryOf(directory);
    }

    /** @return whether there was something to delete */
    boolean delete(Path path) throws IOException {
        return Files.deleteIfExists(path);
    }

    /**
     * Deletes {@code tree} and all that is in it, and follows no link.
     *
     * @return whether there was something to delete
     */
    final boolean deleteTree(Path tree) throws IOException {
        if (!Files.exists(tree, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        Files.walkFileTree(tree, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                delete(visited);
                return FileVisitResult.CONTINUE;
            }
        });
        return true;
    }

    /** Makes {@code link} a symbolic link to {@code target} in one step, durably; {@code temporary} is its name before. */
    final void relink(Path link, Path target, Path temporary) throws IOException {
        delete(temporary);
        symbolicLink(temporary, target);
        try {
            rename(temporary, link);
        } catch (IOException e) {
            throw deleted(temporary, e);
        }
        syncDirectoryOf(link);
    }

    /** Takes away what came to nothing because of {@code why}, and answers {@code why}. */
    final IOException deleted(Path temporary, IOException why) {
        try {
            delete(temporary);
        } catch (IOException e) {
            why.addSuppressed(e);
        }
        return why;
    }

    /** How many bytes may still be written to the medium of {@code directory}. */
    long usableSpace(Path directory) throws IOException {
        // Files.getFileStore() reads the whole table of mounts first, but can tell what is wrong.
        long space = directory.toFile().getUsableSpace();
        return space > 0 ? space : Files.getFileStore(directory).getUsableSpace();
    }

    /** What went wrong with {@code path}, in the terms of this library. */
    StorageException failure(OtaException.Stage stage, String what, Path path, IOException cause) {
        boolean full = isFull(path, cause);
        return new StorageException(
                stage,
                full ? OtaException.Reason.NO_SPACE : OtaException.Reason.IO_FAILED,
                what + " " + path + ": " + reason(cause),
                cause);
    }

    private boolean isFull(Path path, IOException cause) {
        for (Throwable t = cause; t != null; t = t.getCause()) {
            String message = String.valueOf(t.getMessage());
            if (message.contains("No space left") || message.contains("quota exceeded")) {
                return true;
            }
        }
        if (cause instanceof NoSuchFileException) {
            return false;
        }
        // The message is in the language of the system, so the medium is asked as well.
        Path directory = path.toAbsolutePath().getParent();
        try {
            return directory != null && usableSpace(directory) == 0;
        } catch (IOException e) {
            cause.addSuppressed(e);
            return false;
        }
    }

    private static String reason(IOException cause) {
        String text = cause instanceof FileSystemException system ? system.getReason() : cause.getMessage();
        return text == null ? cause.getClass().getSimpleName() : text;
    }

    /**
     * The medium did not take what was written. The kernel may have marked the lost pages as clean, so that another
     * attempt would succeed and mean nothing: the file is not to be trusted any more.
     */
    static final class SyncFailedException extends IOException {

        private static final long serialVersionUID = 1;

        SyncFailedException(IOException cause) {
            super("synchronising failed: " + cause.getMessage(), cause);
        }
    }
}
