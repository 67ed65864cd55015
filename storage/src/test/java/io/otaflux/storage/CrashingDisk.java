package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A disk that writes down every change in its order and, from one change on, refuses all of them as a power cut does. */
final class CrashingDisk extends Disk {

    private final int point;
    private final List<String> changes = new ArrayList<>();
    private boolean crashed;

    /** @param point how many changes happen before the crash */
    CrashingDisk(int point) {
        this.point = point;
    }

    synchronized boolean crashed() {
        return crashed;
    }

    /** What was changed, with the numbers in temporary names taken out. */
    synchronized List<String> changes() {
        return List.copyOf(changes);
    }

    private synchronized void change(String what) throws IOException {
        if (crashed || changes.size() == point) {
            crashed = true;
            throw new IOException("the power was cut before: " + what);
        }
        changes.add(what.replaceAll("(\\.|new-)\\d{6,}(?![0-9a-f])", "$1N"));
    }

    private static String name(Path path) {
        return String.valueOf(path.getFileName());
    }

    @Override
    FileChannel open(Path file) throws IOException {
        change("open " + name(file));
        return super.open(file);
    }

    @Override
    FileChannel create(Path file) throws IOException {
        change("create " + name(file));
        return super.create(file);
    }

    @Override
    void write(FileChannel channel, ByteBuf bytes) throws IOException {
        change("write");
        super.write(channel, bytes);
    }

    @Override
    void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        change("write");
        super.write(channel, bytes);
    }

    @Override
    void truncate(FileChannel channel, long size) throws IOException {
        change("truncate");
        super.truncate(channel, size);
    }

    @Override
    void sync(FileChannel channel) throws IOException {
        change("sync");
        super.sync(channel);
    }

    @Override
    void syncDirectory(Path directory) throws IOException {
        change("sync " + name(directory));
        super.syncDirectory(directory);
    }

    @Override
    void rename(Path source, Path target) throws IOException {
        change("rename " + name(target));
        super.rename(source, target);
    }

    @Override
    void link(Path link, Path existing) throws IOException {
        change("link " + name(link));
        super.link(link, existing);
    }

    @Override
    void symbolicLink(Path link, Path target) throws IOException {
        change("link " + name(link));
        super.symbolicLink(link, target);
    }

    @Override
    void createDirectory(Path directory) throws IOException {
        change("create " + name(directory));
        super.createDirectory(directory);
    }

    @Override
    boolean delete(Path path) throws IOException {
        change("delete " + name(path));
        return super.delete(path);
    }
}
