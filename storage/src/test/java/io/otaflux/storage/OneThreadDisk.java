package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;

/** A disk all of whose calls of the system come from one thread, where {@link Strace} counts them and spoils them. */
final class OneThreadDisk extends Disk implements AutoCloseable {

    private static final String NAME = "medium";

    private final ExecutorService thread = Executors.newSingleThreadExecutor(work -> {
        Thread medium = new Thread(work, NAME);
        medium.setDaemon(true);
        return medium;
    });

    OneThreadDisk() throws IOException {
        call(() -> true);
    }

    /** The number that the system gave the thread, of which there is one in this process. */
    static long threadId() throws IOException {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
            for (Path task : tasks.toList()) {
                if (Files.readString(task.resolve("comm")).strip().equals(NAME)) {
                    return Long.parseLong(task.getFileName().toString());
                }
            }
        }
        throw new IOException("there is no thread " + NAME);
    }

    private <T> T call(Callable<T> work) throws IOException {
        try {
            return thread.submit(work).get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            } else if (e.getCause() instanceof RuntimeException bug) {
                throw bug;
            }
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private interface Change {
        void make() throws IOException;
    }

    private void change(Change change) throws IOException {
        call(() -> {
            change.make();
            return true;
        });
    }

    @Override
    FileChannel open(Path file) throws IOException {
        return call(() -> super.open(file));
    }

    @Override
    FileChannel create(Path file) throws IOException {
        return call(() -> super.create(file));
    }

    @Override
    void write(FileChannel channel, ByteBuf bytes) throws IOException {
        change(() -> super.write(channel, bytes));
    }

    @Override
    void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        change(() -> super.write(channel, bytes));
    }

    @Override
    void truncate(FileChannel channel, long size) throws IOException {
        change(() -> super.truncate(channel, size));
    }

    @Override
    void sync(FileChannel channel) throws IOException {
        change(() -> super.sync(channel));
    }

    @Override
    void syncDirectory(Path directory) throws IOException {
        change(() -> super.syncDirectory(directory));
    }

    @Override
    void rename(Path source, Path target) throws IOException {
        change(() -> super.rename(source, target));
    }

    @Override
    void link(Path link, Path existing) throws IOException {
        change(() -> super.link(link, existing));
    }

    @Override
    void symbolicLink(Path link, Path target) throws IOException {
        change(() -> super.symbolicLink(link, target));
    }

    @Override
    void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
        change(() -> super.createDirectory(directory, attributes));
    }

    @Override
    boolean delete(Path path) throws IOException {
        return call(() -> super.delete(path));
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }
}
