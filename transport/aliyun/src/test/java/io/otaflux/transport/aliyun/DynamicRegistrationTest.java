package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException.Reason;
import io.otaflux.transport.aliyun.DynamicRegistration.Way;
import io.otaflux.transport.aliyun.RegistrationException.Problem;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.bouncycastle.asn1.x509.GeneralName;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

class DynamicRegistrationTest {

    private static final String PRODUCT_SECRET = "CANARY-product-secret";
    private static final GeneralName LOOPBACK = new GeneralName(GeneralName.iPAddress, "127.0.0.1");

    @TempDir
    Path directory;

    private Authority authority;
    private Authority.Server self;

    @BeforeEach
    void create() throws Exception {
        authority = Authority.create(directory);
        self = authority.server(LOOPBACK);
    }

    @ParameterizedTest
    @CsvSource({
        "HMAC_MD5,    81b97175858167a8666290401a6741bd",
        "HMAC_SHA1,   3eafb3b3ec26cf1cd665f32b41a716d0ad65d2b9",
        "HMAC_SHA256, fe3678b060d143bcbe32cf13db0bc4c1fd3d31dae25b8cee4885a9c1d26c0be0"
    })
    void signsWithTheProductsSecret(SignMethod method, String expected) {
        DeviceId device = new DeviceId("ProductKey", "DeviceName");
        Secret secret = new Secret("ProductSecret");

        assertThat(Login.signRegistration(device, secret, "8Ygb7ULYh53B6OA", method)
                        .value())
                .isEqualTo(expected);
        assertThat(HttpRegistration.form(device, secret, "8Ygb7ULYh53B6OA", method))
                .isEqualTo("productKey=ProductKey&deviceName=DeviceName&random=8Ygb7ULYh53B6OA&sign=" + expected
                        + "&signMethod=" + method.wireName());
    }

    @Nested
    class OverHttps {

        @Test
        void thePlatformGivesASecretWhichIsKeptBeforeItIsEmitted() throws Exception {
            Path file = directory.resolve("credentials.json");
            try (Endpoint443 platform = answering(200, success())) {
                Credentials credentials = registration(platform.port())
                        .store(FileCredentialStore.at(file))
                        .build()
                        .register()
                        .block(PATIENCE);

                assertThat(credentials).isEqualTo(new Credentials.DeviceSecret(DEVICE, "CANARY-new-secret"));
                assertThat(FileCredentialStore.at(file).load().block(PATIENCE)).isEqualTo(credentials);
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                        .isEqualTo("rw-------");
                assertThat(platform.requests())
                        .singleElement()
                        .satisfies(request -> assertThat(request)
                                .matches("POST /auth/register/device application/x-www-form-urlencoded productKey="
                                        + DEVICE.product() + "&deviceName=" + DEVICE.name()
                                        + "&random=[0-9a-f]{32}&sign=[0-9a-f]{64}&signMethod=hmacsha256"));
            }
        }

        @Test
        void aDeviceWithCredentialsDoesNotRegisterAgain() throws Exception {
            Path file = directory.resolve("credentials.json");
            Credentials before = new Credentials.DeviceSecret(DEVICE, "CANARY-old-secret");
            FileCredentialStore.at(file).save(before).block(PATIENCE);
            try (Endpoint443 platform = answering(200, success())) {
                assertThat(registration(platform.port())
                                .store(FileCredentialStore.at(file))
                                .build()
                                .register()
                                .block(PATIENCE))
                        .isEqualTo(before);

                assertThat(platform.requests()).isEmpty();
            }
        }

        @Test
        void theCredentialsOfAnotherDeviceAreNotOverwritten() throws Exception {
            FileCredentialStore store = FileCredentialStore.at(directory.resolve("credentials.json"));
            store.save(new Credentials.DeviceSecret(new DeviceId("pk", "other"), "CANARY-old-secret"))
                    .block(PATIENCE);
            try (Endpoint443 platform = answering(200, success())) {
                registration(platform.port())
                        .store(store)
                        .build()
                        .register()
                        .as(StepVerifier::create)
                        .expectErrorSatisfies(e -> assertThat(e)
                                .isInstanceOf(IllegalStateException.class)
                                .hasMessage("credential store: has those of pk/other (expected: " + DEVICE + ")"))
                        .verify(PATIENCE);

                assertThat(platform.requests()).isEmpty();
            }
        }

        @Test
        void aSecretThatCannotBeKeptIsNotEmitted() throws Exception {
            CredentialStore full = new CredentialStore() {
                @Override
                public Mono<Credentials> load() {
                    return Mono.empty();
                }

                @Override
                public Mono<Void> save(Credentials credentials) {
                    return Mono.error(new IOException("disk full"));
                }
            };
            try (Endpoint443 platform = answering(200, success())) {
                registration(platform.port())
                        .store(full)
                        .build()
                        .register()
                        .as(StepVerifier::create)
                        .expectErrorMessage("disk full")
                        .verify(PATIENCE);
            }
        }

        @ParameterizedTest
        @CsvSource({
            "6288, DISABLED",
            "6289, ALREADY_ACTIVE",
            "6292, BAD_SIGN_METHOD",
            "6600, BAD_SIGNATURE",
            "460, BAD_PARAMETER",
            "6250, NO_SUCH_PRODUCT",
            "6100, NO_SUCH_DEVICE",
            "500, PLATFORM_FAILED",
            "1234, OTHER"
        })
        void aRefusalHasAName(int code, Problem expected) throws Exception {
            try (Endpoint443 platform = answering(200, "{\"code\":" + code + ",\"message\":\"CANARY-message\"}")) {
                registration(platform.port())
                        .build()
                        .register()
                        .as(StepVerifier::create)
                        .expectErrorSatisfies(e -> {
                            assertThat(e).isInstanceOf(RegistrationException.class);
                            assertThat(((RegistrationException) e).problem()).isEqualTo(expected);
                            assertThat(((RegistrationException) e).code()).isEqualTo(code);
                            assertThat(e).hasMessageNotContaining("CANARY");
                        })
                        .verify(PATIENCE);
            }
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "503 | {}                          | SERVER_BUSY",
                    "429 | {}                          | SERVER_BUSY",
                    "404 | {}                          | MALFORMED_TRIGGER",
                    "301 | {}                          | MALFORMED_TRIGGER",
                    "200 | <html>                      | MALFORMED_TRIGGER",
                    "200 | {\"code\":200,\"data\":{}}  | MALFORMED_TRIGGER"
                })
        void whatIsNoAnswerIsAnError(int status, String body, Reason expected) throws Exception {
            try (Endpoint443 platform = answering(status, body)) {
                assertFails(registration(platform.port()), expected);
            }
        }

        @Test
        void anEndlessAnswerIsCutOff() throws Exception {
            try (Endpoint443 platform = answering(200, " ".repeat(1_000_000))) {
                assertFails(registration(platform.port()), Reason.MALFORMED_TRIGGER);
            }
        }

        @Test
        void silenceIsATimeout() throws Exception {
            try (Endpoint443 platform = Endpoint443.start(authority, self, 0, "")) {
                assertFails(registration(platform.port()).timeout(Duration.ofMillis(500)), Reason.TIMEOUT);
            }
        }

        @Test
        void aStrangersCertificateIsRefused() throws Exception {
            Authority stranger = Authority.create(Files.createDirectory(directory.resolve("stranger")));
            try (Endpoint443 platform = answering(200, success())) {
                assertFails(registration(platform.port()).trust(stranger.certificate()), Reason.TLS);

                assertThat(platform.requests()).isEmpty();
            }
        }

        @Test
        void nobodyThereIsALostConnection() throws Exception {
            int port;
            try (Endpoint443 platform = answering(200, success())) {
                port = platform.port();
            }
            assertFails(registration(port), Reason.CONNECTION_LOST);
        }

        private String success() {
            return "{\"code\":200,\"data\":{\"productKey\":\"" + DEVICE.product() + "\",\"deviceName\":\""
                    + DEVICE.name() + "\",\"deviceSecret\":\"CANARY-new-secret\"},\"message\":\"success\"}";
        }

        private Endpoint443 answering(int status, String body) throws IOException {
            return Endpoint443.start(authority, self, status, body);
        }
    }

    @Nested
    class OverMqtt {

        @Test
        void aKnownDeviceIsToldItsSecretUnasked() throws Exception {
            try (TellingBroker platform = telling("/ext/register", "{\"deviceSecret\":\"CANARY-new-secret\"}")) {
                Credentials credentials = registration(platform.port())
                        .way(Way.MQTT)
                        .build()
                        .register()
                        .block(PATIENCE);

                assertThat(credentials).isEqualTo(new Credentials.DeviceSecret(DEVICE, "CANARY-new-secret"));
                assertThat(platform.connects()).singleElement().satisfies(connect -> {
                    assertThat(connect.clientId())
                            .matches("dev01\\.a1B2c3D4e5F\\|random=[0-9a-f]{32},authType=register,securemode=2,"
                                    + "signmethod=hmacsha256\\|");
                    String random = connect.clientId().replaceAll(".*random=([0-9a-f]+).*", "$1");
                    assertThat(connect.userName()).isEqualTo("dev01&a1B2c3D4e5F");
                    assertThat(connect.password())
                            .isEqualTo(Login.signRegistration(
                                            DEVICE, new Secret(PRODUCT_SECRET), random, SignMethod.HMAC_SHA256)
                                    .value());
                    assertThat(connect.cleanSession()).isTrue();
                });
                await().atMost(PATIENCE).until(() -> platform.goodbyes() == 1);
            }
        }

        @Test
        void anUnknownDeviceGetsATokenByWhichItLogsIn() throws Exception {
            Credentials credentials;
            try (TellingBroker platform =
                    telling("/ext/regnwl", "{\"clientId\":\"abc\",\"deviceToken\":\"CANARY-token\"}")) {
                credentials = registration(platform.port())
                        .way(Way.MQTT_UNKNOWN_DEVICE)
                        .build()
                        .register()
                        .block(PATIENCE);

                assertThat(credentials).isEqualTo(new Credentials.DeviceToken(DEVICE, "abc", "CANARY-token"));
                assertThat(platform.connects().get(0).clientId()).contains(",authType=regnwl,");
            }

            Login login = Login.of(credentials, "id", SignMethod.HMAC_SHA256, true);

            assertThat(login.clientIdentifier()).isEqualTo("abc|authType=connwl,securemode=-2|");
            assertThat(login.userName()).isEqualTo("dev01&a1B2c3D4e5F");
            assertThat(login.password().value()).isEqualTo("CANARY-token");
        }

        @Test
        void anInstanceIsNamed() {
            assertThat(Login.registering(
                                    DEVICE, new Secret("s"), "register", "1", SignMethod.HMAC_SHA256, "iot-06z00abcd")
                            .clientIdentifier())
                    .isEqualTo("dev01.a1B2c3D4e5F|random=1,authType=register,securemode=2,signmethod=hmacsha256,"
                            + "instanceId=iot-06z00abcd|");
        }

        @Test
        void aRefusedLoginIsABadSignature() throws Exception {
            try (TellingBroker platform = TellingBroker.refusing(authority, self, 4)) {
                registration(platform.port())
                        .way(Way.MQTT)
                        .build()
                        .register()
                        .as(StepVerifier::create)
                        .expectErrorSatisfies(e -> {
                            assertThat(e).isInstanceOf(RegistrationException.class);
                            assertThat(((RegistrationException) e).problem()).isEqualTo(Problem.BAD_SIGNATURE);
                        })
                        .verify(PATIENCE);
            }
        }

        @Test
        void silenceIsATimeout() throws Exception {
            try (TellingBroker platform = telling("", "")) {
                assertFails(
                        registration(platform.port()).way(Way.MQTT).timeout(Duration.ofMillis(700)), Reason.TIMEOUT);
                await().atMost(PATIENCE).until(() -> platform.goodbyes() == 1);
            }
        }

        @Test
        void nonsenseIsAnError() throws Exception {
            try (TellingBroker platform = telling("/ext/register", "{\"deviceSecret\":1}")) {
                assertFails(registration(platform.port()).way(Way.MQTT), Reason.MALFORMED_TRIGGER);
            }
            try (TellingBroker platform = telling("/ext/register", "no JSON")) {
                assertFails(registration(platform.port()).way(Way.MQTT), Reason.MALFORMED_TRIGGER);
            }
        }
    }

    @Nested
    class ByCertificate {

        @Test
        void thePlatformTellsWhoTheDeviceIsAndTheNextLoginSaysSo() throws Exception {
            Authority.Server device = authority.client("device-certificate");
            FileCredentialStore store = FileCredentialStore.at(directory.resolve("credentials.json"));
            try (TellingBroker platform = telling(
                    "/ext/auth/identity/response", "{\"productKey\":\"a1B2c3D4e5F\",\"deviceName\":\"dev01\"}")) {
                DynamicRegistration provisioning = DynamicRegistration.builder()
                        .host("127.0.0.1")
                        .port(platform.port())
                        .trust(authority.certificate())
                        .certificate(device.certificate(), device.key())
                        .store(store)
                        .build();
                Credentials credentials = provisioning.register().block(PATIENCE);

                assertThat(credentials).isEqualTo(new Credentials.Certified(DEVICE));
                assertThat(platform.connects()).singleElement().satisfies(connect -> {
                    assertThat(connect.certificate()).isEqualTo("CN=device-certificate");
                    assertThat(connect.clientId())
                            .isEqualTo(".|securemode=2,signmethod=hmacsha1,timestamp=2524608000000|");
                    assertThat(connect.userName()).isEqualTo("&");
                    assertThat(connect.password()).isEmpty();
                });

                // In its next life.
                assertThat(provisioning.register().block(PATIENCE)).isEqualTo(credentials);
                assertThat(platform.connects()).hasSize(1);
            }

            Login login = Login.of(new Credentials.Certified(DEVICE), "id", SignMethod.HMAC_SHA256, true);

            assertThat(login.clientIdentifier())
                    .isEqualTo("id|securemode=2,signmethod=hmacsha1,timestamp=2524608000000|");
            assertThat(login.userName()).isEqualTo("dev01&a1B2c3D4e5F");
            assertThat(login.password().value()).isEmpty();
        }
    }

    @Test
    void whatIsMissingOrContradictoryIsRefusedAtOnce() {
        assertThatThrownBy(() ->
                        DynamicRegistration.builder().region("cn-shanghai").build())
                .hasMessageStartingWith("product: none");
        assertThatThrownBy(() -> product().build()).hasMessageStartingWith("platform: region null");
        assertThatThrownBy(() -> product().instanceId("iot-1").build()).hasMessageStartingWith("region: none");
        assertThatThrownBy(() ->
                        product().region("cn-shanghai").way(Way.CERTIFICATE).build())
                .hasMessageStartingWith("certificate: none");
        assertThatThrownBy(() -> DynamicRegistration.builder()
                        .region("cn-shanghai")
                        .product("pk", "")
                        .deviceName("dn")
                        .build())
                .hasMessage("product secret: empty");
        assertThatThrownBy(() ->
                        product().region("cn-shanghai").timeout(Duration.ZERO).build())
                .hasMessageStartingWith("timeout: PT0S");
        assertThat(product().host("127.0.0.1").plainTcp().build())
                .hasToString("DynamicRegistration[pk/dn at 127.0.0.1:80 (plain TCP), HTTP]");
        assertThat(product().region("cn-shanghai").build())
                .hasToString("DynamicRegistration[pk/dn at iot-auth.cn-shanghai.aliyuncs.com:443 (TLS), HTTP]");
    }

    private static DynamicRegistration.Builder product() {
        return DynamicRegistration.builder().product("pk", PRODUCT_SECRET).deviceName("dn");
    }

    private DynamicRegistration.Builder registration(int port) {
        return DynamicRegistration.builder()
                .host("127.0.0.1")
                .port(port)
                .trust(authority.certificate())
                .product(DEVICE.product(), PRODUCT_SECRET)
                .deviceName(DEVICE.name());
    }

    private TellingBroker telling(String topic, String payload) throws IOException {
        return TellingBroker.telling(authority, self, topic, payload);
    }

    private static void assertFails(DynamicRegistration.Builder registration, Reason expected) {
        registration
                .build()
                .register()
                .as(StepVerifier::create)
                .expectErrorSatisfies(e -> {
                    assertThat(e).isInstanceOf(ChannelException.class);
                    assertThat(((ChannelException) e).reason()).isEqualTo(expected);
                    assertThat(e).hasMessageNotContaining("CANARY");
                })
                .verify(PATIENCE);
    }

    /** The platform's side of a registration over HTTPS: one answer to everybody, or none where its status is 0. */
    record Endpoint443(HttpsServer server, List<String> requests) implements AutoCloseable {

        static Endpoint443 start(Authority authority, Authority.Server self, int status, String body)
                throws IOException {
            HttpsServer server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.setHttpsConfigurator(new HttpsConfigurator(TellingBroker.context(authority, self)));
            List<String> requests = new CopyOnWriteArrayList<>();
            server.createContext("/", exchange -> {
                requests.add(exchange.getRequestMethod() + " " + exchange.getRequestURI() + " "
                        + exchange.getRequestHeaders().getFirst("Content-Type") + " "
                        + new String(exchange.getRequestBody().readAllBytes(), UTF_8));
                if (status != 0) {
                    byte[] answer = body.getBytes(UTF_8);
                    exchange.getResponseHeaders().add("Location", "https://example.com/");
                    exchange.sendResponseHeaders(status, answer.length);
                    exchange.getResponseBody().write(answer);
                    exchange.close();
                }
            });
            server.start();
            return new Endpoint443(server, requests);
        }

        int port() {
            return server.getAddress().getPort();
        }

        @Override
        public void close() {
            server.stop(0);
        }
    }
}
