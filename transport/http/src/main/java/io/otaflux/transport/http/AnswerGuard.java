package io.otaflux.transport.http;

import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.timeout.ReadTimeoutException;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
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
 *   <li>What a server sends beyond an answer ends the connection. Where it is only seen when the next answer cannot be
 *       read, that is a broken connection, not a broken answer.
 * </ul>
 */
final class AnswerGuard extends ChannelDuplexHandler {

    private final Duration patience;
    private @Nullable Future<?> timer;
    private boolean asked;
    private boolean informational;
    private boolean reused;

    AnswerGuard(Duration patience) {
        this.patience = patience;
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) throws Exception {
        if (message instanceof LastHttpContent) {
            asked = true;
            stopTimer();
            timer = context.executor().schedule(() -> giveUp(context), patience.toNanos(), TimeUnit.NANOSECONDS);
        }
        super.write(context, message, promise);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        boolean last = message instanceof LastHttpContent;
        if (!asked) {
            ReferenceCountUtil.release(message);
            close(context);
            return;
        }
        if (message instanceof HttpResponse response) {
            boolean garbled = response.decoderResult().isFailure();
            if (garbled && reused) {
                ReferenceCountUtil.release(message);
                stopTimer();
                context.fireExceptionCaught(new IOException("the remains of an earlier answer"));
                close(context);
                return;
            }
            int status = response.status().code();
            informational = !garbled && HttpStatusClass.INFORMATIONAL.contains(status) && status != 101;
        }
        if (informational) {
            ReferenceCountUtil.release(message);
            if (last) {
                informational = false;
                context.read();
            }
            return;
        }
        stopTimer();
        if (last) {
            // Before the message is passed on: the connection may carry the next request when that returns.
            asked = false;
            reused = true;
        }
        context.fireChannelRead(message);
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

    private void giveUp(ChannelHandlerContext context) {
        timer = null;
        context.fireExceptionCaught(ReadTimeoutException.INSTANCE);
        close(context);
    }

    @SuppressWarnings("FutureReturnValueIgnored") // Nobody is left to be told how the closing went.
    private static void close(ChannelHandlerContext context) {
        context.close();
    }

    private void stopTimer() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }
}
