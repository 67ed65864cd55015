package io.otaflux.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** The benchmarks run; how fast is not this test's question. */
class BenchmarksTest {

    @Test
    void everyBenchmarkRuns() throws RunnerException {
        Options once = new OptionsBuilder()
                .include("io\\.otaflux\\..*")
                .param("size", "65536")
                .param("mebibytes", "1")
                .param("chunk", "262144")
                .param("checkpoint", "1")
                .param("joiners", "10")
                .param("atOnce", "16")
                .param("open", "10")
                .param("devices", "2")
                .forks(0)
                .warmupIterations(0)
                .measurementIterations(1)
                .measurementTime(TimeValue.milliseconds(1))
                .shouldFailOnError(true)
                .verbosity(VerboseMode.SILENT)
                .build();

        Collection<RunResult> results = new Runner(once).run();

        assertThat(results)
                .extracting(result -> result.getParams().getBenchmark().replaceAll(".*\\.(\\w+\\.\\w+)", "$1"))
                .containsOnly(
                        "AppendBenchmark.append",
                        "CallbackBenchmark.callbacks",
                        "CallbackBenchmark.calls",
                        "CallbackBenchmark.stages",
                        "HasherBenchmark.bareDigest",
                        "HasherBenchmark.hasher",
                        "JoinBenchmark.join",
                        "JournalBenchmark.change",
                        "PipelineBenchmark.byHand",
                        "PipelineBenchmark.pushed",
                        "ProgressBenchmark.progress",
                        "PushBenchmark.read");
        assertThat(results)
                .allSatisfy(result ->
                        assertThat(result.getPrimaryResult().getScore()).isPositive());
    }
}
