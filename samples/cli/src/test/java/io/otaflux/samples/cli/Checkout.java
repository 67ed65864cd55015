package io.otaflux.samples.cli;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;

/** A checkout that the launcher finds built: the real launcher, and jars of what these tests run with. */
final class Checkout {

    private static final long PATIENCE_SECONDS = 120;

    private final Path root;
    private final Path java;

    private Checkout(Path root, Path java) {
        this.root = root;
        this.java = java;
    }

    /** With {@code java} as its JDK, in a directory that is empty. */
    static Checkout in(Path root, Path java) throws IOException {
        Path launcher = Files.copy(launcher(), root.resolve("otaflux"), StandardCopyOption.COPY_ATTRIBUTES);
        for (String module :
                List.of("core", "transport/http", "transport/aliyun", "storage", "samples/platform", "samples/cli")) {
            Files.createDirectories(root.resolve(module).resolve("src/main"));
            Files.createFile(root.resolve(module).resolve("pom.xml"));
        }
        Files.createFile(root.resolve("pom.xml"));
        Checkout checkout = new Checkout(root, java);
        Files.createDirectories(checkout.run().resolve("lib"));
        Files.createDirectories(checkout.run().resolve("mqtt"));
        Files.createFile(checkout.run().resolve("otaflux.built"));
        Files.setLastModifiedTime(
                checkout.run().resolve("otaflux.built"),
                FileTime.from(
                        Files.getLastModifiedTime(launcher).toInstant().plusSeconds(TimeUnit.DAYS.toSeconds(36_500))));
        return checkout;
    }

    /** The one of this project. */
    static Path launcher() {
        Path directory = Path.of("").toAbsolutePath();
        while (!Files.exists(directory.resolve("otaflux"))) {
            directory = directory.getParent();
        }
        return directory.resolve("otaflux");
    }

    /** Puts in what these tests have on their class path, but for other tests. */
    Checkout withTheCommandLine() throws IOException {
        int n = 0;
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            Path path = Path.of(entry);
            String name = path.getFileName().toString();
            if (Files.isDirectory(path) && name.equals("classes")) {
                jar(path, run().resolve("module-" + n++ + ".jar"));
            } else if (name.endsWith(".jar") && !name.contains("tests")) {
                Files.copy(path, run().resolve("lib").resolve(name));
            }
        }
        return this;
    }

    private static void jar(Path classes, Path jar) throws IOException {
        try (OutputStream file = Files.newOutputStream(jar);
                JarOutputStream out = new JarOutputStream(file);
                Stream<Path> all = Files.walk(classes)) {
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                out.putNextEntry(new JarEntry(classes.relativize(path).toString()));
                Files.copy(path, out);
            }
        }
    }

    Path launch() {
        return root.resolve("otaflux");
    }

    /** What the launcher's own build makes. */
    Path run() {
        return root.resolve("samples/cli/target/run");
    }

    /** What virtual machines remember of their start. */
    Path start() {
        return run().resolve("start");
    }

    /** The archive, when all is done that is done for one. */
    Path archive() throws IOException {
        try (Stream<Path> files = Files.list(start())) {
            Path state = files.filter(file -> file.toString().endsWith(".state"))
                    .filter(file -> !file.toString().endsWith(".new.state"))
                    .findAny()
                    .orElseThrow(() -> new IOException("none in " + start()));
            return Path.of(state.toString().replaceAll("\\.state$", ""));
        }
    }

    boolean hasArchive() {
        try {
            return Files.exists(archive());
        } catch (IOException e) {
            return false;
        }
    }

    /** Whether somebody is at work on an archive, or just about to give that up. */
    boolean isRehearsing() {
        Path lock = start().resolve("lock");
        return Files.exists(lock)
                && run(List.of("flock", "-n", lock.toString(), "true"), Map.of())
                                .exitCode()
                        != 0;
    }

    Cli.Outcome launch(Map<String, String> environment, Object... arguments) {
        List<String> command = new ArrayList<>(List.of(launch().toString()));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        return run(command, environment);
    }

    private Cli.Outcome run(List<String> command, Map<String, String> environment) {
        try {
            Path out = Files.createTempFile(root, "out", ".txt");
            Path err = Files.createTempFile(root, "err", ".txt");
            ProcessBuilder builder =
                    new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
            builder.environment().keySet().removeAll(List.of("JAVA_OPTS", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"));
            builder.environment().put("JAVA_HOME", java.toString());
            builder.environment().putAll(environment);
            Process process = builder.start();
            if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(command + " still runs");
            }
            return new Cli.Outcome(process.exitValue(), lines(out), lines(err));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<String> lines(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8).lines().toList();
    }
}
