package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * Signatures over digests. The files of the resources were made by {@code openssl dgst -sha256 -sign}: {@code
 * sha256.signature} and {@code md5.signature} over the binary digest of {@link #firmware()}, {@code file.signature} over
 * the file itself, which is what a careless reading of the documents gives.
 */
class SignatureTest {

    private static final KeyPair KEYS = rsa(2048);

    private final MemoryChannel channel = new MemoryChannel();
    private final MemorySource source = new MemorySource();
    private final MemoryStore store = new MemoryStore();
    private final List<UpgradeEvent> events = new CopyOnWriteArrayList<>();
    private final AtomicInteger installations = new AtomicInteger();
    private @Nullable Disposable running;

    @AfterEach
    void stopAndCountBuffers() {
        stop();
        source.ledger().assertNoLeaks();
    }

    // ---- what is signed -------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"public.pem", "certificate.pem"})
    void aSignatureMadeByOpensslOverTheBinaryDigestIsRight(String keyFile) {
        run(builder -> builder.publicKey(resource(keyFile)));

        channel.push(trigger("2", artifact(firmware(), "sha256.signature")));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(assurance()).isEqualTo(Verified.Assurance.ORIGIN);
    }

    @Test
    void aSignatureOverTheFileItselfIsNone() {
        run(builder -> builder.publicKey(resource("public.pem")));

        channel.push(trigger("2", artifact(firmware(), "file.signature")));

        assertRefused(Reason.BAD_SIGNATURE);
    }

    @Test
    void anMd5DigestWithARightSignatureNeedsTheWordOfTheOneWhoConfigures() {
        channel.sendingWeakDigests();
        Artifact signed = md5(firmware(), text("md5.signature"));
        run(builder -> builder.publicKey(resource("public.pem")));
        channel.push(trigger("2", signed));
        assertRefused(Reason.WEAK_DIGEST);

        stop();
        run(builder -> builder.publicKey(resource("public.pem")).acceptWeakDigests(true));
        channel.push(trigger("3", md5(firmware(), text("sha256.signature"))));
        assertRefused(Reason.BAD_SIGNATURE);
        channel.push(trigger("4", signed));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(assurance())
                .as("somebody can make two files of one MD5")
                .isEqualTo(Verified.Assurance.WEAK_INTEGRITY);
    }

    // ---- what is refused ------------------------------------------------------------------------------------------

    @Test
    void nothingButWhatIsSignedIsEverFetched() {
        onlySignedIsFetched(builder -> builder.publicKey(KEYS.getPublic()));

        Mutant.assertCaught("the check of signatures", () -> onlySignedIsFetched(UnaryOperator.identity()));
    }

    private void onlySignedIsFetched(UnaryOperator<OtaClient.Builder> key) {
        byte[] content = bytes("content");
        byte[] digest = digest("SHA-256", content);
        String right = sign(KEYS.getPrivate(), digest);
        byte[] flipped = Base64.getDecoder().decode(right);
        flipped[100] ^= 1;
        Map<String, @Nullable String> wrong = Map.of(
                "of another key", sign(rsa(2048).getPrivate(), digest),
                "of another artifact", sign(KEYS.getPrivate(), digest("SHA-256", bytes("other"))),
                "with a flipped bit", Base64.getEncoder().encodeToString(flipped),
                "cut short", right.substring(0, right.length() - 8),
                "no Base64", "\u00e9\u0000",
                "empty", "");
        stop();
        run(key);
        wrong.forEach((what, signature) -> {
            channel.push(trigger("w" + Integer.toHexString(what.hashCode()), artifact(content, signature, "app")));
            assertThat(last()).as(what).isInstanceOfSatisfying(UpgradeEvent.Failed.class, failed -> {
                assertThat(failed.cause().reason()).isEqualTo(Reason.BAD_SIGNATURE);
                assertThat(failed.cause().stage()).isEqualTo(Stage.VERIFY);
            });
        });
        channel.push(trigger("2", artifact(content, null, "app")));
        assertRefused(Reason.UNSIGNED);
        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(wrong.size() + 1);

        channel.push(trigger("3", artifact(content, right, "app")));
        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        channel.push(trigger("4", artifact(content, right.replaceAll("(.{76})", "$1\r\n"), "app")));
        assertThat(last()).as("broken into lines").isInstanceOf(UpgradeEvent.Succeeded.class);
    }

    @Test
    void everyFileOfAPackageMustBeSigned() {
        byte[] one = bytes("one");
        byte[] two = bytes("two");
        String right = sign(KEYS.getPrivate(), digest("SHA-256", one));
        run(builder -> builder.publicKey(KEYS.getPublic()));

        channel.push(trigger("2", artifact(one, right, "one"), artifact(two, null, "two")));
        assertRefused(Reason.UNSIGNED);
        channel.push(trigger("3", artifact(one, right, "one"), artifact(two, right, "two")));
        assertRefused(Reason.BAD_SIGNATURE);
        channel.push(trigger(
                "4",
                artifact(one, right, "one"),
                artifact(two, sign(KEYS.getPrivate(), digest("SHA-256", two)), "two")));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(assurance()).isEqualTo(Verified.Assurance.ORIGIN);
    }

    @Test
    void anArtifactWithoutADigestHasNothingThatCouldBeSigned() {
        run(builder -> builder.publicKey(KEYS.getPublic()).acceptMissingDigests(true));
        Artifact blank = artifact(bytes("content"), sign(KEYS.getPrivate(), new byte[32]), "app");

        channel.push(trigger("2", new Artifact("app", blank.location(), blank.size(), List.of(), blank.signature())));

        assertRefused(Reason.UNSIGNED);
    }

    @Test
    void wrongBytesUnderARightSignatureAreStillWrong() {
        Artifact signed =
                artifact(bytes("content"), sign(KEYS.getPrivate(), digest("SHA-256", bytes("content"))), "app");
        source.serve(signed.location(), bytes("CONTENT"));
        run(builder -> builder.publicKey(KEYS.getPublic()));

        channel.push(trigger("2", signed));

        assertThat(last())
                .isInstanceOfSatisfying(
                        UpgradeEvent.Failed.class,
                        failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.DIGEST_MISMATCH));
        assertThat(installations).hasValue(0);
    }

    @Test
    void withoutAKeySignaturesAreIgnored() {
        run(UnaryOperator.identity());

        channel.push(trigger("2", artifact(bytes("content"), "garbage", "app")));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(assurance()).isEqualTo(Verified.Assurance.INTEGRITY);
    }

    @Test
    void whatWasAdmittedBeforeThereWasAKeyIsNotFetchedWithOne() {
        UpgradeTrigger unsigned = trigger("2", artifact(bytes("content"), null, "app"));
        source.hangAfter(0);
        run(UnaryOperator.identity());
        channel.push(unsigned);
        assertThat(source.requests()).hasSize(1);
        stop();

        run(builder -> builder.publicKey(KEYS.getPublic()));

        assertRefused(Reason.UNSIGNED, 1);
    }

    @Test
    void aSignatureSurvivesARestart() {
        byte[] content = bytes("content");
        source.hangAfter(0);
        run(builder -> builder.publicKey(KEYS.getPublic()));
        channel.push(trigger("2", artifact(content, sign(KEYS.getPrivate(), digest("SHA-256", content)), "app")));
        stop();

        run(builder -> builder.publicKey(KEYS.getPublic()));

        assertThat(last()).isInstanceOf(UpgradeEvent.Succeeded.class);
        assertThat(assurance()).isEqualTo(Verified.Assurance.ORIGIN);
    }

    @Test
    void whatIsStartedByHandIsJudgedToo() {
        OtaClient ota = client(builder -> builder.publicKey(KEYS.getPublic()));

        List<UpgradeEvent> byHand =
                Objects.requireNonNull(ota.upgrade(trigger("2", artifact(bytes("content"), null, "app")))
                        .collectList()
                        .block());

        assertThat(byHand)
                .singleElement()
                .isInstanceOfSatisfying(
                        UpgradeEvent.Failed.class,
                        failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.UNSIGNED));
        assertThat(source.requests()).isEmpty();
    }

    @Test
    void aFreshLocationThatComesUnsignedIsNotFollowed() {
        byte[] content = bytes("content");
        Artifact signed = artifact(content, sign(KEYS.getPrivate(), digest("SHA-256", content)), "app");
        source.refuse(new SourceException(Reason.FORBIDDEN, 403, "expired", null));
        channel.pending(trigger("2", artifact(content, null, "app")));
        run(builder -> builder.publicKey(KEYS.getPublic()));

        channel.push(trigger("2", signed));

        assertRefused(Reason.UNSIGNED, 1);
    }

    // ---- keys that are none ---------------------------------------------------------------------------------------

    @Test
    void aKeyThatCannotBeUsedIsNotStartedWith(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("key.pem");
        OtaClient.Builder builder = OtaClient.builder(channel);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.publicKey(file))
                .withMessageContaining("key.pem")
                .withMessageContaining("cannot be read");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.publicKey(directory))
                .withMessageContaining("cannot be read");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.publicKey(rsa(1024).getPublic()))
                .withMessageContaining("1024 bits");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.publicKey(KeyPairGenerator.getInstance("Ed25519")
                        .generateKeyPair()
                        .getPublic()))
                .withMessageContaining("expected: RSA");

        String key = pem("PUBLIC KEY", KEYS.getPublic().getEncoded());
        for (Map.Entry<String, String> bad : Map.of(
                        "",
                        "no PEM block",
                        "not a key",
                        "no PEM block",
                        key.substring(0, 200),
                        "no PEM block",
                        key + key,
                        "several",
                        pem("PRIVATE KEY", KEYS.getPrivate().getEncoded()),
                        "a PEM block PRIVATE KEY",
                        pem("PUBLIC KEY", bytes("CANARY")),
                        "no RSA key",
                        pem("CERTIFICATE", bytes("CANARY")),
                        "no RSA key",
                        pem("PUBLIC KEY", rsa(1024).getPublic().getEncoded()),
                        "1024 bits",
                        "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n",
                        "no Base64")
                .entrySet()) {
            Files.writeString(file, bad.getKey());
            assertThatIllegalArgumentException()
                    .as(bad.getValue())
                    .isThrownBy(() -> builder.publicKey(file))
                    .withMessageContaining("key.pem")
                    .withMessageContaining(bad.getValue())
                    .satisfies(e -> assertThat(e.getMessage()).doesNotContain("CANARY"));
        }
        Files.writeString(file, "Subject: firmware\n" + key.replace("\n", "\r\n"));
        builder.publicKey(file);
    }

    // ---- fixtures -------------------------------------------------------------------------------------------------

    private OtaClient client(UnaryOperator<OtaClient.Builder> customizer) {
        return customizer
                .apply(OtaClient.builder(channel)
                        .source(source)
                        .store(store)
                        .installer(
                                "app",
                                verified -> Mono.fromCallable(() -> {
                                    installations.incrementAndGet();
                                    return Installer.Effect.IMMEDIATE;
                                })))
                .build();
    }

    private void run(UnaryOperator<OtaClient.Builder> customizer) {
        events.clear();
        running = client(customizer).upgrades().subscribe(events::add);
    }

    private void stop() {
        if (running != null) {
            running.dispose();
        }
    }

    private UpgradeEvent last() {
        return events.get(events.size() - 1);
    }

    private void assertRefused(Reason reason) {
        assertRefused(reason, 0);
    }

    private void assertRefused(Reason reason, int requests) {
        assertThat(last()).isInstanceOfSatisfying(UpgradeEvent.Failed.class, failed -> {
            assertThat(failed.cause()).isInstanceOf(RefusedException.class);
            assertThat(failed.cause().reason()).isEqualTo(reason);
            assertThat(failed.cause().stage()).isEqualTo(Stage.VERIFY);
        });
        assertThat(source.requests()).hasSize(requests);
        assertThat(installations).hasValue(0);
    }

    private Verified.Assurance assurance() {
        return events.stream()
                .filter(Verified.class::isInstance)
                .map(verified -> ((Verified) verified).assurance())
                .reduce((before, after) -> after)
                .orElseThrow();
    }

    private UpgradeTrigger trigger(String version, Artifact... artifacts) {
        return new UpgradeTrigger(channel.device(), "app", version, Arrays.asList(artifacts), Map.of());
    }

    private Artifact artifact(byte[] content, String signatureFile) {
        return artifact(content, text(signatureFile), "app");
    }

    private Artifact artifact(byte[] content, @Nullable String signature, String name) {
        URI location = URI.create("https://files.example.com/" + name);
        source.serve(location, content);
        return new Artifact(
                name,
                location,
                content.length,
                List.of(Digest.of(Digest.Algorithm.SHA_256, digest("SHA-256", content))),
                signature);
    }

    private Artifact md5(byte[] content, String signature) {
        Artifact artifact = artifact(content, signature, "app");
        Digest md5 = Digest.of(Digest.Algorithm.MD5, digest("MD5", content));
        return new Artifact("app", artifact.location(), content.length, List.of(md5), signature);
    }

    private static byte[] firmware() {
        return bytes("the new firmware\n");
    }

    private static String text(String resource) {
        try {
            return Files.readString(resource(resource)).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path resource(String name) {
        try {
            return Path.of(Objects.requireNonNull(SignatureTest.class.getResource("signature/" + name))
                    .toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] digest(String algorithm, byte[] content) {
        try {
            return MessageDigest.getInstance(algorithm).digest(content);
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static String sign(PrivateKey key, byte[] message) {
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(key);
            signature.update(message);
            return Base64.getEncoder().encodeToString(signature.sign());
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static KeyPair rsa(int bits) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(bits);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static String pem(String kind, byte[] der) {
        return "-----BEGIN " + kind + "-----\n"
                + Base64.getMimeEncoder(64, bytes("\n")).encodeToString(der) + "\n-----END " + kind + "-----\n";
    }
}
