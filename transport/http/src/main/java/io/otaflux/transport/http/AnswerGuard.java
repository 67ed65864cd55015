package io.otaflux.transport.http;

import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.timeout.ReadTimeoutException;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Stands between the HTTP codec and Reactor Netty and waits for the answer to a request.
 *
 * <ul>
 *   <li>The wait ends after a fixed time, however many single bytes or informational answers keep the connection busy.
 *       Reactor Netty's own response timeout starts anew at every read, and goes on to run in the body, where it would
 *       take a slow disk for a silent server.
 *   <li>Informational answers are passed over. Reactor Netty takes 102, 103 and 104 for the answer itself, and the true
 *       answer would then be taken for that of the next request.
 * </ul>
 */
final class AnswerGuard extends ChannelDuplexHandler {

    private final Duration patience;
    private @Nullable Future<?> timer;
    private boolean informational;

    AnswerGuard(Duration patience) {
        this.patience = patience;
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) throws Exception {
        if (message instanceof LastHttpContent) {
            stopTimer();
            timer = context.executor().schedule(() -> giveUp(context), patience.toNanos(), TimeUnit.NANOSECONDS);
        }
        super.write(context, message, promise);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpResponse response && response.decoderResult().isSuccess()) {
            int status = response.status().code();
            informational = HttpStatusClass.INFORMATIONAL.contains(status) && status != 101;
        }
        if (!informational) {
            stopTimer();
            context.fireChannelRead(message);
            return;
        }
        boolean last = message instanceof LastHttpContent;
        ReferenceCountUtil.release(message);
        if (last) {
            informational = false;
            context.read();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        stopTimer();
        context.fireChannelInactive();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext context) {
        stopTimer();
    }

    @SuppressWarnings("FutureReturnValueIgnored") // Nobody is left to be told how the closing went.
    private void giveUp(ChannelHandlerContext context) {
        timer = null;
        context.fireExceptionCaught(ReadTimeoutException.INSTANCE);
        context.close();
    }

    private void stopTimer() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }
}
