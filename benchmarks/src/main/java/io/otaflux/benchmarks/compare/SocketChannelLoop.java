package io.otaflux.benchmarks.compare;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * The floor under every downloader in Java: one thread, a blocking socket, one direct buffer of 1 MiB, hash, write, one
 * synchronisation at the end. It knows no redirect, no resumption, no error but its own, and only plain http.
 *
 * <p>Arguments: location, its SHA-256, its size, a directory.
 */
public final class SocketChannelLoop {

    private SocketChannelLoop() {}

    public static void main(String... args) throws Exception {
        URI location = URI.create(args[0]);
        Path target = Path.of(args[3]).resolve("floor.bin");
        Repetitions.of(
                () -> download(location, args[1], Long.parseLong(args[2]), target),
                () -> Fetch.discard(target, args[1]));
    }

    private static void download(URI location, String expected, long size, Path target) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
        try (SocketChannel socket = SocketChannel.open(new InetSocketAddress(location.getHost(), location.getPort()));
                FileChannel file = FileChannel.open(
                        target,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            String request = "GET " + location.getRawPath() + " HTTP/1.1\r\nHost: " + location.getAuthority()
                    + "\r\nConnection: close\r\n\r\n";
            socket.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            readHead(socket, buffer);
            for (long left = size; left > 0; ) {
                digest.update(buffer.duplicate());
                left -= buffer.remaining();
                while (buffer.hasRemaining()) {
                    file.write(buffer);
                }
                buffer.clear();
                if (left > 0 && socket.read(buffer) < 0) {
                    throw new EOFException(left + " bytes are missing");
                }
                buffer.flip();
            }
            file.force(true);
        }
        if (!HexFormat.of().formatHex(digest.digest()).equals(expected)) {
            throw new IOException("wrong bytes");
        }
    }

    /** Leaves in {@code buffer} what came after the head. */
    static void readHead(SocketChannel socket, ByteBuffer buffer) throws IOException {
        while (true) {
            if (socket.read(buffer) < 0) {
                throw new EOFException("no answer");
            }
            String head = StandardCharsets.ISO_8859_1
                    .decode(buffer.duplicate().flip())
                    .toString();
            int end = head.indexOf("\r\n\r\n");
            if (end >= 0) {
                if (!head.startsWith("HTTP/1.1 200 ")) {
                    throw new IOException(head.substring(0, end));
                }
                buffer.flip().position(end + 4);
                return;
            }
        }
    }
}
