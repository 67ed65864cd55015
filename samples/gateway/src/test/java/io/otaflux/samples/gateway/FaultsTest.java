package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.Installed;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeEvent;
import io.otaflux.Verified;
import io.otaflux.transport.aliyun.DeviceEvent;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whatever is wrong with an upgrade has a name, is reported, installs nothing, and harms no other upgrade. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class FaultsTest {

    private static final String SIGNING_KEY = "key-of-the-file-server";
    private static final String SIGNED_LOCATION = """
            location /signed/ {
                secure_link $arg_signature,$arg_expires;
                secure_link_md5 "$secure_link_expires$uri %s";
                if ($secure_link = "") { return 403; }
                if ($secure_link = "0") { return 403; }
            }
            """.formatted(SIGNING_KEY);

    private static final Payload PAYLOAD = Payload.of(700_000, 31);

    @TempDir
    Path directory;

    /** Wrong bytes, and places that do not give them. */
    enum WrongUpgrade {
        WRONG_DIGEST(
                Reason.DIGEST_MISMATCH,
                -3,
                (site, data) -> data.put("sign", Payload.of(1, 1).sha256())),
        WRONG_MD5(
                Reason.DIGEST_MISMATCH,
                -3,
                (site, data) -> data.put("signMethod", "Md5").put("sign", "0123456789abcdef0123456789abcdef")),
        LESS_THAN_DECLARED(Reason.TRUNCATED, -3, (site, data) -> data.put("size", PAYLOAD.size() + 1)),
        MORE_THAN_DECLARED(Reason.ENDLESS_DATA, -3, (site, data) -> data.put("size", PAYLOAD.size() - 1)),
        NOTHING_THERE(
                Reason.NOT_FOUND,
                -2,
                (site, data) -> data.put(
                        "url",
                        site.nginx().uri("gone.bin?token=" + Secrets.URL_TOKEN).toString())),
        EXPIRED_SIGNATURE(
                Reason.FORBIDDEN,
                -2,
                (site, data) -> data.put(
                        "url", signed(site, Instant.now().minusSeconds(60)).toString())),
        FORGED_SIGNATURE(
                Reason.FORBIDDEN,
                -2,
                (site, data) -> data.put(
                        "url",
                        site.nginx()
                                .uri("signed/app.bin?signature=AAAA&expires=9999999999&token=" + Secrets.URL_TOKEN)
                                .toString())),
        USER_INFO_IN_LOCATION(
                Reason.LOCATION_REFUSED,
                -2,
                (site, data) -> data.put(
                        "url",
                        "http://user:" + Secrets.URL_TOKEN + "@127.0.0.1:"
                                + site.nginx().port() + "/app.bin")),
        NO_DIGEST(Reason.NO_DIGEST, -3, (site, data) -> data.remove(List.of("sign", "signMethod"))),
        DELTA(Reason.UNSUPPORTED, -1, (site, data) -> data.put("isDiff", 1)),
        UNKNOWN_MODULE(Reason.NO_INSTALLER, -4, (site, data) -> data.put("module", "stranger"));

        private final Reason reason;
        private final int step;
        private final BiConsumer<Site, ObjectNode> spoil;

        WrongUpgrade(Reason reason, int step, BiConsumer<Site, ObjectNode> spoil) {
            this.reason = reason;
            this.step = step;
            this.spoil = spoil;
        }
    }

    @ParameterizedTest
    @EnumSource
    void aWrongUpgradeFailsByNameAndTheNextOneSucceeds(WrongUpgrade wrong) {
        try (Site site = Site.open(directory, SIGNED_LOCATION);
                Gateway gateway = Gateway.start(site)) {
            ObjectNode data = site.publish("app", "1.5.0", PAYLOAD);
            wrong.spoil.accept(site, data);
            site.cloud().push(data);

            OtaException cause =
                    gateway.awaitEvent(UpgradeEvent.Failed.class, "1.5.0").cause();
            assertThat(cause.reason()).isEqualTo(wrong.reason);
            String module = data.path("module").textValue();
            awaitStep(site, module + "=" + wrong.step);
            assertNothingInstalled(gateway);
            assertThat(artifacts(gateway)).as("wrong bytes are not kept").isEmpty();

            assertNextSucceeds(site, gateway);
        }
    }

    /** Messages that make no sense. */
    enum MalformedPush {
        NOT_JSON("{\"code\":\"1000\",\"data\":{\"url\":\"http://x/?token=" + Secrets.URL_TOKEN, null),
        EMPTY("", null),
        NO_DATA("{\"code\":\"1000\",\"id\":1}", null),
        DATA_IS_A_LIST("{\"data\":[1,2,3]}", null),
        NO_VERSION("{\"data\":{\"module\":\"app\",\"url\":\"http://127.0.0.1/a\",\"size\":1,\"md5\":\"%s\"}}", "app"),
        NO_LOCATION("{\"data\":{\"module\":\"app\",\"version\":\"1.5.0\",\"size\":1,\"md5\":\"%s\"}}", "app"),
        LOCATION_IS_A_FILE(
                "{\"data\":{\"module\":\"app\",\"version\":\"1.5.0\",\"url\":\"file:///etc/passwd\",\"size\":1,\"md5\":\"%s\"}}",
                "app"),
        SIZE_IS_A_WORD(
                "{\"data\":{\"module\":\"app\",\"version\":\"1.5.0\",\"url\":\"http://127.0.0.1/a?token="
                        + Secrets.URL_TOKEN + "\",\"size\":\"much\",\"md5\":\"%s\"}}",
                "app"),
        DIGEST_IS_TOO_SHORT(
                "{\"data\":{\"version\":\"1.5.0\",\"url\":\"http://127.0.0.1/a\",\"size\":1,\"md5\":\"abc\"}}",
                "default"),
        MODULE_IS_A_PATH(
                "{\"data\":{\"module\":\"../../etc\",\"version\":\"1.5.0\",\"url\":\"http://127.0.0.1/a\",\"size\":1,\"md5\":\"%s\"}}",
                null);

        private final String payload;
        private final String module;

        MalformedPush(String payload, String module) {
            this.payload = payload.formatted("0123456789abcdef0123456789abcdef");
            this.module = module;
        }
    }

    @ParameterizedTest
    @EnumSource
    void aMalformedPushIsSkippedAndTheNextOneSucceeds(MalformedPush malformed) {
        try (Site site = Site.open(directory);
                Gateway gateway = Gateway.start(site)) {
            site.cloud().push(malformed.payload);

            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(skips(gateway))
                            .singleElement()
                            .satisfies(skip -> assertThat(skip.cause().reason()).isEqualTo(Reason.MALFORMED_TRIGGER)));
            if (malformed.module != null) {
                awaitStep(site, malformed.module + "=-1");
            }
            assertThat(gateway.device().skippedMessages()).isEqualTo(1);
            assertNothingInstalled(gateway);

            assertNextSucceeds(site, gateway);
            assertThat(site.cloud().steps())
                    .filteredOn(step -> step.contains("=-"))
                    .hasSize(malformed.module == null ? 0 : 1);
        }
    }

    @Test
    void aSignatureThatExpiredIsReplacedByAFreshOne() throws IOException {
        try (Site site = Site.open(directory, SIGNED_LOCATION);
                Gateway gateway = Gateway.start(site)) {
            ObjectNode data = site.publish("app", "1.5.0", PAYLOAD);
            ObjectNode fresh = data.deepCopy()
                    .put("url", signed(site, Instant.now().plusSeconds(600)).toString());
            site.cloud()
                    .push(
                            data.put(
                                    "url",
                                    signed(site, Instant.now().minusSeconds(60)).toString()),
                            fresh);

            gateway.awaitSuccess("1.5.0");
            assertThat(gateway.appFile()).hasBinaryContent(PAYLOAD.bytes());
            assertThat(site.accesses())
                    .extracting(Site.Access::status)
                    .startsWith(403)
                    .endsWith(200);
        }
    }

    private static void assertNextSucceeds(Site site, Gateway gateway) {
        Payload good = Payload.of(500_000, 32);
        site.cloud().push(site.publish("app", "2.0.0", good));
        gateway.awaitSuccess("2.0.0");
        assertThat(gateway.appFile()).hasBinaryContent(good.bytes());
        // The broker has it; the played platform may hear of it a little later.
        await().atMost(Gateway.PATIENCE).until(() -> site.cloud().versions().contains("app=2.0.0"));
        assertThat(site.cloud().versions()).noneMatch(version -> version.contains("1.5.0"));
    }

    private static void assertNothingInstalled(Gateway gateway) {
        assertThat(gateway.appFile()).doesNotExist();
        assertThat(gateway.events()).noneMatch(event -> event instanceof Verified || event instanceof Installed);
    }

    private static void awaitStep(Site site, String step) {
        await().atMost(Gateway.PATIENCE)
                .untilAsserted(() -> assertThat(site.cloud().steps()).contains(step));
    }

    private static List<DeviceEvent.MessageSkipped> skips(Gateway gateway) {
        return gateway.deviceEvents().stream()
                .filter(DeviceEvent.MessageSkipped.class::isInstance)
                .map(DeviceEvent.MessageSkipped.class::cast)
                .toList();
    }

    /** The committed artifacts in the store. */
    private static List<String> artifacts(Gateway gateway) {
        try (Stream<Path> files = Files.list(gateway.storeDirectory())) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.matches("(md5|sha1|sha256|sha512)-[0-9a-f]+"))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where nginx gives the payload until then, and not a second longer. */
    private static URI signed(Site site, Instant expires) {
        site.nginx().put("signed/app.bin", PAYLOAD.bytes());
        String text = expires.getEpochSecond() + "/signed/app.bin " + SIGNING_KEY;
        try {
            byte[] md5 = MessageDigest.getInstance("MD5").digest(text.getBytes(StandardCharsets.US_ASCII));
            return site.nginx()
                    .uri("signed/app.bin?signature="
                            + Base64.getUrlEncoder().withoutPadding().encodeToString(md5) + "&expires="
                            + expires.getEpochSecond() + "&token=" + Secrets.URL_TOKEN);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
