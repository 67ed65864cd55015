package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;

import io.otaflux.ArtifactSource;
import io.otaflux.testkit.ArtifactSourceContract;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** The download over a real broker keeps what any source promises. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class StreamSourceContractTest implements ArtifactSourceContract {

    private static final StreamPlatform PLATFORM = new StreamPlatform();
    private static final AtomicLong STREAMS = new AtomicLong();

    private static MosquittoBroker broker;
    private static AutoCloseable platform;
    private static AliyunDevice device;

    @BeforeAll
    static void connect() throws Exception {
        broker = MosquittoBroker.start();
        platform = PLATFORM.on(broker);
        device = TestPlatform.device(broker.port())
                .credentials(DEVICE.product(), DEVICE.name(), TestPlatform.SECRET)
                .build();
    }

    @AfterAll
    static void disconnect() throws Exception {
        device.close().block(PATIENCE);
        platform.close();
        broker.close();
    }

    @Override
    public Origin origin() {
        long stream = STREAMS.incrementAndGet();
        BufferLedger ledger = new BufferLedger();
        ArtifactSource source = device.streams(64 * 1024, 4, ledger::track);
        return new Origin() {
            @Override
            public ArtifactSource source() {
                return source;
            }

            @Override
            public BufferLedger ledger() {
                return ledger;
            }

            @Override
            public URI serve(byte[] content) {
                PLATFORM.serve(stream, content);
                return Downloads.location(stream, 1);
            }

            @Override
            public void remove() {
                PLATFORM.remove(stream);
            }

            @Override
            public void close() {
                remove();
            }
        };
    }
}
