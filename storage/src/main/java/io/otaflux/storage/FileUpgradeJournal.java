package io.otaflux.storage;

import io.otaflux.OtaException;
import io.otaflux.StorageException;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeKey;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.util.Logger;
import reactor.util.Loggers;

/** An {@link UpgradeJournal} in one file, which it appends to. */
final class FileUpgradeJournal implements UpgradeJournal {

    /*
     * On disk, one line each, ISO-8859-1 (in fact visible ASCII):
     *
     *   <CRC-32C> otaflux-journal 1
     *   <CRC-32C> put <name>=<value>…          see JournalRecord
     *   <CRC-32C> remove <name>=<value>…
     *
     * The CRC, eight hexadecimal digits, is of the rest of the line without its end. Values have every line end, blank and
     * percent sign escaped, so a line end is always the end of a record: whatever happens to one record, the next one is
     * found again, and nothing that a platform sent can pass for a record.
     *
     * Reading never fails for what the lines say. A line that is damaged is skipped and counted; what follows the last line
     * end was torn off by a power cut and is dropped. A file with damage in it is not appended to: the next change writes a
     * new one from what is known (temporary file, fsync, rename, fsync of the directory). So does a change after an fsync
     * that failed, because nothing that was written before it can be trusted, and a change that finds mostly lines which
     * later ones have replaced.
     *
     * Changes that come while the file is being synchronised wait, and share the next synchronisation.
     */

    private static final Logger log = Loggers.getLogger(FileUpgradeJournal.class);

    private static final String HEADER = "otaflux-journal ";
    private static final String VERSION = "1";

    private static final byte[] NOTHING = {};

    /** Lines that a small journal may have in it before it is worth a new file. */
    private static final int SLACK = 256;

    private final Path file;
    private final Disk disk;
    private final Executor executor;

    /** What is durable, by the lines that say so, in the order in which the keys came. */
    private final Map<UpgradeKey, byte[]> entries = new LinkedHashMap<>();

    private final Object lock = new Object();
    private List<Change> pending = new ArrayList<>();
    private boolean flushing;
    private boolean closed;

    // Used by the one flush that runs at a time.
    private final Lines buffer = new Lines();
    private @Nullable FileChannel channel;
    private int lines;
    private final int damagedLines;

    private FileUpgradeJournal(Path file, Disk disk, Executor executor) throws IOException {
        this.file = file;
        this.disk = disk;
        this.executor = executor;
        this.damagedLines = load();
    }

    /** @throws StorageException when the file cannot be read, or a later version of this library wrote it */
    static FileUpgradeJournal open(Path file, Disk disk, Executor executor) {
        try {
            return new FileUpgradeJournal(file, disk, executor);
        } catch (IOException e) {
            throw disk.failure(OtaException.Stage.DOWNLOAD, "Could not read the journal", file, e);
        }
    }

    private int load() throws IOException {
        String text;
        FileChannel opened;
        try {
            try (FileChannel present = Disk.openToRead(file)) {
                text = readAll(present);
            }
            opened = disk.open(file);
        } catch (NoSuchFileException e) {
            return 0;
        }
        int damaged = 0;
        int start = 0;
        boolean header = false;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
            String line = Escaped.unsealed(text.substring(start, end));
            start = end + 1;
            lines++;
            if (line != null && line.startsWith(HEADER)) {
                checkVersion(line.substring(HEADER.length()), opened);
                header = true;
            } else if (line == null || !apply(line)) {
                damaged++;
            }
        }
        boolean torn = start < text.length();
        if (damaged > 0 || torn || !header) {
            // The channel stays null, so that the next change writes the file anew.
            opened.close();
            log.warn(
                    "Journal {}: kept {} upgrades; {} damaged lines skipped, {} bytes of a torn line dropped",
                    file,
                    entries.size(),
                    damaged,
                    text.length() - start);
        } else {
            opened.position(opened.size());
            channel = opened;
        }
        return damaged;
    }

    private static String readAll(FileChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(channel.size()));
        while (bytes.hasRemaining() && channel.read(bytes) >= 0) {
            // Reads on until the buffer is full or the file has ended.
        }
        return new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1);
    }

    private void checkVersion(String version, FileChannel opened) throws IOException {
        if (!version.equals(VERSION)) {
            opened.close();
            throw new StorageException(
                    OtaException.Reason.CORRUPT,
                    "Journal " + file + ": has format " + version + " (expected: " + VERSION + ")",
                    null);
        }
    }

    private boolean apply(String line) {
        try {
            JournalRecord record = JournalRecord.parse(line);
            if (record.entry() == null) {
                entries.remove(record.key());
            } else {
                buffer.clear();
                entries.put(record.key(), record.line(buffer));
            }
            return true;
        } catch (IllegalArgumentException e) {
            log.debug("Journal {}: an intact line makes no sense", file, e);
            return false;
        }
    }

    /** How many lines were skipped when the file was read. */
    int damagedLines() {
        return damagedLines;
    }

    @Override
    public Flux<Entry> entries() {
        return Flux.defer(() -> {
                    synchronized (lock) {
                        return Flux.fromIterable(List.copyOf(entries.values()));
                    }
                })
                .mapNotNull(line -> JournalRecord.parse(Lines.text(line)).entry());
    }

    @Override
    public Mono<Void> put(Entry entry) {
        return Mono.create(sink -> submit(new Change(entry.trigger().key(), entry, sink)));
    }

    @Override
    public Mono<Void> remove(UpgradeKey key) {
        return Mono.create(sink -> submit(new Change(key, null, sink)));
    }

    private void submit(Change change) {
        synchronized (lock) {
            if (closed) {
                change.sink.error(closedException());
                return;
            }
            pending.add(change);
            if (flushing) {
                return;
            }
            flushing = true;
        }
        try {
            executor.execute(this::flush);
        } catch (RejectedExecutionException e) {
            synchronized (lock) {
                flushing = false;
            }
            change.sink.error(closedException());
        }
    }

    private StorageException closedException() {
        return new StorageException(OtaException.Reason.IO_FAILED, "Journal " + file + ": is closed", null);
    }

    private void flush() {
        while (true) {
            List<Change> group;
            synchronized (lock) {
                group = pending;
                pending = new ArrayList<>();
                if (group.isEmpty()) {
                    flushing = false;
                    lock.notifyAll();
                    return;
                }
            }
            try {
                write(group);
            } catch (IOException | RuntimeException e) {
                Throwable failure = e instanceof IOException io
                        ? disk.failure(OtaException.Stage.DOWNLOAD, "Could not write the journal", file, io)
                        : e;
                group.forEach(change -> change.sink.error(failure));
                continue;
            }
            group.forEach(change -> change.sink.success());
        }
    }

    private void write(List<Change> group) throws IOException {
        buffer.clear();
        group.forEach(change -> change.write(buffer));
        FileChannel current = channel;
        if (current == null || isWorthANewFile(group)) {
            rewrite(after(group));
        } else {
            try {
                disk.write(current, buffer.all());
                disk.sync(current);
            } catch (IOException e) {
                abandon(current, e);
                throw e;
            }
            lines += group.size();
        }
        synchronized (lock) {
            group.forEach(change -> change.applyTo(entries));
        }
    }

    private boolean isWorthANewFile(List<Change> group) {
        int most = lines + group.size() - SLACK;
        // What the group leaves is counted only where it could matter: that takes a copy of everything.
        return most > 2 * (entries.size() - group.size())
                && most > 2 * after(group).size();
    }

    /** What is true when the group is durable. Only the flush that runs changes the entries, so it may read them. */
    private Map<UpgradeKey, byte[]> after(List<Change> group) {
        Map<UpgradeKey, byte[]> after = new LinkedHashMap<>(entries);
        group.forEach(change -> change.applyTo(after));
        return after;
    }

    private void rewrite(Map<UpgradeKey, byte[]> after) throws IOException {
        Path temporary = file.resolveSibling(file.getFileName() + SmallFile.TEMPORARY);
        byte[] header = Escaped.sealed(HEADER + VERSION).getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer all = ByteBuffer.allocate(
                after.values().stream().mapToInt(line -> line.length).reduce(header.length, Math::addExact));
        all.put(header);
        after.values().forEach(all::put);
        disk.delete(temporary);
        FileChannel fresh = disk.create(temporary);
        try {
            disk.write(fresh, all.flip());
            disk.sync(fresh);
            disk.rename(temporary, file);
            disk.syncDirectoryOf(file);
        } catch (IOException e) {
            // The file of that name may be either one by now; the next change writes it once more.
            abandon(fresh, e);
            FileChannel old = channel;
            if (old != null) {
                abandon(old, e);
            }
            throw disk.deleted(temporary, e);
        }
        FileChannel old = channel;
        channel = fresh;
        lines = after.size() + 1;
        if (old != null) {
            old.close();
        }
    }

    private void abandon(FileChannel written, IOException why) {
        channel = null;
        try {
            written.close();
        } catch (IOException e) {
            why.addSuppressed(e);
        }
    }

    /** Blocks until what was put is durable, and closes the file. */
    void close() {
        synchronized (lock) {
            closed = true;
            boolean interrupted = false;
            while (flushing) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
        FileChannel last = channel;
        if (last != null) {
            try {
                last.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static final class Change {

        private final UpgradeKey key;
        private final @Nullable Entry entry;
        private final MonoSink<Void> sink;

        /** As it is written. */
        private byte[] line = NOTHING;

        /** @param entry null to remove the one that is there */
        Change(UpgradeKey key, @Nullable Entry entry, MonoSink<Void> sink) {
            this.key = key;
            this.entry = entry;
            this.sink = sink;
        }

        void write(Lines lines) {
            line = entry == null ? JournalRecord.removal(lines, key) : JournalRecord.line(lines, entry);
        }

        void applyTo(Map<UpgradeKey, byte[]> entries) {
            if (entry == null) {
                entries.remove(key);
            } else {
                entries.put(key, line);
            }
        }
    }
}
