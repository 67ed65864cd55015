package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.LockSupport;

/**
 * Serves one file on a free loopback port as a link of a given rate would bring it: in pieces of 16 KiB, evenly. nginx's
 * {@code limit_rate} sends for a while as fast as it can and then pauses, which no link does.
 */
final class PacedServer implements AutoCloseable {

    private static final int PIECE = 16 * 1024;

    private final ByteBuffer content;
    private final long bytesPerSecond;
    private final ServerSocketChannel listening;

    PacedServer(byte[] content, long bytesPerSecond) throws IOException {
        this.content = ByteBuffer.allocateDirect(content.length).put(content).flip();
        this.bytesPerSecond = bytesPerSecond;
        this.listening = ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        start(this::accept);
    }

    URI location() throws IOException {
        return URI.create("http://127.0.0.1:" + ((InetSocketAddress) listening.getLocalAddress()).getPort() + "/file");
    }

    @Override
    public void close() throws IOException {
        listening.close();
    }

    private static void start(Runnable work) {
        Thread thread = new Thread(work, "paced");
        thread.setDaemon(true);
        thread.start();
    }

    private void accept() {
        try {
            while (true) {
                SocketChannel client = listening.accept();
                start(() -> serve(client));
            }
        } catch (ClosedChannelException e) {
            // It has been closed.
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void serve(SocketChannel client) {
        try (client) {
            ByteBuffer request = ByteBuffer.allocate(8 * 1024);
            while (client.read(request) >= 0) {
                if (StandardCharsets.ISO_8859_1
                        .decode(request.duplicate().flip())
                        .toString()
                        .endsWith("\r\n\r\n")) {
                    answer(client);
                    request.clear();
                }
            }
        } catch (IOException e) {
            // The client has gone. If it was too early, it says so itself.
        }
    }

    private void answer(SocketChannel client) throws IOException {
        String head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " + content.limit()
                + "\r\n\r\n";
        client.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII)));
        ByteBuffer bytes = content.duplicate();
        long begin = System.nanoTime();
        while (bytes.position() < content.limit()) {
            // Against the time since the beginning, so that a pause that was too long is made up for.
            long early = begin + (long) (bytes.position() * 1e9 / bytesPerSecond) - System.nanoTime();
            if (early > 0) {
                LockSupport.parkNanos(early);
            }
            bytes.limit(Math.min(content.limit(), bytes.position() + PIECE));
            while (bytes.hasRemaining()) {
                client.write(bytes);
            }
        }
    }
}
