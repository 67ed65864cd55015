package io.otaflux.testkit;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A server on a loopback port that answers each request with the next line of its script, byte for byte, whether HTTP
 * allows it or not. Of a request it understands where its head ends; only {@link #file} reads what was asked for.
 *
 * <p>A {@link Fault} strikes an answer when so many bytes of its body have gone out.
 */
public final class FaultServer implements AutoCloseable {

    private final ServerSocket listening;
    private final Thread accepting;
    private final Queue<Answer> script = new ArrayDeque<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger connections = new AtomicInteger();
    private final AtomicLong sent = new AtomicLong();
    private final CountDownLatch closed = new CountDownLatch(1);
    private volatile @Nullable Answer afterwards;

    public FaultServer(Answer... script) {
        this("127.0.0.1", 0, script);
    }

    /** A server on another loopback address, and on a given port if it is not 0. */
    public FaultServer(String address, int port, Answer... script) {
        this.script.addAll(List.of(script));
        try {
            listening = new ServerSocket(port, 50, InetAddress.getByName(address));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        accepting = daemon(this::accept);
    }

    /** Adds to the script. */
    public FaultServer then(Answer answer) {
        synchronized (script) {
            script.add(answer);
        }
        return this;
    }

    /** What every request is answered with when the script is over. Without it that is a 500. */
    public FaultServer afterwards(Answer answer) {
        afterwards = answer;
        return this;
    }

    /** What happens after a request's head has been read. */
    public interface Answer {

        void answer(Peer peer) throws IOException;

        /** The text, and then the next request of the same connection. */
        static Answer text(String text) {
            return peer -> peer.send(text.getBytes(ISO_8859_1));
        }

        /** The same, and then the end of the connection in good order. */
        default Answer thenClose() {
            return peer -> {
                answer(peer);
                peer.socket.shutdownOutput();
                peer.hangUp();
            };
        }

        /** The same, and then the end of the connection by a reset. */
        default Answer thenReset() {
            return peer -> {
                answer(peer);
                peer.reset();
            };
        }

        /** The same, and then silence until the client goes away. */
        default Answer thenNothing() {
            return peer -> {
                answer(peer);
                peer.hangUp();
            };
        }

        /** The same, and then more when the latch is open. */
        default Answer thenAfter(CountDownLatch latch, Answer more) {
            return peer -> {
                answer(peer);
                try {
                    latch.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
                more.answer(peer);
            };
        }

        /** The same, but what {@code fault} does when {@code offset} bytes of the body have gone out. */
        default Answer at(long offset, Fault fault) {
            return peer -> {
                peer.body.arm(offset, fault);
                answer(peer);
            };
        }
    }

    /** What goes wrong in the middle of a body. */
    public interface Fault {

        /**
         * Strikes.
         *
         * @param rest what is to be sent next
         * @return what is sent instead
         * @throws IOException when there is nothing more to send
         */
        byte[] strike(Peer peer, byte[] rest) throws IOException;

        /** The connection ends in good order. */
        static Fault cut() {
            return (peer, rest) -> {
                peer.socket.shutdownOutput();
                peer.hangUp();
                throw new IOException("cut");
            };
        }

        /** The connection is reset. What the client has not read yet is lost with it. */
        static Fault reset() {
            return (peer, rest) -> {
                peer.reset();
                throw new IOException("reset");
            };
        }

        /** Nothing more comes, until the client goes away. */
        static Fault freeze() {
            return (peer, rest) -> {
                peer.hangUp();
                throw new IOException("frozen");
            };
        }

        /** From here on it is one byte at a time. */
        static Fault drip(Duration pause) {
            return (peer, rest) -> {
                peer.pause = pause;
                return rest;
            };
        }

        /** Nothing comes for a while. */
        static Fault delay(Duration pause) {
            return (peer, rest) -> {
                peer.await(pause);
                return rest;
            };
        }

        /** One bit of the next byte is another. */
        static Fault corrupt() {
            return (peer, rest) -> {
                byte[] corrupted = rest.clone();
                corrupted[0] ^= 1;
                return corrupted;
            };
        }

        /** One of those that a client survives without being told a wrong byte. */
        static Fault random(Random random) {
            return switch (random.nextInt(4)) {
                case 0 -> cut();
                case 1 -> reset();
                case 2 -> delay(Duration.ofMillis(random.nextInt(50)));
                default -> freeze();
            };
        }
    }

    /** 200 with a body and its length. */
    public static Answer ok(String body, String... headers) {
        return Answer.text(
                "HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n" + lines(headers) + "\r\n" + body);
    }

    /** A head with these headers, and whatever follows. */
    public static Answer answer(String status, String body, String... headers) {
        return Answer.text("HTTP/1.1 " + status + "\r\n" + lines(headers) + "\r\n" + body);
    }

    private static String lines(String... headers) {
        StringBuilder lines = new StringBuilder();
        for (String header : headers) {
            lines.append(header).append("\r\n");
        }
        return lines.toString();
    }

    /**
     * {@code content} as a server that knows its trade serves it: the whole, or the rest where {@code If-Range} is absent
     * or is {@code etag} to the byte, or 416 where there is no rest.
     *
     * @param etag the entity tag as it is written, quotes included where there are any; null for none
     */
    public static Answer file(byte[] content, @Nullable String etag, String... headers) {
        return peer -> {
            String more = lines(headers) + (etag == null ? "" : "ETag: " + etag + "\r\n");
            String ifRange = peer.header("if-range");
            long first = ifRange != null && !ifRange.equals(etag) ? 0 : peer.rangeStart();
            if (first > 0 && first >= content.length) {
                peer.send(("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */" + content.length
                                + "\r\nContent-Length: 0\r\n" + more + "\r\n")
                        .getBytes(ISO_8859_1));
                return;
            }
            String status = first == 0
                    ? "200 OK\r\n"
                    : "206 Partial Content\r\nContent-Range: bytes " + first + "-" + (content.length - 1) + "/"
                            + content.length + "\r\n";
            peer.send(("HTTP/1.1 " + status + "Content-Length: " + (content.length - first) + "\r\n" + more + "\r\n")
                    .getBytes(ISO_8859_1));
            peer.send(Arrays.copyOfRange(content, (int) first, content.length));
        };
    }

    /** The same content from a server that has never heard of ranges. */
    public static Answer wholeFile(byte[] content, String... headers) {
        return peer -> {
            peer.send(("HTTP/1.1 200 OK\r\nContent-Length: " + content.length + "\r\n" + lines(headers) + "\r\n")
                    .getBytes(ISO_8859_1));
            peer.send(content);
        };
    }

    public URI uri(String path) {
        return URI.create("http://" + listening.getInetAddress().getHostAddress() + ":" + port() + path);
    }

    public int port() {
        return listening.getLocalPort();
    }

    /** The heads of the requests so far, in order. */
    public List<String> requests() {
        return requests;
    }

    /** How many connections were made. */
    public int connections() {
        return connections.get();
    }

    /** How many connections are open. */
    public int openConnections() {
        return open.size();
    }

    /** How many bytes the sockets have taken. */
    public long sent() {
        return sent.get();
    }

    /** Ends all connections. Whoever comes afterwards is refused. */
    @Override
    public void close() {
        closed.countDown();
        try {
            listening.close();
            // Until its thread has left the kernel, that one would still be handed the next connection.
            accepting.join();
            for (Socket socket : open) {
                socket.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void accept() {
        try {
            while (true) {
                Socket socket = listening.accept();
                socket.setTcpNoDelay(true);
                connections.incrementAndGet();
                open.add(socket);
                daemon(() -> serve(socket));
            }
        } catch (IOException over) {
            // The test is over.
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            while (!socket.isClosed()) {
                Peer peer = new Peer(socket);
                if (peer.head.isEmpty()) {
                    return;
                }
                requests.add(peer.head);
                Answer answer;
                synchronized (script) {
                    answer = script.poll();
                }
                if (answer == null) {
                    answer = afterwards;
                }
                if (answer == null) {
                    peer.send("HTTP/1.1 500 Script is over\r\nContent-Length: 0\r\n\r\n".getBytes(ISO_8859_1));
                    return;
                }
                answer.answer(peer);
            }
        } catch (IOException gone) {
            // The client hung up, as clients may, or a fault ended it.
        } finally {
            open.remove(socket);
        }
    }

    private static Thread daemon(Runnable task) {
        Thread thread = new Thread(task, "fault-server");
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** One request, seen from the server. */
    public final class Peer {

        private static final Pattern RANGE = Pattern.compile("bytes=([0-9]{1,10})-");

        private final Socket socket;
        private final OutputStream out;
        private final String head;
        private final Body body = new Body();
        private Duration pause = Duration.ZERO;

        Peer(Socket socket) throws IOException {
            this.socket = socket;
            this.out = socket.getOutputStream();
            this.head = readHead();
        }

        public Socket socket() {
            return socket;
        }

        /** The value of a header of the request, or null. */
        public @Nullable String header(String name) {
            return head.lines()
                    .filter(line -> line.regionMatches(true, 0, name + ":", 0, name.length() + 1))
                    .map(line -> line.substring(name.length() + 1).strip())
                    .findFirst()
                    .orElse(null);
        }

        /** The first byte that was asked for: 0 without a {@code Range}. */
        public long rangeStart() {
            String range = header("range");
            Matcher matcher = RANGE.matcher(range == null ? "" : range);
            return matcher.matches() ? Long.parseLong(matcher.group(1)) : 0;
        }

        public void send(byte[] bytes) throws IOException {
            byte[] left = bytes;
            while (left.length > 0) {
                left = body.struck(this, left);
                int length = pause.isZero() ? body.room(left) : 1;
                out.write(left, 0, length);
                out.flush();
                sent.addAndGet(length);
                body.passed(left, length);
                left = Arrays.copyOfRange(left, length, left.length);
                if (!pause.isZero()) {
                    await(pause);
                }
            }
        }

        /** Waits until the client closes the connection. */
        public void hangUp() throws IOException {
            while (socket.getInputStream().read() >= 0) {}
            socket.close();
        }

        private void reset() throws IOException {
            socket.setSoLinger(true, 0);
            socket.close();
        }

        private void await(Duration time) throws IOException {
            try {
                if (closed.await(time.toNanos(), TimeUnit.NANOSECONDS)) {
                    throw new IOException("the server is closed");
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException(e);
            }
        }

        private String readHead() throws IOException {
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            int matched = 0;
            while (matched < 4) {
                int next = socket.getInputStream().read();
                if (next < 0) {
                    return "";
                }
                read.write(next);
                matched = next == "\r\n\r\n".charAt(matched) ? matched + 1 : next == '\r' ? 1 : 0;
            }
            return read.toString(ISO_8859_1);
        }
    }

    /** How far the body of one answer is, and what is to happen to it. The head is what comes before an empty line. */
    private static final class Body {

        private int matched;
        private long offset;
        private long armedAt = Long.MAX_VALUE;
        private @Nullable Fault fault;

        void arm(long at, Fault armed) {
            armedAt = at;
            fault = armed;
        }

        private boolean begun() {
            return matched == 4;
        }

        byte[] struck(Peer peer, byte[] rest) throws IOException {
            Fault due = fault;
            if (due == null || !begun() || offset < armedAt) {
                return rest;
            }
            fault = null;
            return due.strike(peer, rest);
        }

        /** How much may be sent before it has to be looked at again. */
        int room(byte[] bytes) {
            if (fault == null) {
                return bytes.length;
            }
            if (!begun()) {
                int end = new String(bytes, ISO_8859_1).indexOf("\r\n\r\n");
                return end < 0 ? bytes.length : end + 4;
            }
            return (int) Math.min(bytes.length, armedAt - offset);
        }

        void passed(byte[] bytes, int length) {
            if (begun()) {
                offset += length;
                return;
            }
            for (int i = 0; i < length && !begun(); i++) {
                matched = bytes[i] == "\r\n\r\n".charAt(matched) ? matched + 1 : bytes[i] == '\r' ? 1 : 0;
            }
        }
    }
}
