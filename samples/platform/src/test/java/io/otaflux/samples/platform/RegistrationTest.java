package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.hivemq.client.mqtt.MqttClientSslConfig;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.Mqtt3Client;
import io.otaflux.testkit.RequiresProgram;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every way in which a device gets in that is not its own secret. */
@RequiresProgram(value = "openssl", debianPackage = "openssl")
class RegistrationTest {

    private static final int PATIENCE_SECONDS = 30;
    private static final AtomicInteger NAMES = new AtomicInteger();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private static Path directory;
    private static Platform platform;

    private ProductCredentials product;

    @BeforeAll
    static void start(@TempDir Path temporary) throws Exception {
        directory = temporary;
        certificate("ca", null);
        certificate("server", "ca");
        certificate("device", "ca");
        certificate("stranger", "ca");
        certificate("elsewhere", null);
        platform = Platform.builder()
                .dataDirectory(directory.resolve("data"))
                .tls(0, directory.resolve("server.pem"), directory.resolve("server.key"), directory.resolve("ca.pem"))
                .start();
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @BeforeEach
    void aProductOfItsOwn() {
        product = platform.createProduct("pk" + NAMES.incrementAndGet());
        platform.allowDynamicRegistration(product.productKey(), true);
    }

    @Test
    void theComputedSignatureOfARegistrationIsAccepted() {
        String text = "deviceNameDeviceNameproductKeyProductKeyrandom8Ygb7ULYh53B6OA";
        assertThat(DeviceAuthenticator.isSigned("hmacmd5", "ProductSecret", text, "81b97175858167a8666290401a6741bd"))
                .isTrue();
        assertThat(DeviceAuthenticator.isSigned(
                        "hmacsha1", "ProductSecret", text, "3eafb3b3ec26cf1cd665f32b41a716d0ad65d2b9"))
                .isTrue();
        assertThat(DeviceAuthenticator.isSigned(
                        "hmacsha256",
                        "ProductSecret",
                        text,
                        "fe3678b060d143bcbe32cf13db0bc4c1fd3d31dae25b8cee4885a9c1d26c0be0"))
                .isTrue();
    }

    @Test
    void aDeviceFetchesItsSecretOverHttpUntilItHasLoggedIn() throws Exception {
        DeviceCredentials login = platform.createDevice(product.productKey(), "dn");
        for (String method : new String[] {"hmacmd5", "hmac_md5", "hmacsha1", "HMACSHA256"}) {
            JsonNode answer = register("dn", method, product.productSecret());
            assertThat(answer.get("code").intValue()).as(method).isEqualTo(200);
            assertThat(answer.get("message").textValue()).isEqualTo("success");
            assertThat(answer.get("data").toString())
                    .isEqualTo("{\"productKey\":\"" + product.productKey()
                            + "\",\"deviceName\":\"dn\",\"deviceSecret\":\"" + login.deviceSecret() + "\"}");
        }
        DeviceClient.connect(platform.mqttPort(), login).close();
        await().untilAsserted(() -> assertThat(register("dn", "hmacsha256", product.productSecret())
                        .get("code")
                        .intValue())
                .isEqualTo(6289));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a bad signature, dn, hmacsha256, guess, true, 6600",
        "a bad method, dn, hmacsm3, {secret}, true, 6292",
        "an unknown device, nobody, hmacsha256, {secret}, true, 6100",
        "a malformed name, a/b, hmacsha256, {secret}, true, 460",
        "switched off, dn, hmacsha256, {secret}, false, 6288"
    })
    void aRegistrationIsRefusedWithACode(
            String why, String name, String method, String secret, boolean allowed, int code) throws Exception {
        platform.createDevice(product.productKey(), "dn");
        platform.allowDynamicRegistration(product.productKey(), allowed);
        JsonNode answer = register(name, method, secret.replace("{secret}", product.productSecret()));
        assertThat(answer.get("code").intValue()).as(why).isEqualTo(code);
    }

    @Test
    void aFormThatIsNoRegistrationIsRefused() throws Exception {
        assertThat(post("/auth/register/device", "").get("code").intValue()).isEqualTo(460);
        assertThat(post("/auth/register/device", "productKey=no&deviceName=dn&random=r&sign=00&signMethod=hmacmd5")
                        .get("code")
                        .intValue())
                .isEqualTo(6250);
        assertThat(post("/auth/register/device", "x".repeat(10_000)).get("code").intValue())
                .isEqualTo(460);
        assertThat(post("/auth/register/device", "productKey=%zz").get("code").intValue())
                .isEqualTo(460);
        assertThat(post("/auth/other", "").get("code").intValue()).isEqualTo(404);
    }

    @Test
    void aDeviceThatAuthenticatesOverHttpLogsInWithTheToken() throws Exception {
        DeviceCredentials login = platform.createDevice(product.productKey(), "dn");
        String text = "clientIdmacdeviceNamedn" + "productKey" + product.productKey() + "timestamp123";
        String form = "productKey=" + product.productKey() + "&deviceName=dn&signmethod=hmacsha1&version=default"
                + "&clientId=mac&timestamp=123&resources=mqtt&sign=";
        assertThat(post("/auth/devicename", form + "00").get("code").intValue()).isEqualTo(6600);

        JsonNode data = post("/auth/devicename", form + sign("HmacSHA1", login.deviceSecret(), text))
                .get("data");

        assertThat(data.at("/resources/mqtt/port").intValue()).isEqualTo(platform.mqttPort());
        try (Visitor visitor = new Visitor("mac|securemode=-1|", false, null)) {
            visitor.connect(data.get("iotId").textValue(), data.get("iotToken").textValue(), 60);
            await().until(() -> platform.device(product.productKey(), "dn").online());
        }
        try (Visitor visitor = new Visitor("mac|securemode=-1|", false, null)) {
            assertThatThrownBy(() -> visitor.connect(data.get("iotId").textValue(), "guess", 60))
                    .isNotNull();
        }
        platform.deleteDevice(new DeviceKey(product.productKey(), "dn"));
        platform.createDevice(product.productKey(), "dn");
        try (Visitor visitor = new Visitor("mac|securemode=-1|", false, null)) {
            assertThatThrownBy(() -> visitor.connect(
                            data.get("iotId").textValue(), data.get("iotToken").textValue(), 60))
                    .as("the token of a device that is no more")
                    .isNotNull();
        }
    }

    @Test
    void aKnownDeviceIsSentItsSecretOverMqtt() throws Exception {
        DeviceCredentials login = platform.createDevice(product.productKey(), "dn");
        String clientId = "dn." + product.productKey()
                + "|random=8Ygb7ULYh53B6OA,authType=register,securemode=2,signmethod=hmacsha256,instanceId=iot-x|";
        try (Visitor visitor = new Visitor(clientId, true, null)) {
            // The keepalive of a registration is not looked at.
            visitor.connect("dn&" + product.productKey(), proof("dn"), 10);
            Message secret = visitor.next();
            assertThat(secret.topic()).isEqualTo("/ext/register");
            assertThat(secret.json().get("deviceSecret").textValue()).isEqualTo(login.deviceSecret());
            assertThat(platform.device(product.productKey(), "dn").online())
                    .as("a registration is no login")
                    .isFalse();
            assertThatThrownBy(() -> visitor.subscribe("/ota/device/upgrade/" + product.productKey() + "/dn"))
                    .isNotNull();
        }
        DeviceClient.connect(platform.mqttPort(), login).close();
        await().untilAsserted(() -> {
            try (Visitor late = new Visitor(clientId, true, null)) {
                assertThatThrownBy(() -> late.connect("dn&" + product.productKey(), proof("dn"), 60))
                        .isNotNull();
            }
        });
    }

    @Test
    void anUnknownDeviceIsSentATokenOverMqttAndLogsInWithIt() throws Exception {
        String clientId = "new." + product.productKey()
                + "|random=8Ygb7ULYh53B6OA,authType=regnwl,securemode=-2,signmethod=hmacsha256|";
        JsonNode given;
        try (Visitor visitor = new Visitor(clientId, true, null)) {
            visitor.connect("new&" + product.productKey(), proof("new"), 60);
            Message token = visitor.next();
            assertThat(token.topic()).isEqualTo("/ext/regnwl");
            given = token.json();
        }
        assertThat(platform.device(product.productKey(), "new").online()).isFalse();
        String connwl =
                given.get("clientId").textValue() + "|authType=connwl,securemode=-2,_ss=1,ext=3,_v=sdk-c-4.2.0|";
        try (Visitor visitor = new Visitor(connwl, true, null)) {
            visitor.connect(
                    "new&" + product.productKey(), given.get("deviceToken").textValue(), 60);
            await().until(() -> platform.device(product.productKey(), "new").online());
        }
        await().untilAsserted(() -> {
            try (Visitor again = new Visitor(clientId, true, null)) {
                assertThatThrownBy(() -> again.connect("new&" + product.productKey(), proof("new"), 60))
                        .as("it is active")
                        .isNotNull();
            }
        });
        try (Visitor forger = new Visitor(clientId, true, null)) {
            assertThatThrownBy(() -> forger.connect("newer&" + product.productKey(), proof("new"), 60))
                    .isNotNull();
        }
    }

    @Test
    void aDeviceWithACertificateIsToldWhoItIs() throws Exception {
        platform.createDevice(product.productKey(), "dn");
        platform.createDevice(product.productKey(), "other");
        DeviceKey device = new DeviceKey(product.productKey(), "dn");
        platform.trustCertificate(device, fingerprint("device"));
        assertThatThrownBy(() ->
                        platform.trustCertificate(new DeviceKey(product.productKey(), "other"), fingerprint("device")))
                .isInstanceOf(RequestRefusedException.class);

        try (Visitor visitor = new Visitor("x|securemode=2,signmethod=hmacsha1|", true, "device")) {
            visitor.connect(null, null, 60);
            Message identity = visitor.next();
            assertThat(identity.topic()).isEqualTo("/ext/auth/identity/response");
            assertThat(identity.json().toString())
                    .isEqualTo("{\"productKey\":\"" + product.productKey() + "\",\"deviceName\":\"dn\"}");
            await().until(() -> platform.device(product.productKey(), "dn").online());
            visitor.subscribe("/ota/device/upgrade/" + product.productKey() + "/dn");
        }
        try (Visitor visitor = new Visitor("x|securemode=2,signmethod=hmacsha1,timestamp=1|", true, "device")) {
            visitor.connect("dn&" + product.productKey(), "", 60);
            assertThat(visitor.next().topic()).isEqualTo("/ext/auth/identity/response");
        }
        try (Visitor impostor = new Visitor("x|securemode=2|", true, "device")) {
            assertThatThrownBy(() -> impostor.connect("other&" + product.productKey(), "", 60))
                    .isNotNull();
        }
        for (String certificate : new String[] {"stranger", "elsewhere"}) {
            try (Visitor stranger = new Visitor("x|securemode=2|", true, certificate)) {
                assertThatThrownBy(() -> stranger.connect(null, null, 60))
                        .as(certificate)
                        .isNotNull();
            }
        }
        platform.trustCertificate(device, null);
        try (Visitor visitor = new Visitor("x|securemode=2|", true, "device")) {
            assertThatThrownBy(() -> visitor.connect("dn&" + product.productKey(), "", 60))
                    .isNotNull();
        }
    }

    @Test
    void aDeviceWithASecretNeedsNoCertificateForTls() throws Exception {
        DeviceCredentials login = platform.createDevice(product.productKey(), "dn");
        String text = "clientIdmacdeviceNamednproductKey" + product.productKey();
        try (Visitor visitor = new Visitor("mac|securemode=2,signmethod=hmacsha1|", true, null)) {
            visitor.connect("dn&" + product.productKey(), sign("HmacSHA1", login.deviceSecret(), text), 60);
            await().until(() -> platform.device(product.productKey(), "dn").online());
        }
    }

    private record Message(String topic, byte[] payload) {

        JsonNode json() throws Exception {
            return DeviceClient.JSON.readTree(payload);
        }
    }

    /** A client that says exactly what it is told to say. */
    private static final class Visitor implements AutoCloseable {

        private final Mqtt3AsyncClient client;
        private final BlockingQueue<Message> messages = new LinkedBlockingQueue<>();

        Visitor(String clientId, boolean tls, @Nullable String certificate) throws Exception {
            var builder = Mqtt3Client.builder()
                    .identifier(clientId)
                    .serverHost("127.0.0.1")
                    .serverPort(tls ? platform.mqttTlsPort() : platform.mqttPort());
            if (tls) {
                builder = builder.sslConfig(MqttClientSslConfig.builder()
                        .trustManagerFactory(trust())
                        .keyManagerFactory(certificate == null ? null : keys(certificate))
                        .build());
            }
            client = builder.buildAsync();
            client.publishes(
                    MqttGlobalPublishFilter.ALL,
                    message -> messages.add(new Message(message.getTopic().toString(), message.getPayloadAsBytes())));
        }

        void connect(@Nullable String username, @Nullable String password, int keepAlive) {
            var connect = client.connectWith().keepAlive(keepAlive);
            if (username != null && password != null) {
                connect = connect.simpleAuth()
                        .username(username)
                        .password(password.getBytes(StandardCharsets.UTF_8))
                        .applySimpleAuth();
            }
            connect.send().orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS).join();
        }

        void subscribe(String filter) {
            client.subscribeWith()
                    .topicFilter(filter)
                    .qos(MqttQos.AT_LEAST_ONCE)
                    .send()
                    .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                    .join();
        }

        Message next() throws Exception {
            Message message = messages.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
            assertThat(message).as("a message").isNotNull();
            return message;
        }

        @Override
        public void close() {
            if (client.getState().isConnected()) {
                client.disconnect()
                        .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                        .join();
            }
        }
    }

    private String proof(String name) {
        return sign(
                "HmacSHA256",
                product.productSecret(),
                "deviceName" + name + "productKey" + product.productKey() + "random8Ygb7ULYh53B6OA");
    }

    private JsonNode register(String name, String method, String secret) throws Exception {
        String algorithm =
                method.toLowerCase(java.util.Locale.ROOT).replace("_", "").replace("hmac", "Hmac");
        String text = "deviceName" + name + "productKey" + product.productKey() + "random8Ygb7ULYh53B6OA";
        return post(
                "/auth/register/device",
                "productKey=" + product.productKey() + "&deviceName=" + name + "&random=8Ygb7ULYh53B6OA&sign="
                        + (method.equals("hmacsm3") ? "00" : sign(algorithm, secret, text)) + "&signMethod=" + method);
    }

    private static JsonNode post(String path, String form) throws Exception {
        HttpResponse<String> response = HTTP.send(
                HttpRequest.newBuilder(URI.create(platform.httpUri() + path))
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .POST(HttpRequest.BodyPublishers.ofString(form))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.headers().firstValue("Content-Length")).isPresent();
        return DeviceClient.JSON.readTree(response.body());
    }

    private static String sign(String algorithm, String secret, String text) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), algorithm));
            return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
        } catch (java.security.GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Makes {@code name.key} and {@code name.pem}, and {@code name.p12} for a client. */
    private static void certificate(String name, @Nullable String issuer) throws Exception {
        openssl(
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=" + name,
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
                name + ".key",
                "-out",
                name + ".pem",
                issuer == null ? "-batch" : "-CA",
                issuer == null ? "-batch" : issuer + ".pem",
                issuer == null ? "-batch" : "-CAkey",
                issuer == null ? "-batch" : issuer + ".key");
        openssl(
                "pkcs12",
                "-export",
                "-in",
                name + ".pem",
                "-inkey",
                name + ".key",
                "-out",
                name + ".p12",
                "-passout",
                "pass:test");
    }

    private static void openssl(String... arguments) throws Exception {
        List<String> command = new java.util.ArrayList<>(List.of("openssl"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }

    private static X509Certificate certificate(String name) throws Exception {
        try (InputStream in = Files.newInputStream(directory.resolve(name + ".pem"))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    private static String fingerprint(String name) throws Exception {
        return DeviceCertificates.fingerprint(certificate(name));
    }

    private static TrustManagerFactory trust() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("ca", certificate("ca"));
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory;
    }

    private static KeyManagerFactory keys(String name) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(directory.resolve(name + ".p12"))) {
            store.load(in, "test".toCharArray());
        }
        KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(store, "test".toCharArray());
        return factory;
    }
}
