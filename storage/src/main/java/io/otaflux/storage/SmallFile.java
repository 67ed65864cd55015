package io.otaflux.storage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * A few named values in one file that is replaced as a whole: one line, {@code <CRC-32C> <kind> <name>=<value>…}, written
 * to a temporary file, synchronised, renamed, and the directory synchronised.
 */
final class SmallFile {

    private static final Logger log = Loggers.getLogger(SmallFile.class);

    static final String TEMPORARY = ".tmp";
    private static final int LARGEST = 64 * 1024;

    private SmallFile() {}

    static void write(Disk disk, Path file, String kind, Map<String, String> values) throws IOException {
        replace(disk, file, kind, values, true);
        disk.syncDirectoryOf(file);
    }

    /** The same without synchronising anything: for what need not survive the kernel, only this process. */
    static void writeForThisBoot(Disk disk, Path file, String kind, Map<String, String> values) throws IOException {
        replace(disk, file, kind, values, false);
    }

    private static void replace(Disk disk, Path file, String kind, Map<String, String> values, boolean durably)
            throws IOException {
        StringBuilder text = new StringBuilder(kind);
        new TreeMap<>(values)
                .forEach((name, value) ->
                        text.append(' ').append(name).append('=').append(Escaped.escape(value)));
        ByteBuffer bytes = ByteBuffer.wrap(Escaped.sealed(text.toString()).getBytes(StandardCharsets.ISO_8859_1));
        Path temporary = file.resolveSibling(file.getFileName() + TEMPORARY);
        try {
            disk.delete(temporary);
            try (FileChannel channel = disk.create(temporary)) {
                disk.write(channel, bytes);
                if (durably) {
                    disk.sync(channel);
                }
            }
            disk.rename(temporary, file);
        } catch (IOException e) {
            throw disk.deleted(temporary, e);
        }
    }

    /** The values; empty where there is no such file or it is damaged, which is logged. */
    static Optional<Map<String, String>> read(Path file, String kind) throws IOException {
        String line;
        try (FileChannel channel = Disk.openToRead(file)) {
            ByteBuffer bytes = ByteBuffer.allocate((int) Math.min(LARGEST, channel.size()));
            while (bytes.hasRemaining() && channel.read(bytes) >= 0) {
                // Reads on until the buffer is full or the file has ended.
            }
            line = new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
        try {
            return Optional.of(parse(line, kind));
        } catch (IllegalArgumentException e) {
            log.warn("{} is damaged: {}; going on without it", file, e.getMessage());
            return Optional.empty();
        }
    }

    private static Map<String, String> parse(String line, String kind) {
        String text = line.endsWith("\n") ? Escaped.unsealed(line.substring(0, line.length() - 1)) : null;
        if (text == null) {
            throw new IllegalArgumentException("its checksum is wrong");
        }
        String[] words = text.split(" ", -1);
        if (!words[0].equals(kind)) {
            throw new IllegalArgumentException("it is no " + kind + " file");
        }
        Map<String, String> values = new TreeMap<>();
        for (int i = 1; i < words.length; i++) {
            int equals = words[i].indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("it has a name without a value");
            }
            values.put(words[i].substring(0, equals), Escaped.unescape(words[i].substring(equals + 1)));
        }
        return values;
    }
}
