package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DownloadCommandTest {

    private static final String SECRET = "CANARY-9f2e";
    private static final byte[] CONTENT = content(300_000);
    private static final String SHA256 = hex("SHA-256", CONTENT);
    private static final String MD5 = hex("MD5", CONTENT);
    private static final String WRONG = hex("SHA-256", new byte[0]);

    @TempDir
    private Path directory;

    @ParameterizedTest
    @ValueSource(strings = {"--sha256", "--md5"})
    void aDownloadWithTheRightDigestEndsWithTheFileAndNothingElse(String option) throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path file = directory.resolve("file");
            String digest = option.equals("--md5") ? MD5 : SHA256;

            Cli.Outcome outcome = Cli.run(
                    "download",
                    host.url("a?x=1"),
                    "-o",
                    file,
                    "--allow-http",
                    option,
                    digest,
                    "--size",
                    CONTENT.length);

            assertThat(outcome.exitCode()).isZero();
            assertThat(outcome.all()).isBlank();
            assertThat(file).hasBinaryContent(CONTENT);
            assertThat(names()).containsExactly("file");
        }
    }

    @Test
    void aFileThatIsThereIsReplaced() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path file = Files.writeString(directory.resolve("file"), "old");

            assertThat(download(host, file, SHA256).exitCode()).isZero();
            assertThat(file).hasBinaryContent(CONTENT);
        }
    }

    @Test
    void aStateDirectoryOfTheUsersOwnStays() {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path state = directory.resolve("state");
            Path file = directory.resolve("file");

            assertThat(download(host, file, SHA256, "--state", state).exitCode())
                    .isZero();
            assertThat(file).hasBinaryContent(CONTENT);
            assertThat(state).isDirectory();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {401, 403, 404, 410})
    void whatTheSourceCannotProvideIs3(int status) throws IOException {
        try (FileHost host = FileHost.refusing(status)) {
            assertFailed(download(host, directory.resolve("file"), SHA256), 3, String.valueOf(status));
            assertThat(names()).isEmpty();
        }
    }

    @Test
    void aWrongDigestIs4AndLeavesTheOldFile() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path file = Files.writeString(directory.resolve("file"), "old");

            assertFailed(download(host, file, WRONG), 4, SHA256);
            assertThat(file).hasContent("old");
            assertThat(names()).containsExactly("file");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 299_999, 300_001, 900_000})
    void aWrongLengthIs4(int size) throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            assertFailed(download(host, directory.resolve("file"), SHA256, "--size", size), 4, "300000");
            assertThat(names()).isEmpty();
        }
    }

    @Test
    void aDirectoryThatIsNotThereIs5() {
        try (FileHost host = FileHost.serving(CONTENT)) {
            assertFailed(download(host, directory.resolve("none/file"), SHA256), 5, "none");
            assertThat(host.asked()).isEmpty();
        }
    }

    @Test
    void aDirectoryInThePlaceOfTheFileIs5() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            assertFailed(download(host, Files.createDirectory(directory.resolve("d")), SHA256), 5, "is a directory");
        }
    }

    @Test
    void aStateDirectoryThatCannotBeOneIs5() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path state = Files.writeString(directory.resolve("state"), "a file");

            assertFailed(download(host, directory.resolve("file"), SHA256, "--state", state), 5, "state");
        }
    }

    @Test
    void aServerThatNobodyFindsIs6() throws IOException {
        int nobody;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = socket.getLocalPort();
        }

        Cli.Outcome outcome = Cli.run(
                "download",
                "http://127.0.0.1:" + nobody + "/f?Signature=" + SECRET,
                "-o",
                directory.resolve("file"),
                "--allow-http",
                "--sha256",
                SHA256,
                "--retries",
                "1");

        assertFailed(outcome, 6, "the same command");
        assertThat(names()).isEmpty();
    }

    @Test
    void aServerThatIsBusyIs6() {
        try (FileHost host = FileHost.refusing(503)) {
            assertFailed(download(host, directory.resolve("file"), SHA256, "--retries", "1"), 6, "503");
            assertThat(host.asked()).hasSize(2);
        }
    }

    @Test
    void whatCameOfAServerThatBreaksOffIsKept() throws IOException {
        try (FileHost host = FileHost.answering(exchange -> {
            exchange.sendResponseHeaders(200, CONTENT.length);
            exchange.getResponseBody().write(CONTENT, 0, 200_000);
            exchange.getResponseBody().flush();
        })) {
            assertFailed(download(host, directory.resolve("file"), SHA256, "--retries", "0"), 6, "the same command");
            assertThat(names()).containsExactly(".file.otaflux");
        }
    }

    @Test
    void aConnectionThatBreaksIsOneLineAndNothingIsLoggedBeside() {
        try (FileHost host = FileHost.answering(exchange -> {
            exchange.sendResponseHeaders(200, CONTENT.length);
            exchange.getResponseBody().write(CONTENT, 0, 100_000);
            exchange.getResponseBody().flush();
        })) {
            assertFailed(inItsOwnProcess(host.url("f?k=" + SECRET)), 6, "127.0.0.1");
        }
    }

    @Test
    void aServerThatSpeaksNoTlsIsOneLineAndNothingIsLoggedBeside() throws IOException {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread greeter = new Thread(() -> greet(server));
            greeter.setDaemon(true);
            greeter.start();

            assertFailed(inItsOwnProcess("https://127.0.0.1:" + server.getLocalPort() + "/f?k=" + SECRET), 3, "TLS");
        }
    }

    private static void greet(ServerSocket server) {
        try (Socket client = server.accept()) {
            client.getOutputStream().write("220 this is not TLS\r\n".getBytes(StandardCharsets.US_ASCII));
            client.getOutputStream().flush();
            // Until the other side has read that and goes.
            client.getInputStream().transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where the log would show. */
    private Cli.Outcome inItsOwnProcess(String url) {
        try (Cli.Child child = Cli.start(
                "download",
                url,
                "-o",
                directory.resolve("file"),
                "--allow-http",
                "--sha256",
                SHA256,
                "--retries",
                "1")) {
            return child.await();
        }
    }

    @Test
    void aTerminalSeesProgressThatGoesAwayInTheEnd() {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Cli.Outcome outcome = onATerminal(host, SHA256);

            assertThat(outcome.exitCode()).isZero();
            assertThat(outcome.out()).isEmpty();
            assertThat(outcome.err()).anySatisfy(line -> assertThat(line).contains("] 100 %  293.0 KiB of 293.0 KiB"));
            assertThat(outcome.err()).last().isEqualTo(Cli.ERASE);
        }
    }

    @Test
    void anErrorStandsInThePlaceOfTheProgress() {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Cli.Outcome outcome = onATerminal(host, WRONG);

            assertThat(outcome.exitCode()).isEqualTo(4);
            assertThat(outcome.err()).anySatisfy(line -> assertThat(line).contains("] 100 %"));
            assertThat(outcome.err()).last().asString().startsWith(Cli.ERASE + "otaflux download: ");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"--no-progress", "--json"})
    void aTerminalSeesNoProgressWhereNoneIsWanted(String option) {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Cli.Outcome outcome = onATerminal(host, SHA256, option);

            assertThat(outcome.exitCode()).isZero();
            assertThat(outcome.err()).isEmpty();
        }
    }

    @Test
    void aStateDirectoryThatCannotBeRemovedIsAWarningBesideTheFile() throws IOException {
        Path state = Files.createDirectory(directory.resolve(".file.otaflux"));
        try (FileHost host = FileHost.serving(CONTENT);
                Unremovable stays = Unremovable.in(state)) {
            Path file = directory.resolve("file");

            Cli.Outcome outcome = download(host, file, SHA256);

            assertThat(outcome.exitCode()).as("%s", outcome).isZero();
            assertThat(file).hasBinaryContent(CONTENT);
            assertThat(outcome.out()).isEmpty();
            assertThat(outcome.err())
                    .singleElement()
                    .asString()
                    .startsWith("otaflux download: warning: could not remove " + state);
            assertThat(stays.joint()).isDirectory();
        }
    }

    @Test
    void aStateDirectoryThatCannotBeRemovedDoesNotHideTheFailure() throws IOException {
        Path state = Files.createDirectory(directory.resolve(".file.otaflux"));
        try (FileHost host = FileHost.serving(CONTENT);
                Unremovable stays = Unremovable.in(state)) {
            Cli.Outcome outcome = download(host, directory.resolve("file"), WRONG);

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(4);
            assertThat(outcome.err()).hasSize(2).last().asString().contains(SHA256);
            assertThat(stays.joint()).isDirectory();
        }
    }

    /**
     * A tree too deep to be named by a path, which is how even the administrator's attempt to delete it fails. Made in two
     * halves, of which one is moved into the other, and taken apart in the same way.
     */
    private record Unremovable(Path joint, Path apart) implements AutoCloseable {

        private static final String NAME = "d".repeat(250);
        private static final int HALF = 9;

        static Unremovable in(Path directory) throws IOException {
            Path upper = Files.createDirectories(deep(directory));
            Path lower = directory.resolveSibling("lower");
            Files.createDirectories(deep(lower));
            Unremovable tree = new Unremovable(upper.resolve("lower"), lower);
            Files.move(tree.apart, tree.joint);
            return tree;
        }

        private static Path deep(Path directory) {
            Path deep = directory;
            for (int i = 0; i < HALF; i++) {
                deep = deep.resolve(NAME);
            }
            return deep;
        }

        @Override
        public void close() throws IOException {
            Files.move(joint, apart);
        }
    }

    @Test
    void eventsAreLinesOfJsonWithoutTheQuery() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Cli.Outcome outcome = download(host, directory.resolve("file"), SHA256, "--json");

            List<String> events = new ArrayList<>();
            for (String line : outcome.out()) {
                JsonNode event = new ObjectMapper().readTree(line);
                events.add(event.path("event").asText());
            }
            assertThat(events).startsWith("received").endsWith("downloaded", "verified", "installed", "succeeded");
            assertThat(outcome.all()).doesNotContain(SECRET);
        }
    }

    @Test
    void aFailureIsAnEventToo() throws IOException {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Cli.Outcome outcome = download(host, directory.resolve("file"), WRONG, "--json");

            JsonNode last =
                    new ObjectMapper().readTree(outcome.out().get(outcome.out().size() - 1));
            assertThat(outcome.exitCode()).isEqualTo(4);
            assertThat(last.path("event").asText()).isEqualTo("failed");
            assertThat(last.path("reason").asText()).isEqualTo("DIGEST_MISMATCH");
        }
    }

    @Test
    void theServerThatWasTypedMayRedirectToItself() {
        try (FileHost host = FileHost.answering(exchange -> redirectOrServe(exchange, "/file.bin"))) {
            assertThat(download(host, directory.resolve("file"), SHA256).exitCode())
                    .isZero();
            assertThat(host.asked()).containsExactly("/file.bin?Signature=" + SECRET, "/file.bin");
        }
    }

    @Test
    void aRedirectToAnotherServerOfThisMachineIs3UnlessItsNetworkIsAllowed() {
        try (FileHost inner = FileHost.serving(CONTENT);
                FileHost host =
                        FileHost.answering(exchange -> redirectOrServe(exchange, inner.url("admin?k=" + SECRET)))) {
            assertFailed(download(host, directory.resolve("file"), SHA256), 3, "/admin: 127.0.0.1 is in 127.0.0.0/8");
            assertThat(inner.asked()).isEmpty();

            assertThat(download(host, directory.resolve("file"), SHA256, "--allow-network", "127.0.0.0/8")
                            .exitCode())
                    .isZero();
        }
    }

    private static void redirectOrServe(HttpExchange exchange, String location) throws IOException {
        if (exchange.getRequestURI().getQuery() != null) {
            exchange.getResponseHeaders().add("Location", location);
            exchange.sendResponseHeaders(302, -1);
        } else {
            exchange.sendResponseHeaders(200, CONTENT.length);
            exchange.getResponseBody().write(CONTENT);
        }
    }

    @Test
    void plainHttpNeedsBothPermissionAndADigest() {
        try (FileHost host = FileHost.serving(CONTENT)) {
            Path file = directory.resolve("file");

            assertFailed(
                    Cli.run("download", host.url("f?k=" + SECRET), "-o", file, "--sha256", SHA256), 2, "--allow-http");
            assertFailed(Cli.run("download", host.url("f?k=" + SECRET), "-o", file, "--allow-http"), 2, "--sha256");
            assertThat(host.asked()).isEmpty();
        }
    }

    private Cli.Outcome download(FileHost host, Path file, String sha256, Object... more) {
        return Cli.run(arguments(host, file, sha256, more));
    }

    private Cli.Outcome onATerminal(FileHost host, String sha256, Object... more) {
        return Cli.runOnTerminal(arguments(host, directory.resolve("file"), sha256, more));
    }

    private static Object[] arguments(FileHost host, Path file, String sha256, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of(
                "download", host.url("file.bin?Signature=" + SECRET), "-o", file, "--allow-http", "--sha256", sha256));
        arguments.addAll(List.of(more));
        return arguments.toArray();
    }

    private void assertFailed(Cli.Outcome outcome, int exitCode, String why) {
        assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(exitCode);
        assertThat(outcome.out()).isEmpty();
        assertThat(outcome.err()).hasSize(1);
        assertThat(outcome.err().get(0)).startsWith("otaflux download: ").contains(why);
        assertThat(outcome.all()).doesNotContain(SECRET);
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    static byte[] content(int length) {
        byte[] content = new byte[length];
        new Random(length).nextBytes(content);
        return content;
    }

    static String hex(String algorithm, byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(content));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
