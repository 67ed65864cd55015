package io.otaflux.transport.aliyun;

import com.hivemq.client.mqtt.MqttClientExecutorConfig;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelPromise;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SingleThreadIoEventLoop;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.handler.flush.FlushConsolidationHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ThreadPerTaskExecutor;
import io.reactivex.schedulers.Schedulers;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The threads of all connections: as many as there are processors, from the first connection to the end of the last one.
 * While they run, so does the program.
 *
 * <p>What a connection has to send is sent when its loop has done all that it was asked for. The client library asks for every
 * acknowledgement by itself, and acknowledgements come in dozens, when the journal has synchronised what they are for; each of
 * them as a packet of its own would cost more than all the rest.
 */
final class Loops extends MultiThreadIoEventLoopGroup {

    /** How much of it may be held back for the next one, at most. */
    private static final int FLUSHES = 256;

    private static @Nullable Loops present;
    private static int users;

    private Loops() {
        super(
                Runtime.getRuntime().availableProcessors(),
                new ThreadPerTaskExecutor(new DefaultThreadFactory("otaflux-mqtt")),
                handlers());
    }

    /** The library chooses the sockets by the same question, and they must be of one kind. */
    private static IoHandlerFactory handlers() {
        try {
            Class.forName("io.netty.channel.epoll.Epoll", false, Loops.class.getClassLoader());
        } catch (ClassNotFoundException absent) {
            return NioIoHandler.newFactory();
        }
        return Native.handlers();
    }

    /** Where the classes may be missing, they must not be asked for by name outside of here. */
    private static final class Native {

        static IoHandlerFactory handlers() {
            return Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
        }
    }

    /** The threads for one more connection, which gives them back when it has ended. */
    static synchronized MqttClientExecutorConfig take() {
        if (present == null) {
            present = new Loops();
        }
        users++;
        return MqttClientExecutorConfig.builder()
                .nettyExecutor(present)
                // What is told goes on to the lane of the conversation in any case.
                .applicationScheduler(Schedulers.trampoline())
                .build();
    }

    /** The loop whose thread this is; null where it is none of them. */
    static synchronized @Nullable Executor current() {
        Loops loops = present;
        if (loops != null) {
            for (EventExecutor loop : loops) {
                if (loop.inEventLoop()) {
                    return loop;
                }
            }
        }
        return null;
    }

    static synchronized void giveBack() {
        Loops last = present;
        if (--users == 0 && last != null) {
            present = null;
            // Nobody waits for that, and nothing comes after it.
            Future<?> unused = last.shutdownGracefully(0, 0, TimeUnit.MILLISECONDS);
        }
    }

    @Override
    protected IoEventLoop newChild(Executor executor, IoHandlerFactory handlers, Object... args) {
        return new SingleThreadIoEventLoop(this, executor, handlers) {
            @Override
            public ChannelFuture register(ChannelPromise promise) {
                promise.channel().pipeline().addFirst(new FlushConsolidationHandler(FLUSHES, true));
                return super.register(promise);
            }
        };
    }
}
