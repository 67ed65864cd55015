package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.otaflux.testkit.Mutant;
import io.otaflux.testkit.RequiresProgram;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Power cuts on real file systems: what was said to be durable is there, and what is there is whole. */
@Tag("faults")
@RequiresProgram(value = "python3", debianPackage = "python3")
@RequiresProgram(value = "mkfs.ext4", debianPackage = "e2fsprogs")
@RequiresProgram(value = "mkfs.xfs", debianPackage = "xfsprogs")
class FileSystemPowerCutTest {

    private static final int CUTS = 100;
    private static final int CUTS_OF_MUTANT = 20;

    private static final long SEED = Long.getLong("otaflux.seed", System.nanoTime());

    @TempDir
    Path directory;

    @BeforeEach
    void onlyRootMayMount() throws IOException {
        if (!Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))) {
            String reason = "SKIPPED power cuts: need root, to mount file systems";
            System.err.println(reason);
            abort(reason);
        }
    }

    @Test
    void whatWasDoneSurvivesAPowerCutAndNothingIsHalf() {
        Map<LoopFileSystem.Kind, List<String>> bad = cut(PowerCutProgram.Without.NOTHING, CUTS);

        assertThat(bad)
                .as("seed %d", SEED)
                .allSatisfy((kind, states) -> assertThat(states).isEmpty());
        System.err.printf("figure: power cuts: %d on ext4, %d on xfs, 0 bad states%n", CUTS, CUTS);
    }

    @Test
    void withoutSynchronisingFilesItDoesNot() {
        Map<LoopFileSystem.Kind, List<String>> bad = cut(PowerCutProgram.Without.SYNC, CUTS_OF_MUTANT);

        bad.forEach((kind, states) -> {
            Mutant.assertCaught(
                    "synchronising files, on " + kind, () -> assertThat(states).isEmpty());
            System.err.printf(
                    "figure: power cuts without fsync: %d of %d bad on %s%n", states.size(), CUTS_OF_MUTANT, kind);
        });
    }

    @Test
    void withoutSynchronisingDirectoriesItDoesNot() {
        Map<LoopFileSystem.Kind, List<String>> bad = cut(PowerCutProgram.Without.DIRECTORY_SYNC, CUTS_OF_MUTANT);

        bad.forEach((kind, states) -> {
            Mutant.assertCaught(
                    "synchronising directories, on " + kind,
                    () -> assertThat(states).isEmpty());
            System.err.printf(
                    "figure: power cuts without fsync of directories: %d of %d bad on %s%n",
                    states.size(), CUTS_OF_MUTANT, kind);
        });
    }

    /** Both file systems at once. */
    private Map<LoopFileSystem.Kind, List<String>> cut(PowerCutProgram.Without without, int times) {
        Map<LoopFileSystem.Kind, CompletableFuture<List<String>>> running = new EnumMap<>(LoopFileSystem.Kind.class);
        for (LoopFileSystem.Kind kind : LoopFileSystem.Kind.values()) {
            running.put(kind, CompletableFuture.supplyAsync(() -> cut(kind, without, times)));
        }
        // Both to their end, so that nothing stays mounted.
        running.values()
                .forEach(states -> states.handle((found, failure) -> failure).join());
        Map<LoopFileSystem.Kind, List<String>> bad = new EnumMap<>(LoopFileSystem.Kind.class);
        running.forEach((kind, states) -> bad.put(kind, join(states)));
        return bad;
    }

    private List<String> cut(LoopFileSystem.Kind kind, PowerCutProgram.Without without, int times) {
        try (LoopFileSystem medium = LoopFileSystem.make(kind, directory)) {
            PowerCut cuts = new PowerCut(medium, without, new Random(SEED));
            return cuts.cut(times);
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static <T> T join(CompletableFuture<T> running) {
        try {
            return running.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            if (e.getCause() instanceof Error cause) {
                throw cause;
            }
            throw e;
        }
    }
}
