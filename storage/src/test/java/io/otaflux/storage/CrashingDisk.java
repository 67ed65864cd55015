package io.otaflux.storage;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A disk that writes down every change in its order and, from one change on, refuses all of them as a crash does. What is in
 * the directory then is what a killed process leaves. If the disk was told to watch that directory, it also knows what a power
 * cut would have left at this point.
 */
class CrashingDisk extends Disk {

    /** What a power cut takes of that which was not synchronised. */
    enum Loss {
        /** The process was killed and nothing else happened. */
        NOTHING,
        /** Bytes, with the lengths of files; not what they are called. */
        BYTES,
        /** Bytes, but not the lengths of files: there are zeros. */
        BYTES_ARE_ZERO,
        /** Creations, renames and deletions; not what was written to files that stayed. */
        NAMES,
        BYTES_AND_NAMES;

        /** The disk of whoever comes next; it loses nothing, and so saves itself the synchronising. */
        Disk next() {
            return new Disk() {
                @Override
                void sync(FileChannel channel) {}

                @Override
                void syncDirectory(Path directory) {}

                @Override
                String boot() {
                    return Loss.this == NOTHING ? super.boot() : "the next one";
                }
            };
        }
    }

    private final int point;
    private final List<String> changes = new ArrayList<>();
    private boolean crashed;

    private final @Nullable Path root;
    private final Node tree = new Node();
    private final Map<FileChannel, Node> opened = new IdentityHashMap<>();

    /** @param point how many changes happen before the crash */
    CrashingDisk(int point) {
        this.point = point;
        this.root = null;
    }

    /** @param watched the directory to keep account of; what is in it now is durable */
    CrashingDisk(int point, Path watched) {
        this.point = point;
        this.root = watched;
        try {
            tree.adopt(watched);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Crashes now. */
    synchronized void crash() {
        crashed = true;
    }

    synchronized boolean crashed() {
        return crashed;
    }

    /** What was changed, with the numbers in temporary names taken out. */
    synchronized List<String> changes() {
        return List.copyOf(changes);
    }

    /**
     * What the watched directory is after the crash, by the names in it: a directory, a link or bytes. From here on nothing
     * changes any more, whether or not the crash has come.
     */
    synchronized Map<String, Object> left(Loss loss) throws IOException {
        crashed = true;
        tree.look(Objects.requireNonNull(root));
        Map<String, Object> left = new TreeMap<>();
        tree.leave(loss, "", left);
        return left;
    }

    /** Makes {@code copy} what was {@link #left}. */
    static void restore(Map<String, Object> left, Path copy) throws IOException {
        for (Map.Entry<String, Object> one : left.entrySet()) {
            Path path = copy.resolve(one.getKey());
            if (one.getValue() instanceof ByteBuffer bytes) {
                Files.write(path, bytes.array());
            } else if (one.getValue() instanceof Path target) {
                Files.createSymbolicLink(path, target);
            } else {
                Files.createDirectory(path);
            }
        }
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

    /** The directory that {@code path} is in; null where nobody watches. */
    private @Nullable Node above(Path path) {
        Path parent = path.toAbsolutePath().getParent();
        if (root == null || parent == null || !parent.startsWith(root)) {
            return null;
        }
        Node node = tree;
        for (Path step : root.relativize(parent)) {
            node = step.toString().isEmpty() ? node : Objects.requireNonNull(node.names.get(step.toString()));
        }
        return node;
    }

    private synchronized FileChannel opened(Path file, FileChannel channel) {
        Node above = above(file);
        if (above != null) {
            opened.put(channel, above.names.computeIfAbsent(name(file), created -> new Node()));
        }
        return channel;
    }

    /** {@code path} is about to be called so no more. */
    private synchronized @Nullable Node unnamed(Path path) throws IOException {
        Node above = above(path);
        Node node = above == null ? null : above.names.remove(name(path));
        if (node != null) {
            node.look(path);
        }
        return node;
    }

    private synchronized void named(Path path, @Nullable Node node) {
        Node above = above(path);
        if (above != null && node != null) {
            above.names.put(name(path), node);
        }
    }

    @Override
    FileChannel open(Path file) throws IOException {
        change("open " + name(file));
        return opened(file, super.open(file));
    }

    @Override
    FileChannel create(Path file) throws IOException {
        change("create " + name(file));
        return opened(file, super.create(file));
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
        if (root == null) {
            super.sync(channel);
        }
        synchronized (this) {
            Node node = opened.get(channel);
            if (node != null) {
                ByteBuffer all = ByteBuffer.allocate((int) channel.size());
                while (all.hasRemaining() && channel.read(all, all.position()) >= 0) {
                    // Reads on until all is there.
                }
                node.durableBytes = all.array();
            }
        }
    }

    @Override
    void syncDirectory(Path directory) throws IOException {
        change("sync " + name(directory));
        if (root == null) {
            super.syncDirectory(directory);
        }
        synchronized (this) {
            Node inside = above(directory.resolve("inside"));
            if (inside != null) {
                inside.durableNames = new TreeMap<>(inside.names);
            }
        }
    }

    @Override
    void rename(Path source, Path target) throws IOException {
        change("rename " + name(target));
        Node node = unnamed(source);
        unnamed(target);
        super.rename(source, target);
        named(target, node);
    }

    @Override
    void link(Path link, Path existing) throws IOException {
        change("link " + name(link));
        super.link(link, existing);
        synchronized (this) {
            Node above = above(existing);
            named(link, above == null ? null : above.names.get(name(existing)));
        }
    }

    @Override
    void symbolicLink(Path link, Path target) throws IOException {
        change("link " + name(link));
        super.symbolicLink(link, target);
        Node node = new Node();
        node.target = target;
        named(link, node);
    }

    @Override
    void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
        change("create " + name(directory));
        super.createDirectory(directory, attributes);
        Node node = new Node();
        node.directory = true;
        named(directory, node);
    }

    @Override
    boolean delete(Path path) throws IOException {
        change("delete " + name(path));
        unnamed(path);
        return super.delete(path);
    }

    /** What is on the medium under some name, or was. */
    private static final class Node {

        private boolean directory;
        private @Nullable Path target;
        private Map<String, Node> names = new HashMap<>();
        private Map<String, Node> durableNames = Map.of();
        private byte[] bytes = {};
        private byte[] durableBytes = {};

        /** Takes in what is there, as durable. */
        void adopt(Path path) throws IOException {
            directory = Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
            if (Files.isSymbolicLink(path)) {
                target = Files.readSymbolicLink(path);
            } else if (directory) {
                try (DirectoryStream<Path> inside = Files.newDirectoryStream(path)) {
                    for (Path one : inside) {
                        Node node = new Node();
                        node.adopt(one);
                        names.put(name(one), node);
                    }
                }
                durableNames = new TreeMap<>(names);
            } else {
                bytes = Files.readAllBytes(path);
                durableBytes = bytes;
            }
        }

        /** Takes in what is written there by now. */
        void look(Path path) throws IOException {
            if (directory) {
                for (Map.Entry<String, Node> one : names.entrySet()) {
                    one.getValue().look(path.resolve(one.getKey()));
                }
            } else if (target == null) {
                bytes = Files.readAllBytes(path);
            }
        }

        void leave(Loss loss, String name, Map<String, Object> left) {
            if (directory) {
                left.put(name, "directory");
                boolean old = loss == Loss.NAMES || loss == Loss.BYTES_AND_NAMES;
                (old ? durableNames : names)
                        .forEach((inside, node) ->
                                node.leave(loss, name.isEmpty() ? inside : name + "/" + inside, left));
            } else if (target != null) {
                left.put(name, target);
            } else {
                left.put(
                        name,
                        ByteBuffer.wrap(
                                switch (loss) {
                                    case NOTHING, NAMES -> bytes;
                                    case BYTES, BYTES_AND_NAMES -> durableBytes;
                                    case BYTES_ARE_ZERO -> Arrays.copyOf(durableBytes, bytes.length);
                                }));
            }
        }
    }
}
