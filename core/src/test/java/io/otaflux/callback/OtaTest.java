package io.otaflux.callback;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.Hasher;
import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException.Reason;
import io.otaflux.OtaException.Stage;
import io.otaflux.SourceException;
import io.otaflux.StorageException;
import io.otaflux.TransferException;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.MemoryChannel;
import io.otaflux.testkit.MemorySource;
import io.otaflux.testkit.MemoryStore;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.scheduler.VirtualTimeScheduler;

class OtaTest {

    private static final Duration SOON = Duration.ofSeconds(30);

    @TempDir
    Path directory;

    private final MemoryChannel channel = new MemoryChannel().sendingWeakDigests();
    private final MemorySource source = new MemorySource();
    private final MemoryStore store = new MemoryStore();
    private final List<Map<String, Object>> triggers = new CopyOnWriteArrayList<>();
    private final List<Integer> downloads = new CopyOnWriteArrayList<>();
    private final List<Integer> verifications = new CopyOnWriteArrayList<>();
    private final List<Integer> upgrades = new CopyOnWriteArrayList<>();
    private final byte[] content = bytes(50_000);
    private final AtomicInteger closings = new AtomicInteger();

    private Ota ota;
    private int handle;
    private Path file;

    @BeforeEach
    void open() {
        file = directory.resolve("app.bin");
        handle = DeviceHandles.register(channel);
        ota = Ota.builder()
                .source(source)
                .store(store)
                .client(client -> client.backoff(Backoff.none()))
                .build();
    }

    @AfterEach
    void close() {
        ota.close();
        DeviceHandles.unregister(handle);
        source.ledger().assertNoLeaks();
    }

    // The original's program: trigger -> download -> verify -> (install) -> report.

    @Test
    void theOriginalsProgramRunsToTheEnd() {
        program();
        assertThat(ota.report(version("app", "1.0.0"))).isZero();
        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(triggers).hasSize(1);
        assertThat(downloads).containsExactly(0);
        assertThat(verifications).containsExactly(0);
        assertThat(file).hasBinaryContent(content);
        assertThat(ota.report(version("app", "2.0.0"))).isZero();

        await().atMost(SOON)
                .until(() -> !channel.events(UpgradeEvent.Succeeded.class).isEmpty());
        assertThat(channel.versions()).containsExactly("app=1.0.0", "app=2.0.0");
        assertThat(source.requests()).as("read in flight, not again").hasSize(1);
        assertThat(store.referenced()).isZero();
    }

    @Test
    void theTriggersDictionaryIsTheOriginals() {
        program();
        UpgradeTrigger trigger = trigger("app", "2.0.0", sha256(content));

        channel.push(trigger);

        await().atMost(SOON).until(() -> !triggers.isEmpty());
        assertThat(triggers.get(0))
                .containsOnlyKeys("url", "length", "module_name", "version", "hash", "hash_type")
                .containsEntry("url", trigger.artifact().location().toString())
                .containsEntry("length", content.length)
                .containsEntry("module_name", "app")
                .containsEntry("version", "2.0.0")
                .containsEntry("hash", sha256(content).hex().toUpperCase(Locale.ROOT))
                .containsEntry("hash_type", "sha256");
    }

    @Test
    void aTriggerThatComesBeforeItsCallbackIsHandedToIt() {
        assertThat(ota.init(Map.of("device_handle", handle))).isZero();
        channel.push(trigger("app", "2.0.0", md5(content)));

        ota.on(1, this::onTrigger);

        await().atMost(SOON).until(() -> triggers.size() == 1);
    }

    @Test
    void theSystemFirmwareIsUpgradedByItselfAndFiresNoCallback() {
        List<String> installed = new CopyOnWriteArrayList<>();
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(store)
                .firmware(verified -> verified.file()
                        .read()
                        .doOnNext(ByteBuf::release)
                        .then(Mono.fromSupplier(() -> {
                            installed.add(verified.trigger().version());
                            return Installer.Effect.IMMEDIATE;
                        })))
                .build();
        program();
        ota.report(version("default", "1.0.0"));

        channel.push(trigger("default", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> channel.versions().contains("default=2.0.0"));
        assertThat(installed).containsExactly("2.0.0");
        assertThat(triggers).isEmpty();
        assertThat(downloads).isEmpty();
        assertThat(verifications).isEmpty();
    }

    @Test
    void aSubDeviceIsReportedUnderItsOwnName() {
        program();

        ota.report(Map.of(
                "device_handle",
                handle,
                "product_key",
                "pk",
                "device_name",
                "sub",
                "module_name",
                "mcu",
                "version",
                "7"));

        await().atMost(SOON).until(() -> channel.versions().contains("pk/sub mcu=7"));
    }

    // triggers that the program does not finish

    @Test
    void aTriggerThatIsLeftLyingGivesWayToTheNext() {
        ota.init(Map.of("device_handle", handle));
        ota.on(1, (Map<String, Object> data) -> triggers.add(data));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> triggers.size() == 1);

        channel.push(trigger("app", "3.0.0", md5(content)));

        await().atMost(SOON).until(() -> triggers.size() == 2);
        assertThat(triggers).extracting(data -> data.get("version")).containsExactly("2.0.0", "3.0.0");
    }

    @Test
    void aTriggerThatIsLeftLyingIsFiredAgainWhenItIsPushedAgain() {
        ota.init(Map.of("device_handle", handle));
        ota.on(1, (Map<String, Object> data) -> triggers.add(data));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> triggers.size() == 1);

        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> triggers.size() == 2);
        assertThat(channel.deliveries()).hasSize(2).allMatch(MemoryChannel.MemoryDelivery::isAcknowledged);
    }

    @Test
    void whatAnEarlierProcessLeftLyingGivesWayToo() {
        ota.init(Map.of("device_handle", handle));
        ota.on(1, (Map<String, Object> data) -> triggers.add(data));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> triggers.size() == 1);
        ota.close();
        ota = Ota.builder().source(source).store(store.reopen()).build();
        ota.init(Map.of("device_handle", handle));
        ota.on(1, (Map<String, Object> data) -> triggers.add(data));
        await().atMost(SOON).until(() -> triggers.size() == 2);

        channel.push(trigger("app", "3.0.0", md5(content)));

        await().atMost(SOON).until(() -> triggers.size() == 3);
        assertThat(triggers).last().satisfies(data -> assertThat(data).containsEntry("version", "3.0.0"));
    }

    @Test
    void aDownloadThatRunsIsFinishedBeforeTheNextTriggerIsFired() {
        CountDownLatch go = new CountDownLatch(1);
        source.fault(bytes -> bytes.delaySubscription(
                Mono.fromRunnable(() -> awaitLatch(go)).subscribeOn(Schedulers.boundedElastic())));
        // What follows the end of a download follows it at once, and not when another thread gets to it.
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(MemoryStore.on(Schedulers.immediate()))
                .client(client -> client.backoff(Backoff.none()))
                .build();
        program();
        ota.on(2, (int code) -> downloads.add(code));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> !source.requests().isEmpty());

        channel.push(trigger("app", "3.0.0", md5(content)));
        assertThat(triggers).hasSize(1);
        go.countDown();

        await().atMost(SOON).until(() -> triggers.size() == 2);
        assertThat(downloads).startsWith(0);
    }

    @Test
    void aTriggerOfSeveralFilesIsRefusedAndThePlatformHears() {
        program();
        Artifact one = trigger("app", "2.0.0", md5(content)).artifact();

        channel.push(new UpgradeTrigger(channel.device(), "app", "2.0.0", List.of(one, one), Map.of()));

        await().atMost(SOON)
                .untilAsserted(() -> assertThat(channel.events(UpgradeEvent.Failed.class))
                        .singleElement()
                        .satisfies(failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.UNSUPPORTED)));
        assertThat(triggers).isEmpty();
    }

    @Test
    void firmwareWithoutADigestIsNotInstalled() {
        List<String> installed = new CopyOnWriteArrayList<>();
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(store)
                .firmware(verified -> Mono.fromSupplier(() -> {
                    installed.add(verified.trigger().version());
                    return Installer.Effect.IMMEDIATE;
                }))
                .build();
        program();
        URI location = location("firmware");
        source.serve(location, content);

        channel.push(new UpgradeTrigger(
                channel.device(), "default", "2.0.0", new Artifact("default", location, content.length, List.of())));

        await().atMost(SOON)
                .untilAsserted(() -> assertThat(channel.events(UpgradeEvent.Failed.class))
                        .singleElement()
                        .satisfies(failed -> assertThat(failed.cause().reason()).isEqualTo(Reason.NO_DIGEST)));
        assertThat(installed).isEmpty();
    }

    @Test
    void aDeviceThatIsRefusedHearsTriggersAgainWhenItIsEnabled() {
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try {
            program();
            channel.refuse();
            channel.accept();

            time.advanceTimeBy(Duration.ofMinutes(1));
            channel.push(trigger("app", "2.0.0", md5(content)));

            await().atMost(SOON).until(() -> !triggers.isEmpty());
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    @Test
    void aStartThatFailsLeavesTheStateFree() {
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(new ClosingStore(store, closings))
                .client(client -> {
                    throw new IllegalStateException("misconfigured");
                })
                .build();

        assertThat(ota.init(Map.of("device_handle", handle))).isEqualTo(-1);

        assertThat(closings).hasValue(1);
    }

    // download

    @Test
    void aDownloadWhoseUpgradeIsReachedMeanwhileComesBackToo() {
        program();
        source.hangAfter(1);
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> !source.requests().isEmpty());

        ota.report(version("app", "2.0.0"));

        await().atMost(SOON).until(() -> !downloads.isEmpty());
        assertThat(downloads).containsExactly(-9);
    }

    @Test
    void anUnknownUrlIsDownloadedToo() {
        program();
        source.serve(location("any"), content);
        Path any = directory.resolve("any.bin");

        assertThat(ota.download(Map.of("url", location("any").toString(), "store_path", any.toString())))
                .isZero();

        await().atMost(SOON).until(() -> downloads.contains(0));
        assertThat(any).hasBinaryContent(content);
    }

    @Test
    void severalDownloadsRunAtOnce() {
        program();
        CountDownLatch both = new CountDownLatch(2);
        for (String name : List.of("one", "two")) {
            source.serve(location(name), name.getBytes(StandardCharsets.UTF_8))
                    .fault(bytes -> bytes.doOnSubscribe(s -> both.countDown())
                            .delaySubscription(Mono.fromRunnable(() -> awaitLatch(both))
                                    .subscribeOn(Schedulers.boundedElastic())));
            ota.download(Map.of(
                    "url",
                    location(name).toString(),
                    "store_path",
                    directory.resolve(name).toString()));
        }
        both.countDown();
        both.countDown();

        await().atMost(SOON).until(() -> downloads.size() == 2);
        assertThat(directory.resolve("one")).hasContent("one");
        assertThat(directory.resolve("two")).hasContent("two");
    }

    static Stream<Arguments> downloadFailures() {
        return Stream.of(
                Arguments.of(new TransferException(Reason.CONNECTION_LOST, "no", new ConnectException("no")), -7),
                Arguments.of(new TransferException(Reason.TIMEOUT, "no", new ConnectException("late")), -7),
                Arguments.of(new TransferException(Reason.CONNECTION_LOST, "no", new UnknownHostException("x")), -7),
                Arguments.of(new TransferException(Reason.CONNECTION_LOST, "reset", null), -9),
                Arguments.of(new TransferException(Reason.TIMEOUT, "silence", null), -9),
                Arguments.of(new LengthMismatchException("app", 1, 2), -9),
                Arguments.of(new LengthMismatchException("app", 2, 1), -9),
                Arguments.of(new SourceException(Reason.TLS, "certificate", null), -7),
                Arguments.of(new SourceException(Reason.NOT_FOUND, 404, "404", null), -8),
                Arguments.of(new SourceException(Reason.FORBIDDEN, 403, "403", null), -8),
                Arguments.of(new SourceException(Reason.BAD_RESPONSE, 400, "400", null), -8),
                Arguments.of(new TransferException(Reason.TOO_SLOW, "drip", null), -9),
                Arguments.of(new StorageException(Reason.NO_SPACE, "full", null), -14),
                Arguments.of(new StorageException(Reason.IO_FAILED, "broken", null), -14));
    }

    @ParameterizedTest
    @MethodSource("downloadFailures")
    void aFailedDownloadComesBackWithTheOriginalsNumberAndLeavesNoFile(Exception failure, int code) {
        program();
        for (int i = 0; i < 3; i++) {
            source.refuse(failure);
        }

        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> !downloads.isEmpty());
        assertThat(downloads).containsExactly(code);
        assertThat(verifications).isEmpty();
        assertThat(file).doesNotExist();
        await().atMost(SOON)
                .untilAsserted(() ->
                        assertThat(channel.events(UpgradeEvent.Failed.class)).hasSize(1));
    }

    // verify

    @ParameterizedTest
    @ValueSource(strings = {"md5", "MD5", "Md5", "sha256", "SHA256", "SHA-256", "sha512"})
    void theHashMayBeOfAnyAlgorithmInAnyCase(String type) throws IOException {
        program();
        Files.write(file, content);
        Digest.Algorithm algorithm = Digest.Algorithm.named(type);

        verify(content.length, type, digest(algorithm, content).hex());
        verify(content.length, type, digest(algorithm, content).hex().toUpperCase(Locale.ROOT));

        await().atMost(SOON).until(() -> verifications.size() == 2);
        assertThat(verifications).containsOnly(0);
    }

    @Test
    void aWrongHashIsFoundAndThePlatformHears() {
        ota.on(2, (int code) -> downloads.add(code));
        ota.on(3, (int code) -> verifications.add(code));
        ota.on(
                1,
                (Map<String, Object> data) ->
                        ota.download(Map.of("url", data.get("url"), "store_path", file.toString())));
        ota.init(Map.of("device_handle", handle));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> downloads.contains(0));

        verify(content.length, "md5", "00".repeat(16));

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(verifications).containsExactly(-10);
        await().atMost(SOON)
                .untilAsserted(() -> assertThat(channel.events(UpgradeEvent.Failed.class))
                        .singleElement()
                        .satisfies(failed -> assertThat(failed.cause().stage()).isEqualTo(Stage.VERIFY)));
    }

    @Test
    void anArchiveIsUnpackedAndItsEndComesAsTheFourthEvent() {
        Map<Path, Path> unpacked = unpacking(Mono.empty());
        program();
        assertThat(ota.on(4, (int code) -> upgrades.add(code))).isZero();
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> verifications.contains(0));

        assertThat(ota.upgrade(installation(content.length))).isZero();

        await().atMost(SOON).until(() -> !upgrades.isEmpty());
        assertThat(upgrades).containsExactly(0);
        assertThat(unpacked).containsExactly(Map.entry(file, directory.resolve("app")));
        ota.report(version("app", "2.0.0"));
        await().atMost(SOON)
                .until(() -> !channel.events(UpgradeEvent.Succeeded.class).isEmpty());
    }

    @Test
    void whatIsNotWhatTheTriggerNamedIsNotUnpackedEvenIfNobodyVerifiedIt() throws IOException {
        unverifiedIsNotUnpacked(true);

        Mutant.assertCaught("the comparison with the trigger", () -> unverifiedIsNotUnpacked(false));
    }

    /** @param triggered whether the file was downloaded for the trigger; otherwise nobody named anything */
    private void unverifiedIsNotUnpacked(boolean triggered) throws IOException {
        Map<Path, Path> unpacked = unpacking(Mono.empty());
        String version = triggered ? "2.0.0" : "3.0.0";
        upgrades.clear();
        downloads.clear();
        triggers.clear();
        ota.init(Map.of("device_handle", handle));
        ota.on(4, (int code) -> upgrades.add(code));
        ota.on(2, (int code) -> downloads.add(code));
        ota.onTrigger(triggers::add);
        UpgradeTrigger trigger = trigger("app", version, md5(content));
        channel.push(trigger);
        await().atMost(SOON).until(() -> !triggers.isEmpty());
        if (triggered) {
            String url = trigger.artifact().location().toString();
            ota.download(Map.of("url", url, "store_path", file.toString()));
            await().atMost(SOON).until(() -> downloads.contains(0));
        } else {
            file = directory.resolve("another");
        }
        Files.write(file, bytes(content.length));

        ota.upgrade(installation(content.length));

        await().atMost(SOON).until(() -> !upgrades.isEmpty());
        assertThat(upgrades).containsExactly(-10);
        assertThat(unpacked).isEmpty();
        await().atMost(SOON)
                .untilAsserted(() -> assertThat(channel.events(UpgradeEvent.Failed.class))
                        .singleElement()
                        .satisfies(failed -> assertThat(failed.cause().stage()).isEqualTo(Stage.VERIFY)));
    }

    @Test
    void aFailedInstallationComesBackWithTheOriginalsNumber() throws IOException {
        Sinks.Empty<Void> end = Sinks.empty();
        unpacking(end.asMono());
        ota.init(Map.of("device_handle", handle));
        ota.on(4, (int code) -> upgrades.add(code));
        Files.write(file, content);

        ota.upgrade(installation(content.length + 1));
        await().atMost(SOON).until(() -> upgrades.size() == 1);
        assertThat(upgrades).as("another length").endsWith(-16);
        Map<String, Object> missing = installation(1);
        missing.put("store_path", directory.resolve("missing").toString());
        ota.upgrade(missing);
        await().atMost(SOON).until(() -> upgrades.size() == 2);
        assertThat(upgrades).as("no such file").endsWith(-17);

        assertThat(ota.upgrade(installation(content.length))).isZero();
        assertThat(ota.upgrade(installation(content.length)))
                .as("one at a time for a directory")
                .isEqualTo(-1);
        end.tryEmitError(new InstallException("no archive", null));
        await().atMost(SOON).until(() -> upgrades.size() == 3);
        assertThat(upgrades).as("no archive").endsWith(-18);
        assertThat(ota.upgrade(installation(content.length))).isZero();
        await().atMost(SOON).until(() -> upgrades.size() == 4);
    }

    @Test
    void whereAKeyIsConfiguredWhatIsNotSignedIsNeitherToldNorDownloaded() throws GeneralSecurityException {
        PublicKey key = KeyPairGenerator.getInstance("RSA").generateKeyPair().getPublic();
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(store.reopen())
                .client(client -> client.publicKey(key).backoff(Backoff.none()))
                .build();
        program();
        UpgradeTrigger unsigned = trigger("app", "2.0.0", sha256(content));

        channel.push(unsigned);
        ota.download(Map.of("url", unsigned.artifact().location().toString(), "store_path", file.toString()));

        await().atMost(SOON).until(() -> !downloads.isEmpty());
        assertThat(downloads).containsExactly(-12);
        await().atMost(SOON)
                .untilAsserted(() -> assertThat(channel.events(UpgradeEvent.Failed.class))
                        .singleElement()
                        .satisfies(failed -> assertThat(failed.cause().stage()).isEqualTo(Stage.VERIFY)));
        assertThat(triggers).isEmpty();
        assertThat(source.requests()).isEmpty();
    }

    @Test
    void withoutAnUnpackerOrADictionaryNothingIsInstalled() {
        assertThat(ota.upgrade(installation(1))).isEqualTo(-1);
        ota.init(Map.of("device_handle", handle));
        assertThat(ota.upgrade(installation(1))).as("none on the class path").isEqualTo(-1);
        assertThat(ota.upgrade(Map.of("length", 1, "store_path", "x"))).isEqualTo(-25);
        assertThat(ota.on(4, (Map<String, Object> data) -> {})).isEqualTo(-25);
    }

    /** Starts anew with an unpacker that writes down what it is asked for, and then does {@code work}. */
    private Map<Path, Path> unpacking(Mono<Void> work) {
        Map<Path, Path> unpacked = new ConcurrentHashMap<>();
        ota.close();
        ota = Ota.builder()
                .source(source)
                .store(store.reopen())
                .unpacker((archive, target) ->
                        Mono.fromRunnable(() -> unpacked.put(archive, target)).then(work))
                .client(client -> client.backoff(Backoff.none()))
                .build();
        return unpacked;
    }

    private Map<String, Object> installation(long length) {
        Map<String, Object> arguments = new HashMap<>();
        arguments.put("length", length);
        arguments.put("store_path", file.toString());
        arguments.put("install_path", directory.resolve("app").toString());
        return arguments;
    }

    @Test
    void aFileThatWasTouchedAfterTheDownloadIsReadAgain() throws IOException {
        program();
        ota.on(2, (int code) -> downloads.add(code));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> downloads.contains(0));
        byte[] tampered = content.clone();
        tampered[100] ^= 1;
        Files.write(file, tampered);
        Files.setLastModifiedTime(file, FileTime.fromMillis(1));

        verify(content.length, "md5", md5(content).hex());

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(verifications).containsExactly(-10);
    }

    @Test
    void aFileThatWasChangedAndGivenItsOldTimeBackIsReadAgain() throws IOException {
        program();
        ota.on(2, (int code) -> downloads.add(code));
        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> downloads.contains(0));
        FileTime before = Files.getLastModifiedTime(file);
        try (FileChannel change = FileChannel.open(file, StandardOpenOption.WRITE)) {
            change.write(ByteBuffer.wrap(new byte[] {(byte) (content[100] ^ 1)}), 100);
        }
        Files.setLastModifiedTime(file, before);

        verify(content.length, "md5", md5(content).hex());

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(verifications).containsExactly(-10);
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aFileThatNobodyTouchedIsNotReadAgain() throws IOException {
        byte[] large = bytes(32 << 20);
        source.chunk(1 << 20);
        program();
        ota.on(2, (int code) -> downloads.add(code));
        UpgradeTrigger trigger = new UpgradeTrigger(
                channel.device(),
                "app",
                "2.0.0",
                new Artifact("app", location("large"), large.length, List.of(md5(large))));
        source.serve(location("large"), large);
        channel.push(trigger);
        await().atMost(SOON).until(() -> downloads.contains(0));
        long before = bytesRead();

        verify(large.length, "md5", md5(large).hex());

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(verifications).containsExactly(0);
        assertThat(bytesRead() - before).isLessThan(large.length / 2);
    }

    /** What this process has read from files so far, by the kernel's count. */
    private static long bytesRead() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/io")).stream()
                .filter(line -> line.startsWith("rchar:"))
                .mapToLong(line -> Long.parseLong(line.substring(6).strip()))
                .sum();
    }

    @Test
    void theLengthIsCheckedToo() throws IOException {
        program();
        Files.write(file, content);

        verify(content.length - 1, "md5", md5(content).hex());

        await().atMost(SOON).until(() -> !verifications.isEmpty());
        assertThat(verifications).containsExactly(-13);
    }

    @Test
    void aFailedVerificationComesBackWithTheOriginalsNumber() throws IOException {
        program();
        verify(1, "md5", md5(content).hex());
        await().atMost(SOON).until(() -> verifications.contains(-17));
        Path link = Files.createSymbolicLink(directory.resolve("link"), directory.resolve("link"));
        ota.verify(Map.of("length", 1, "store_path", link.toString(), "hash_type", "md5", "hash", "00".repeat(16)));
        await().atMost(SOON).until(() -> verifications.size() == 2);
        assertThat(verifications).containsExactly(-17, -17);

        Files.write(file, content);
        verify(content.length, "sha256", "00".repeat(32));
        await().atMost(SOON).until(() -> verifications.contains(-11));
        verify(content.length, "crc32", "00");
        await().atMost(SOON).until(() -> verifications.contains(-25));
        verify(content.length, "md5", "not hexadecimal");
        await().atMost(SOON).until(() -> verifications.size() == 5);
        assertThat(verifications).last().isEqualTo(-25);
    }

    // arguments and callbacks

    @Test
    void whatIsWrongInADictionaryIsANumberAndNoException() {
        Map<String, Object> path = Map.of("store_path", file.toString());
        assertThat(ota.download(Map.of("url", "https://x/y", "store_path", "z")))
                .isEqualTo(-1);
        assertThat(ota.verify(path)).isEqualTo(-1);
        assertThat(ota.report(Map.of())).isEqualTo(-1);
        assertThat(ota.init(Map.of())).isEqualTo(-25);
        assertThat(ota.init(Map.of("device_handle", "1"))).isEqualTo(-25);
        assertThat(ota.init(Map.of("device_handle", -5))).isEqualTo(-25);
        assertThat(ota.init(Map.of("device_handle", handle))).isZero();
        assertThat(ota.init(Map.of("device_handle", handle))).isEqualTo(-1);
        assertThat(ota.download(path)).isEqualTo(-25);
        assertThat(ota.download(Map.of("url", "no url at all", "store_path", "z")))
                .isEqualTo(-25);
        assertThat(ota.verify(path)).isEqualTo(-25);
        assertThat(ota.report(Map.of("module_name", "../../etc", "version", "1")))
                .isEqualTo(-25);
        assertThat(ota.on(2, (Map<String, Object> data) -> {})).isEqualTo(-25);
        assertThat(ota.on(1, (int code) -> {})).isEqualTo(-25);
        assertThat(ota.on(9, (int code) -> {})).isEqualTo(-25);
    }

    @Test
    void aNewCallbackReplacesTheOneBeforeIt() {
        program();
        List<Integer> second = new CopyOnWriteArrayList<>();
        ota.on(2, (int code) -> second.add(code));

        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> second.contains(0));
        assertThat(downloads).isEmpty();
    }

    @Test
    void aCallbackThatThrowsHarmsNobodyElse() {
        program();
        ota.on(1, (Map<String, Object> data) -> {
            onTrigger(data);
            throw new IllegalStateException("legacy code");
        });

        channel.push(trigger("app", "2.0.0", md5(content)));
        await().atMost(SOON).until(() -> verifications.contains(0));
        ota.report(version("app", "2.0.0"));
        channel.push(trigger("app", "3.0.0", md5(content)));

        await().atMost(SOON).until(() -> verifications.size() == 2);
    }

    @Test
    void callbacksRunOneAtATimeOnOneThreadOfTheirOwn() {
        List<String> threads = new CopyOnWriteArrayList<>();
        program();
        ota.on(1, (Map<String, Object> data) -> {
            threads.add(Thread.currentThread().getName());
            onTrigger(data);
        });
        ota.on(2, (int code) -> {
            threads.add(Thread.currentThread().getName());
            onDownload(code);
        });

        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> verifications.contains(0));
        assertThat(Set.copyOf(threads)).containsExactly("otaflux-callbacks");
    }

    @Test
    void aCallbackThatBlocksHoldsUpNoDownload() throws InterruptedException {
        CountDownLatch release = new CountDownLatch(1);
        program();
        ota.on(1, (Map<String, Object> data) -> {
            onTrigger(data);
            awaitLatch(release);
        });

        channel.push(trigger("app", "2.0.0", md5(content)));

        await().atMost(SOON).until(() -> Files.exists(file));
        assertThat(downloads).isEmpty();
        release.countDown();
        await().atMost(SOON).until(() -> verifications.contains(0));
    }

    // The program of the original, in its shape.

    private void program() {
        assertThat(ota.init(Map.of("device_handle", handle))).isZero();
        assertThat(ota.on(1, this::onTrigger)).isZero();
        assertThat(ota.on(2, this::onDownload)).isZero();
        assertThat(ota.on(3, this::onVerify)).isZero();
    }

    private final Map<String, Object> record = new HashMap<>();

    private void onTrigger(Map<String, Object> data) {
        triggers.add(data);
        record.putAll(data);
        record.put("store_path", file.toString());
        ota.download(Map.of("url", record.get("url"), "store_path", record.get("store_path")));
    }

    private void onDownload(int code) {
        downloads.add(code);
        if (code >= 0) {
            ota.verify(record);
        }
    }

    private void onVerify(int code) {
        verifications.add(code);
    }

    private void verify(long length, String type, String hash) {
        assertThat(ota.verify(
                        Map.of("length", (int) length, "store_path", file.toString(), "hash_type", type, "hash", hash)))
                .isZero();
    }

    private Map<String, Object> version(String module, String version) {
        DeviceId device = channel.device();
        return Map.of(
                "device_handle", handle,
                "product_key", device.product(),
                "device_name", device.name(),
                "module_name", module,
                "version", version);
    }

    private UpgradeTrigger trigger(String module, String version, Digest digest) {
        URI location = location(module + "-" + version);
        source.serve(location, content);
        return new UpgradeTrigger(
                channel.device(), module, version, new Artifact(module, location, content.length, List.of(digest)));
    }

    private static URI location(String name) {
        // Longer than the 255 bytes at which the original cut it off.
        return URI.create("https://files.example.com/" + name + "?Signature=" + "a".repeat(900));
    }

    private static void awaitLatch(CountDownLatch latch) {
        try {
            assertThat(latch.await(SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }

    private static Digest md5(byte[] content) {
        return digest(Digest.Algorithm.MD5, content);
    }

    private static Digest sha256(byte[] content) {
        return digest(Digest.Algorithm.SHA_256, content);
    }

    private static Digest digest(Digest.Algorithm algorithm, byte[] content) {
        Hasher hasher = new Hasher(Set.of(algorithm));
        hasher.update(ByteBuffer.wrap(content));
        return hasher.finish().get(0);
    }

    /** Counts how often it is closed. */
    private record ClosingStore(ArtifactStore store, AtomicInteger closings) implements ArtifactStore {

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact);
        }

        @Override
        public UpgradeJournal journal() {
            return store.journal();
        }

        @Override
        public Mono<Void> close() {
            return store.close().doOnSubscribe(begun -> closings.incrementAndGet());
        }
    }
}
