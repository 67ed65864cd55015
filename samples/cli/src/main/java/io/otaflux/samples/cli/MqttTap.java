package io.otaflux.samples.cli;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Stands between a device and its platform, passes everything on, and counts bytes and published messages. */
final class MqttTap implements AutoCloseable {

    private static final Logger log = LoggerFactory.getLogger(MqttTap.class);

    private static final int PUBLISH = 3;

    private final int platformPort;
    private final ServerSocket server;
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private final Count fromDevice = new Count();
    private final Count toDevice = new Count();

    /** Listens on a free loopback port for a device of the platform on {@code platformPort}. */
    MqttTap(int platformPort) throws IOException {
        this.platformPort = platformPort;
        this.server = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
        start("mqtt-tap", this::accept);
    }

    int port() {
        return server.getLocalPort();
    }

    Count fromDevice() {
        return fromDevice;
    }

    Count toDevice() {
        return toDevice;
    }

    /** What went one way. */
    static final class Count {

        private final AtomicLong bytes = new AtomicLong();
        private final AtomicLong messages = new AtomicLong();

        long bytes() {
            return bytes.get();
        }

        long messages() {
            return messages.get();
        }

        @Override
        public String toString() {
            return messages + " messages, " + new Size(bytes());
        }
    }

    @Override
    public void close() {
        try {
            server.close();
            for (Socket socket : sockets) {
                socket.close();
            }
        } catch (IOException e) {
            log.debug("a socket did not close", e);
        }
    }

    private void accept() {
        try {
            while (true) {
                Socket device = server.accept();
                Socket platform = new Socket(InetAddress.getLoopbackAddress(), platformPort);
                sockets.addAll(List.of(device, platform));
                device.setTcpNoDelay(true);
                platform.setTcpNoDelay(true);
                start("mqtt-tap-out", () -> pass(device, platform, fromDevice));
                start("mqtt-tap-in", () -> pass(platform, device, toDevice));
            }
        } catch (IOException closed) {
            log.debug("the tap is closed", closed);
        }
    }

    private static void pass(Socket from, Socket to, Count count) {
        byte[] buffer = new byte[1 << 16];
        Packets packets = new Packets(count);
        try (from;
                to;
                InputStream in = from.getInputStream();
                OutputStream out = to.getOutputStream()) {
            while (true) {
                int read = in.read(buffer);
                if (read < 0) {
                    throw new EOFException();
                }
                count.bytes.addAndGet(read);
                packets.take(buffer, read);
                out.write(buffer, 0, read);
            }
        } catch (IOException over) {
            log.debug("a connection is over", over);
        }
    }

    private static void start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** Follows the packets in a stream: a byte with the type, the length in up to four bytes of seven bits, the rest. */
    private static final class Packets {

        private final Count count;
        private boolean inLength;
        private int shift;
        private long left;

        Packets(Count count) {
            this.count = count;
        }

        void take(byte[] bytes, int length) {
            int at = 0;
            while (at < length) {
                if (inLength) {
                    int digit = bytes[at++];
                    left |= (long) (digit & 0x7f) << shift;
                    shift += 7;
                    inLength = digit < 0;
                } else if (left > 0) {
                    long skipped = Math.min(left, length - at);
                    left -= skipped;
                    at += (int) skipped;
                } else {
                    if ((bytes[at++] & 0xff) >> 4 == PUBLISH) {
                        count.messages.incrementAndGet();
                    }
                    inLength = true;
                    shift = 0;
                }
            }
        }
    }
}
