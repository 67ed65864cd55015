package io.otaflux.transport.http;

import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.proxy.ProxyConnectException;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import io.netty.handler.timeout.ReadTimeoutException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import java.io.IOException;
import java.net.UnknownHostException;
import java.nio.channels.ClosedChannelException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.util.Optional;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;

/**
 * Translates what goes wrong in Netty and Reactor Netty. Their exceptions have no common root, and some that are about
 * the network are not {@link IOException}s, so everything that is not ours already is translated.
 */
final class Failures {

    private Failures() {}

    /** What prevented an answer: nothing came of it before its headers. */
    static OtaException ofRequest(Throwable failure, String where) {
        if (failure instanceof OtaException ours) {
            return ours;
        }
        if (failure instanceof ReadTimeoutException) {
            return transferFailed(Reason.TIMEOUT, where, "no answer in time", failure);
        }
        if (failure instanceof ConnectTimeoutException || failure instanceof SslHandshakeTimeoutException) {
            return transferFailed(Reason.TIMEOUT, where, "no connection in time", failure);
        }
        if (failure instanceof ProxyConnectException) {
            // Netty has the proxy's status in the message only.
            return String.valueOf(failure.getMessage()).contains("status: 407")
                    ? new SourceException(Reason.FORBIDDEN, 407, where + ": the proxy wants other credentials", failure)
                    : transferFailed(Reason.CONNECTION_LOST, where, "no connection through the proxy", failure);
        }
        if (failure instanceof UnknownHostException) {
            return transferFailed(Reason.CONNECTION_LOST, where, "host name not found", failure);
        }
        Optional<SSLException> tls = inChain(failure, SSLException.class);
        if (tls.isPresent()) {
            return ofTls(tls.get(), failure, where);
        }
        if (isProtocolError(failure)) {
            return new SourceException(Reason.BAD_RESPONSE, where + ": not an HTTP answer", failure);
        }
        return transferFailed(Reason.CONNECTION_LOST, where, "no answer", failure);
    }

    /** What ended an answer after its headers. */
    static OtaException ofBody(Throwable failure, String where, long received) {
        if (failure instanceof OtaException ours) {
            return ours;
        }
        if (isProtocolError(failure) && inChain(failure, SSLException.class).isEmpty()) {
            return new SourceException(Reason.BAD_RESPONSE, where + ": garbled after " + received + " bytes", failure);
        }
        return transferFailed(Reason.CONNECTION_LOST, where, "connection broke after " + received + " bytes", failure);
    }

    private static OtaException ofTls(SSLException tls, Throwable failure, String where) {
        if (inChain(failure, CertificateNotYetValidException.class).isPresent()) {
            return tlsFailed(where, "the certificate is not valid yet; is the clock of this device right?", failure);
        }
        if (inChain(failure, CertificateExpiredException.class).isPresent()) {
            return tlsFailed(where, "the certificate has expired, or the clock of this device is wrong", failure);
        }
        if (tls instanceof NotSslRecordException) {
            return tlsFailed(where, "the server does not speak TLS", failure);
        }
        // A connection that closes during the handshake says nothing about certificates: a server that restarts does
        // so.
        boolean closed = inChain(failure, ClosedChannelException.class).isPresent()
                || String.valueOf(tls.getMessage()).contains("close");
        return closed
                ? transferFailed(Reason.CONNECTION_LOST, where, "connection closed by TLS", failure)
                : tlsFailed(where, String.valueOf(tls.getMessage()), failure);
    }

    /** The decoder reports some malformed answers as {@code IllegalArgumentException}s. */
    private static boolean isProtocolError(Throwable failure) {
        return failure instanceof DecoderException || failure instanceof IllegalArgumentException;
    }

    private static <T extends Throwable> Optional<T> inChain(Throwable failure, Class<T> type) {
        return Stream.iterate(failure, cause -> cause != null, Throwable::getCause)
                .limit(20)
                .filter(type::isInstance)
                .map(type::cast)
                .findFirst();
    }

    private static SourceException tlsFailed(String where, String what, Throwable failure) {
        return new SourceException(Reason.TLS, where + ": TLS failed: " + what, failure);
    }

    private static TransferException transferFailed(Reason reason, String where, String what, Throwable failure) {
        return new TransferException(reason, where + ": " + what + ": " + failure.getMessage(), failure);
    }
}
