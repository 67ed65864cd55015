package io.otaflux.transport.http;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;

/**
 * Judges the address that a connection is really made to, before its first packet: what a name resolved to a moment ago
 * proves nothing about what it resolves to now.
 *
 * <p>Behind it in the pipeline, where there is a proxy, stands the handler that goes to the proxy instead; so this one sees
 * where the request is to go in the end, and that is a name there.
 */
final class NetworkGuard extends ChannelOutboundHandlerAdapter {

    private final Networks networks;

    NetworkGuard(Networks networks) {
        this.networks = networks;
    }

    @Override
    public void connect(
            ChannelHandlerContext context, SocketAddress remote, SocketAddress local, ChannelPromise promise)
            throws Exception {
        if (remote instanceof InetSocketAddress to && !to.isUnresolved()) {
            String objection = networks.objection(to.getAddress());
            if (objection != null) {
                promise.setFailure(new Refused(objection));
                return;
            }
        }
        super.connect(context, remote, local, promise);
    }

    /** The address may not be connected to; the message says why. */
    static final class Refused extends IOException {

        Refused(String objection) {
            super(objection);
        }
    }
}
