package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.Digest;
import io.otaflux.samples.cli.WebServer.Kind;
import io.otaflux.testkit.CutProxy;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.StringJoiner;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What {@code otaflux download} makes of six web servers when connections are cut and files change between its attempts.
 * Servers differ in how they resume; what must not differ is that a mixture of two files is never taken for one.
 */
@Tag("faults")
@Timeout(300)
class WebServersTest {

    private static final int SIZE = 2_000_000;
    private static final Instant YESTERDAY =
            Instant.now().minus(1, ChronoUnit.DAYS).truncatedTo(ChronoUnit.SECONDS);
    private static final byte[] BEFORE = DownloadCommandTest.content(SIZE);
    private static final byte[] AFTER = another(BEFORE);
    private static final byte[] LONGER = DownloadCommandTest.content(SIZE + 1);

    @TempDir
    private Path directory;

    private int runs;
    private int changes;

    @Test
    @RequiresProgram(value = "nginx", debianPackage = "nginx-light")
    void nginx() throws Exception {
        matrix(Kind.NGINX);
    }

    @Test
    @RequiresProgram(value = "apache2", debianPackage = "apache2-bin")
    void apache() throws Exception {
        matrix(Kind.APACHE);
    }

    @Test
    @RequiresProgram(value = "lighttpd", debianPackage = "lighttpd")
    void lighttpd() throws Exception {
        matrix(Kind.LIGHTTPD);
    }

    @Test
    @RequiresProgram(value = "caddy", debianPackage = "caddy")
    void caddy() throws Exception {
        matrix(Kind.CADDY);
    }

    @Test
    @RequiresProgram(value = "python3", debianPackage = "python3")
    void pythonsHttpServer() throws Exception {
        matrix(Kind.PYTHON);
    }

    @Test
    void theJdksWebServer() throws Exception {
        if (WebServer.jwebserver().isEmpty()) {
            System.err.println("SKIPPED jwebserver: there is no JDK from 18 on in /usr/lib/jvm");
            Assumptions.abort("jwebserver: there is no JDK from 18 on in /usr/lib/jvm");
        }
        matrix(Kind.JWEBSERVER);
    }

    private void matrix(Kind kind) throws Exception {
        boolean resumes = kind != Kind.PYTHON && kind != Kind.JWEBSERVER;
        StringJoiner figures = new StringJoiner(", ");
        try (WebServer server = start(kind, false)) {
            server.put("file.bin", BEFORE, later());
            figures.add("cut: " + afterACut(server, BEFORE, null, resumes));

            figures.add(
                    "another size: " + afterACut(server, LONGER, () -> server.put("file.bin", LONGER, later()), false));

            server.put("file.bin", BEFORE, later());
            figures.add("same size: " + afterACut(server, AFTER, () -> server.put("file.bin", AFTER, later()), false));

            Instant time = later();
            server.put("file.bin", BEFORE, time);
            figures.add("same size and time: " + neverMixed(server, AFTER, () -> server.put("file.bin", AFTER, time)));

            server.put("file.bin", BEFORE, later());
            figures.add("same size, time and inode: "
                    + neverMixed(server, AFTER, () -> server.overwrite("file.bin", AFTER)));

            server.put("file.bin", BEFORE, later());
            figures.add("from its end: " + fromTheEnd(server));

            server.put("empty.bin", new byte[0], later());
            assertThat(download(server.port(), "empty.bin", new byte[0]).exitCode())
                    .isZero();
            figures.add("empty file: whole");
        }
        if (kind == Kind.NGINX || kind == Kind.APACHE || kind == Kind.CADDY) {
            try (WebServer server = start(kind, true)) {
                server.put("file.bin", BEFORE, later());
                figures.add("cut with gzip on: " + afterACut(server, BEFORE, null, true));
            }
        }
        System.err.println("figure: " + kind.name().toLowerCase(Locale.ROOT) + ": " + figures + "; 0 mixed files");
    }

    /** The time of a file that is changed: long ago, and another one each time. */
    private Instant later() {
        changes++;
        return YESTERDAY.plusSeconds(changes * 60L);
    }

    private interface Swap {

        void run() throws IOException;
    }

    /** Cuts a download half-way, lets the file change, and lets the same command end well. */
    private String afterACut(WebServer server, byte[] content, @Nullable Swap swap, boolean resumes) throws Exception {
        try (CutProxy proxy = interrupted(server, content)) {
            if (swap != null) {
                swap.run();
            }
            long before = proxy.forwarded(CutProxy.Way.TO_CLIENT);
            Cli.Outcome outcome = download(proxy.port(), "file.bin", content);

            assertThat(outcome.exitCode()).as("%s", outcome).isZero();
            assertThat(file()).hasBinaryContent(content);
            long fetched = proxy.forwarded(CutProxy.Way.TO_CLIENT) - before;
            if (resumes) {
                assertThat(fetched).isBetween(content.length - SIZE / 2 - 2_000L, content.length - SIZE / 2 + 2_000L);
                return "the rest";
            }
            assertThat(fetched).isBetween((long) content.length, content.length + 2_000L);
            return "anew";
        }
    }

    /** The same where the server may not see that the file has changed. Then the digest sees it. */
    private String neverMixed(WebServer server, byte[] content, Swap swap) throws Exception {
        try (CutProxy proxy = interrupted(server, content)) {
            swap.run();
            Cli.Outcome outcome = download(proxy.port(), "file.bin", content);
            if (outcome.exitCode() == 0) {
                assertThat(file()).hasBinaryContent(content);
                return "anew";
            }
            assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(4);
            assertThat(file()).doesNotExist();

            // At once, where the server does not go on for a second with a file that is there no more.
            Awaitility.await().atMost(Duration.ofSeconds(30)).until(() -> {
                int exitCode = download(proxy.port(), "file.bin", content).exitCode();
                assertThat(exitCode).isIn(0, 4);
                return Files.exists(file());
            });
            assertThat(file()).hasBinaryContent(content);
            return "seen by the digest";
        }
    }

    private CutProxy interrupted(WebServer server, byte[] content) throws IOException {
        Files.deleteIfExists(file());
        CutProxy proxy = CutProxy.to(server.port())
                .script(number -> number == 1
                        ? new CutProxy.Faults().cut(CutProxy.Way.TO_CLIENT, SIZE / 2 + 1_000, CutProxy.End.FIN)
                        : new CutProxy.Faults());
        assertThat(download(proxy.port(), "file.bin", content).exitCode()).isEqualTo(6);
        assertThat(file()).doesNotExist();
        return proxy;
    }

    /** Everything is here already, only nobody knows: what a server says to a range that begins at the end. */
    private String fromTheEnd(WebServer server) {
        HttpArtifactSource source = HttpArtifactSource.builder()
                .allowNetworks("127.0.0.0/8")
                .allowHttp(true)
                .build();
        try {
            URI location = URI.create("http://127.0.0.1:" + server.port() + "/file.bin");
            Artifact artifact = new Artifact(
                    "file.bin",
                    location,
                    Artifact.UNKNOWN_SIZE,
                    List.of(Digest.sha256(DownloadCommandTest.hex("SHA-256", BEFORE))));
            Optional<String> validator = source.read(
                            new ArtifactSource.Request(artifact, 0, null),
                            content -> content.bytes()
                                    .doOnNext(ByteBuf::release)
                                    .then(Mono.just(Optional.ofNullable(content.validator()))))
                    .blockLast(Duration.ofSeconds(30));
            assertThat(validator).isPresent();
            return source.read(
                            new ArtifactSource.Request(artifact, SIZE, validator.orElseThrow()),
                            content -> collect(content.bytes()).map(bytes -> {
                                assertThat(content.size()).isEqualTo(SIZE);
                                if (content.offset() == SIZE) {
                                    assertThat(bytes).isEmpty();
                                    return "nothing more";
                                }
                                assertThat(content.offset()).isZero();
                                assertThat(Arrays.equals(bytes, BEFORE)).isTrue();
                                return "anew";
                            }))
                    .blockLast(Duration.ofSeconds(30));
        } finally {
            source.close().block();
        }
    }

    private static Mono<byte[]> collect(Flux<ByteBuf> bytes) {
        return bytes.reduceWith(ByteArrayOutputStream::new, (all, buffer) -> {
                    all.writeBytes(ByteBufUtil.getBytes(buffer));
                    buffer.release();
                    return all;
                })
                .map(ByteArrayOutputStream::toByteArray);
    }

    private Cli.Outcome download(int port, String name, byte[] content) {
        return Cli.run(
                "download",
                "http://127.0.0.1:" + port + "/" + name,
                "-o",
                file(),
                "--allow-http",
                "--sha256",
                DownloadCommandTest.hex("SHA-256", content),
                "--retries",
                "0");
    }

    private Path file() {
        return directory.resolve("file");
    }

    private WebServer start(Kind kind, boolean gzip) throws IOException {
        // Servers that are started by root serve as somebody else.
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        return WebServer.start(kind, Files.createDirectory(directory.resolve("server-" + runs++)), gzip);
    }

    /** Another content of the same length, of which every byte is another. */
    private static byte[] another(byte[] content) {
        byte[] other = content.clone();
        for (int i = 0; i < other.length; i++) {
            other[i] ^= 0x55;
        }
        return other;
    }
}
