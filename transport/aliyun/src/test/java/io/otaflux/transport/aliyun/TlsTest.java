package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.OtaException.Reason;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.bouncycastle.asn1.x509.GeneralName;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

/** TLS against a real broker with certificates of the test's own. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class TlsTest {

    private static final GeneralName LOOPBACK = new GeneralName(GeneralName.iPAddress, "127.0.0.1");

    @TempDir
    Path directory;

    private Authority authority;

    @BeforeEach
    void create() throws Exception {
        authority = Authority.create(directory);
    }

    @Test
    void aHostThatTheGivenAuthorityVouchesForIsTrusted() throws Exception {
        try (MosquittoBroker broker = broker(authority.server(LOOPBACK))) {
            AliyunDevice device = device(broker).trust(authority.certificate()).build();

            device.connect().as(StepVerifier::create).expectComplete().verify(PATIENCE);

            assertThat(broker.log()).contains("|securemode=2,signmethod=hmacsha256,");
            device.close().block(PATIENCE);
        }
    }

    @Test
    void anotherHostsCertificateIsRefused() throws Exception {
        try (MosquittoBroker broker =
                broker(authority.server(new GeneralName(GeneralName.dNSName, "other.example.com")))) {
            assertNeverConnects(broker, device(broker).trust(authority.certificate()));
        }
    }

    @Test
    void anAuthorityThatWasNotGivenIsRefused() throws Exception {
        Authority stranger = Authority.create(Files.createDirectory(directory.resolve("stranger")));
        try (MosquittoBroker broker = broker(authority.server(LOOPBACK))) {
            assertNeverConnects(broker, device(broker).trust(stranger.certificate()));
        }
    }

    @Test
    void theJavaPlatformsAuthoritiesDoNotVouchForAStranger() throws Exception {
        try (MosquittoBroker broker = broker(authority.server(LOOPBACK))) {
            assertNeverConnects(broker, device(broker));
        }
    }

    @Test
    void aDeviceProvesWithItsCertificateWhoItIs() throws Exception {
        Authority.Server certificate = authority.client("device");
        Authority stranger = Authority.create(Files.createDirectory(directory.resolve("stranger")));
        Authority.Server foreign = stranger.client("device");
        Authority.Server server = authority.server(LOOPBACK);
        try (MosquittoBroker broker = MosquittoBroker.configure()
                .tls(server.certificate(), server.key())
                .line("cafile " + authority.certificate())
                .line("require_certificate true")
                .start()) {
            assertNeverLetIn(device(broker).trust(authority.certificate()));
            assertNeverLetIn(certified(broker).certificate(foreign.certificate(), foreign.key()));
            assertThat(broker.log()).doesNotContain("New client connected");

            AliyunDevice device = certified(broker)
                    .certificate(certificate.certificate(), certificate.key())
                    .build();
            device.connect().as(StepVerifier::create).expectComplete().verify(PATIENCE);

            assertThat(broker.log())
                    .contains("as a1B2c3D4e5F.dev01|securemode=2,signmethod=hmacsha1,timestamp=2524608000000| ")
                    .contains("u'dev01&a1B2c3D4e5F'");
            device.close().block(PATIENCE);
        }
    }

    @Test
    void aTokenIsAPasswordAsItIs() throws Exception {
        Authority.Server server = authority.server(LOOPBACK);
        try (MosquittoBroker broker = MosquittoBroker.configure()
                .tls(server.certificate(), server.key())
                .user("dev01&a1B2c3D4e5F", "CANARY-token")
                .start()) {
            AliyunDevice device = device(broker)
                    .trust(authority.certificate())
                    .credentials(new Credentials.DeviceToken(TestPlatform.DEVICE, "abc", "CANARY-token"))
                    .build();

            device.connect().as(StepVerifier::create).expectComplete().verify(PATIENCE);

            assertThat(broker.log()).contains("as abc|authType=connwl,securemode=-2| ");
            device.close().block(PATIENCE);
        }
    }

    private AliyunDevice.Builder certified(MosquittoBroker broker) {
        return device(broker)
                .trust(authority.certificate())
                .credentials(new Credentials.Certified(TestPlatform.DEVICE));
    }

    private static void assertNeverLetIn(AliyunDevice.Builder builder) {
        AliyunDevice device = builder.build();
        device.events()
                .ofType(DeviceEvent.ConnectFailed.class)
                .take(2)
                .doOnSubscribe(listening -> device.connect().subscribe(connected -> {}, closed -> {}))
                .as(StepVerifier::create)
                .expectNextCount(2)
                .expectComplete()
                .verify(PATIENCE);
        device.close().block(PATIENCE);
    }

    private static void assertNeverConnects(MosquittoBroker broker, AliyunDevice.Builder builder) {
        AliyunDevice device = builder.build();
        List<DeviceEvent> events = new CopyOnWriteArrayList<>();
        Disposable subscription = device.events().subscribe(events::add);

        device.connect()
                .as(StepVerifier::create)
                .expectSubscription()
                .expectNoEvent(Duration.ofMillis(700))
                .thenCancel()
                .verify(PATIENCE);

        await().atMost(PATIENCE).until(() -> events.size() >= 2);
        assertThat(events)
                .allSatisfy(event -> assertThat(event)
                        .isInstanceOfSatisfying(
                                DeviceEvent.ConnectFailed.class,
                                failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.TLS)));
        assertThat(broker.log()).doesNotContain("New client connected");
        subscription.dispose();
        device.close().block(PATIENCE);
    }

    private static MosquittoBroker broker(Authority.Server server) {
        return MosquittoBroker.configure()
                .tls(server.certificate(), server.key())
                .start();
    }

    private static AliyunDevice.Builder device(MosquittoBroker broker) {
        return AliyunDevice.builder()
                .host("127.0.0.1")
                .port(broker.port())
                .credentials(TestPlatform.DEVICE.product(), TestPlatform.DEVICE.name(), TestPlatform.SECRET)
                .reconnect(Duration.ofMillis(50), Duration.ofMillis(100));
    }
}
