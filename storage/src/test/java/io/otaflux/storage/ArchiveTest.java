package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.InstallException;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is unpacked, and what is not. */
@DisabledOnOs(OS.WINDOWS)
class ArchiveTest {

    private static final Archive.Limits LIMITS = new Archive.Limits(10_000, 20);

    @TempDir
    Path directory;

    enum Format {
        ZIP(Archives::zip),
        TAR(Archives::tar),
        GZIPPED_TAR(files -> Archives.gzip(Archives.tar(files)));

        private final Function<Map<String, String>, byte[]> pack;

        Format(Function<Map<String, String>, byte[]> pack) {
            this.pack = pack;
        }
    }

    @ParameterizedTest
    @EnumSource
    void filesAndDirectoriesComeOutAsTheyWere(Format format) throws IOException {
        String deep = "a/".repeat(40) + "n".repeat(90);
        Map<String, String> files = new LinkedHashMap<>();
        files.put("./", "");
        files.put("main.py", "print(1)\n");
        files.put("empty/", "");
        files.put("lib/x/./y.txt", "y");
        files.put("lib//z.txt", "z");
        files.put("run.sh", "#!/bin/sh\n");
        files.put("zero", "");
        files.put(deep, "deep");
        files.put("\u4e16 \u754c.txt", "world");

        Path target = unpack(format.pack.apply(files));

        assertThat(contents(target))
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "main.py",
                        "print(1)\n",
                        "lib/x/y.txt",
                        "y",
                        "lib/z.txt",
                        "z",
                        "run.sh",
                        "#!/bin/sh\n",
                        "zero",
                        "",
                        deep,
                        "deep",
                        "\u4e16 \u754c.txt",
                        "world"));
        assertThat(target.resolve("empty")).isEmptyDirectory();
        assertThat(target.resolve("run.sh")).isExecutable();
        assertThat(Files.isExecutable(target.resolve("main.py"))).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../evil",
                "a/../../evil",
                "..",
                "/etc/evil",
                "//evil",
                "a/..",
                "..\\evil",
                "C:evil",
                "a\nb",
                "a\u007fb",
                "",
                "./",
                "."
            })
    void noNameLeadsOutOfTheDirectory(String name) {
        for (Format format : Format.values()) {
            // A directory without a name is the one that is unpacked to.
            String file = name.equals("./") ? ".//." : name;
            byte[] archive = format.pack.apply(Map.of("a", "first", file, "evil"));

            assertRefused(archive, format + " " + name);
            assertThat(directory.resolve("evil")).doesNotExist();
        }
    }

    @Test
    void linksAndDevicesAreNotMade() {
        for (byte kind : new byte[] {
            TarConstants.LF_SYMLINK,
            TarConstants.LF_LINK,
            TarConstants.LF_CHR,
            TarConstants.LF_BLK,
            TarConstants.LF_FIFO
        }) {
            assertRefused(Archives.tar("link", kind, "/etc/passwd"), "kind " + (char) kind);
        }
        assertRefused(Archives.zippedLink("link", "/etc/passwd"), "a link in a zip");
    }

    @ParameterizedTest
    @ValueSource(bytes = {TarConstants.LF_GNUTYPE_LONGNAME, TarConstants.LF_PAX_EXTENDED_HEADER_LC})
    void whatATarSaysAboutAnEntryTakesNoMoreMemoryThanAMegabyte(byte kind) {
        assertThatThrownBy(() -> unpack(Archives.gzip(Archives.tarWithHeaders(kind, 2 << 20))))
                .isInstanceOf(InstallException.class)
                .hasMessageContaining("more than 1048576 bytes about one entry");
    }

    @ParameterizedTest
    @EnumSource
    void neitherTooManyBytesNorTooManyEntriesComeOut(Format format) {
        Map<String, String> big = Map.of("a", "x".repeat(6_000), "b", "x".repeat(6_000));
        Map<String, String> many = new LinkedHashMap<>();
        for (int i = 0; i < 21; i++) {
            many.put("d" + i + "/", "");
        }

        assertThatThrownBy(() -> unpack(format.pack.apply(big)))
                .isInstanceOf(InstallException.class)
                .hasMessageContaining("more than 10000 bytes");
        assertThatThrownBy(() -> unpack(format.pack.apply(many)))
                .isInstanceOf(InstallException.class)
                .hasMessageContaining("more than 20");
        assertThat(directory)
                .isDirectoryNotContaining(
                        path -> path.getFileName().toString().startsWith("target") && size(path) > 12_000);
        Mutant.assertCaught("the limits", () -> assertRefused(format.pack.apply(big), Archive.Limits.DEFAULT, "bytes"));
    }

    @Test
    void aFileThatIsThereTwiceOrIsADirectoryTooIsRefused() {
        Map<String, String> both = new LinkedHashMap<>();
        both.put("a", "1");
        both.put("a/b", "2");
        Map<String, String> twice = new LinkedHashMap<>();
        twice.put("a", "1");
        twice.put("./a", "2");
        Map<String, String> over = new LinkedHashMap<>();
        over.put("a/b", "1");
        over.put("a", "2");
        for (Format format : Format.values()) {
            for (Map<String, String> files : List.of(both, twice, over)) {
                assertRefused(format.pack.apply(files), format + " " + files);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void aDamagedArchiveIsRefusedAndNoOtherErrorComesOfIt(Format format) throws IOException {
        byte[] whole = format.pack.apply(Map.of("a", "x".repeat(3_000), "b/c", "y".repeat(2_000)));
        for (int cut = 0; cut < whole.length; cut += 1 + whole.length / 100) {
            tried(Arrays.copyOf(whole, cut));
        }
        for (int at = 0; at < whole.length; at += 1 + whole.length / 300) {
            byte[] flipped = whole.clone();
            flipped[at] ^= (byte) 0xff;
            tried(flipped);
        }
        assertRefused(new byte[0], "nothing");
        assertRefused("no archive at all".getBytes(StandardCharsets.UTF_8), "a text");
        assertRefused(format.pack.apply(Map.of()), "an empty archive");
    }

    private void tried(byte[] archive) throws IOException {
        try {
            unpack(archive);
        } catch (InstallException refused) {
            assertThat(refused.getMessage()).hasSizeLessThan(400).matches("[\\x20-\\x7e…]*");
        }
    }

    private void assertRefused(byte[] archive, String what) {
        assertRefused(archive, LIMITS, what);
    }

    private void assertRefused(byte[] archive, Archive.Limits limits, String what) {
        assertThatThrownBy(() -> unpack(archive, limits)).as(what).isInstanceOf(InstallException.class);
    }

    private Path unpack(byte[] archive) throws IOException {
        return unpack(archive, LIMITS);
    }

    private Path unpack(byte[] archive, Archive.Limits limits) throws IOException {
        Path file = Files.write(Files.createTempFile(directory, "archive", ""), archive);
        Path target = Files.createTempDirectory(directory, "target");
        Archive.unpack(Disk.REAL, file, target, limits);
        return target;
    }

    static Map<String, String> contents(Path target) {
        Map<String, String> contents = new TreeMap<>();
        try (Stream<Path> paths = Files.walk(target.toRealPath())) {
            for (Path path : paths.filter(Files::isRegularFile).toList()) {
                contents.put(target.toRealPath().relativize(path).toString(), Files.readString(path));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return contents;
    }

    private static long size(Path path) {
        try (Stream<Path> paths = Files.walk(path)) {
            return paths.filter(Files::isRegularFile)
                    .mapToLong(file -> file.toFile().length())
                    .sum();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
