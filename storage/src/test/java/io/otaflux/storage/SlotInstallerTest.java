package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.InstallException;
import io.otaflux.Installer;
import io.otaflux.OtaException;
import io.otaflux.StorageException;
import io.otaflux.Verified;
import io.otaflux.testkit.InstallerContract;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.test.StepVerifier;

class SlotInstallerTest implements InstallerContract {

    private static final Map<String, String> CONTENTS = Map.of("1.0", "one", "2.0", "two", "3.0", "three");

    @TempDir
    Path directory;

    private StoreFixture store;
    private Path firmware;
    private SlotInstaller installer;

    @BeforeEach
    void open() {
        store = new StoreFixture(directory.resolve("store"));
        firmware = directory.resolve("firmware");
        installer = SlotInstaller.in(firmware);
    }

    @AfterEach
    void close() {
        store.close();
    }

    @Override
    public Installer installer() {
        return installer;
    }

    @Override
    public Verification verification() {
        return store.verification();
    }

    @Override
    public Optional<byte[]> installed() {
        Path current = firmware.resolve("current").resolve("app.bin");
        try {
            return Files.exists(current) ? Optional.of(Files.readAllBytes(current)) : Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void anEmptyDirectoryHasNothingToRun() {
        assertThat(boot(installer)).isEmpty();
        assertThat(firmware.resolve("current")).doesNotExist();
    }

    @Test
    void anUpgradeIsTriedAtTheNextStartAndStaysWhenItIsConfirmed() {
        Verified one = confirmed("1.0", "one");
        Verified two = upgrade("2.0", "two");

        install(installer, two);

        assertThat(installer.awaitsRestart(two.trigger())).isTrue();
        assertThat(installer.awaitsRestart(one.trigger())).isFalse();
        SlotInstaller restarted = SlotInstaller.in(firmware);
        assertThat(restarted.awaitsRestart(two.trigger()))
                .as("before the start is counted")
                .isTrue();
        assertThat(boot(restarted)).contains(new SlotInstaller.Boot(firmware.resolve("b"), "2.0", 1, null));
        assertThat(restarted.awaitsRestart(two.trigger())).isFalse();
        restarted
                .confirm(two.trigger())
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        restarted
                .confirm(two.trigger())
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        for (int start = 0; start < 5; start++) {
            assertThat(boot(SlotInstaller.in(firmware)))
                    .contains(new SlotInstaller.Boot(firmware.resolve("b"), "2.0", 0, null));
        }
        assertThat(running()).isEqualTo("two");
    }

    @Test
    void aVersionThatIsNeverConfirmedIsGivenUpAfterThreeStarts() {
        confirmed("1.0", "one");
        Verified two = upgrade("2.0", "two");
        install(installer, two);

        for (int attempt = 1; attempt <= 3; attempt++) {
            assertThat(boot(SlotInstaller.in(firmware)))
                    .contains(new SlotInstaller.Boot(firmware.resolve("b"), "2.0", attempt, null));
            assertThat(running()).isEqualTo("two");
        }

        SlotInstaller fourth = SlotInstaller.in(firmware);
        assertThat(boot(fourth)).contains(new SlotInstaller.Boot(firmware.resolve("a"), "1.0", 0, "2.0"));
        assertThat(running()).isEqualTo("one");
        assertThat(fourth.awaitsRestart(two.trigger())).isFalse();
        assertThat(boot(SlotInstaller.in(firmware)))
                .contains(new SlotInstaller.Boot(firmware.resolve("a"), "1.0", 0, null));
        fourth.confirm(two.trigger())
                .as(StepVerifier::create)
                .expectError(InstallException.class)
                .verify(SOON);
    }

    @Test
    void aFirstVersionThatDoesNotComeUpGivesWayToWhatTheDeviceCameWith() {
        SlotInstaller once = SlotInstaller.builder(firmware).starts(1).build();
        install(once, upgrade("1.0", "one"));
        assertThat(boot(once)).map(SlotInstaller.Boot::attempt).contains(1);

        assertThat(boot(once)).isEmpty();

        assertThat(firmware.resolve("current")).doesNotExist();
        assertThat(boot(SlotInstaller.in(firmware))).isEmpty();
    }

    @Test
    void aSlotThatWasFilledByHandIsTakenOver() throws IOException {
        Path factory = directory.resolve("factory");
        Files.createDirectories(factory.resolve("b"));
        Files.writeString(factory.resolve("b").resolve("app.bin"), "factory");
        Files.createSymbolicLink(factory.resolve("current"), Path.of("b"));
        SlotInstaller adopted = SlotInstaller.builder(factory).starts(1).build();

        assertThat(boot(adopted))
                .contains(new SlotInstaller.Boot(factory.resolve("b"), SlotInstaller.FACTORY, 0, null));
        install(adopted, upgrade("1.0", "one"));
        assertThat(boot(adopted)).map(SlotInstaller.Boot::slot).contains(factory.resolve("a"));
        assertThat(boot(adopted)).map(SlotInstaller.Boot::slot).contains(factory.resolve("b"));
        assertThat(factory.resolve("b").resolve("app.bin")).hasContent("factory");
    }

    @Test
    void aLinkToSomewhereElseIsNotTouched() throws IOException {
        Path elsewhere = Files.createDirectories(directory.resolve("elsewhere"));
        Files.createSymbolicLink(elsewhere.resolve("current"), directory);

        assertThatThrownBy(() -> SlotInstaller.in(elsewhere))
                .isInstanceOf(StorageException.class)
                .hasMessageContaining("expected: a directory a or b");
        assertThat(elsewhere.resolve("current")).isSymbolicLink();
    }

    @Test
    void severalFilesAreSwitchedTogether() {
        Verified upgrade = verification().upgrade("default", "1.0", bytes("kernel"), bytes("root"));

        install(installer, upgrade);

        assertThat(firmware.resolve("current").resolve("app.bin")).hasContent("kernel");
        assertThat(firmware.resolve("current").resolve("app-1.bin")).hasContent("root");
    }

    @Test
    void anUpgradeThatWasNotStartedYetGivesWayToANewerOne() {
        confirmed("1.0", "one");
        install(installer, upgrade("2.0", "two"));

        install(installer, upgrade("3.0", "three"));

        assertThat(running()).isEqualTo("three");
        assertThat(firmware.resolve("a").resolve("app.bin"))
                .as("the confirmed one")
                .hasContent("one");
    }

    @Test
    void nothingIsInstalledOverARunningVersionThatIsNotConfirmed() {
        confirmed("1.0", "one");
        Verified two = upgrade("2.0", "two");
        install(installer, two);
        boot(installer);

        installer
                .install(upgrade("3.0", "three"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(InstallException.class)
                        .hasMessageContaining("version 2.0 runs from slot b and is not confirmed"))
                .verify(SOON);
        installer
                .install(two)
                .as(StepVerifier::create)
                .as("the running one is in effect already")
                .expectNext(Installer.Effect.IMMEDIATE)
                .expectComplete()
                .verify(SOON);

        assertThat(running()).isEqualTo("two");
    }

    @Test
    void whoBeginsAgainWhatThisStartGaveUpIsToldAndMayThenInstallIt() {
        confirmed("1.0", "one");
        Verified two = upgrade("2.0", "two");
        install(installer, two);
        for (int start = 0; start < 3; start++) {
            assertThat(boot(installer)).map(SlotInstaller.Boot::version).contains("2.0");
        }
        assertThat(boot(installer)).map(SlotInstaller.Boot::version).contains("1.0");

        installer
                .install(two)
                .as(StepVerifier::create)
                .expectErrorSatisfies(error ->
                        assertThat(((InstallException) error).reason()).isEqualTo(OtaException.Reason.ROLLED_BACK))
                .verify(Duration.ofSeconds(10));

        install(installer, two);
        assertThat(boot(installer)).map(SlotInstaller.Boot::version).contains("2.0");
    }

    @Test
    void whoAskedForTheRestartKnowsOfTheRollBack() {
        confirmed("1.0", "one");
        Verified two = upgrade("2.0", "two");
        install(installer, two);
        for (int start = 0; start < 4; start++) {
            boot(installer);
        }

        assertThat(installer.awaitsRestart(two.trigger())).isFalse();

        install(installer, two);
        assertThat(installer.awaitsRestart(two.trigger())).isTrue();
    }

    @Test
    void aDamagedStateLeavesTheLinkedSlotInUse() throws IOException {
        confirmed("1.0", "one");
        Files.writeString(firmware.resolve("state"), "nonsense");

        assertThat(boot(SlotInstaller.in(firmware)))
                .contains(new SlotInstaller.Boot(firmware.resolve("a"), SlotInstaller.FACTORY, 0, null));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "slots confirmed=a starts=0",
                "slots b=2.0 confirmed=b pending=b starts=0",
                "slots b=2.0 pending=b starts=-1",
                "slots b=2.0 pending=b starts=many",
                "slots b=2.0 pending=b starts=99999999999",
                "slots b"
            })
    void anIntactStateThatMakesNoSenseLeavesTheLinkedSlotInUse(String state) throws IOException {
        confirmed("1.0", "one");
        Files.writeString(firmware.resolve("state"), Escaped.sealed(state));

        assertThat(boot(SlotInstaller.in(firmware)))
                .contains(new SlotInstaller.Boot(firmware.resolve("a"), SlotInstaller.FACTORY, 0, null));
    }

    @Test
    void everyStepIsDurableBeforeTheNextOneCountsOnIt() {
        confirmed("1.0", "one");
        CrashingDisk disk = new CrashingDisk(Integer.MAX_VALUE);

        install(SlotInstaller.builder(firmware).disk(disk).build(), upgrade("2.0", "two"));

        assertThat(disk.changes())
                .containsExactly(
                        "create .new-N",
                        "create app.bin",
                        "write",
                        "sync",
                        "sync .new-N",
                        "rename b",
                        "sync firmware",
                        "delete state.tmp",
                        "create state.tmp",
                        "write",
                        "sync",
                        "rename state",
                        "sync firmware",
                        "delete current.tmp",
                        "link current.tmp",
                        "rename current",
                        "sync firmware");
    }

    @Test
    void aCrashAtAnyPointOfAnUpgradeLeavesExactlyOneVersion() throws IOException {
        Verified two = upgrade("2.0", "two");
        int points =
                crashEverywhere(broken -> broken.install(two).onErrorComplete().block(SOON));
        assertThat(points).as("changes of the medium that were tried").isGreaterThan(12);
    }

    @Test
    void aCrashAtAnyPointOfAStartLeavesExactlyOneVersion() throws IOException {
        Verified two = upgrade("2.0", "two");
        install(installer, two);
        crashEverywhere(broken -> {
            for (int start = 0; start < 5; start++) {
                broken.boot().onErrorComplete().block(SOON);
            }
        });
    }

    @Test
    void aCrashAtAnyPointOfAConfirmationLeavesExactlyOneVersion() throws IOException {
        Verified two = upgrade("2.0", "two");
        crashEverywhere(broken -> {
            broken.install(two).onErrorComplete().block(SOON);
            broken.boot().onErrorComplete().block(SOON);
            broken.confirm(two.trigger()).onErrorComplete().block(SOON);
        });
    }

    @Test
    void aCrashWhileANewerUpgradeReplacesAWaitingOneLeavesExactlyOneVersion() throws IOException {
        Verified two = upgrade("2.0", "two");
        Verified three = upgrade("3.0", "three");
        int points = crashEverywhere(broken -> {
            broken.install(two).onErrorComplete().block(SOON);
            broken.install(three).onErrorComplete().block(SOON);
        });
        assertThat(points).as("changes of the medium that were tried").isGreaterThan(30);
    }

    /** Crashes {@code work} on a directory with version 1.0 at every change of the medium, one after another. */
    private int crashEverywhere(Consumer<SlotInstaller> work) throws IOException {
        int points = 0;
        for (boolean crashed = true; crashed; points++) {
            firmware = directory.resolve("crash-" + points);
            installer = SlotInstaller.in(firmware);
            confirmed("1.0", "one");
            CrashingDisk disk = new CrashingDisk(points);
            work.accept(SlotInstaller.builder(firmware).disk(disk).build());
            crashed = disk.crashed();

            assertThat(running()).as("linked after a crash at change " + points).isIn(CONTENTS.values());
            SlotInstaller restarted = SlotInstaller.in(firmware);
            assertThat(running()).as("linked after the restart").isIn(CONTENTS.values());
            SlotInstaller.Boot boot = boot(restarted).orElseThrow();
            assertThat(firmware.resolve("current").toRealPath()).isEqualTo(boot.slot());
            assertThat(boot.slot().resolve("app.bin")).hasContent(CONTENTS.get(boot.version()));
            try (var files = Files.list(firmware)) {
                assertThat(files.map(file -> file.getFileName().toString()))
                        .isSubsetOf(List.of("a", "b", "current", "state", "state.tmp", "current.tmp"));
            }
            // And an upgrade from here succeeds, whatever was left.
            for (int start = 0; start < 4; start++) {
                boot = boot(restarted).orElseThrow();
            }
            if (boot.attempt() == 0) {
                install(restarted, upgrade("4.0", "four"));
                assertThat(boot(restarted)).map(SlotInstaller.Boot::version).contains("4.0");
                assertThat(running()).isEqualTo("four");
            }
        }
        return points;
    }

    private Verified upgrade(String version, String content) {
        return verification().upgrade("default", version, bytes(content));
    }

    private Verified confirmed(String version, String content) {
        Verified upgrade = upgrade(version, content);
        install(installer, upgrade);
        boot(installer);
        installer
                .confirm(upgrade.trigger())
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        return upgrade;
    }

    private static void install(SlotInstaller slots, Verified upgrade) {
        slots.install(upgrade)
                .as(StepVerifier::create)
                .expectNext(Installer.Effect.AFTER_RESTART)
                .expectComplete()
                .verify(SOON);
    }

    private static Optional<SlotInstaller.Boot> boot(SlotInstaller slots) {
        return slots.boot().blockOptional(SOON);
    }

    private String running() {
        assertThat(Files.isSymbolicLink(firmware.resolve("current"))).isTrue();
        assertThat(Files.isDirectory(firmware.resolve("current"), new LinkOption[0]))
                .isTrue();
        return new String(installed().orElseThrow(), StandardCharsets.UTF_8);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
