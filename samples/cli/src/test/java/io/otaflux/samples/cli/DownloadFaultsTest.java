package io.otaflux.samples.cli;

import static io.otaflux.testkit.FaultServer.answer;
import static io.otaflux.testkit.FaultServer.file;
import static io.otaflux.testkit.FaultServer.wholeFile;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.FaultServer;
import io.otaflux.testkit.FaultServer.Answer;
import io.otaflux.testkit.FaultServer.Fault;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The contract of {@code otaflux download} under every fault of a server: the exit code, one line of error, the old file
 * in its place until the new one is verified, and the same command that ends well when the server is well again.
 */
@Timeout(120)
class DownloadFaultsTest {

    private static final String SECRET = "canary-31c4";
    private static final byte[] CONTENT = DownloadCommandTest.content(300_000);
    private static final byte[] OTHER = DownloadCommandTest.content(299_999);
    private static final int HALF = 150_000;
    private static final String TAG = "\"v1\"";
    private static final String OLD = "the file that was there before";

    private static int rows;

    @TempDir
    private Path directory;

    /** What the command keeps of what has come, when it fails. */
    private enum Kept {
        NOTHING,
        HALF_OF_IT,
        PERHAPS
    }

    /**
     * One fault.
     *
     * @param interrupted whether the command was interrupted half-way before, so that the first answer of the script is
     *     one to a range request
     */
    private record Row(
            String name, boolean interrupted, int exitCode, Kept kept, List<String> flags, Answer... script) {

        Row with(String... more) {
            return new Row(name, interrupted, exitCode, kept, List.of(more), script);
        }

        @Override
        public String toString() {
            return exitCode + ": " + name;
        }
    }

    private static Row row(String name, int exitCode, Kept kept, Answer... script) {
        return new Row(name, false, exitCode, kept, List.of(), script);
    }

    private static Row resuming(String name, int exitCode, Kept kept, Answer... script) {
        return new Row(name, true, exitCode, kept, List.of(), script);
    }

    private static Stream<Row> faults() {
        Answer healthy = file(CONTENT, TAG);
        String length = "Content-Length: " + CONTENT.length;
        String chunked = "Transfer-Encoding: chunked";
        String all = new String(CONTENT, ISO_8859_1);
        String half = all.substring(0, HALF);
        String rest = all.substring(HALF);
        String right = "Content-Range: bytes 150000-299999/300000";
        return Stream.of(
                row("nothing is wrong", 0, Kept.NOTHING, healthy),
                row("a pause", 0, Kept.NOTHING, healthy.at(HALF, Fault.delay(Duration.ofMillis(100)))),
                row("cut off in good order", 6, Kept.HALF_OF_IT, healthy.at(HALF, Fault.cut())),
                row("reset", 6, Kept.PERHAPS, healthy.at(HALF, Fault.reset())),
                row("cut off before the first byte", 6, Kept.NOTHING, healthy.at(0, Fault.cut())),
                row(
                        "hung up on before the answer",
                        6,
                        Kept.NOTHING,
                        Answer.text("").thenClose()),
                row("frozen", 6, Kept.HALF_OF_IT, healthy.at(HALF, Fault.freeze()))
                        .with("--timeout", "2s"),
                row("no answer", 6, Kept.NOTHING, Answer.text("").thenNothing()).with("--timeout", "500ms"),
                row("dripping", 6, Kept.PERHAPS, healthy.at(HALF, Fault.drip(Duration.ofMillis(50))))
                        .with("--deadline", "3s"),
                row("a dripping head", 6, Kept.NOTHING, peer -> {
                            for (int i = 0; i < 1_000; i++) {
                                Answer.text(i == 0 ? "HTTP/1.1 200 OK\r\nX: " : "x")
                                        .answer(peer);
                                Fault.delay(Duration.ofMillis(50)).strike(peer, new byte[0]);
                            }
                        })
                        .with("--timeout", "500ms"),
                row("one bit is another", 4, Kept.NOTHING, healthy.at(HALF, Fault.corrupt())),
                row("one byte more is announced", 4, Kept.NOTHING, wholeFile(append(CONTENT))),
                row("one byte less is announced", 4, Kept.NOTHING, wholeFile(OTHER)),
                row(
                        "one byte more comes",
                        4,
                        Kept.NOTHING,
                        answer("200 OK", all + "x").thenClose()),
                row("endless data", 4, Kept.NOTHING, peer -> {
                    Answer.text("HTTP/1.1 200 OK\r\n\r\n").answer(peer);
                    while (true) {
                        peer.send(CONTENT);
                    }
                }),
                row(
                        "ended by the connection too soon",
                        6,
                        Kept.HALF_OF_IT,
                        answer("200 OK", half, "ETag: " + TAG).thenClose()),
                row(
                        "chunks that end too soon",
                        6,
                        Kept.HALF_OF_IT,
                        answer(
                                "200 OK",
                                Integer.toHexString(HALF) + "\r\n" + half + "\r\n0\r\n\r\n",
                                chunked,
                                "ETag: " + TAG)),
                row(
                        "chunks that are cut off",
                        6,
                        Kept.HALF_OF_IT,
                        answer("200 OK", Integer.toHexString(CONTENT.length) + "\r\n" + half, chunked, "ETag: " + TAG)
                                .thenClose()),
                row("gzip", 3, Kept.NOTHING, wholeFile(CONTENT, "Content-Encoding: gzip")),
                row(
                        "an unknown transfer coding",
                        3,
                        Kept.NOTHING,
                        answer("200 OK", all, "Transfer-Encoding: rot13").thenClose()),
                row(
                        "ranges that nobody asked for",
                        3,
                        Kept.NOTHING,
                        answer("206 Partial Content", all, length, "Content-Range: bytes 0-299999/300000")),
                row(
                        "two lengths",
                        3,
                        Kept.NOTHING,
                        answer("200 OK", all, length, "Content-Length: 299999").thenClose()),
                row(
                        "a length and chunks",
                        3,
                        Kept.NOTHING,
                        answer("200 OK", "0\r\n\r\n", length, chunked).thenClose()),
                row(
                        "a negative length",
                        3,
                        Kept.NOTHING,
                        answer("200 OK", all, "Content-Length: -1").thenClose()),
                row(
                        "bare line feeds",
                        3,
                        Kept.NOTHING,
                        Answer.text("HTTP/1.1 200 OK\n" + length + "\n\n" + all).thenClose()),
                row("a head without end", 3, Kept.NOTHING, answer("200 OK", all, "X: " + "x".repeat(1 << 20))),
                row(
                        "no HTTP",
                        3,
                        Kept.NOTHING,
                        Answer.text("SSH-2.0-OpenSSH_9.2\r\n\r\n").thenClose()),
                row(
                                "an interim answer and then nothing",
                                6,
                                Kept.NOTHING,
                                answer("102 Processing", "").thenNothing())
                        .with("--timeout", "500ms"),
                row("an interim answer before the true one", 0, Kept.NOTHING, peer -> {
                    answer("103 Early Hints", "").answer(peer);
                    healthy.answer(peer);
                }),
                row("no content", 3, Kept.NOTHING, answer("204 No Content", "")),
                row("wrong credentials", 3, Kept.NOTHING, answer("401 Unauthorized", "", "Content-Length: 0")),
                row("an expired signature", 3, Kept.NOTHING, answer("403 Forbidden", "", "Content-Length: 0")),
                row("not there", 3, Kept.NOTHING, answer("404 Not Found", "", "Content-Length: 0")),
                row("gone", 3, Kept.NOTHING, answer("410 Gone", "", "Content-Length: 0")),
                row("an error of the server", 6, Kept.NOTHING, answer("500 Oops", "", "Content-Length: 0")),
                row(
                        "too many requests",
                        6,
                        Kept.NOTHING,
                        answer("429 Slow down", "", "Content-Length: 0", "Retry-After: 86400")),
                row(
                        "a redirect in a circle",
                        3,
                        Kept.NOTHING,
                        answer("302 Found", "", "Content-Length: 0", "Location: /file.bin?Signature=" + SECRET)),
                row("a redirect to nowhere", 3, Kept.NOTHING, answer("302 Found", "", "Content-Length: 0")),
                row(
                        "a redirect to a file of ours",
                        3,
                        Kept.NOTHING,
                        answer("302 Found", "", "Content-Length: 0", "Location: file:///etc/hostname")),
                row(
                                "the file changes again and again",
                                3,
                                Kept.PERHAPS,
                                file(CONTENT, "\"a\"").at(HALF, Fault.cut()),
                                file(CONTENT, "\"b\"").at(HALF, Fault.cut()),
                                file(CONTENT, "\"c\"").at(HALF, Fault.cut()),
                                file(CONTENT, "\"d\"").at(HALF, Fault.cut()),
                                file(CONTENT, "\"e\"").at(HALF, Fault.cut()))
                        .with("--retries", "10"),
                resuming("the rest", 0, Kept.NOTHING, healthy),
                resuming("the whole instead of the rest", 0, Kept.NOTHING, wholeFile(CONTENT)),
                resuming(
                        "the whole instead of the rest, and cut off",
                        6,
                        Kept.PERHAPS,
                        wholeFile(CONTENT).at(1_000, Fault.cut())),
                resuming("another content", 0, Kept.NOTHING, file(CONTENT, "\"v2\"")),
                resuming(
                        "a rest of another content",
                        0,
                        Kept.NOTHING,
                        answer("206 OK", rest, right, "ETag: \"v2\""),
                        file(CONTENT, "\"v2\"")),
                resuming(
                        "a wrong rest, and then the whole",
                        0,
                        Kept.NOTHING,
                        file(flip(CONTENT, 299_999), TAG),
                        healthy),
                resuming(
                        "a wrong rest, and then a wrong whole",
                        4,
                        Kept.NOTHING,
                        file(flip(CONTENT, 299_999), TAG),
                        file(flip(CONTENT, 299_999), TAG)),
                resuming("no rest, it says", 0, Kept.NOTHING, answer("416 Nothing", "", "Content-Length: 0"), healthy),
                resuming(
                        "no rest and no whole",
                        3,
                        Kept.HALF_OF_IT,
                        peer -> {
                            Answer.text("HTTP/1.1 416 Nothing\r\nContent-Length: 0\r\n\r\n")
                                    .thenClose()
                                    .answer(peer);
                        },
                        answer("416 Nothing", "", "Content-Length: 0")),
                resuming("a rest of nobody knows what", 3, Kept.HALF_OF_IT, answer("206 OK", rest)),
                resuming(
                        "a rest from a byte later",
                        3,
                        Kept.HALF_OF_IT,
                        answer("206 OK", rest.substring(1), "Content-Range: bytes 150001-299999/300000")),
                resuming(
                        "a rest from a byte before",
                        3,
                        Kept.HALF_OF_IT,
                        answer("206 OK", rest, "Content-Range: bytes 149999-299999/300000")),
                resuming(
                        "a rest that is not all",
                        3,
                        Kept.HALF_OF_IT,
                        answer("206 OK", rest, "Content-Range: bytes 150000-299998/300000")),
                resuming(
                        "a rest of something longer",
                        4,
                        Kept.NOTHING,
                        answer("206 OK", rest, "Content-Range: bytes 150000-300000/300001")),
                resuming(
                        "a rest in several ranges",
                        3,
                        Kept.HALF_OF_IT,
                        answer("206 OK", rest, right, "Content-Type: multipart/byteranges; boundary=b")),
                resuming(
                        "a compressed rest",
                        3,
                        Kept.HALF_OF_IT,
                        answer("206 OK", rest, right, "Content-Encoding: gzip")),
                resuming(
                        "a rest with a byte more",
                        4,
                        Kept.NOTHING,
                        answer("206 OK", rest + "x", right).thenClose()),
                resuming(
                        "a signature that has expired since",
                        3,
                        Kept.HALF_OF_IT,
                        answer("403 Forbidden", "", "Content-Length: 0")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("faults")
    void everyFaultHasItsExitCode(Row row) throws IOException {
        Path file = Files.writeString(directory.resolve("file"), OLD);
        try (FaultServer server = new FaultServer()) {
            if (row.interrupted()) {
                server.then(file(CONTENT, TAG).at(HALF, Fault.cut()));
                assertThat(download(server, file, List.of()).exitCode()).isEqualTo(6);
            }
            for (Answer answer : row.script()) {
                server.then(answer);
            }

            Cli.Outcome outcome = download(server, file, row.flags());

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(row.exitCode());
            assertThat(outcome.all()).doesNotContain(SECRET);
            assertThat(outcome.out()).isEmpty();
            if (row.exitCode() == 0) {
                assertThat(outcome.err()).isEmpty();
            } else {
                assertThat(outcome.err()).hasSize(1).first().asString().startsWith("otaflux download: ");
                assertThat(file).as("the old file stays").hasContent(OLD);
                theSameCommandEndsWell(server, file, row.kept());
            }
            assertThat(file).hasBinaryContent(CONTENT);
            assertThat(names()).containsExactly("file");
        }
        rows++;
    }

    private void theSameCommandEndsWell(FaultServer server, Path file, Kept kept) throws IOException {
        if (kept == Kept.NOTHING) {
            assertThat(names()).containsExactly("file");
        }
        int asked = server.requests().size();
        server.afterwards(file(CONTENT, TAG));
        Cli.Outcome outcome = Cli.run(arguments(server.uri("/file.bin").toString(), file));
        assertThat(outcome.exitCode()).as("%s", outcome).isZero();
        OptionalLong start = rangeStart(server.requests().get(asked));
        switch (kept) {
            case NOTHING -> assertThat(start).isEmpty();
            case HALF_OF_IT -> assertThat(start).hasValue(HALF);
            case PERHAPS -> {}
        }
    }

    @Test
    void aServerThatNobodyFindsIs6AndNothingIsLeft() throws IOException {
        int nobody;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = socket.getLocalPort();
        }
        Path file = Files.writeString(directory.resolve("file"), OLD);

        Cli.Outcome outcome = Cli.run(arguments("http://127.0.0.1:" + nobody + "/f", file, "--retries", "0"));

        assertThat(outcome.exitCode()).isEqualTo(6);
        assertThat(names()).containsExactly("file");
        rows++;
    }

    @Test
    void whatNoDiskHasRoomForIs5() throws IOException {
        long size = 1L << 60;
        Path file = Files.writeString(directory.resolve("file"), OLD);
        try (FaultServer server = new FaultServer(answer("200 OK", "x", "Content-Length: " + size))) {
            Cli.Outcome outcome = Cli.run(
                    "download",
                    server.uri("/file.bin"),
                    "-o",
                    file,
                    "--allow-http",
                    "--sha256",
                    DownloadCommandTest.hex("SHA-256", CONTENT),
                    "--size",
                    size);

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(5);
            assertThat(file).hasContent(OLD);
            assertThat(names()).containsExactly("file");
        }
        rows++;
    }

    @Test
    void aFileThatWasThereAlreadyWhenTheProcessDiedIsNotFetchedAgain() throws IOException {
        Path file = directory.resolve("file");
        // All the bytes, but not the end of the last chunk.
        try (FaultServer server = new FaultServer(answer(
                        "200 OK",
                        Integer.toHexString(CONTENT.length) + "\r\n" + new String(CONTENT, ISO_8859_1) + "\r\n",
                        "Transfer-Encoding: chunked",
                        "ETag: " + TAG)
                .thenClose())) {
            server.afterwards(file(CONTENT, TAG));
            Object[] command = withoutSize(server, file, "--retries", "0");
            assertThat(Cli.run(command).exitCode()).isEqualTo(6);

            assertThat(Cli.run(command).exitCode()).isZero();

            assertThat(server.requests()).hasSize(2);
            assertThat(rangeStart(server.requests().get(1))).hasValue(CONTENT.length);
            assertThat(file).hasBinaryContent(CONTENT);
        }
    }

    @Test
    void aServerThatHangsHoldsTheProcessNoLongerThanItsDeadline() {
        try (FaultServer server = new FaultServer(file(CONTENT, TAG).at(HALF, Fault.freeze()));
                Cli.Child child = Cli.start(
                        arguments(server.uri("/file.bin").toString(), directory.resolve("file"), "--deadline", "3s"))) {
            Cli.Outcome outcome = child.await();

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(6);
            assertThat(outcome.err()).hasSize(1).first().asString().contains("the same command");
        }
    }

    @Test
    void ctrlCEndsItWhileTheServerHangs() {
        try (FaultServer server = new FaultServer(file(CONTENT, TAG).at(HALF, Fault.freeze()));
                Cli.Child child =
                        Cli.start(arguments(server.uri("/file.bin").toString(), directory.resolve("file"), "--json"))) {
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> server.sent() >= HALF && !child.out().isEmpty());
            child.interrupt();
            Cli.Outcome outcome = child.await();

            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(130);
            server.afterwards(file(CONTENT, TAG));
            theSameCommandEndsWell(server, directory.resolve("file"), Kept.PERHAPS);
            assertThat(rangeStart(server.requests().get(1))).hasValue(HALF);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @AfterAll
    static void count() {
        System.err.println("figure: faults of a server against otaflux download: " + rows
                + " with their exit code, 0 wrong files, the same command ended well after each");
    }

    private static Cli.Outcome download(FaultServer server, Path file, List<String> flags) {
        List<Object> more = new ArrayList<>(flags);
        if (!flags.contains("--retries")) {
            more.addAll(List.of("--retries", "0"));
        }
        return Cli.run(arguments(server.uri("/file.bin").toString(), file, more.toArray()));
    }

    private static Object[] arguments(String location, Path file, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of(
                "download",
                location + "?Signature=" + SECRET,
                "-o",
                file,
                "--allow-http",
                "--sha256",
                DownloadCommandTest.hex("SHA-256", CONTENT),
                "--size",
                CONTENT.length));
        arguments.addAll(List.of(more));
        return arguments.toArray();
    }

    private static Object[] withoutSize(FaultServer server, Path file, Object... more) {
        List<Object> arguments =
                new ArrayList<>(List.of(arguments(server.uri("/file.bin").toString(), file, more)));
        int size = arguments.indexOf("--size");
        arguments.subList(size, size + 2).clear();
        return arguments.toArray();
    }

    private static OptionalLong rangeStart(String request) {
        return request.lines()
                .filter(line -> line.toLowerCase(Locale.ROOT).startsWith("range: bytes="))
                .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                .findFirst();
    }

    private static byte[] append(byte[] content) {
        return Arrays.copyOf(content, content.length + 1);
    }

    private static byte[] flip(byte[] content, int at) {
        byte[] flipped = content.clone();
        flipped[at] ^= 1;
        return flipped;
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }
}
