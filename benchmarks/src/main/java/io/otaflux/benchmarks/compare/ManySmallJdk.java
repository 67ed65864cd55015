package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

/** The JDK's client, with the bodies as files or as arrays. */
public final class ManySmallJdk {

    private ManySmallJdk() {}

    /** @param args as those of {@link ManySmallOtaFlux}, and whether bodies go to files as they come */
    public static void main(String... args) throws Exception {
        List<String> digests = ManySmallFiles.digests(Path.of(args[1]));
        int atOnce = Integer.parseInt(args[4]);
        boolean toFile = Boolean.parseBoolean(args[5]);
        HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        ManySmallFiles.fetchRepeatedly(
                Path.of(args[3]),
                digests.size(),
                directory -> run(client, args[0], digests, directory, atOnce, toFile));
    }

    private static int run(
            HttpClient client, String base, List<String> digests, Path directory, int atOnce, boolean toFile)
            throws InterruptedException {
        AtomicInteger verified = new AtomicInteger();
        Semaphore permits = new Semaphore(atOnce);
        for (int i = 0; i < digests.size(); i++) {
            permits.acquire();
            HttpRequest request = HttpRequest.newBuilder(URI.create(base + i)).build();
            String digest = digests.get(i);
            Path file = directory.resolve(digest);
            CompletableFuture<Boolean> fetched = toFile
                    ? client.sendAsync(request, BodyHandlers.ofFile(file))
                            .thenApply(response -> ManySmallFiles.isRight(read(response.body()), digest))
                    : client.sendAsync(request, BodyHandlers.ofByteArray())
                            .thenApply(response -> ManySmallFiles.isRight(write(file, response.body()), digest));
            CompletableFuture<Boolean> unused = fetched.whenComplete((right, failure) -> {
                if (failure == null && right) {
                    verified.incrementAndGet();
                }
                permits.release();
            });
        }
        permits.acquire(atOnce);
        return verified.get();
    }

    private static byte[] read(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static byte[] write(Path file, byte[] bytes) {
        try {
            Files.write(file, bytes);
            return bytes;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
