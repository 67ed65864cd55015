package io.otaflux.transport.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A server on a loopback port that answers each request with the next line of its script, byte for byte, whether HTTP
 * allows it or not. It understands of a request only where its head ends.
 */
final class ScriptedServer implements AutoCloseable {

    private final ServerSocket listening;
    private final Queue<Answer> script = new ArrayDeque<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger connections = new AtomicInteger();
    private final AtomicLong sent = new AtomicLong();

    ScriptedServer(Answer... script) {
        this("127.0.0.1", 0, script);
    }

    /** A server on another loopback address, and on a given port if it is not 0. */
    ScriptedServer(String address, int port, Answer... script) {
        this.script.addAll(List.of(script));
        try {
            listening = new ServerSocket(port, 50, InetAddress.getByName(address));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        daemon(this::accept);
    }

    /** Adds to the script. */
    void then(Answer answer) {
        synchronized (script) {
            script.add(answer);
        }
    }

    /** What happens after a request's head has been read. */
    interface Answer {

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
                peer.socket.setSoLinger(true, 0);
                peer.socket.close();
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
    }

    /** 200 with a body and its length. */
    static Answer ok(String body, String... headers) {
        return Answer.text(
                "HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n" + lines(headers) + "\r\n" + body);
    }

    /** A head with these headers, and whatever follows. */
    static Answer answer(String status, String body, String... headers) {
        return Answer.text("HTTP/1.1 " + status + "\r\n" + lines(headers) + "\r\n" + body);
    }

    private static String lines(String... headers) {
        StringBuilder lines = new StringBuilder();
        for (String header : headers) {
            lines.append(header).append("\r\n");
        }
        return lines.toString();
    }

    URI uri(String path) {
        return URI.create("http://" + listening.getInetAddress().getHostAddress() + ":" + port() + path);
    }

    int port() {
        return listening.getLocalPort();
    }

    /** The heads of the requests so far, in order. */
    List<String> requests() {
        return requests;
    }

    /** How many connections were made. */
    int connections() {
        return connections.get();
    }

    /** How many connections are open. */
    int openConnections() {
        return open.size();
    }

    /** How many bytes the sockets have taken. */
    long sent() {
        return sent.get();
    }

    @Override
    public void close() {
        try {
            listening.close();
            for (Socket socket : open) {
                socket.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void accept() {
        try {
            while (true) {
                Socket socket = listening.accept();
                connections.incrementAndGet();
                open.add(socket);
                daemon(() -> serve(socket));
            }
        } catch (IOException closed) {
            // The test is over.
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            Peer peer = new Peer(socket);
            while (!socket.isClosed()) {
                String head = peer.readHead();
                if (head.isEmpty()) {
                    return;
                }
                requests.add(head);
                Answer answer;
                synchronized (script) {
                    answer = script.poll();
                }
                if (answer == null) {
                    peer.send("HTTP/1.1 500 Script is over\r\nContent-Length: 0\r\n\r\n".getBytes(ISO_8859_1));
                    return;
                }
                answer.answer(peer);
            }
        } catch (IOException gone) {
            // The client hung up, as clients may.
        } finally {
            open.remove(socket);
        }
    }

    private static void daemon(Runnable task) {
        Thread thread = new Thread(task, "scripted-server");
        thread.setDaemon(true);
        thread.start();
    }

    /** One connection, seen from the server. */
    final class Peer {

        private final Socket socket;
        private final OutputStream out;

        Peer(Socket socket) throws IOException {
            this.socket = socket;
            this.out = socket.getOutputStream();
        }

        Socket socket() {
            return socket;
        }

        void send(byte[] bytes) throws IOException {
            out.write(bytes);
            out.flush();
            sent.addAndGet(bytes.length);
        }

        /** Waits until the client closes the connection. */
        void hangUp() throws IOException {
            while (socket.getInputStream().read() >= 0) {}
            socket.close();
        }

        private String readHead() throws IOException {
            ByteArrayOutputStream head = new ByteArrayOutputStream();
            int matched = 0;
            while (matched < 4) {
                int next = socket.getInputStream().read();
                if (next < 0) {
                    return "";
                }
                head.write(next);
                matched = next == "\r\n\r\n".charAt(matched) ? matched + 1 : next == '\r' ? 1 : 0;
            }
            return head.toString(ISO_8859_1);
        }
    }
}
