package io.otaflux.samples.cli;

import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * Which version each module runs: the one it was said to run when the device was set up, until an upgrade has succeeded.
 *
 * <p>Kept beside the store as {@code module=given running}. Whoever starts the device with another version than it was
 * given before has installed something by hand, and is believed.
 */
final class RunningVersions {

    private static final String SUFFIX = ".versions";

    private final Path file;
    private final Map<String, String> given;
    private final Map<String, String> running = new HashMap<>();

    private RunningVersions(Path file, Map<String, String> given) throws IOException {
        this.file = file;
        this.given = Map.copyOf(given);
        this.running.putAll(given);
        Properties kept = new Properties();
        if (Files.exists(file)) {
            try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
                kept.load(reader);
            }
        }
        given.forEach((module, version) -> {
            String[] words = kept.getProperty(module, "").split(" ", 2);
            if (words.length == 2 && words[0].equals(version)) {
                running.put(module, words[1]);
            }
        });
    }

    /** @throws StorageException when what was kept cannot be read */
    static RunningVersions in(Path store, Map<String, String> given) {
        Path absolute = store.toAbsolutePath().normalize();
        Path file = absolute.resolveSibling(absolute.getFileName() + SUFFIX);
        try {
            return new RunningVersions(file, given);
        } catch (IOException e) {
            throw new StorageException(Reason.IO_FAILED, "Could not read " + file, e);
        }
    }

    synchronized String of(String module) {
        return running.getOrDefault(module, "");
    }

    /** Says what runs, without keeping it: somebody else does. */
    synchronized void override(String module, String version) {
        running.put(module, version);
    }

    /** @throws StorageException when it cannot be written */
    synchronized void record(String module, String version) {
        running.put(module, version);
        Properties kept = new Properties();
        given.forEach((name, first) -> kept.setProperty(name, first + " " + running.get(name)));
        Path fresh = file.resolveSibling(file.getFileName() + ".new");
        try {
            try (Writer writer = Files.newBufferedWriter(fresh, StandardCharsets.UTF_8)) {
                kept.store(writer, null);
            }
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new StorageException(Reason.IO_FAILED, "Could not write " + file, e);
        }
    }
}
