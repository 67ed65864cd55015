package io.otaflux.samples.platform;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * The packages' files, each named by its SHA-256 in {@code artifacts/}. A file appears there whole and durable, or not at all;
 * what is being uploaded is in {@code uploads/}, which is emptied at start.
 */
final class ArtifactFiles implements AutoCloseable {

    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final int BUFFERS_AHEAD = 8;
    private static final int COPY_BUFFER = 1 << 20;

    private final Path artifacts;
    private final Path uploads;
    private final long maxBytes;
    private final AtomicLong uploadCount = new AtomicLong();
    private final ExecutorService writers = Executors.newFixedThreadPool(2, task -> {
        Thread thread = new Thread(task, "platform-upload");
        thread.setDaemon(true);
        return thread;
    });
    // A plain Executor, and visibly so: the scheduler of an ExecutorService interrupts when it is disposed, and an
    // interrupt
    // closes a FileChannel.
    @SuppressWarnings("UnnecessaryMethodReference")
    private final Scheduler writing = Schedulers.fromExecutor((Executor) writers::execute);

    ArtifactFiles(Path directory, long maxBytes) throws IOException {
        this.artifacts = directory.resolve("artifacts");
        this.uploads = directory.resolve("uploads");
        this.maxBytes = maxBytes;
        Files.createDirectories(artifacts);
        Files.createDirectories(uploads);
        try (var left = Files.newDirectoryStream(uploads)) {
            for (Path file : left) {
                Files.delete(file);
            }
        }
    }

    /** What is known of a file once it is stored. */
    record StoredFile(String sha256, String md5, long size) {}

    /**
     * Deletes the other files: those of packages that are no more, and those that were uploaded for a package that never came.
     * At start, when nothing is being uploaded.
     */
    void keepOnly(Set<String> digests) throws IOException {
        try (var files = Files.newDirectoryStream(artifacts)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (SHA256.matcher(name).matches() && !digests.contains(name)) {
                    Files.delete(file);
                }
            }
        }
    }

    /** Where the file with this digest is, if it is there. Anything that is not a digest is not there. */
    Path locate(String sha256) {
        if (!SHA256.matcher(sha256).matches()) {
            throw RequestRefusedException.notFound("artifact", "(not a digest)");
        }
        Path file = artifacts.resolve(sha256);
        if (!Files.isRegularFile(file)) {
            throw RequestRefusedException.notFound("artifact", sha256);
        }
        return file;
    }

    /** Stores a copy of a file. Blocks; not for event loops. */
    StoredFile store(Path source) throws IOException {
        try (FileChannel in = FileChannel.open(source, StandardOpenOption.READ);
                Upload upload = new Upload()) {
            ByteBuffer buffer = ByteBuffer.allocate(COPY_BUFFER);
            while (in.read(buffer) >= 0) {
                upload.write(buffer.flip());
                buffer.clear();
            }
            return upload.finish();
        }
    }

    /**
     * Stores what a stream brings, on threads of its own, with bounded memory. The Mono emits the stored file when it is
     * durable; it fails with {@link RequestRefusedException} if the stream is empty or longer than allowed; then, and when it is
     * cancelled, nothing is kept. The stream's buffers are released.
     */
    Mono<StoredFile> store(Flux<ByteBuf> content) {
        return Mono.usingWhen(
                Mono.fromCallable(Upload::new).subscribeOn(writing),
                upload -> content.map(ByteBuf::retain)
                        .publishOn(writing, BUFFERS_AHEAD)
                        .doOnDiscard(ByteBuf.class, ReferenceCountUtil::safeRelease)
                        .doOnNext(upload::write)
                        .then(Mono.fromCallable(upload::finish)),
                upload -> Mono.<Void>fromRunnable(upload::close).subscribeOn(writing));
    }

    /** Stores a small file; fails like {@link #store(Flux)}, and if it is longer than so many bytes. */
    Mono<StoredFile> store(byte[] content, long maxLength) {
        return content.length > maxLength
                ? Mono.error(RequestRefusedException.tooLarge("the file", maxLength))
                : store(Flux.just(Unpooled.wrappedBuffer(content)));
    }

    @Override
    public void close() {
        writing.dispose();
        writers.shutdown();
    }

    private final class Upload implements AutoCloseable {

        private final Path file = uploads.resolve("upload-" + uploadCount.incrementAndGet());
        private final FileChannel channel;
        private final MessageDigest sha256 = digest("SHA-256");
        private final MessageDigest md5 = digest("MD5");
        private long size;

        Upload() throws IOException {
            channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        }

        void write(ByteBuf buffer) {
            try {
                for (ByteBuffer part : buffer.nioBuffers()) {
                    write(part);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } finally {
                buffer.release();
            }
        }

        void write(ByteBuffer bytes) throws IOException {
            size += bytes.remaining();
            if (size > maxBytes) {
                throw RequestRefusedException.tooLarge("the package", maxBytes);
            }
            sha256.update(bytes.duplicate());
            md5.update(bytes.duplicate());
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        }

        StoredFile finish() throws IOException {
            if (size == 0) {
                throw RequestRefusedException.invalid("the package is empty");
            }
            StoredFile stored = new StoredFile(
                    HexFormat.of().formatHex(sha256.digest()), HexFormat.of().formatHex(md5.digest()), size);
            channel.force(true);
            channel.close();
            Files.move(file, artifacts.resolve(stored.sha256()), StandardCopyOption.ATOMIC_MOVE);
            DurableFiles.forceDirectory(artifacts);
            return stored;
        }

        @Override
        public void close() {
            try {
                channel.close();
                Files.deleteIfExists(file);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static MessageDigest digest(String algorithm) {
            try {
                return MessageDigest.getInstance(algorithm);
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException("every Java platform has " + algorithm, e);
            }
        }
    }
}
