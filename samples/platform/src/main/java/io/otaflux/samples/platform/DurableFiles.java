package io.otaflux.samples.platform;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Set;

/** Small files and directories that have to be there after a crash. */
final class DurableFiles {

    private static final int SECRET_BYTES = 32;
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rw-------");

    private DurableFiles() {}

    /** Makes renames and creations in a directory durable. */
    static void forceDirectory(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** Creates a directory that only its owner can enter; leaves an existing one as it is. */
    static void createPrivateDirectory(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            Path parent = directory.toAbsolutePath().getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
            Files.createDirectory(
                    directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
    }

    /** The secret kept in a file that only its owner can read; made on first use, in hex. */
    static String secret(Path directory, String name) throws IOException {
        Path file = directory.resolve(name);
        if (!Files.exists(file)) {
            return newSecret(directory, name);
        }
        String secret = Files.readString(file, StandardCharsets.US_ASCII).strip();
        if (secret.length() < SECRET_BYTES) {
            throw new IOException(file + " has " + secret.length() + " characters (expected: at least " + SECRET_BYTES
                    + "); delete it to have a new one made");
        }
        Files.setPosixFilePermissions(file, OWNER_ONLY);
        return secret;
    }

    /** A new secret, in hex, in a file that only its owner can read; whole, or the one before. */
    static String newSecret(Path directory, String name) throws IOException {
        String secret = randomHex(SECRET_BYTES);
        writePrivate(directory, name, secret + "\n");
        return secret;
    }

    /** Writes a file that only its owner can read; it is there whole, or as it was before. */
    static void writePrivate(Path directory, String name, String text) throws IOException {
        Path fresh = directory.resolve(name + ".new");
        Files.deleteIfExists(fresh);
        Files.createFile(fresh, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
        try (FileChannel out = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
            out.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
            out.force(true);
        }
        Files.move(fresh, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        forceDirectory(directory);
    }

    /** Random bytes from the system's source of secrets, in hex. */
    static String randomHex(int bytes) {
        byte[] random = new byte[bytes];
        new SecureRandom().nextBytes(random);
        return HexFormat.of().formatHex(random);
    }
}
