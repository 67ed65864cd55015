package io.otaflux.storage;

import io.otaflux.InstallException;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;

/**
 * An archive that is being unpacked: zip, tar or gzipped tar, whichever its first bytes say. It holds what somebody else has
 * put together, so nothing in it is believed: no name leads out of the directory, no link is made, no file is written twice,
 * and neither the number of entries nor that of bytes grows beyond its limit, whatever the archive says about itself. Of the
 * permissions of a file only whether it is a program counts.
 */
final class Archive {

    private static final int BUFFER = 64 * 1024;
    private static final int TAR_MAGIC_AT = 257;
    private static final int MAX_DEPTH = 64;
    private static final int MAX_NAME = 255;

    /** How much a tar may say about one entry. The library keeps all of it in memory, and a gigabyte of zeros packs well. */
    private static final int MAX_HEADERS = 1 << 20;

    private final Disk disk;
    private final Path archive;
    private final Path target;
    private final Limits limits;
    private final Set<Path> directories = new HashSet<>();
    private int entries;
    private long bytes;

    /** How much may come out of an archive. */
    record Limits(long bytes, int entries) {

        static final Limits DEFAULT = new Limits(4L << 30, 65_536);

        Limits {
            if (bytes < 1 || entries < 1) {
                throw new IllegalArgumentException(
                        "limits: " + bytes + " bytes, " + entries + " entries (expected: >= 1)");
            }
        }
    }

    private Archive(Disk disk, Path archive, Path target, Limits limits) {
        this.disk = disk;
        this.archive = archive;
        this.target = target.toAbsolutePath().normalize();
        this.limits = limits;
    }

    /**
     * Unpacks {@code archive} into the directory {@code target}, durably but for the name of that directory itself. What it
     * wrote before it failed stays there.
     *
     * @throws InstallException when it is no archive, is damaged, or holds something that is not unpacked
     */
    static void unpack(Disk disk, Path archive, Path target, Limits limits) throws IOException {
        new Archive(disk, archive, target, limits).unpack();
    }

    private void unpack() throws IOException {
        byte[] head;
        try (InputStream in = Files.newInputStream(archive)) {
            head = in.readNBytes(TAR_MAGIC_AT + 5);
        }
        directories.add(target);
        if (starts(head, 0, "PK\003\004") || starts(head, 0, "PK\005\006")) {
            unzip();
        } else if (starts(head, 0, "\037\u008b")) {
            try (InputStream in = new BufferedInputStream(Files.newInputStream(archive), BUFFER);
                    InputStream tar = read("its beginning", () -> new GZIPInputStream(in, BUFFER))) {
                untar(tar);
            }
        } else if (starts(head, TAR_MAGIC_AT, "ustar")) {
            try (InputStream tar = new BufferedInputStream(Files.newInputStream(archive), BUFFER)) {
                untar(tar);
            }
        } else {
            throw refused("is no archive (expected: zip, tar or gzipped tar)");
        }
        if (entries == 0) {
            throw refused("has nothing in it");
        }
        for (Path directory : directories) {
            disk.syncDirectory(directory);
        }
    }

    private static boolean starts(byte[] head, int at, String magic) {
        for (int i = 0; i < magic.length(); i++) {
            if (at + i >= head.length || (head[at + i] & 0xff) != magic.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private void unzip() throws IOException {
        try (ZipFile zip =
                read("its directory", () -> ZipFile.builder().setPath(archive).get())) {
            Enumeration<ZipArchiveEntry> all = zip.getEntriesInPhysicalOrder();
            while (all.hasMoreElements()) {
                ZipArchiveEntry entry = all.nextElement();
                String name = entry.getName();
                if (entry.isUnixSymlink()) {
                    throw refused(name, "is a link");
                }
                if (!zip.canReadEntryData(entry)) {
                    throw refused(name, "is encrypted, or packed in an unknown way");
                }
                if (entry.isDirectory()) {
                    directory(name);
                } else {
                    try (InputStream in = read(name, () -> zip.getInputStream(entry))) {
                        file(name, in, (entry.getUnixMode() & 0100) != 0);
                    }
                }
            }
        }
    }

    private void untar(InputStream in) throws IOException {
        Rationed rationed = new Rationed(in);
        TarArchiveInputStream tar = new TarArchiveInputStream(rationed, "UTF-8");
        for (TarArchiveEntry entry = next(tar, rationed); entry != null; entry = next(tar, rationed)) {
            if (entry.isDirectory()) {
                directory(entry.getName());
            } else if (isPlainFile(entry)) {
                file(entry.getName(), tar, (entry.getMode() & 0100) != 0);
            } else {
                throw refused(entry.getName(), "is neither a file nor a directory");
            }
        }
    }

    /** The library takes a device for a file, too. */
    private static boolean isPlainFile(TarArchiveEntry entry) {
        byte kind = entry.getLinkFlag();
        return (kind == TarConstants.LF_NORMAL || kind == TarConstants.LF_OLDNORM) && !entry.isSparse();
    }

    private TarArchiveEntry next(TarArchiveInputStream tar, Rationed in) throws IOException {
        in.left = MAX_HEADERS;
        TarArchiveEntry entry = read("the entry after " + entries, tar::getNextEntry);
        in.left = Long.MAX_VALUE;
        return entry;
    }

    /** Gives no more than is {@code left}. */
    private static final class Rationed extends FilterInputStream {

        private long left = Long.MAX_VALUE;

        Rationed(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int read = in.read();
            return read < 0 ? read : (int) counted(1, read);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int read = in.read(bytes, offset, length);
            return (int) counted(read, read);
        }

        @Override
        public long skip(long length) throws IOException {
            long skipped = in.skip(length);
            return counted(skipped, skipped);
        }

        private long counted(long bytes, long result) throws IOException {
            left -= bytes;
            if (left < 0) {
                throw new IOException("more than " + MAX_HEADERS + " bytes about one entry");
            }
            return result;
        }
    }

    private void directory(String name) throws IOException {
        count(name);
        createDirectories(place(name));
    }

    private void file(String name, InputStream in, boolean program) throws IOException {
        count(name);
        Path file = place(name);
        if (file.equals(target)) {
            throw refused(name, "is a file without a name");
        }
        createDirectories(file.resolve("..").normalize());
        try (FileChannel out = disk.create(file)) {
            ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
            for (int read = read(name, () -> in.read(buffer.array()));
                    read >= 0;
                    read = read(name, () -> in.read(buffer.array()))) {
                bytes += read;
                if (bytes > limits.bytes()) {
                    throw refused("has more than " + limits.bytes() + " bytes in it");
                }
                disk.write(out, buffer.position(0).limit(read));
            }
            PosixFileAttributeView permissions = Files.getFileAttributeView(file, PosixFileAttributeView.class);
            if (program && permissions != null) {
                permissions.setPermissions(PosixFilePermissions.fromString("rwxr-xr-x"));
            }
            disk.sync(out);
        } catch (FileAlreadyExistsException e) {
            throw refused(name, "is there twice");
        }
    }

    private void count(String name) {
        if (++entries > limits.entries()) {
            throw refused(name, "is one entry more than " + limits.entries());
        }
    }

    /** Where {@code name} belongs: below the target, whatever it says. */
    private Path place(String name) {
        List<String> steps = new ArrayList<>();
        for (String step : name.split("/", -1)) {
            if (step.equals("..") || step.length() > MAX_NAME || !step.chars().allMatch(Archive::isAllowed)) {
                throw refused(name, "is a name that is not unpacked");
            }
            if (!step.isEmpty() && !step.equals(".")) {
                steps.add(step);
            }
        }
        if (name.startsWith("/") || steps.size() > MAX_DEPTH) {
            throw refused(name, "is a name that is not unpacked");
        }
        Path place = target;
        for (String step : steps) {
            place = place.resolve(step);
        }
        return place;
    }

    /** Control characters have no place in a name; a backslash or a colon leads elsewhere on some systems. */
    private static boolean isAllowed(int character) {
        return character >= ' ' && character != 0x7f && character != '\\' && character != ':';
    }

    private void createDirectories(Path directory) throws IOException {
        if (directories.contains(directory)) {
            return;
        }
        createDirectories(directory.resolve("..").normalize());
        try {
            disk.createDirectory(directory);
        } catch (FileAlreadyExistsException e) {
            // Another archive of the same upgrade made it, or it is a file.
            if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
                throw refused(target.relativize(directory).toString(), "is a file and a directory");
            }
        }
        directories.add(directory);
    }

    @FunctionalInterface
    private interface Read<T> {

        T get() throws IOException;
    }

    /** The decoder stumbles over what is damaged in many ways; the medium has its own errors, when it is written to. */
    private <T> T read(String what, Read<T> read) throws IOException {
        try {
            return read.get();
        } catch (IOException | RuntimeException e) {
            throw new InstallException(
                    archive.getFileName() + ": damaged at " + printable(what) + ": "
                            + printable(String.valueOf(e.getMessage())),
                    e);
        }
    }

    private InstallException refused(String name, String why) {
        return refused("\"" + printable(name) + "\" " + why);
    }

    private InstallException refused(String why) {
        return new InstallException(archive.getFileName() + ": " + why, null);
    }

    private static String printable(String text) {
        String shown = text.length() <= 80 ? text : text.substring(0, 80) + "…";
        return shown.replaceAll("[^\\x20-\\x7e…]", "?");
    }
}
