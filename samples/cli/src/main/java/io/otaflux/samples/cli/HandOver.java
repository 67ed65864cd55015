package io.otaflux.samples.cli;

import io.netty.buffer.ByteBuf;
import io.otaflux.Digest;
import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * Hands an upgrade to a device behind the gateway. How a real one gets its bytes (a bus, a radio) is its own affair; here it
 * has a file, {@code {directory}/{device}}, which becomes another name of the one verified image that all devices share. So
 * the bytes are written and synchronised once, however many devices there are; each hand-over costs a rename and the
 * synchronisation of the directory.
 */
final class HandOver implements Installer {

    private final Path directory;
    private final Map<Digest, Mono<Path>> images = new ConcurrentHashMap<>();

    /** @param directory where the devices' files are; it must exist */
    HandOver(Path directory) {
        this.directory = directory;
    }

    /** The file of a device. */
    static Path fileOf(Path directory, String deviceName) {
        return directory.resolve(deviceName);
    }

    @Override
    public Mono<Effect> install(Verified verified) {
        return image(verified.file())
                .publishOn(Schedulers.boundedElastic())
                .flatMap(image -> Mono.fromCallable(() -> {
                    hand(image, verified.trigger());
                    return Effect.IMMEDIATE;
                }))
                .onErrorMap(
                        IOException.class,
                        e -> new InstallException(verified.trigger().key() + ": cannot be handed over", e));
    }

    private void hand(Path image, UpgradeTrigger trigger) throws IOException {
        Path file = fileOf(directory, trigger.device().name());
        Path fresh = directory.resolve("." + trigger.device().name() + ".new");
        Files.deleteIfExists(fresh);
        Files.createLink(fresh, image);
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        synchronise(directory);
    }

    /** One copy per content, whoever comes first; hashed once more on the way. A failure is not kept. */
    private Mono<Path> image(Verified.File content) {
        return images.computeIfAbsent(content.digest(), digest -> {
            Path image = directory.resolve(".image-" + digest.hex());
            return copy(content, image).cacheInvalidateIf(copied -> !Files.exists(copied));
        });
    }

    private Mono<Path> copy(Verified.File content, Path image) {
        Mono<Path> copied = Mono.using(
                () -> FileChannel.open(
                        image,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE),
                file -> content.read().concatMap(buffer -> write(file, buffer)).then(Mono.fromCallable(() -> {
                    file.force(true);
                    return image;
                })),
                HandOver::close);
        return copied.subscribeOn(Schedulers.boundedElastic());
    }

    private static Flux<Void> write(FileChannel file, ByteBuf buffer) {
        try {
            while (buffer.isReadable()) {
                buffer.readBytes(file, buffer.readableBytes());
            }
            return Flux.empty();
        } catch (IOException e) {
            return Flux.error(e);
        } finally {
            buffer.release();
        }
    }

    private static void close(FileChannel file) {
        try {
            file.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void synchronise(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
