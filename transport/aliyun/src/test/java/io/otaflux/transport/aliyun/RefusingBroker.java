package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.atomic.AtomicInteger;

/** Reads one CONNECT from each connection, answers with the CONNACK code it was told, and hangs up. */
final class RefusingBroker implements AutoCloseable {

    private final ServerSocket server;
    private final Thread serving = new Thread(this::serve, "refusing-broker");
    private final AtomicInteger attempts = new AtomicInteger();
    private final int code;

    private RefusingBroker(ServerSocket server, int code) {
        this.server = server;
        this.code = code;
    }

    static RefusingBroker answering(int code) {
        return answering(code, 0);
    }

    static RefusingBroker answering(int code, int port) {
        try {
            ServerSocket server = new ServerSocket();
            server.setReuseAddress(true);
            server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            RefusingBroker broker = new RefusingBroker(server, code);
            broker.serving.setDaemon(true);
            broker.serving.start();
            return broker;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int port() {
        return server.getLocalPort();
    }

    /** How many devices tried; other clients do not count. */
    int attempts() {
        return attempts.get();
    }

    /** Whoever comes afterwards is refused, or finds another broker on this port. */
    @Override
    public void close() {
        try {
            server.close();
            // Until its thread has left the kernel, that one would still be handed the next connection.
            serving.join();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void serve() {
        while (!server.isClosed()) {
            try (Socket socket = server.accept()) {
                socket.setSoTimeout(5000);
                DataInputStream in = new DataInputStream(socket.getInputStream());
                in.readByte();
                byte[] connect = Packets.read(in);
                if (new String(connect, ISO_8859_1).contains("|securemode=")) {
                    attempts.incrementAndGet();
                }
                socket.getOutputStream().write(new byte[] {0x20, 2, 0, (byte) code});
                socket.getOutputStream().flush();
                // Until the other side hangs up, so that the answer is not cut off.
                while (in.read() >= 0) {
                    continue;
                }
            } catch (IOException hungUp) {
                continue;
            }
        }
    }
}
