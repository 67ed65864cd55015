package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.samples.platform.RequestRefusedException.Reason;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PackagesTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    private final PlatformState state = new PlatformState();
    private final Packages packages = new Packages(state);

    @BeforeEach
    void aProduct() {
        new Jobs(state).createProduct("pk", NOW);
    }

    @Test
    void aPackageHasOneToTwentyFiles() {
        refused(Reason.INVALID, "1 to 20 files, not 0", () -> packages.add(request("1"), List.of(), NOW));
        assertThat(packages.add(request("1"), files(20), NOW).files()).hasSize(20);
        refused(Reason.INVALID, "1 to 20 files, not 21", () -> packages.add(request("2"), files(21), NOW));
    }

    @Test
    void filesOfAPackageOfSeveralHaveDifferentNames() {
        refused(Reason.INVALID, "called 'a.bin'", () -> Limits.fileNames(List.of("a.bin", "a.bin")));
        refused(Reason.INVALID, "must have a name", () -> Limits.fileNames(Arrays.asList("a.bin", null)));
        Limits.fileNames(Collections.singletonList(null));
        Limits.fileNames(List.of("a.bin", "A.bin"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "a/b.bin", "a\\b.bin", "a\nb.bin", "a:b.bin", "a?.bin", "123456789012345678901234567890.bin"
            })
    void aNameThatIsNoFileNameIsRefused(String name) {
        assertThatThrownBy(() -> Limits.fileNames(List.of(name)))
                .isInstanceOf(RequestRefusedException.class)
                .hasMessageContaining("1 to 32 characters");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a.bin",
                "a.dav",
                "a.apk",
                "a.tar",
                "a.gz",
                "a.tar.gz",
                "a.zip",
                "a.gzip",
                "a.tar.xz",
                "a.pack",
                "A.BIN",
                "固件 1.bin",
                "1234567890123456789012345678.bin"
            })
    void theSuffixesOfTheDocumentsAreTaken(String name) {
        Limits.fileNames(List.of(name));
    }

    @ParameterizedTest
    @ValueSource(strings = {"a", "a.exe", "a.bin.sh", "a.xz", "bin"})
    void anotherSuffixIsRefusedAndTheAllowedOnesAreSaid(String name) {
        assertThatThrownBy(() -> Limits.fileNames(List.of(name)))
                .isInstanceOf(RequestRefusedException.class)
                .hasMessageContaining(".bin .dav .apk .tar .gz .zip .gzip .tar.xz .pack");
    }

    @Test
    void aDeltaIsFromAnotherVersionThanItBrings() {
        refused(
                Reason.INVALID,
                "another version",
                () -> packages.check(request("2").asDeltaFrom("2")));
        refused(Reason.INVALID, "srcVersion", () -> packages.check(request("2").asDeltaFrom("a b")));
        assertThat(packages.add(request("2").asDeltaFrom("1"), files(1), NOW).delta())
                .isTrue();
    }

    @Test
    void aVersionMayComeInFullAndAsDeltasFromSeveral() {
        packages.add(request("2"), files(1), NOW);
        packages.add(request("2").asDeltaFrom("1"), files(1), NOW);
        packages.add(request("2").asDeltaFrom("1.5"), files(1), NOW);

        refused(Reason.CONFLICT, "p1 is already version 2 of", () -> packages.check(request("2")));
        refused(
                Reason.CONFLICT,
                "p2 is already version 2 as a delta from 1",
                () -> packages.check(request("2").asDeltaFrom("1")));
    }

    @Test
    void aNameOfAPackageIsShortAndUniqueOnThePlatform() {
        new Jobs(state).createProduct("other", NOW);
        packages.add(request("1").withName("Spring release"), files(1), NOW);

        refused(
                Reason.CONFLICT,
                "p1 is called",
                () -> packages.check(PackageRequest.of("other", "app", "1").withName("Spring release")));
        packages.check(request("2").withName("n".repeat(40)));
        refused(Reason.INVALID, "1 to 40", () -> packages.check(request("2").withName("n".repeat(41))));
        refused(Reason.INVALID, "1 to 40", () -> packages.check(request("2").withName(" ")));
        refused(Reason.INVALID, "1 to 40", () -> packages.check(request("2").withName("a\nb")));
    }

    @Test
    void customInfoIsAtMost4096Characters() {
        packages.check(request("1").withCustomInfo("x".repeat(4096)));
        refused(Reason.INVALID, "4096", () -> packages.check(request("1").withCustomInfo("x".repeat(4097))));
    }

    @Test
    void thereAreAtMostFiveHundredPackages() {
        for (int i = 0; i < 500; i++) {
            packages.add(request("1." + i), files(1), NOW);
        }

        refused(Reason.CONFLICT, "500 packages", () -> packages.check(request("2")));
    }

    @Test
    void aProductHasTenModulesBesideTheDefaultOne() {
        for (int i = 0; i < 9; i++) {
            packages.createModule("pk", "m" + i, null, null, NOW);
        }
        packages.add(PackageRequest.of("pk", "m9", "1"), files(1), NOW);

        refused(Reason.CONFLICT, "10 modules", () -> packages.createModule("pk", "m10", null, null, NOW));
        refused(Reason.CONFLICT, "10 modules", () -> packages.check(PackageRequest.of("pk", "m10", "1")));
        packages.check(PackageRequest.of("pk", "m3", "1"));
        packages.check(PackageRequest.of("pk", "default", "1"));
    }

    @Test
    void namesOfModulesDifferInMoreThanCase() {
        packages.createModule("pk", "mcu", null, null, NOW);

        refused(Reason.CONFLICT, "module 'mcu'", () -> packages.createModule("pk", "MCU", null, null, NOW));
        refused(Reason.CONFLICT, "module 'mcu'", () -> packages.check(PackageRequest.of("pk", "Mcu", "1")));
        refused(Reason.CONFLICT, "module 'default'", () -> packages.createModule("pk", "Default", null, null, NOW));
        refused(Reason.INVALID, "1 to 64", () -> packages.createModule("pk", "m".repeat(65), null, null, NOW));
    }

    @Test
    void aModulesTextsCanBeChangedAndItsNameCannot() {
        packages.createModule("pk", "mcu", "controller", null, NOW);

        ProductModule edited = packages.editModule("pk", "mcu", null, "the one below");

        assertThat(edited).isEqualTo(new ProductModule("pk", "mcu", "controller", "the one below", NOW));
        assertThat(packages.modules("pk")).extracting(ProductModule::name).containsExactly("default", "mcu");
        refused(Reason.NOT_FOUND, "pk/none", () -> packages.editModule("pk", "none", "a", null));
        refused(Reason.INVALID, "512", () -> packages.editModule("pk", "mcu", "a".repeat(513), null));
    }

    @Test
    void aGroupHasDevicesThatThereAre() {
        Jobs jobs = new Jobs(state);
        jobs.createDevice(new DeviceKey("pk", "b"), "CANARY", NOW);
        jobs.createDevice(new DeviceKey("pk", "a"), "CANARY", NOW);

        assertThat(packages.putGroup("pk", "ring", List.of("b", "a", "b")).devices())
                .containsExactly("a", "b");
        refused(Reason.NOT_FOUND, "pk/c", () -> packages.putGroup("pk", "ring", List.of("c")));
        assertThat(packages.requireGroup("pk", "ring").devices()).hasSize(2);
        refused(Reason.NOT_FOUND, "pk/none", () -> packages.requireGroup("pk", "none"));
    }

    private static PackageRequest request(String version) {
        return PackageRequest.of("pk", "app", version);
    }

    private static List<PackageFile> files(int count) {
        return new ArrayList<>(IntStream.range(0, count)
                .mapToObj(i -> new PackageFile("f" + i + ".bin", 1, "a", "b", null))
                .toList());
    }

    private static void refused(Reason reason, String words, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        RequestRefusedException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(reason))
                .hasMessageContaining(words);
    }
}
