package io.otaflux.transport.http;

import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import java.net.URI;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Keeps from Reactor Netty what is secret in a request and its answer, because Reactor Netty logs what it knows: URIs with
 * their query at DEBUG, headers of answers (a redirect's {@code Location}, which may be signed) as well. It is told the
 * location without the query, and of no header that is ours; this handler puts both into the request when it is written. Of
 * the answer it gets the status and what frames the body.
 */
final class Discretion extends ChannelDuplexHandler {

    /** What Reactor Netty needs: it tells by these whether the connection is good for another request. */
    private static final List<CharSequence> FRAMING =
            List.of(HttpHeaderNames.CONNECTION, HttpHeaderNames.CONTENT_LENGTH, HttpHeaderNames.TRANSFER_ENCODING);

    private @Nullable URI location;
    private HttpHeaders headers = EmptyHttpHeaders.INSTANCE;
    private HttpHeaders answered = EmptyHttpHeaders.INSTANCE;

    static Discretion of(Channel channel) {
        return channel.pipeline().get(Discretion.class);
    }

    /** {@code uri} as Reactor Netty may know it. */
    static URI shown(URI uri) {
        String query = uri.getRawQuery();
        return query == null
                ? uri
                : URI.create(uri.toString().substring(0, uri.toString().indexOf('?')));
    }

    /** Says what the next request on this connection really asks for, and with which headers besides Reactor Netty's. */
    void intend(URI newLocation, HttpHeaders newHeaders) {
        location = newLocation;
        headers = newHeaders;
    }

    /** The headers of the last answer, as they came. */
    HttpHeaders answered() {
        return answered;
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) throws Exception {
        super.write(context, message instanceof FullHttpRequest request ? real(request) : message, promise);
    }

    private FullHttpRequest real(FullHttpRequest request) {
        URI asked = Objects.requireNonNull(location, "location");
        location = null;
        String path = asked.getRawPath().isEmpty() ? "/" : asked.getRawPath();
        // Another one, because Reactor Netty keeps the one that it wrote, and shows it.
        return new DefaultFullHttpRequest(
                request.protocolVersion(),
                request.method(),
                asked.getRawQuery() == null ? path : path + "?" + asked.getRawQuery(),
                request.content(),
                new DefaultHttpHeaders().set(request.headers()).setAll(headers),
                request.trailingHeaders());
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpResponse response) {
            answered = response.headers();
            HttpResponse shown = new DefaultHttpResponse(response.protocolVersion(), response.status());
            for (CharSequence name : FRAMING) {
                List<String> values = answered.getAll(name);
                if (!values.isEmpty()) {
                    shown.headers().set(name, values);
                }
            }
            shown.setDecoderResult(response.decoderResult());
            context.fireChannelRead(shown);
        } else {
            context.fireChannelRead(message);
        }
    }
}
