package io.otaflux.samples.platform;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/**
 * The platform's state on disk.
 *
 * <p>Format: {@code state.log}, UTF-8, one JSON object per line, each a {@link StateEntry}; a later line about the same thing
 * replaces an earlier one. A line is written whole and made durable by fsync before anybody hears of the change. A last line
 * without a line feed is what a crash left of a write nobody was told about: it is dropped. Any other line that cannot be
 * read means damage, and opening fails.
 *
 * <p>Opening writes what the log amounts to into {@code state.log.new}, fsyncs it, renames it over {@code state.log} and
 * fsyncs the directory, so the log does not grow from start to start. {@code lock} keeps a second platform out.
 *
 * <p>The log holds device secrets, without which no login could be checked; it is readable by its owner only.
 */
final class StateLog implements AutoCloseable {

    private static final byte LINE_FEED = '\n';

    private final ObjectMapper json = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.ALWAYS))
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .disable(SerializationFeature.WRITE_DURATIONS_AS_TIMESTAMPS)
            .build();
    private final Path file;
    private final FileChannel lockChannel;
    private final FileChannel channel;

    /**
     * Opens the log of a directory and fills an empty state from it.
     *
     * @throws IOException if the directory cannot be written, belongs to a running platform, or its log is damaged
     */
    StateLog(Path directory, PlatformState state) throws IOException {
        this.file = directory.resolve("state.log");
        this.lockChannel = lock(directory);
        try {
            read(state);
            state.takeChanges();
            compact(directory, state);
            this.channel = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        } catch (IOException | RuntimeException e) {
            lockChannel.close();
            throw e;
        }
    }

    /** Appends entries and returns when they are durable. After a failure the log must not be used any more. */
    void append(List<StateEntry> entries) throws IOException {
        if (entries.isEmpty()) {
            return;
        }
        write(channel, entries);
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        try (lockChannel) {
            channel.close();
        }
    }

    private static FileChannel lock(Path directory) throws IOException {
        FileChannel lockChannel =
                FileChannel.open(directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock lock = lockChannel.tryLock();
            if (lock != null) {
                return lockChannel;
            }
        } catch (OverlappingFileLockException e) {
            lockChannel.close();
            throw new IOException(directory + " is in use by another platform in this process", e);
        }
        lockChannel.close();
        throw new IOException(directory + " is in use by another platform");
    }

    private void read(PlatformState state) throws IOException {
        if (!Files.exists(file)) {
            return;
        }
        byte[] bytes = Files.readAllBytes(file);
        int lineStart = 0;
        int line = 1;
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == LINE_FEED) {
                try {
                    state.put(json.readValue(bytes, lineStart, i - lineStart, StateEntry.class));
                } catch (JsonProcessingException e) {
                    // The parser's message may quote the line, and a line may hold a device secret: only say where.
                    throw new IOException(file + " line " + line + " is damaged ("
                            + e.getClass().getSimpleName() + ")");
                }
                lineStart = i + 1;
                line++;
            }
        }
    }

    private void compact(Path directory, PlatformState state) throws IOException {
        Path fresh = directory.resolve("state.log.new");
        Files.deleteIfExists(fresh);
        Files.createFile(fresh, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try (FileChannel out = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
            write(out, state.entries());
            out.force(true);
        }
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        DurableFiles.forceDirectory(directory);
    }

    private void write(FileChannel out, List<StateEntry> entries) throws IOException {
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        for (StateEntry entry : entries) {
            lines.write(json.writeValueAsBytes(entry));
            lines.write(LINE_FEED);
        }
        ByteBuffer buffer = ByteBuffer.wrap(lines.toByteArray());
        while (buffer.hasRemaining()) {
            out.write(buffer);
        }
    }
}
