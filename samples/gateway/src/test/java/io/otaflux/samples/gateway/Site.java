package io.otaflux.samples.gateway;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.NginxServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** All that a device sees of the world: a Mosquitto, an nginx, and a platform between them. */
final class Site implements AutoCloseable {

    private static final Pattern LOG_LINE = Pattern.compile(".* \"GET (\\S+) HTTP/1.1\" (\\d{3}) (\\d+) .*");

    private final Path home;
    private final MosquittoBroker broker;
    private final NginxServer nginx;
    private final Cloud cloud;

    /** A request as nginx logged it; a part of a body counts as far as it was sent. */
    record Access(String path, int status, long bytes) {}

    private Site(Path home, String... directives) {
        this.home = home;
        this.broker = MosquittoBroker.start();
        this.nginx = NginxServer.start(home.resolve("nginx"), directives);
        this.cloud = new Cloud(broker.port());
    }

    /**
     * Starts everything.
     *
     * @param home where nginx has its files, and devices may have theirs
     * @param directives what else nginx is told
     */
    static Site open(Path home, String... directives) {
        try {
            Files.createDirectories(home.resolve("nginx/files/signed"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new Site(home, directives);
    }

    Path home() {
        return home;
    }

    MosquittoBroker broker() {
        return broker;
    }

    NginxServer nginx() {
        return nginx;
    }

    Cloud cloud() {
        return cloud;
    }

    /** Puts a payload on the file server and answers what to push about it. */
    ObjectNode publish(String module, String version, Payload payload) {
        URI url = nginx.put(module + "-" + version + ".bin", payload.bytes());
        return Cloud.data(module, version, URI.create(url + "?token=" + Secrets.URL_TOKEN), payload);
    }

    /** The requests that are over, in the order in which they ended. */
    List<Access> accesses() {
        try {
            return Files.readAllLines(home.resolve("nginx/access.log")).stream()
                    .map(LOG_LINE::matcher)
                    .filter(Matcher::matches)
                    .map(line ->
                            new Access(line.group(1), Integer.parseInt(line.group(2)), Long.parseLong(line.group(3))))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        cloud.close();
        nginx.close();
        broker.close();
    }
}
