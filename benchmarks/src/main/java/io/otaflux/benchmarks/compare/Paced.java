package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** A file over a link that is slower than the processor, as gateways have it: what does it cost to be woken for each piece? */
final class Paced implements Scenario {

    private static final String OTAFLUX = "OtaFlux";
    private static final String OTAFLUX_PORTABLE = "OtaFlux without epoll";
    private static final String HUC_64 = "HttpURLConnection loop, 64 KB";

    private static final List<String> SMALL = List.of("-Xmx32m", "-XX:+UseSerialGC");
    private static final int REPETITIONS = 3;

    @Override
    public String name() {
        return "paced";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.CURL, Program.OPENSSL);
    }

    @Override
    public void run(Bench bench) throws Exception {
        Nginx.makeCertificate(bench.memory());
        Map<String, List<Sample>> fast = race(bench, "1 Gbit/s", 125_000_000, bench.smoke() ? 1 << 20 : 256 << 20);
        bench.report().ratio("paced 1 Gbit/s, CPU", fast, OTAFLUX, HUC_64, Sample::cpu, 1.10, true);
        if (!bench.smoke()) {
            race(bench, "100 Mbit/s", 12_500_000, 32 << 20);
        }
    }

    private static Map<String, List<Sample>> race(Bench bench, String rate, long bytesPerSecond, int size)
            throws Exception {
        byte[] content = new byte[size];
        new Random(1).nextBytes(content);
        String digest = hash(bench, content);
        try (PacedServer server = new PacedServer(content, bytesPerSecond)) {
            String location = server.location().toString();
            String directory = bench.memory().toString();
            Map<String, List<Sample>> samples = bench.race(
                    List.of(
                            otaflux(OTAFLUX, List.of(), location, digest, size, directory),
                            otaflux(
                                    OTAFLUX_PORTABLE,
                                    List.of("-Dreactor.netty.native=false"),
                                    location,
                                    digest,
                                    size,
                                    directory),
                            curl(location, digest, directory),
                            Contestant.java(
                                    HUC_64,
                                    SMALL,
                                    HttpUrlConnectionLoop.class,
                                    location,
                                    digest,
                                    Integer.toString(64 << 10),
                                    directory),
                            library("java.net.http", FetchMain.Client.JDK, location, digest, directory),
                            library("Reactor Netty, naive", FetchMain.Client.NAIVE, location, digest, directory)),
                    bench.smoke() ? 1 : REPETITIONS);
            Report report = bench.report();
            report.race(
                    size / (1 << 20) + " MiB over HTTP at " + rate,
                    "in pieces of 16 KiB; CPU is for " + size / (1 << 20) + " MiB",
                    samples,
                    HUC_64);
            return samples;
        }
    }

    private static String hash(Bench bench, byte[] content) throws IOException {
        Path file = bench.memory().resolve("content");
        Files.write(file, content);
        String digest = Fetch.hash(file);
        Files.delete(file);
        return digest;
    }

    private static Contestant otaflux(
            String name, List<String> more, String location, String digest, int size, String directory) {
        List<String> options = new ArrayList<>(SMALL);
        options.addAll(more);
        return Contestant.java(
                name, options, OtaFluxDownload.class, location, digest, Integer.toString(size), directory);
    }

    private static Contestant library(
            String name, FetchMain.Client client, String location, String digest, String directory) {
        // Over http there is nobody to trust, but they read the file.
        String certificate = directory + "/certificate.pem";
        return Contestant.java(name, SMALL, FetchMain.class, client.name(), location, digest, directory, certificate);
    }

    private static Contestant curl(String location, String digest, String directory) {
        return Contestant.shell("curl -o; openssl", """
                file='%s/shell'
                curl -sSf -o "$file" '%s'
                sync "$file"
                sum=$(openssl dgst -sha256 -r "$file")
                rm "$file"
                [[ $sum == '%s '* ]]
                """.formatted(directory, location, digest));
    }
}
