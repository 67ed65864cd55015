package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Many files of one size and different contents, with an index of their SHA-256 digests, one line each, by number; and what
 * the programs that fetch them have in common.
 */
final class ManySmallFiles {

    /** How many were not fetched, in each sample. */
    static final String LOST = "lost";

    private static final String INDEX = "digests";

    private ManySmallFiles() {}

    /** Fetches all of them into a directory that is there and empty, and answers how many came, hashed and right. */
    interface Fetching {
        int into(Path directory) throws Exception;
    }

    /** What a program has in its {@code main}. */
    static void fetchRepeatedly(Path target, int count, Fetching fetching) throws Exception {
        for (int i = Integer.getInteger(Repetitions.COUNT, 1); i > 0; i--) {
            Path directory = Files.createDirectories(target.resolve("files-" + i));
            AtomicInteger right = new AtomicInteger();
            Sample sample = Sample.of(() -> right.set(fetching.into(directory)));
            System.out.println(sample.with(LOST, count - right.get()).line());
            delete(directory);
        }
    }

    /** Makes {@code count} files named by their numbers in {@code directory}. */
    static void make(Path directory, int count, int size) throws IOException {
        Files.createDirectories(directory);
        byte[] content = new byte[size];
        new Random(size).nextBytes(content);
        List<String> digests = new ArrayList<>();
        MessageDigest sha256 = sha256();
        for (int i = 0; i < count; i++) {
            ByteBuffer.wrap(content).putInt(i);
            Files.write(directory.resolve(Integer.toString(i)), content);
            digests.add(HexFormat.of().formatHex(sha256.digest(content)));
        }
        Files.write(directory.resolve(INDEX), digests);
    }

    static List<String> digests(Path directory) throws IOException {
        return Files.readAllLines(directory.resolve(INDEX));
    }

    static boolean isRight(byte[] bytes, String digest) {
        return HexFormat.of().formatHex(sha256().digest(bytes)).equals(digest);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
