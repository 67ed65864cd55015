package io.otaflux.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntFunction;

/**
 * A bad network: a proxy on a free loopback port that passes TCP connections on to another one, until it is told to do
 * worse. What happens to a connection is scripted with {@link Faults}, by its number and by offsets in its bytes, so that it
 * happens again in the next run; {@link #freeze()} and {@link #dropAll} strike at the moment they are called.
 *
 * <p>It gives each connection two threads. Close it.
 */
public final class CutProxy implements AutoCloseable {

    /** A direction. */
    public enum Way {
        TO_SERVER,
        TO_CLIENT
    }

    /** How a connection ends, on both of its sides: in good order, or by a reset. */
    public enum End {
        FIN,
        RST
    }

    private static final int BUFFER = 64 * 1024;

    private final ServerSocket listener;
    private final int target;
    private final Thread accepting = new Thread(this::accept, "cut-proxy");
    private final List<Link> links = new CopyOnWriteArrayList<>();
    private final AtomicInteger accepted = new AtomicInteger();
    private final AtomicInteger cuts = new AtomicInteger();
    private final Map<Way, AtomicLong> forwarded = new EnumMap<>(Way.class);
    private final Object change = new Object();
    private volatile IntFunction<Faults> script = number -> new Faults();
    private volatile boolean frozen;

    private CutProxy(ServerSocket listener, int target) {
        this.listener = listener;
        this.target = target;
        List.of(Way.values()).forEach(way -> forwarded.put(way, new AtomicLong()));
    }

    /** Starts one in front of {@code port} of the loopback interface; nobody needs to listen there yet. */
    public static CutProxy to(int port) {
        try {
            CutProxy proxy = new CutProxy(new ServerSocket(0, 1024, InetAddress.getLoopbackAddress()), port);
            proxy.accepting.setDaemon(true);
            proxy.accepting.start();
            return proxy;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Says what happens to each connection from now on, given its number: 1 for the first that was ever accepted. */
    public CutProxy script(IntFunction<Faults> script) {
        this.script = script;
        return this;
    }

    /** Where it listens. */
    public int port() {
        return listener.getLocalPort();
    }

    /** How many connections came in so far. */
    public int accepted() {
        return accepted.get();
    }

    /** How many connections were cut, by their script or by {@link #dropAll}. */
    public int cuts() {
        return cuts.get();
    }

    /** How many bytes it passed on that way, over all connections. */
    public long forwarded(Way way) {
        return forwarded.get(way).get();
    }

    /** Lets all connections stand, accepts others, and passes nothing on, not even an end, until {@link #thaw()}. */
    public void freeze() {
        frozen = true;
    }

    /** Passes on what it held back, and goes on. */
    public void thaw() {
        frozen = false;
        wake();
    }

    /** Ends all connections that stand. */
    public void dropAll(End end) {
        links.forEach(link -> link.cut(end));
    }

    /** Ends all connections. Whoever comes afterwards is refused. */
    @Override
    public void close() {
        closeQuietly(listener);
        try {
            // Until its thread has left the kernel, that one would still be handed the next connection.
            accepting.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        links.forEach(Link::close);
    }

    private void accept() {
        while (!listener.isClosed()) {
            Socket client;
            try {
                client = listener.accept();
            } catch (IOException closed) {
                return;
            }
            int number = accepted.incrementAndGet();
            Socket server = new Socket();
            try {
                client.setTcpNoDelay(true);
                server.setTcpNoDelay(true);
                server.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target), 5000);
                new Link(client, server, script.apply(number)).start(number);
            } catch (IOException nobodyThere) {
                reset(client);
                closeQuietly(server);
            }
        }
    }

    private void wake() {
        synchronized (change) {
            change.notifyAll();
        }
    }

    private static void start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    private static void reset(Socket socket) {
        closeQuietly(() -> socket.setSoLinger(true, 0));
        closeQuietly(socket);
    }

    private static void closeQuietly(AutoCloseable closeable) {
        try {
            closeable.close();
        } catch (Exception gone) {
            // It has ended by itself.
        }
    }

    /** One connection: a socket on either side. */
    private final class Link {

        private final Socket client;
        private final Socket server;
        private final Faults faults;
        private final AtomicInteger pumps = new AtomicInteger(2);
        private volatile boolean over;

        Link(Socket client, Socket server, Faults faults) {
            this.client = client;
            this.server = server;
            this.faults = faults;
        }

        void start(int number) {
            links.add(this);
            for (Way way : Way.values()) {
                CutProxy.start("cut-proxy-" + number + "-" + way, () -> pump(way));
            }
        }

        private void pump(Way way) {
            Socket from = way == Way.TO_SERVER ? client : server;
            Socket to = way == Way.TO_SERVER ? server : client;
            try {
                forward(way, from.getInputStream(), to.getOutputStream());
                if (!over) {
                    to.shutdownOutput();
                }
            } catch (IOException gone) {
                if (!over) {
                    // One side was reset, and so the other one is.
                    reset(client);
                    reset(server);
                }
            }
            if (pumps.decrementAndGet() == 0) {
                close();
            }
        }

        private void forward(Way way, InputStream in, OutputStream out) throws IOException {
            Faults.OneWay fault = faults.on(way);
            byte[] buffer = new byte[BUFFER];
            long offset = 0;
            while (true) {
                if (offset == fault.cutAt) {
                    cut(fault.end);
                }
                int room =
                        (int) Math.min(Math.min(BUFFER, fault.chunk), Math.min(fault.cutAt, fault.freezeAt) - offset);
                // Of a connection that was cut, the rest is read and thrown away: the end of a socket with something
                // left to read would be a reset.
                int length = in.read(buffer, 0, over || room <= 0 ? BUFFER : room);
                hold(fault.pause, offset >= fault.freezeAt);
                if (length < 0) {
                    return;
                }
                if (over) {
                    continue;
                }
                if (fault.corruptAt >= offset && fault.corruptAt < offset + length) {
                    buffer[(int) (fault.corruptAt - offset)] ^= (byte) 0xFF;
                }
                out.write(buffer, 0, length);
                offset += length;
                forwarded.get(way).addAndGet(length);
            }
        }

        /** Waits for {@code pause}, and then while everything is frozen, or for ever; no longer than the connection is. */
        private void hold(Duration pause, boolean forEver) {
            long until = System.nanoTime() + pause.toNanos();
            synchronized (change) {
                while (!over) {
                    long left = (until - System.nanoTime() + 999_999) / 1_000_000;
                    if (left <= 0 && !frozen && !forEver) {
                        return;
                    }
                    try {
                        change.wait(Math.max(0, left));
                    } catch (InterruptedException e) {
                        throw new IllegalStateException("Nobody interrupts these threads", e);
                    }
                }
            }
        }

        private synchronized void cut(End end) {
            if (over) {
                return;
            }
            over = true;
            cuts.incrementAndGet();
            wake();
            if (end == End.RST) {
                reset(client);
                reset(server);
                return;
            }
            for (Socket socket : List.of(client, server)) {
                closeQuietly(socket::shutdownOutput);
            }
        }

        private void close() {
            over = true;
            wake();
            links.remove(this);
            closeQuietly(client);
            closeQuietly(server);
        }
    }

    /** What happens to one connection. Offsets count the bytes of one way, from 0. */
    public static final class Faults {

        private final Map<Way, OneWay> ways =
                new EnumMap<>(Map.of(Way.TO_SERVER, new OneWay(), Way.TO_CLIENT, new OneWay()));

        /**
         * A cut somewhere within {@code bytes}, either way, with either end. Take one {@code random} for all connections:
         * the first numbers of small seeds are alike.
         */
        public static Faults randomCut(Random random, int bytes) {
            Way way = Way.values()[random.nextInt(2)];
            return new Faults().cut(way, random.nextInt(bytes), End.values()[random.nextInt(2)]);
        }

        /** Ends it when {@code offset} bytes went that way, before any more do. */
        public Faults cut(Way way, long offset, End end) {
            on(way).cutAt = offset;
            on(way).end = end;
            return this;
        }

        /** Passes nothing on that way after {@code offset} bytes, and lets it stand. */
        public Faults freeze(Way way, long offset) {
            on(way).freezeAt = offset;
            return this;
        }

        /** Inverts the byte at {@code offset}. */
        public Faults corrupt(Way way, long offset) {
            on(way).corruptAt = offset;
            return this;
        }

        /** Holds each piece of what comes for {@code pause}. */
        public Faults delay(Way way, Duration pause) {
            return drip(way, BUFFER, pause);
        }

        /** Passes on at most {@code bytes} every {@code pause}. */
        public Faults drip(Way way, int bytes, Duration pause) {
            on(way).chunk = bytes;
            on(way).pause = pause;
            return this;
        }

        private OneWay on(Way way) {
            return ways.get(way);
        }

        private static final class OneWay {

            private long cutAt = Long.MAX_VALUE;
            private long freezeAt = Long.MAX_VALUE;
            private long corruptAt = -1;
            private int chunk = BUFFER;
            private Duration pause = Duration.ZERO;
            private End end = End.FIN;
        }
    }
}
