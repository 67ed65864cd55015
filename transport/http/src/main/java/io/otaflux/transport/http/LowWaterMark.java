package io.otaflux.transport.http;

import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelOption;
import io.netty.channel.unix.IntegerUnixChannelOption;
import io.netty.handler.ssl.SslHandler;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Has the kernel wake the event loop not for every few packets but about every {@value #PACE_MILLIS} ms, when there is
 * something worth reading ({@code SO_RCVLOWAT}). On a link that is slower than the processor, being woken is most of what a
 * download costs.
 *
 * <p>Nothing is held back by it: the mark is never above what the answer still has, and it goes down to one byte when the
 * bytes have not come as fast as before. The kernel looks by itself whether its buffer has become full, or the connection
 * has ended.
 *
 * <p>It does something on Netty's epoll transport, and only there; not under TLS either, where bytes of the socket are not
 * bytes of the answer. Everything happens on the connection's event loop.
 */
final class LowWaterMark {

    private static final int PACE_MILLIS = 50;
    private static final long PACE = TimeUnit.MILLISECONDS.toNanos(PACE_MILLIS);

    /** For how long the rate is measured before the mark follows it. */
    private static final long MEASURED = 2 * PACE;

    /** When the mark goes down because less has come than that. */
    private static final long PATIENCE = 4 * PACE;

    private static final int LEAST = 32 * 1024;
    private static final int MOST = 1 << 20;

    private final Channel channel;
    private boolean possible;
    private int mark = 1;
    private int wanted = 1;
    private long measuredSince = System.nanoTime();
    private long measuredBytes;
    private long last = measuredSince;
    private @Nullable Future<?> timer;

    LowWaterMark(Channel channel) {
        this.channel = channel;
        // The numbers of the option are Linux's; other transports have the same kind of options and other numbers.
        this.possible = channel.getClass().getName().startsWith("io.netty.channel.epoll.")
                && channel.pipeline().get(SslHandler.class) == null;
    }

    /**
     * Bytes have arrived.
     *
     * @param left how many are still to come; 0 where that is not known
     */
    void arrived(int bytes, long left) {
        if (!possible) {
            return;
        }
        last = System.nanoTime();
        measuredBytes += bytes;
        long measured = last - measuredSince;
        if (measured >= MEASURED) {
            long atPace = (long) ((double) measuredBytes * PACE / measured);
            wanted = atPace < LEAST ? 1 : (int) Math.min(MOST, Long.highestOneBit(atPace));
            measuredSince = last;
            measuredBytes = 0;
        }
        set(left < wanted ? 1 : wanted);
        if (mark > 1 && timer == null) {
            watch(PATIENCE);
        }
    }

    /** Leaves the socket as it was. */
    void reset() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
        set(1);
        possible = false;
    }

    private void watch(long nanos) {
        timer = channel.eventLoop().schedule(this::check, nanos, TimeUnit.NANOSECONDS);
    }

    private void check() {
        timer = null;
        long quiet = System.nanoTime() - last;
        if (quiet < PATIENCE) {
            watch(PATIENCE - quiet);
        } else {
            // The kernel tells at once, if there is anything.
            wanted = 1;
            set(1);
            measuredSince = System.nanoTime();
            measuredBytes = 0;
        }
    }

    private void set(int bytes) {
        if (bytes == mark || !possible) {
            return;
        }
        try {
            possible = channel.config().setOption(Option.SO_RCVLOWAT, bytes);
            mark = bytes;
        } catch (ChannelException e) {
            // The connection has ended. Whoever reads from it will be told.
            possible = false;
        }
    }

    /** Apart, because who leaves Netty's native transports out of the class path may not have this kind of option. */
    static final class Option {

        private static final int SOL_SOCKET = 1;

        static final ChannelOption<Integer> SO_RCVLOWAT = new IntegerUnixChannelOption("SO_RCVLOWAT", SOL_SOCKET, 18);

        private Option() {}
    }
}
