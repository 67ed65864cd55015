package io.otaflux.storage;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream;

/** Archives for tests; a name that ends in a slash is a directory, one that ends in {@code .sh} a program. */
final class Archives {

    private Archives() {}

    @FunctionalInterface
    private interface Filling<T> {

        void into(T archive) throws IOException;
    }

    static byte[] zip(Map<String, String> files) {
        return packed(bytes -> {
            try (ZipArchiveOutputStream zip = new ZipArchiveOutputStream(bytes)) {
                for (Map.Entry<String, String> file : files.entrySet()) {
                    ZipArchiveEntry entry = new ZipArchiveEntry(file.getKey());
                    entry.setUnixMode(file.getKey().endsWith(".sh") ? 0100755 : 0100600);
                    zip.putArchiveEntry(entry);
                    zip.write(text(file.getValue()));
                    zip.closeArchiveEntry();
                }
            }
        });
    }

    static byte[] tar(Map<String, String> files) {
        return packed(bytes -> {
            try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
                tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
                for (Map.Entry<String, String> file : files.entrySet()) {
                    TarArchiveEntry entry = new TarArchiveEntry(file.getKey(), true);
                    entry.setSize(text(file.getValue()).length);
                    entry.setMode(file.getKey().endsWith(".sh") ? 0100755 : 0100600);
                    tar.putArchiveEntry(entry);
                    tar.write(text(file.getValue()));
                    tar.closeArchiveEntry();
                }
            }
        });
    }

    /** A tar of one entry of another kind. */
    static byte[] tar(String name, byte kind, String link) {
        return packed(bytes -> {
            try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
                TarArchiveEntry entry = new TarArchiveEntry(name, kind, true);
                entry.setLinkName(link);
                tar.putArchiveEntry(entry);
                tar.closeArchiveEntry();
            }
        });
    }

    /** A tar that says so much about its only entry. */
    static byte[] tarWithHeaders(byte kind, int length) {
        return packed(bytes -> {
            try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
                TarArchiveEntry headers = new TarArchiveEntry("headers", kind);
                headers.setSize(length);
                tar.putArchiveEntry(headers);
                byte[] record = text((length + " comment=" + "x".repeat(length)).substring(0, length - 1) + "\n");
                tar.write(record);
                tar.closeArchiveEntry();
                tar.putArchiveEntry(new TarArchiveEntry("file"));
                tar.closeArchiveEntry();
            }
        });
    }

    /** A zip of one symbolic link. */
    static byte[] zippedLink(String name, String target) {
        return packed(bytes -> {
            try (ZipArchiveOutputStream zip = new ZipArchiveOutputStream(bytes)) {
                ZipArchiveEntry entry = new ZipArchiveEntry(name);
                entry.setUnixMode(0120777);
                zip.putArchiveEntry(entry);
                zip.write(text(target));
                zip.closeArchiveEntry();
            }
        });
    }

    static byte[] gzip(byte[] content) {
        return packed(bytes -> {
            try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
                gzip.write(content);
            }
        });
    }

    private static byte[] packed(Filling<ByteArrayOutputStream> filling) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            filling.into(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
