package io.otaflux.storage;

import static io.otaflux.testkit.ArtifactStoreContract.bytes;
import static io.otaflux.testkit.ArtifactStoreContract.sha256;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.StorageException;
import io.otaflux.Verified;
import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Somebody has put symbolic links where this library will write, to a file and a directory that are not its own. Whatever it
 * makes of them: what they lead to stays as it is.
 */
class PlantedLinkTest {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final byte[] CONTENT = bytes(200_000, 7);
    private static final String NAME = "sha256-" + sha256(CONTENT).hex();

    @TempDir
    Path directory;

    private Path victims;

    @BeforeEach
    void victims() throws IOException {
        victims = Files.createDirectory(directory.resolve("victims"));
        Files.writeString(victims.resolve("file"), "precious");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".part", ".checkpoint", ".digests", ".checkpoint.tmp", ".digests.tmp"})
    void whatIsPlantedInAStoreThatIsOpenIsNotFollowed(String suffix) throws IOException {
        for (String victim : List.of("file", "")) {
            plantAndUpgrade(Disk.REAL, suffix, victim);
        }
    }

    @Test
    void aDiskThatFollowsLinksIsNoticed() {
        Disk following = new Disk() {
            @Override
            FileChannel open(Path file) throws IOException {
                return FileChannel.open(
                        file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
            }
        };
        Mutant.assertCaught("NOFOLLOW_LINKS", () -> plantAndUpgrade(following, ".part", "file"));
    }

    private void plantAndUpgrade(Disk disk, String suffix, String victim) throws IOException {
        Path place = directory.resolve("store" + suffix + victim);
        FileArtifactStore opened = FileArtifactStore.builder(place).disk(disk).build();
        try (StoreFixture store = new StoreFixture(opened)) {
            Files.createSymbolicLink(place.resolve(NAME + suffix), victims.resolve(victim));

            upgradeOrRefuse(store);

            assertUntouched();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".part", ".checkpoint", ".digests", ".checkpoint.tmp", ".digests.tmp"})
    void whatIsPlantedBeforeAStoreIsOpenedIsNotFollowed(String suffix) throws IOException {
        for (String victim : List.of("file", "")) {
            Path place = Files.createDirectory(directory.resolve("store" + suffix + victim));
            Files.createSymbolicLink(place.resolve(NAME + suffix), victims.resolve(victim));

            if (suffix.endsWith(".tmp")) {
                try (StoreFixture store = new StoreFixture(place)) {
                    upgradeOrRefuse(store);
                }
            } else {
                assertThatThrownBy(() -> new StoreFixture(place)).isInstanceOf(StorageException.class);
            }

            assertUntouched();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"a", "b", "state", "state.tmp", "current.tmp", ".new-1"})
    void whatIsPlantedAmongSlotsIsNotFollowed(String planted) throws IOException {
        for (String victim : List.of("file", "")) {
            Path firmware = Files.createDirectory(directory.resolve("firmware" + victim));
            try (StoreFixture store = new StoreFixture(directory.resolve("store" + victim))) {
                Verified upgrade = store.verification().upgrade("default", "2.0", CONTENT);
                Files.createSymbolicLink(firmware.resolve(planted), victims.resolve(victim));

                try {
                    SlotInstaller.in(firmware).install(upgrade).block(SOON);
                } catch (StorageException refused) {
                    assertThat(refused).hasMessageContaining(firmware.toString());
                }

                assertUntouched();
            }
        }
    }

    @Test
    void aLinkInThePlaceOfAModuleIsReplacedAndNotFollowed() throws IOException {
        Path target = directory.resolve("app.jar");
        try (StoreFixture store = new StoreFixture(directory.resolve("store"))) {
            Verified upgrade = store.verification().upgrade("app", "2.0", CONTENT);
            for (String planted : List.of("app.jar", ".app.jar.otaflux", "app.jar.otaflux")) {
                Files.deleteIfExists(directory.resolve(planted));
                Files.createSymbolicLink(directory.resolve(planted), victims.resolve("file"));

                FileInstaller.to(target).install(upgrade).block(SOON);

                assertThat(target).isRegularFile().hasBinaryContent(CONTENT);
                assertUntouched();
            }
        }
    }

    private static void upgradeOrRefuse(StoreFixture store) {
        try {
            store.verification().upgrade("app", "2.0", CONTENT);
        } catch (StorageException refused) {
            assertThat(refused).hasMessageContaining(NAME);
        }
    }

    private void assertUntouched() throws IOException {
        List<String> found = new ArrayList<>();
        try (var files = Files.list(victims)) {
            files.forEach(file -> found.add(file.getFileName().toString()));
        }
        assertThat(found).containsExactly("file");
        assertThat(victims.resolve("file")).hasBinaryContent("precious".getBytes(StandardCharsets.UTF_8));
    }
}
