package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.provider.ArgumentsSource;
import org.junit.jupiter.params.support.ParameterDeclarations;

/**
 * Runs a test once for each file of its class's corpus, with the file's bytes. The corpus of {@code XFuzzTest} is the folder
 * {@code XFuzzTestInputs} beside it among the test resources: what a fuzzer starts from, and what it has ever found.
 *
 * <p>Such a class has its property in {@code public static void fuzzerTestOneInput(byte[])}, which is where Jazzer looks for
 * it, too: {@code .ci/fuzz} has inputs invented for each.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@ParameterizedTest(name = "{0}")
@ArgumentsSource(Corpus.Inputs.class)
public @interface Corpus {

    /** Reads a corpus. */
    final class Inputs implements ArgumentsProvider {

        @Override
        public Stream<? extends Arguments> provideArguments(
                ParameterDeclarations parameters, ExtensionContext context) {
            return files(context.getRequiredTestClass()).stream()
                    .map(file -> Arguments.of(Named.of(file.getFileName().toString(), read(file))));
        }

        /** The whole corpus of {@code fuzzTest}, for a test of what the corpus would notice. */
        public static List<byte[]> of(Class<?> fuzzTest) {
            return files(fuzzTest).stream().map(Inputs::read).toList();
        }

        private static List<Path> files(Class<?> fuzzTest) {
            URL folder = fuzzTest.getResource(fuzzTest.getSimpleName() + "Inputs");
            assertThat(folder).as("the corpus of " + fuzzTest.getSimpleName()).isNotNull();
            try (Stream<Path> files = Files.list(Path.of(folder.toURI()))) {
                return files.sorted().toList();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (URISyntaxException e) {
                throw new IllegalStateException(e);
            }
        }

        private static byte[] read(Path file) {
            try {
                return Files.readAllBytes(file);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
