package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

/** What one would write first with Reactor Netty: the whole body as an array, hashed, and written to a file. */
public final class ManySmallReactorNetty {

    private ManySmallReactorNetty() {}

    /** @param args as those of {@link ManySmallOtaFlux} */
    public static void main(String... args) throws Exception {
        List<String> digests = ManySmallFiles.digests(Path.of(args[1]));
        int atOnce = Integer.parseInt(args[4]);
        HttpClient client = HttpClient.create();
        ManySmallFiles.fetchRepeatedly(
                Path.of(args[3]), digests.size(), directory -> run(client, args[0], digests, directory, atOnce));
    }

    private static int run(HttpClient client, String base, List<String> digests, Path directory, int atOnce) {
        AtomicInteger verified = new AtomicInteger();
        Flux.range(0, digests.size())
                .flatMap(
                        i -> client.get()
                                .uri(base + i)
                                .responseSingle((response, body) -> body.asByteArray())
                                .doOnNext(bytes -> {
                                    write(directory.resolve(digests.get(i)), bytes);
                                    if (ManySmallFiles.isRight(bytes, digests.get(i))) {
                                        verified.incrementAndGet();
                                    }
                                })
                                .onErrorResume(e -> Mono.empty()),
                        atOnce)
                .blockLast();
        return verified.get();
    }

    private static void write(Path file, byte[] bytes) {
        try {
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
