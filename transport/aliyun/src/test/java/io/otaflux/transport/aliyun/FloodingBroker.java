package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;

/**
 * Lets one device in and sends it pushes of QoS 1 as fast as it acknowledges them, which no broker for real does. It
 * says what a broker must to keep the device content.
 */
final class FloodingBroker implements AutoCloseable {

    private final ServerSocket server;
    private final int pushes;
    private final Semaphore window;
    private final IntFunction<byte[]> payload;
    private final AtomicInteger acknowledged = new AtomicInteger();
    private final AtomicInteger connections = new AtomicInteger();
    private final byte[] topic = Topics.of(TestPlatform.DEVICE).upgrade().getBytes(UTF_8);

    private FloodingBroker(ServerSocket server, int pushes, int window, IntFunction<byte[]> payload) {
        this.server = server;
        this.pushes = pushes;
        this.window = new Semaphore(window);
        this.payload = payload;
    }

    /**
     * @param window how many pushes may be in flight
     * @param payload what push number n says, the first being 0
     */
    static FloodingBroker sending(int pushes, int window, IntFunction<byte[]> payload) {
        try {
            FloodingBroker broker = new FloodingBroker(
                    new ServerSocket(0, 10, InetAddress.getLoopbackAddress()), pushes, window, payload);
            start("flooding-broker", broker::serve);
            return broker;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int port() {
        return server.getLocalPort();
    }

    int acknowledged() {
        return acknowledged.get();
    }

    int connections() {
        return connections.get();
    }

    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void serve() {
        while (!server.isClosed()) {
            try (Socket socket = server.accept()) {
                connections.incrementAndGet();
                socket.setTcpNoDelay(true);
                converse(
                        new DataInputStream(new BufferedInputStream(socket.getInputStream())),
                        new BufferedOutputStream(socket.getOutputStream()));
            } catch (IOException hungUp) {
                continue;
            }
        }
    }

    private void converse(DataInputStream in, OutputStream out) throws IOException {
        while (true) {
            int type = in.readUnsignedByte();
            byte[] packet = Packets.read(in);
            switch (type >> 4) {
                case 1 -> send(out, 0x20, new byte[] {0, 0});
                case 3 -> {
                    // The identifier is behind the topic; all that a device sends here is of QoS 1.
                    int id = 2 + ((packet[0] & 0xFF) << 8 | packet[1] & 0xFF);
                    send(out, 0x40, new byte[] {packet[id], packet[id + 1]});
                }
                case 4 -> {
                    acknowledged.incrementAndGet();
                    window.release();
                }
                case 8 -> {
                    send(out, 0x90, new byte[] {packet[0], packet[1], 1, 1});
                    start("flood", () -> flood(out));
                }
                case 12 -> send(out, 0xD0, new byte[0]);
                case 14 -> {
                    return;
                }
                default -> throw new IOException("packet type " + (type >> 4));
            }
        }
    }

    private void flood(OutputStream out) {
        try {
            for (int i = 0; i < pushes; i++) {
                if (!window.tryAcquire()) {
                    synchronized (out) {
                        out.flush();
                    }
                    window.acquireUninterruptibly();
                }
                ByteArrayOutputStream packet = new ByteArrayOutputStream(512);
                DataOutputStream data = new DataOutputStream(packet);
                data.writeShort(topic.length);
                data.write(topic);
                data.writeShort(1 + i % 60_000);
                data.write(payload.apply(i));
                write(out, 0x32, packet.toByteArray());
            }
            synchronized (out) {
                out.flush();
            }
        } catch (IOException hungUp) {
            // The test sees that by what is missing.
            return;
        }
    }

    private static void send(OutputStream out, int type, byte[] packet) throws IOException {
        synchronized (out) {
            write(out, type, packet);
            out.flush();
        }
    }

    private static void write(OutputStream out, int type, byte[] packet) throws IOException {
        synchronized (out) {
            Packets.write(out, type, packet);
        }
    }

    private static void start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }
}
