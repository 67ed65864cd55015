package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;

/**
 * Downloads one file again and again with another library.
 *
 * <p>Arguments: which one, location, its SHA-256, a directory, and the PEM file of the authority to trust.
 */
final class FetchMain {

    private FetchMain() {}

    /** The libraries. Only the classes of the one that is asked for are loaded. */
    enum Client {
        JDK,
        WEB_CLIENT,
        NAIVE,
        OKHTTP,
        AHC,
        CRT;

        private Fetch open(URI location, Path certificate) throws Exception {
            return switch (this) {
                case JDK -> new Peers.Jdk(certificate);
                case WEB_CLIENT -> new Peers.Spring(certificate);
                case NAIVE -> new Peers.Naive(certificate);
                case OKHTTP -> new Peers.OkHttp(certificate);
                case AHC -> new Peers.Ahc(certificate);
                case CRT -> new Peers.Crt(location, certificate);
            };
        }
    }

    public static void main(String... args) throws Exception {
        URI location = URI.create(args[1]);
        Path target = Path.of(args[3]).resolve("fetched.bin");
        try (Fetch fetch = Client.valueOf(args[0]).open(location, Path.of(args[4]))) {
            Repetitions.of(
                    () -> {
                        String hashed = fetch.fetch(location, target);
                        if (!hashed.equals(args[2])) {
                            throw new IOException("hashed " + hashed + " (expected: " + args[2] + ")");
                        }
                    },
                    () -> Fetch.discard(target, args[2]));
        }
        // Some of them leave threads that would keep the process.
        System.exit(0);
    }
}
