package io.otaflux.callback;

import java.nio.file.Path;
import reactor.core.publisher.Mono;

/** Unpacks what a program has downloaded; found with {@link java.util.ServiceLoader} by {@link Ota#upgrade}. */
public interface Unpacker {

    /**
     * Puts what is in {@code archive} in the place of {@code directory}. At every instant, with power or without, there is
     * the whole old directory or the whole new one.
     *
     * @return a {@code Mono} that completes when the new one would survive a power cut. It errors with
     *     {@link io.otaflux.InstallException} when the archive is none, is damaged, or holds what is not unpacked, and with
     *     {@link io.otaflux.StorageException} when the medium fails; the old directory is there then. Work begins at
     *     subscription, on threads that may block, and is not stopped by cancellation
     */
    Mono<Void> unpack(Path archive, Path directory);
}
