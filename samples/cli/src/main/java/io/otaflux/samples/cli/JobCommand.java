package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The jobs of a platform. */
@Command(
        name = "job",
        subcommands = {JobCommand.Create.class, JobCommand.ListAll.class, JobCommand.Watch.class},
        synopsisSubcommandLabel = "COMMAND",
        description = "Creates, lists and watches the jobs that bring a package to devices.")
final class JobCommand {

    @Command(name = "create", description = "Creates a job. Prints its id.")
    static final class Create implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Option(names = "--package", required = true, paramLabel = "ID", description = "The package to bring.")
        @SuppressWarnings("NullAway.Init")
        private String packageId;

        @Option(
                names = "--device",
                paramLabel = "NAME",
                description = "A device to bring it to. Repeatable. Defaults to all of the package's product.")
        private List<String> devices = List.of();

        @Option(
                names = "--source-version",
                paramLabel = "V",
                description = "Only devices that run this version. Repeatable. Defaults to any.")
        private List<String> sourceVersions = List.of();

        @Option(
                names = "--timeout-minutes",
                paramLabel = "N",
                description = "How long a device may take from its first progress. Defaults to no limit.")
        private @Nullable Integer timeoutMinutes;

        @Option(names = "--json", description = "Print the job as JSON.")
        private boolean json;

        @Override
        public Integer call() {
            ObjectNode request = api.object().put("packageId", packageId);
            if (!devices.isEmpty()) {
                fill(request.putArray("devices"), devices);
            }
            if (!sourceVersions.isEmpty()) {
                fill(request.putArray("srcVersions"), sourceVersions);
            }
            if (timeoutMinutes != null) {
                request.put("timeoutInMinutes", timeoutMinutes);
            }
            JsonNode job = api.post("/jobs", request);
            spec.commandLine()
                    .getOut()
                    .println(json ? job.toString() : Line.of(job.path("id").asText()));
            return ExitCode.OK;
        }

        private static void fill(ArrayNode array, List<String> values) {
            values.forEach(array::add);
        }
    }

    @Command(name = "list", description = "Lists the jobs: id, package, status, number of tasks by status.")
    static final class ListAll implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Option(names = "--json", description = "Print them as one JSON array.")
        private boolean json;

        @Override
        public Integer call() {
            PrintWriter out = spec.commandLine().getOut();
            JsonNode jobs = api.get("/jobs");
            if (json) {
                out.println(jobs);
            } else {
                jobs.forEach(job ->
                        out.println(Rows.row(job, "id", "packageId", "status") + "\t" + tasks(job.path("tasks"))));
            }
            return ExitCode.OK;
        }
    }

    @Command(
            name = "watch",
            description =
                    "Follows a job to its end: task, device, module, from version, to version, status, step, text.",
            exitCodeListHeading = "%nExit codes:%n",
            exitCodeList = {
                "0:Every task succeeded.",
                "1:One failed or was cancelled, or the platform cannot be asked.",
                "2:The command line makes no sense."
            })
    static final class Watch implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "JOB", description = "The job's id.")
        @SuppressWarnings("NullAway.Init")
        private String job;

        @Option(names = "--json", description = "Print each change as one line of JSON.")
        private boolean json;

        @Override
        public Integer call() {
            PrintWriter out = spec.commandLine().getOut();
            JsonNode[] end = new JsonNode[1];
            api.events("/jobs/" + PlatformApi.encoded(job) + "/events", (event, data) -> {
                if (event.equals("end")) {
                    end[0] = data;
                }
                if (json) {
                    out.println(data);
                } else if (event.equals("task")) {
                    out.println(Rows.row(
                            data,
                            "id",
                            "deviceName",
                            "module",
                            "sourceVersion",
                            "targetVersion",
                            "status",
                            "step",
                            "description"));
                }
                out.flush();
            });
            if (end[0] == null) {
                throw new CommandFailedException(
                        ExitCode.FAILED, "the platform went away before the job " + Line.of(job) + " had ended");
            }
            JsonNode tasks = end[0].path("tasks");
            if (!json) {
                out.println(Rows.row(end[0], "status") + "\t" + tasks(tasks));
            }
            return tasks.path("FAILED").asInt() + tasks.path("CANCELED").asInt() == 0 ? ExitCode.OK : ExitCode.FAILED;
        }
    }

    /** The statuses that any task has, with how many. */
    private static String tasks(JsonNode counts) {
        StringBuilder text = new StringBuilder();
        counts.properties().forEach(count -> {
            if (count.getValue().asInt() > 0) {
                text.append(text.isEmpty() ? "" : " ")
                        .append(Line.of(count.getKey()))
                        .append("=")
                        .append(count.getValue().asInt());
            }
        });
        return text.isEmpty() ? "no tasks" : text.toString();
    }
}
