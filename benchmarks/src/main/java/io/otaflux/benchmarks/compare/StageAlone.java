package io.otaflux.benchmarks.compare;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;

/**
 * One stage of a download and nothing else, through a direct buffer of 1 MiB: the bytes are received and forgotten, or the same
 * buffer is hashed again and again, or written. No pipeline is faster than its slowest stage.
 *
 * <p>Arguments: which one, location, size, a directory.
 */
final class StageAlone {

    private static final int BUFFER = 1 << 20;

    private StageAlone() {}

    enum Stage {
        RECEIVE,
        HASH,
        WRITE
    }

    public static void main(String... args) throws Exception {
        URI location = URI.create(args[1]);
        long size = Long.parseLong(args[2]);
        Path target = Path.of(args[3]).resolve("stage.bin");
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
        Repetitions.of(
                () -> {
                    switch (Stage.valueOf(args[0])) {
                        case RECEIVE -> receive(location, size, buffer.clear());
                        case HASH -> hash(size, buffer);
                        case WRITE -> write(size, buffer, target);
                    }
                },
                () -> Files.deleteIfExists(target));
    }

    private static void receive(URI location, long size, ByteBuffer buffer) throws IOException {
        try (SocketChannel socket = SocketChannel.open(new InetSocketAddress(location.getHost(), location.getPort()))) {
            String request = "GET " + location.getRawPath() + " HTTP/1.1\r\nHost: " + location.getAuthority()
                    + "\r\nConnection: close\r\n\r\n";
            socket.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            SocketChannelLoop.readHead(socket, buffer);
            long left = size - buffer.remaining();
            while (left > 0) {
                int received = socket.read(buffer.clear());
                if (received < 0) {
                    throw new EOFException(left + " bytes are missing");
                }
                left -= received;
            }
        }
    }

    private static void hash(long size, ByteBuffer buffer) {
        MessageDigest digest = Fetch.sha256();
        for (long left = size; left > 0; left -= BUFFER) {
            digest.update(buffer.clear().limit((int) Math.min(BUFFER, left)));
        }
        digest.digest();
    }

    private static void write(long size, ByteBuffer buffer, Path target) throws IOException {
        try (FileChannel file = Fetch.create(target)) {
            for (long left = size; left > 0; left -= BUFFER) {
                file.write(buffer.clear().limit((int) Math.min(BUFFER, left)));
            }
            file.force(true);
        }
    }
}
