package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.CutProxy.End;
import io.otaflux.testkit.CutProxy.Faults;
import io.otaflux.testkit.CutProxy.Way;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CutProxyTest {

    private static final int PATIENCE = 30_000;
    private static final int A_MOMENT = 300;
    private static final byte[] HUNDRED = bytes(100);

    private final BlockingQueue<Socket> served = new LinkedBlockingQueue<>();
    private ServerSocket listener;
    private Thread server;
    private CutProxy proxy;

    @BeforeEach
    void open() throws IOException {
        listener = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
        server = new Thread(this::serve, "server");
        server.setDaemon(true);
        server.start();
        proxy = CutProxy.to(listener.getLocalPort());
    }

    @AfterEach
    void close() throws IOException {
        proxy.close();
        listener.close();
        for (Socket socket : served) {
            socket.close();
        }
    }

    @Test
    void whatIsSentComesThroughBothWaysAndSoDoesTheEnd() throws Exception {
        byte[] large = bytes(300_000);
        try (Socket client = connect();
                Socket server = server()) {
            client.getOutputStream().write(large);
            client.shutdownOutput();
            assertThat(server.getInputStream().readAllBytes()).isEqualTo(large);

            server.getOutputStream().write(HUNDRED);
            server.shutdownOutput();
            assertThat(client.getInputStream().readAllBytes()).isEqualTo(HUNDRED);
        }
        assertThat(proxy.forwarded(Way.TO_SERVER)).isEqualTo(large.length);
        assertThat(proxy.forwarded(Way.TO_CLIENT)).isEqualTo(100);
        assertThat(proxy.accepted()).isEqualTo(1);
        assertThat(proxy.cuts()).isZero();
    }

    @Test
    void aConnectionThatIsCutInOrderEndsAfterExactlySoManyBytes() throws Exception {
        proxy.script(number -> new Faults().cut(Way.TO_CLIENT, 40, End.FIN));
        try (Socket client = connect();
                Socket server = server()) {
            server.getOutputStream().write(HUNDRED);

            assertThat(client.getInputStream().readAllBytes()).isEqualTo(Arrays.copyOf(HUNDRED, 40));
            assertThat(server.getInputStream().read()).isEqualTo(-1);
        }
        assertThat(proxy.cuts()).isEqualTo(1);
    }

    @Test
    void aConnectionThatIsResetIsResetOnBothSides() throws Exception {
        proxy.script(number -> new Faults().cut(Way.TO_SERVER, 40, End.RST));
        try (Socket client = connect();
                Socket server = server()) {
            client.getOutputStream().write(HUNDRED);

            assertThatThrownBy(() -> client.getInputStream().read()).isInstanceOf(SocketException.class);
            assertThatThrownBy(() -> server.getInputStream().readAllBytes()).isInstanceOf(SocketException.class);
        }
        assertThat(proxy.forwarded(Way.TO_SERVER)).isEqualTo(40);
    }

    @ParameterizedTest
    @EnumSource
    void allConnectionsCanBeDroppedAtOnce(End end) throws Exception {
        try (Socket client = connect();
                Socket server = server()) {
            roundTrip(client, server);

            proxy.dropAll(end);

            for (Socket socket : new Socket[] {client, server}) {
                if (end == End.FIN) {
                    assertThat(socket.getInputStream().read()).isEqualTo(-1);
                } else {
                    assertThatThrownBy(() -> socket.getInputStream().read()).isInstanceOf(SocketException.class);
                }
            }
        }
    }

    @Test
    void aResetOfOneSideIsPassedOn() throws Exception {
        try (Socket client = connect()) {
            Socket server = server();
            roundTrip(client, server);

            server.setSoLinger(true, 0);
            server.close();

            assertThatThrownBy(() -> client.getInputStream().read()).isInstanceOf(SocketException.class);
        }
    }

    @Test
    void aFrozenProxyAcceptsAndPassesNothingOnUntilItThaws() throws Exception {
        try (Socket client = connect();
                Socket server = server()) {
            roundTrip(client, server);
            proxy.freeze();
            client.getOutputStream().write(HUNDRED);
            assertSilent(server);

            try (Socket another = connect()) {
                assertThat(another.isConnected()).isTrue();
                proxy.thaw();
                assertThat(server.getInputStream().readNBytes(100)).isEqualTo(HUNDRED);
            }
        }
    }

    @Test
    void aScriptedFreezeHoldsOneWayOnly() throws Exception {
        proxy.script(number -> new Faults().freeze(Way.TO_SERVER, 40));
        try (Socket client = connect();
                Socket server = server()) {
            client.getOutputStream().write(HUNDRED);
            assertThat(server.getInputStream().readNBytes(40)).isEqualTo(Arrays.copyOf(HUNDRED, 40));
            assertSilent(server);

            server.getOutputStream().write(HUNDRED);
            assertThat(client.getInputStream().readNBytes(100)).isEqualTo(HUNDRED);
        }
    }

    @Test
    void oneByteCanBeCorrupted() throws Exception {
        proxy.script(number -> new Faults().corrupt(Way.TO_CLIENT, 7));
        byte[] expected = HUNDRED.clone();
        expected[7] ^= (byte) 0xFF;
        try (Socket client = connect();
                Socket server = server()) {
            server.getOutputStream().write(HUNDRED, 0, 5);
            server.getOutputStream().write(HUNDRED, 5, 95);
            assertThat(client.getInputStream().readNBytes(100)).isEqualTo(expected);
        }
    }

    @Test
    void aDripTakesAtLeastItsTime() throws Exception {
        proxy.script(number -> new Faults().drip(Way.TO_CLIENT, 10, Duration.ofMillis(20)));
        try (Socket client = connect();
                Socket server = server()) {
            long start = System.nanoTime();
            server.getOutputStream().write(HUNDRED);
            assertThat(client.getInputStream().readNBytes(100)).isEqualTo(HUNDRED);
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(200));
        }
    }

    @Test
    void eachConnectionHasItsOwnFaults() throws Exception {
        proxy.script(number -> number == 1 ? new Faults().cut(Way.TO_CLIENT, 0, End.FIN) : new Faults());
        try (Socket first = connect()) {
            assertThat(first.getInputStream().read()).isEqualTo(-1);
        }
        server().close();
        try (Socket second = connect();
                Socket server = server()) {
            roundTrip(second, server);
        }
    }

    @Test
    void aRandomCutIsTheSameForTheSameSeed() throws Exception {
        // Whose first cut is after 42 bytes to the server.
        proxy.script(number -> Faults.randomCut(new Random(1_000_000), 100));
        for (int cut = 1; cut <= 2; cut++) {
            int cuts = cut;
            try (Socket client = connect()) {
                client.getOutputStream().write(HUNDRED);
                await().atMost(Duration.ofMillis(PATIENCE)).until(() -> proxy.cuts() == cuts);
            }
        }
        assertThat(proxy.forwarded(Way.TO_SERVER)).isEqualTo(2 * 42);
    }

    @Test
    void aServerThatIsNotThereIsAReset() throws Exception {
        listener.close();
        // Until its thread has left the kernel, that one would still be handed the next connection.
        server.join();
        try (Socket client = connect()) {
            assertThatThrownBy(() -> client.getInputStream().read()).isInstanceOf(SocketException.class);
        }
    }

    private Socket connect() throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), proxy.port());
        socket.setSoTimeout(PATIENCE);
        return socket;
    }

    private Socket server() throws Exception {
        Socket socket = served.poll(PATIENCE, TimeUnit.MILLISECONDS);
        assertThat(socket).isNotNull();
        socket.setSoTimeout(PATIENCE);
        return socket;
    }

    private void serve() {
        try {
            while (true) {
                served.add(listener.accept());
            }
        } catch (IOException closed) {
            return;
        }
    }

    private static void roundTrip(Socket client, Socket server) throws IOException {
        client.getOutputStream().write(1);
        assertThat(server.getInputStream().read()).isEqualTo(1);
        server.getOutputStream().write(2);
        assertThat(client.getInputStream().read()).isEqualTo(2);
    }

    private static void assertSilent(Socket socket) throws IOException {
        socket.setSoTimeout(A_MOMENT);
        assertThatThrownBy(() -> socket.getInputStream().read()).isInstanceOf(SocketTimeoutException.class);
        socket.setSoTimeout(PATIENCE);
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random(7).nextBytes(bytes);
        return bytes;
    }
}
