package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Mutant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real agent process, killed at random moments of whole upgrades: nothing half, nothing lost, nothing twice. */
@Tag("faults")
@RequiresServers
class KillTest {

    private static final int KILLS = 155;

    /** Set it to repeat a run, as far as the times of processes can be repeated. */
    private static final long SEED = Long.getLong("otaflux.seed", System.nanoTime());

    @TempDir
    Path directory;

    @Test
    void anAgentThatIsKilledAtAnyMomentLosesNothingAndInstallsNothingTwice() {
        // Two at a time: one module that is a file, and the firmware in its slots.
        List<CompletableFuture<KillLoop.Figures>> running = Stream.of("app", "default")
                .map(module -> CompletableFuture.supplyAsync(() -> run(module, AgentProgram.Without.NOTHING, KILLS)))
                .toList();
        // Both to their end, so that no process outlives this test.
        running.forEach(loop -> loop.handle((figures, failure) -> failure).join());
        List<KillLoop.Figures> figures = running.stream().map(KillTest::join).toList();

        int kills = figures.stream().mapToInt(KillLoop.Figures::kills).sum();
        int upgrades = figures.stream().mapToInt(KillLoop.Figures::upgrades).sum();
        List<Long> again = figures.stream()
                .flatMap(figure -> figure.again().stream())
                .sorted()
                .toList();
        System.err.printf(
                "figure: kill -9 rounds: %d over %d upgrades, 0 wrong files, 0 lost triggers, 0 installed twice,"
                        + " median bytes fetched again: %d, at most: %d%n",
                kills, upgrades, again.get(again.size() / 2), again.get(again.size() - 1));
        assertThat(kills).isGreaterThanOrEqualTo(300);
    }

    @Test
    void withoutTheJournalATriggerIsLost() {
        Mutant.assertCaught(
                "the trigger in the journal before it is acknowledged",
                () -> run("app", AgentProgram.Without.JOURNAL, 40));
    }

    @Test
    void withoutAReplacementInOneStepAFileIsHalf() {
        Mutant.assertCaught(
                "the replacement of the file in one step",
                () -> run("app", AgentProgram.Without.ATOMIC_REPLACEMENT, 100));
    }

    private KillLoop.Figures run(String module, AgentProgram.Without without, int kills) {
        try (KillLoop loop =
                new KillLoop(Files.createDirectory(directory.resolve(module)), module, without, new Random(SEED))) {
            return loop.run(kills);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (AssertionError e) {
            throw new AssertionError("seed " + SEED + ": " + e.getMessage(), e);
        }
    }

    private static KillLoop.Figures join(CompletableFuture<KillLoop.Figures> running) {
        try {
            return running.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof AssertionError found) {
                throw found;
            }
            throw e;
        }
    }
}
