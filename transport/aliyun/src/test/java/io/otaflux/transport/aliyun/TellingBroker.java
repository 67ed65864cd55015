package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/**
 * Lets everybody in, or nobody, and tells them something that they did not subscribe to, as the platform does with what it
 * has for a device that registers. No real broker does that. It remembers how they logged in.
 */
final class TellingBroker implements AutoCloseable {

    /**
     * A CONNECT.
     *
     * @param certificate the distinguished name in the certificate of the one who connects; empty where he has none
     */
    record Connect(String clientId, String userName, String password, boolean cleanSession, String certificate) {

        @Override
        public String toString() {
            return clientId + " " + userName;
        }
    }

    private final ServerSocket server;
    private final int returnCode;
    private final String topic;
    private final byte[] payload;
    private final List<Connect> connects = new CopyOnWriteArrayList<>();
    private final AtomicInteger goodbyes = new AtomicInteger();

    private TellingBroker(ServerSocket server, int returnCode, String topic, String payload) {
        this.server = server;
        this.returnCode = returnCode;
        this.topic = topic;
        this.payload = payload.getBytes(UTF_8);
        Thread thread = new Thread(this::serve, "telling-broker");
        thread.setDaemon(true);
        thread.start();
    }

    /** Starts one that says {@code payload} on {@code topic} to everybody; nothing where the topic is empty. */
    static TellingBroker telling(Authority authority, Authority.Server self, String topic, String payload)
            throws IOException {
        return new TellingBroker(tls(authority, self), 0, topic, payload);
    }

    /** Starts one that refuses everybody with {@code returnCode}. */
    static TellingBroker refusing(Authority authority, Authority.Server self, int returnCode) throws IOException {
        return new TellingBroker(tls(authority, self), returnCode, "", "");
    }

    int port() {
        return server.getLocalPort();
    }

    List<Connect> connects() {
        return connects;
    }

    /** How many said goodbye. */
    int goodbyes() {
        return goodbyes.get();
    }

    @Override
    public void close() throws IOException {
        server.close();
    }

    /** What a server with this certificate needs for TLS; it trusts the authority. */
    static SSLContext context(Authority authority, Authority.Server self) {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(
                    Pem.identity(self.certificate(), self.key()).getKeyManagers(),
                    Pem.authorities(authority.certificate()).getTrustManagers(),
                    null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ServerSocket tls(Authority authority, Authority.Server self) throws IOException {
        SSLServerSocket server = (SSLServerSocket) context(authority, self)
                .getServerSocketFactory()
                .createServerSocket(0, 10, InetAddress.getLoopbackAddress());
        SSLParameters parameters = server.getSSLParameters();
        parameters.setWantClientAuth(true);
        server.setSSLParameters(parameters);
        return server;
    }

    private void serve() {
        while (!server.isClosed()) {
            try (Socket socket = server.accept()) {
                converse((SSLSocket) socket);
            } catch (IOException hungUp) {
                continue;
            }
        }
    }

    private void converse(SSLSocket socket) throws IOException {
        DataInputStream in = new DataInputStream(socket.getInputStream());
        while (true) {
            int type = in.readUnsignedByte();
            byte[] packet = Packets.read(in);
            if (type >> 4 == 1) {
                connects.add(read(packet, certificate(socket)));
                send(socket.getOutputStream(), 0x20, new byte[] {0, (byte) returnCode});
                if (returnCode != 0) {
                    return;
                }
                if (!topic.isEmpty()) {
                    ByteArrayOutputStream publish = new ByteArrayOutputStream();
                    DataOutputStream data = new DataOutputStream(publish);
                    data.writeUTF(topic);
                    data.write(payload);
                    send(socket.getOutputStream(), 0x30, publish.toByteArray());
                }
            } else if (type >> 4 == 14) {
                goodbyes.incrementAndGet();
                return;
            }
        }
    }

    private static Connect read(byte[] packet, String certificate) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(packet));
        in.readUTF();
        in.readUnsignedByte();
        int flags = in.readUnsignedByte();
        in.readUnsignedShort();
        String clientId = in.readUTF();
        return new Connect(clientId, in.readUTF(), in.readUTF(), (flags & 2) != 0, certificate);
    }

    private static String certificate(SSLSocket socket) {
        try {
            X509Certificate peer = (X509Certificate) socket.getSession().getPeerCertificates()[0];
            return peer.getSubjectX500Principal().getName();
        } catch (IOException none) {
            return "";
        }
    }

    private static void send(OutputStream out, int type, byte[] packet) throws IOException {
        Packets.write(out, type, packet);
        out.flush();
    }
}
