package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.ssl.SslContextBuilder;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class LowWaterMarkTest {

    private static final int MEBIBYTE = 1 << 20;
    private static final long MUCH = 1L << 40;

    private final List<EventLoopGroup> groups = new ArrayList<>();
    private ServerSocket server;

    /** How a mark is told of what has arrived. */
    private interface Telling {

        void tell(LowWaterMark mark, int bytes, long left);
    }

    @BeforeEach
    void listen() throws IOException {
        server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
    }

    @AfterEach
    void close() throws IOException {
        groups.forEach(group -> group.shutdownGracefully(0, 0, TimeUnit.SECONDS).awaitUninterruptibly());
        server.close();
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void theMarkIsNeverAboveWhatIsStillToCome() {
        tail(LowWaterMark::arrived);
        Mutant.assertCaught(
                "the tail of an answer",
                () -> tail((mark, bytes, left) -> mark.arrived(bytes, left == MUCH ? MUCH : MUCH - 1)));
    }

    private void tail(Telling telling) {
        Channel channel = epoll();
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        raise(channel, mark, telling);
        int high = lowat(channel);
        on(channel, () -> {
            telling.tell(mark, MEBIBYTE, high - 1);
            assertThat(lowat(channel)).as("the mark before the last bytes").isOne();
            return true;
        });
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void itIsAsItWasWhenTheAnswerHasEnded() {
        Channel channel = epoll();
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        raise(channel, mark, LowWaterMark::arrived);
        on(channel, () -> {
            mark.reset();
            mark.arrived(MEBIBYTE, MUCH);
            return true;
        });
        assertThat(lowat(channel)).isOne();
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void itGoesDownByItselfWhenNothingComes() {
        Channel channel = epoll();
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        raise(channel, mark, LowWaterMark::arrived);
        await().atMost(Duration.ofSeconds(30)).until(() -> lowat(channel) == 1);
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void aClosedConnectionIsNoError() {
        Channel channel = epoll();
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        raise(channel, mark, LowWaterMark::arrived);
        channel.close().awaitUninterruptibly();
        on(channel, () -> {
            mark.reset();
            return true;
        });
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void underTlsThereIsNone() throws IOException {
        Channel channel = epoll();
        channel.pipeline().addFirst(SslContextBuilder.forClient().build().newHandler(channel.alloc()));
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        for (int i = 0; i < 1_000; i++) {
            on(channel, () -> {
                mark.arrived(MEBIBYTE, MUCH);
                return true;
            });
        }
        assertThat(lowat(channel)).isOne();
    }

    @Test
    void withoutNativeTransportNothingHappens() {
        Channel channel = connect(NioIoHandler.newFactory(), NioSocketChannel.class);
        LowWaterMark mark = on(channel, () -> new LowWaterMark(channel));
        for (int i = 0; i < 1_000; i++) {
            on(channel, () -> {
                mark.arrived(MEBIBYTE, MUCH);
                return true;
            });
        }
        on(channel, () -> {
            mark.reset();
            return true;
        });
    }

    private Channel epoll() {
        return connect(EpollIoHandler.newFactory(), EpollSocketChannel.class);
    }

    private Channel connect(IoHandlerFactory factory, Class<? extends SocketChannel> type) {
        EventLoopGroup group = new MultiThreadIoEventLoopGroup(1, factory);
        groups.add(group);
        return new Bootstrap()
                .group(group)
                .channel(type)
                .handler(new ChannelInboundHandlerAdapter())
                .connect(server.getLocalSocketAddress())
                .syncUninterruptibly()
                .channel();
    }

    /** However slow the machine is, a mebibyte each time is fast enough. */
    private static void raise(Channel channel, LowWaterMark mark, Telling telling) {
        await().atMost(Duration.ofSeconds(30))
                .pollInterval(Duration.ofMillis(10))
                .until(() -> on(channel, () -> {
                    telling.tell(mark, MEBIBYTE, MUCH);
                    return lowat(channel) > 1;
                }));
    }

    private static int lowat(Channel channel) {
        return channel.config().getOption(LowWaterMark.Option.SO_RCVLOWAT);
    }

    private static <T> T on(Channel channel, Callable<T> task) {
        return channel.eventLoop().submit(task).syncUninterruptibly().getNow();
    }
}
