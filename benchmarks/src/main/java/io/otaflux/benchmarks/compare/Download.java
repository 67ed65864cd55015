package io.otaflux.benchmarks.compare;

import io.otaflux.benchmarks.compare.FetchMain.Client;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * A large file over HTTP and HTTPS from nginx on loopback, hashed with SHA-256, written and synchronised; each copy is compared
 * with the original. JVMs are warm: the first downloads of each process do not count.
 */
final class Download implements Scenario {

    private static final String OTAFLUX = "OtaFlux";
    private static final String OTAFLUX_SMALL = "OtaFlux, -Xmx32m -XX:+UseSerialGC";
    private static final String FLOOR = "the JVM's floor: SocketChannel, 1 MiB";
    private static final String CURL_OPENSSL = "curl -o f; openssl dgst";
    private static final String TEE_SHA256SUM = "curl | tee | sha256sum";
    private static final String TEE_OPENSSL = "curl | tee | openssl dgst";
    private static final String WGET = "wget; sha256sum";
    private static final String ARIA2_1 = "aria2c --checksum, 1 connection";
    private static final String ARIA2_4 = "aria2c --checksum, 4 connections";
    private static final String JDK = "java.net.http ofFile, then digest";
    private static final String WEB_CLIENT = "WebClient + DataBufferUtils, then digest";
    private static final String OKHTTP = "OkHttp + HashingSink";
    private static final String AHC = "async-http-client";
    private static final String CRT = "AWS CRT";
    private static final String HUC_10 = "HttpURLConnection loop, 10 KB";
    private static final String HUC_64 = "HttpURLConnection loop, 64 KB";
    private static final String NAIVE = "Reactor Netty, naive";
    private static final String ALONE = " alone";

    /** The same for all of them, so the collector is the JVM's own choice. */
    private static final List<String> JVM_OPTIONS = List.of("-Xmx512m");

    /** In each process two dropped, which is when the compilers have done with all of them, and three that count. */
    private static final int REPETITIONS = 5;

    /** One that counts, where that is enough: of those that nothing is judged by. */
    private static final int FEWER_REPETITIONS = 2;

    @Override
    public String name() {
        return "download";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.OPENSSL, Program.CURL, Program.WGET, Program.ARIA2);
    }

    @Override
    public void run(Bench bench) throws Exception {
        long size = bench.smoke() ? 1 << 20 : 1L << 30;
        Path served = Files.createDirectories(bench.memory().resolve("served"));
        Path original = served.resolve("file");
        write(original, size);
        String digest = Fetch.hash(original);
        try (Nginx nginx = Nginx.start(bench.disk().resolve("nginx"), served)) {
            Course http = new Course(nginx.http("file"), nginx.certificate(), digest, size, bench.memory());
            Course https = new Course(nginx.https("file"), nginx.certificate(), digest, size, bench.memory());
            Course disk = new Course(nginx.http("file"), nginx.certificate(), digest, size, bench.disk());
            http(bench, http);
            https(bench, https);
            if (!bench.smoke()) {
                disk(bench, disk);
            }
        }
    }

    private static void http(Bench bench, Course course) throws Exception {
        // For a look whether they work, once is enough: https is http and more.
        List<Contestant> contestants = new ArrayList<>(bench.smoke() ? List.of() : course.everybody());
        contestants.addAll(List.of(
                course.otaflux(OTAFLUX_SMALL, List.of("-Xmx32m", "-XX:+UseSerialGC")),
                course.urlConnection(HUC_10, 10 << 10).atMost(FEWER_REPETITIONS),
                course.library(NAIVE, Client.NAIVE).atMost(FEWER_REPETITIONS),
                course.floor(),
                course.alone(StageAlone.Stage.RECEIVE),
                course.alone(StageAlone.Stage.HASH),
                course.alone(StageAlone.Stage.WRITE)));
        Map<String, List<Sample>> samples = bench.race(contestants, REPETITIONS);
        Report report = bench.report();
        report.race("1 GiB over HTTP to " + bench.memoryName(), "SHA-256, synchronised", samples, OTAFLUX);
        bars(report, "CPU, 1 GiB over HTTP", "s", samples, Sample::cpu);
        bars(report, "Time, 1 GiB over HTTP", "s", samples, Sample::wall);
        Map<String, List<Double>> bounds = new LinkedHashMap<>();
        bounds.put(TEE_SHA256SUM, List.of(0.25, 0.30));
        bounds.put(CURL_OPENSSL, List.of(0.70, 0.55));
        bounds.put(WEB_CLIENT, List.of(0.20, 0.15));
        bounds.put(JDK, List.of(0.40, 0.35));
        bounds.put(CRT, List.of(0.80, 0.65));
        bounds.put(HUC_64, List.of(0.90, 0.70));
        bounds.forEach((peer, bound) ->
                report.ratio("1 GiB http, CPU", samples, OTAFLUX, peer, Sample::cpu, bound.get(0), true));
        bounds.forEach((peer, bound) ->
                report.ratio("1 GiB http, wall", samples, OTAFLUX, peer, Sample::wall, bound.get(1), true));
        report.ratio("1 GiB http, CPU", samples, OTAFLUX, FLOOR, Sample::cpu, 1.05, true);
        String slowest = samples.entrySet().stream()
                .filter(entry -> entry.getKey().endsWith(ALONE))
                .max(Comparator.comparingDouble(entry -> Sample.median(entry.getValue(), Sample::wall)))
                .map(Map.Entry::getKey)
                .orElse("the slowest stage" + ALONE);
        report.ratio("two-core pipeline, wall", samples, OTAFLUX, slowest, Sample::wall, 1.7, true);
    }

    private static void https(Bench bench, Course course) throws Exception {
        Map<String, List<Sample>> samples = bench.race(course.everybody(), REPETITIONS);
        Report report = bench.report();
        report.race(
                "1 GiB over HTTPS to " + bench.memoryName(),
                "TLS 1.3, SHA-256, synchronised; OpenSSL for OtaFlux, WebClient and async-http-client",
                samples,
                OTAFLUX);
        bars(report, "CPU, 1 GiB over HTTPS", "s", samples, Sample::cpu);
        Map<String, Double> bounds = new LinkedHashMap<>();
        bounds.put(TEE_OPENSSL, 0.50);
        bounds.put(CURL_OPENSSL, 0.76);
        bounds.put(JDK, 0.40);
        bounds.put(CRT, 1.0);
        bounds.forEach(
                (peer, bound) -> report.ratio("1 GiB https, CPU", samples, OTAFLUX, peer, Sample::cpu, bound, true));
    }

    private static void disk(Bench bench, Course course) throws Exception {
        Map<String, List<Sample>> samples = bench.race(
                List.of(
                        course.otaflux(OTAFLUX, JVM_OPTIONS),
                        course.curlThenOpenssl(),
                        course.teeSha256sum(),
                        course.urlConnection(HUC_64, 64 << 10),
                        course.library(JDK, Client.JDK),
                        course.library(CRT, Client.CRT),
                        course.floor()),
                FEWER_REPETITIONS);
        bench.report()
                .race(
                        "1 GiB over HTTP to the disk",
                        "SHA-256; everybody synchronises the file at the end, OtaFlux also on the way",
                        samples,
                        OTAFLUX);
    }

    private static void bars(
            Report report,
            String title,
            String unit,
            Map<String, List<Sample>> samples,
            ToDoubleFunction<Sample> figure) {
        Map<String, Double> medians = new LinkedHashMap<>();
        samples.entrySet().stream()
                .filter(entry -> !entry.getKey().endsWith(ALONE))
                .sorted(Comparator.comparingDouble(entry -> Sample.median(entry.getValue(), figure)))
                .forEach(entry -> medians.put(entry.getKey(), Sample.median(entry.getValue(), figure)));
        report.bars(title, unit, medians);
    }

    /** Bytes that nothing can compress. */
    private static void write(Path file, long size) throws IOException {
        Random random = new Random(1);
        byte[] block = new byte[1 << 20];
        try (FileChannel out = Fetch.create(file)) {
            for (long written = 0; written < size; written += block.length) {
                random.nextBytes(block);
                out.write(ByteBuffer.wrap(block));
            }
        }
    }

    /** From where to where, for whoever runs. */
    private record Course(URI location, Path certificate, String digest, long size, Path directory) {

        /** Whoever speaks both http and https. */
        List<Contestant> everybody() {
            return List.of(
                    otaflux(OTAFLUX, JVM_OPTIONS),
                    curlThenOpenssl(),
                    teeSha256sum(),
                    teeOpenssl(),
                    wget(),
                    aria2(ARIA2_1, 1),
                    aria2(ARIA2_4, 4),
                    urlConnection(HUC_64, 64 << 10),
                    library(JDK, Client.JDK),
                    library(OKHTTP, Client.OKHTTP).atMost(FEWER_REPETITIONS),
                    library(AHC, Client.AHC).atMost(FEWER_REPETITIONS),
                    library(CRT, Client.CRT),
                    library(WEB_CLIENT, Client.WEB_CLIENT));
        }

        Contestant otaflux(String name, List<String> options) {
            return Contestant.java(
                    name,
                    options,
                    OtaFluxDownload.class,
                    trusting(location.toString(), digest, Long.toString(size), directory.toString()));
        }

        Contestant library(String name, Client client) {
            return Contestant.java(
                    name,
                    JVM_OPTIONS,
                    FetchMain.class,
                    client.name(),
                    location.toString(),
                    digest,
                    directory.toString(),
                    certificate.toString());
        }

        Contestant urlConnection(String name, int buffer) {
            return Contestant.java(
                    name,
                    JVM_OPTIONS,
                    HttpUrlConnectionLoop.class,
                    trusting(location.toString(), digest, Integer.toString(buffer), directory.toString()));
        }

        Contestant floor() {
            return Contestant.java(
                    FLOOR,
                    JVM_OPTIONS,
                    SocketChannelLoop.class,
                    location.toString(),
                    digest,
                    Long.toString(size),
                    directory.toString());
        }

        Contestant alone(StageAlone.Stage stage) {
            return Contestant.java(
                    stage.name().toLowerCase(Locale.ROOT) + ALONE,
                    JVM_OPTIONS,
                    StageAlone.class,
                    stage.name(),
                    location.toString(),
                    Long.toString(size),
                    directory.toString());
        }

        /** With the authority behind the rest, where there is something to trust. */
        private String[] trusting(String... arguments) {
            return location.getScheme().equals("http")
                    ? arguments
                    : Stream.concat(Stream.of(arguments), Stream.of(certificate.toString()))
                            .toArray(String[]::new);
        }

        Contestant curlThenOpenssl() {
            return shell(CURL_OPENSSL, """
                curl -sSf --cacert "$certificate" -o "$file" "$location"
                sync "$file"
                sum=$(openssl dgst -sha256 -r "$file")
                """);
        }

        Contestant teeSha256sum() {
            return shell(TEE_SHA256SUM, """
                sum=$(curl -sSf --cacert "$certificate" "$location" | tee "$file" | sha256sum)
                sync "$file"
                """);
        }

        Contestant teeOpenssl() {
            return shell(TEE_OPENSSL, """
                sum=$(curl -sSf --cacert "$certificate" "$location" | tee "$file" | openssl dgst -sha256 -r)
                sync "$file"
                """);
        }

        Contestant wget() {
            return shell(WGET, """
                wget -nv --ca-certificate="$certificate" -O "$file" "$location"
                sync "$file"
                sum=$(sha256sum "$file")
                """);
        }

        Contestant aria2(String name, int connections) {
            return shell(name, """
                aria2c --console-log-level=warn --summary-interval=0 --no-conf --file-allocation=none --allow-overwrite=true \\
                    --ca-certificate="$certificate" -x%1$d -s%1$d -k1M --checksum=sha-256="$digest" \\
                    -d "$(dirname "$file")" -o "$(basename "$file")" "$location"
                sync "$file"
                sum="$digest "
                """.formatted(connections));
        }

        /** What it wrote is compared and removed after each time, which is not measured. */
        private Contestant shell(String name, String script) {
            Path file = directory.resolve("shell");
            Contestant measured = Contestant.shell(name, """
                    location='%s' certificate='%s' file='%s' digest='%s'
                    %s
                    [[ $sum == "$digest "* ]] || { echo "hashed $sum (expected: $digest)"; exit 1; }
                    """.formatted(location, certificate, file, digest, script));
            // A program has nothing to warm up: one sample is worth as much as another.
            return Contestant.of(name, repetitions -> {
                List<Sample> samples = measured.round(1);
                Fetch.discard(file, digest);
                return samples;
            });
        }
    }
}
