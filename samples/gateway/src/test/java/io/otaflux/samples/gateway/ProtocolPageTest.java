package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** {@code docs/protocol.md} says of every row of the protocol which tests prove it; they have to be there. */
class ProtocolPageTest {

    private static final Path ROOT = Path.of(System.getProperty("basedir", ""))
            .toAbsolutePath()
            .resolve("../..")
            .normalize();
    private static final Pattern TEST = Pattern.compile("`(\\w+Test)(?:\\.\\w+)?(?:#(\\w+))?`");
    private static final Pattern METHOD_OF_THE_COLUMN = Pattern.compile("`#(\\w{20,})`");

    @Test
    void everyTestThatThePageNamesIsThere() throws IOException {
        String page = Files.readString(ROOT.resolve("docs/protocol.md"));
        Map<String, String> tests = tests();
        List<MatchResult> named = TEST.matcher(page).results().toList();

        assertThat(named).hasSizeGreaterThan(100).allSatisfy(name -> {
            assertThat(tests).containsKey(name.group(1));
            if (name.group(2) != null) {
                assertThat(tests.get(name.group(1))).contains("void " + name.group(2) + "(");
            }
        });
        String all = String.join("", tests.values());
        assertThat(METHOD_OF_THE_COLUMN.matcher(page).results())
                .allSatisfy(name -> assertThat(all).contains("void " + name.group(1) + "("));
    }

    /** The sources of all modules' tests, by class; of two classes with one name those of both. */
    private static Map<String, String> tests() throws IOException {
        List<Path> roots;
        try (Stream<Path> directories = Files.walk(ROOT, 2)) {
            roots = directories
                    .map(directory -> directory.resolve("src/test/java"))
                    .filter(Files::isDirectory)
                    .toList();
        }
        Map<String, String> tests = new HashMap<>();
        for (Path root : roots) {
            try (Stream<Path> files = Files.walk(root)) {
                for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                    String name = file.getFileName().toString().replace(".java", "");
                    tests.merge(name, Files.readString(file), String::concat);
                }
            }
        }
        return tests;
    }
}
