package io.otaflux.samples.cli;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** An HTTP server that says what it is told to, on a free loopback port. */
final class FileHost implements AutoCloseable {

    private final HttpServer server;
    private final List<String> asked = new CopyOnWriteArrayList<>();

    private FileHost(HttpServer server) {
        this.server = server;
    }

    static FileHost answering(HttpHandler handler) {
        try {
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            FileHost host = new FileHost(server);
            server.createContext("/", exchange -> {
                host.asked.add(exchange.getRequestURI().toString());
                try (exchange) {
                    handler.handle(exchange);
                }
            });
            server.start();
            return host;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static FileHost serving(byte[] content) {
        return answering(exchange -> send(exchange, 200, content));
    }

    static FileHost refusing(int status) {
        return answering(exchange -> send(exchange, status, "no".getBytes(StandardCharsets.UTF_8)));
    }

    private static void send(HttpExchange exchange, int status, byte[] content) throws IOException {
        exchange.sendResponseHeaders(status, content.length == 0 ? -1 : content.length);
        exchange.getResponseBody().write(content);
    }

    List<String> asked() {
        return asked;
    }

    String url(String path) {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/" + path;
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
