package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.Installed;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeEvent;
import io.otaflux.Verified;
import io.otaflux.storage.DirectoryInstaller;
import io.otaflux.testkit.Mutant;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Packages of several files, and signed ones, from Mosquitto and nginx to a directory. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class PackageTest {

    private static final List<Payload> FILES =
            List.of(Payload.of(300_000, 1), Payload.of(1, 2), Payload.of(700_000, 3));

    @TempDir
    Path directory;

    @Test
    void allFilesOfAPackageAreInstalledOrNone() {
        wrongFileKeepsAllOut(2);

        Mutant.assertCaught("a wrong digest", () -> wrongFileKeepsAllOut(-1));
    }

    /** @param wrong which of the three files is not what its digest says; -1 for none */
    private void wrongFileKeepsAllOut(int wrong) {
        Path home = directory.resolve("wrong" + wrong);
        Path app = home.resolve("app");
        try (Site site = Site.open(home);
                Gateway gateway =
                        Gateway.start(site, "1.0.0", builder -> builder.installer("app", DirectoryInstaller.to(app)))) {
            ObjectNode bad = packageOf(site, "1.5.0");
            if (wrong >= 0) {
                ((ObjectNode) bad.path("files").get(wrong))
                        .put("fileSign", Payload.of(5, 5).sha256());
            }
            site.cloud().push(bad);
            await().atMost(Gateway.PATIENCE)
                    .until(() -> !gateway.events(UpgradeEvent.Ended.class).isEmpty());
            assertThat(gateway.events(UpgradeEvent.Failed.class))
                    .singleElement()
                    .satisfies(failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.DIGEST_MISMATCH));
            assertThat(gateway.events()).noneMatch(event -> event instanceof Verified || event instanceof Installed);
            assertThat(app).doesNotExist();
            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(site.cloud().steps()).endsWith("app=-3"));

            site.cloud().push(packageOf(site, "2.0.0"));

            gateway.awaitSuccess("2.0.0");
            for (int i = 0; i < FILES.size(); i++) {
                assertThat(app.resolve("part-" + i + ".bin"))
                        .hasBinaryContent(FILES.get(i).bytes());
            }
            List<UpgradeEvent.Received> received = gateway.events(UpgradeEvent.Received.class).stream()
                    .filter(event -> event.trigger().version().equals("2.0.0"))
                    .toList();
            assertThat(received).extracting(UpgradeEvent.Received::bytes).isSorted();
            assertThat(received).allSatisfy(event -> assertThat(event.size()).isEqualTo(1_000_001));
            assertThat(site.cloud().versions()).endsWith("app=2.0.0");
        }
    }

    @Test
    void onlyWhatTheConfiguredKeySignedIsFetched() throws GeneralSecurityException {
        KeyPair keys = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        Payload payload = FILES.get(0);
        try (Site site = Site.open(directory);
                Gateway gateway = Gateway.start(site, "1.0.0", builder -> builder.publicKey(keys.getPublic()))) {
            site.cloud().push(site.publish("app", "1.1.0", payload));
            assertThat(gateway.awaitEvent(UpgradeEvent.Failed.class, "1.1.0")
                            .cause()
                            .reason())
                    .isEqualTo(Reason.UNSIGNED);
            site.cloud()
                    .push(site.publish("app", "1.2.0", payload)
                            .put("digestsign", sign(keys, Payload.of(9, 9).sha256())));
            assertThat(gateway.awaitEvent(UpgradeEvent.Failed.class, "1.2.0")
                            .cause()
                            .reason())
                    .isEqualTo(Reason.BAD_SIGNATURE);
            assertThat(site.accesses()).isEmpty();
            await().atMost(Gateway.PATIENCE)
                    .untilAsserted(() -> assertThat(site.cloud().steps()).containsExactly("app=-3", "app=-3"));

            site.cloud().push(site.publish("app", "2.0.0", payload).put("digestsign", sign(keys, payload.sha256())));

            gateway.awaitSuccess("2.0.0");
            assertThat(gateway.events(Verified.class))
                    .singleElement()
                    .satisfies(verified -> assertThat(verified.assurance()).isEqualTo(Verified.Assurance.ORIGIN));
            assertThat(gateway.appFile()).hasBinaryContent(payload.bytes());
        }
    }

    private static ObjectNode packageOf(Site site, String version) {
        ObjectNode data = site.publish("app", version, FILES.get(0));
        data.remove(List.of("url", "size", "sign"));
        ArrayNode files = data.putArray("files");
        for (int i = 0; i < FILES.size(); i++) {
            String name = "part-" + i + ".bin";
            files.addObject()
                    .put("fileName", name)
                    .put("fileSize", FILES.get(i).size())
                    .put(
                            "fileUrl",
                            site.nginx().put(version + name, FILES.get(i).bytes()) + "?token=" + Secrets.URL_TOKEN)
                    .put("fileSign", FILES.get(i).sha256());
        }
        return data;
    }

    private static String sign(KeyPair keys, String digest) throws GeneralSecurityException {
        Signature signature = Signature.getInstance("SHA256withRSA");
        signature.initSign(keys.getPrivate());
        signature.update(HexFormat.of().parseHex(digest));
        return Base64.getEncoder().encodeToString(signature.sign());
    }
}
