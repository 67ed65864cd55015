package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.EventExecutorGroup;
import io.otaflux.DeviceId;
import io.otaflux.transport.aliyun.MqttConnection.Inbound;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

class MqttConnectionTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final DeviceId DEVICE = new DeviceId("pk", "dev");
    private static final int PUSHES = 40;

    private final Scheduler lane = Schedulers.newSingle("lane");
    private final BlockingQueue<Inbound> arrived = new LinkedBlockingQueue<>();

    @AfterEach
    void dispose() {
        lane.dispose();
    }

    /** Otherwise the platform would send them once more. */
    @Test
    void whatWasAcknowledgedBeforeTheFarewellIsToldBeforeIt() throws Exception {
        try (Broker broker = new Broker()) {
            EventExecutorGroup loops =
                    (EventExecutorGroup) Loops.take().getNettyExecutor().orElseThrow();
            MqttConnection connection = MqttConnection.open(
                    new Endpoint("127.0.0.1", broker.port(), false, null, null),
                    Login.of(DEVICE, new Secret("CANARY"), "id", SignMethod.HMAC_SHA256, false),
                    Duration.ofMinutes(1),
                    PATIENCE,
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), broker.port()),
                    arrived::add,
                    lane);
            List<Inbound> messages = new ArrayList<>();
            for (int i = 0; i < PUSHES; i++) {
                messages.add(arrived.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS));
            }
            assertThat(messages).extracting(Inbound::topic).doesNotHaveDuplicates();
            CountDownLatch busy = new CountDownLatch(1);
            for (EventExecutor loop : loops) {
                loop.execute(() -> await(busy));
            }

            messages.forEach(Inbound::acknowledge);
            Mono<Void> closed = connection.close();
            busy.countDown();

            closed.block(PATIENCE);
            List<Integer> heard = new ArrayList<>();
            do {
                heard.add(broker.heard.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS));
            } while (heard.get(heard.size() - 1) == Broker.PUBACK);
            assertThat(heard).hasSize(PUSHES + 1).endsWith(Broker.DISCONNECT);
        } finally {
            Loops.giveBack();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Lets one device in, sends it pushes of QoS 1, and remembers the types of the packets that come back. */
    private static final class Broker implements AutoCloseable {

        static final int PUBACK = 4;
        static final int DISCONNECT = 14;

        private final ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        private final BlockingQueue<Integer> heard = new LinkedBlockingQueue<>();

        Broker() throws IOException {
            Thread thread = new Thread(this::serve, "broker");
            thread.setDaemon(true);
            thread.start();
        }

        int port() {
            return server.getLocalPort();
        }

        private void serve() {
            try (Socket socket = server.accept()) {
                DataInputStream in = new DataInputStream(socket.getInputStream());
                in.readUnsignedByte();
                Packets.read(in);
                Packets.write(socket.getOutputStream(), 0x20, new byte[] {0, 0});
                for (int i = 1; i <= PUSHES; i++) {
                    ByteArrayOutputStream publish = new ByteArrayOutputStream();
                    DataOutputStream data = new DataOutputStream(publish);
                    data.writeUTF("topic/" + i);
                    data.writeShort(i);
                    Packets.write(socket.getOutputStream(), 0x32, publish.toByteArray());
                }
                while (true) {
                    int type = in.readUnsignedByte() >> 4;
                    Packets.read(in);
                    heard.add(type);
                }
            } catch (IOException hungUp) {
                // The end of the conversation.
            }
        }

        @Override
        public void close() throws IOException {
            server.close();
        }
    }
}
