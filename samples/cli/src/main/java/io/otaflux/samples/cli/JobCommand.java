package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
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
        subcommands = {
            JobCommand.Create.class,
            JobCommand.ListAll.class,
            JobCommand.Watch.class,
            JobCommand.Cancel.class,
            JobCommand.Stop.class
        },
        synopsisSubcommandLabel = "COMMAND",
        description = "Creates, lists, watches and cancels the jobs that bring a package to devices.")
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
                names = "--gray-percent",
                paramLabel = "P",
                description = "Bring it to this share of the devices, with at most 3 decimals.")
        private @Nullable BigDecimal grayPercent;

        @Option(names = "--group", paramLabel = "NAME", description = "Bring it to the devices of this group.")
        private @Nullable String group;

        @Option(
                names = "--dynamic",
                paramLabel = "MODE",
                description = "Go on taking devices: 1 those that match now or later, 2 those that report later.")
        private @Nullable Integer dynamicMode;

        @Option(names = "--verify", description = "Verify the package on the devices that are named, at most ten.")
        private boolean verify;

        @Option(
                names = "--source-version",
                paramLabel = "V",
                description = "Only devices that run this version. Repeatable. Defaults to any.")
        private List<String> sourceVersions = List.of();

        @Option(
                names = "--start",
                paramLabel = "TIME",
                description = "When to start, like 2026-01-31T08:00:00Z. Defaults to at once.")
        private @Nullable String start;

        @Option(
                names = "--finish",
                paramLabel = "TIME",
                description = "When to cancel what is not finished. Defaults to never.")
        private @Nullable String finish;

        @Option(
                names = "--per-minute",
                paramLabel = "N",
                description = "How many devices are told in a minute, 10 to 10000. Defaults to 10000.")
        private @Nullable Integer perMinute;

        @Option(
                names = "--timeout-minutes",
                paramLabel = "N",
                description = "How long a device may take from its first progress. Defaults to no limit.")
        private @Nullable Integer timeoutMinutes;

        @Option(
                names = "--retry-minutes",
                paramLabel = "N",
                description = "Try a failure again after 0, 10, 30, 60 or 1440 minutes. Needs --retries.")
        private @Nullable Integer retryMinutes;

        @Option(names = "--retries", paramLabel = "N", description = "How often: 1, 2 or 5. Needs --retry-minutes.")
        private @Nullable Integer retries;

        @Option(names = "--no-push", description = "Do not push: devices have to ask.")
        private boolean noPush;

        @Option(names = "--confirm", description = "Let each task wait until it is confirmed (task confirm).")
        private boolean confirm;

        @Option(
                names = "--overwrite",
                description = "Replace what a device has not finished and not begun, instead of failing.")
        private boolean overwrite;

        @Option(names = "--multi-module", description = "Let a device work on several modules at once.")
        private boolean multiModule;

        @Option(
                names = "--download",
                paramLabel = "PROTOCOL",
                description = "HTTPS, which is the default, or MQTT: one file of at most 16 MiB.")
        private @Nullable String downloadProtocol;

        @Option(
                names = "--tag",
                paramLabel = "KEY=VALUE",
                description = "Something to tell the devices. Repeatable, at most 10.")
        private Map<String, String> tags = Map.of();

        @Option(names = "--json", description = "Print the job as JSON.")
        private boolean json;

        @Override
        public Integer call() {
            JsonNode job = api.post("/jobs", request());
            spec.commandLine()
                    .getOut()
                    .println(json ? job.toString() : Line.of(job.path("id").asText()));
            return ExitCode.OK;
        }

        private ObjectNode request() {
            ObjectNode request = api.object().put("packageId", packageId);
            if (verify) {
                request.put("jobType", "VERIFY_FIRMWARE");
            }
            if (!devices.isEmpty()) {
                fill(request.putArray("devices"), devices);
            }
            if (grayPercent != null) {
                request.put("grayPercent", grayPercent);
            }
            if (group != null) {
                request.put("group", group);
            }
            if (dynamicMode != null) {
                request.put("dynamicMode", dynamicMode);
            }
            if (!sourceVersions.isEmpty()) {
                fill(request.putArray("srcVersions"), sourceVersions);
            }
            if (start != null) {
                request.put("scheduleTime", start);
            }
            if (finish != null) {
                request.put("scheduleFinishTime", finish);
            }
            put(request, "maximumPerMinute", perMinute);
            put(request, "timeoutInMinutes", timeoutMinutes);
            put(request, "retryInterval", retryMinutes);
            put(request, "retryCount", retries);
            request.put("needPush", !noPush)
                    .put("needConfirm", confirm)
                    .put("overwriteMode", overwrite ? 2 : 1)
                    .put("multiModule", multiModule);
            if (downloadProtocol != null) {
                request.put("downloadProtocol", downloadProtocol);
            }
            if (!tags.isEmpty()) {
                ObjectNode sent = request.putObject("tags");
                tags.forEach(sent::put);
            }
            return request;
        }

        private static void put(ObjectNode request, String field, @Nullable Integer value) {
            if (value != null) {
                request.put(field, value);
            }
        }

        private static void fill(ArrayNode array, List<String> values) {
            values.forEach(array::add);
        }
    }

    @Command(
            name = "cancel",
            description = {
                "Cancels the tasks of a job that are not finished, or with options only some of them.",
                "The devices are not told: there is no message for it."
            })
    static final class Cancel implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "JOB", description = "The job's id.")
        @SuppressWarnings("NullAway.Init")
        private String job;

        @Option(names = "--queued", description = "Those that wait for their device or their turn.")
        private boolean queued;

        @Option(names = "--notified", description = "Those whose device was told.")
        private boolean notified;

        @Option(names = "--in-progress", description = "Those whose device has begun.")
        private boolean inProgress;

        @Option(names = "--unconfirmed", description = "Those that wait to be confirmed.")
        private boolean unconfirmed;

        @Option(names = "--scheduled", description = "Those of a job whose start is still to come.")
        private boolean scheduled;

        @Override
        public Integer call() {
            boolean some = queued || notified || inProgress || unconfirmed || scheduled;
            ObjectNode flags = api.object()
                    .put("cancelQueuedTask", queued)
                    .put("cancelNotifiedTask", notified)
                    .put("cancelInProgressTask", inProgress)
                    .put("cancelUnconfirmedTask", unconfirmed)
                    .put("cancelScheduledTask", scheduled);
            String path = "/jobs/" + PlatformApi.encoded(job) + "/cancel";
            print(spec, some ? api.post(path, flags) : api.post(path));
            return ExitCode.OK;
        }
    }

    @Command(name = "stop", description = "Lets a dynamic job take no more devices. The tasks that it has go on.")
    static final class Stop implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "JOB", description = "The job's id.")
        @SuppressWarnings("NullAway.Init")
        private String job;

        @Override
        public Integer call() {
            print(spec, api.post("/jobs/" + PlatformApi.encoded(job) + "/stop"));
            return ExitCode.OK;
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
                jobs.forEach(job -> print(spec, job));
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

    private static void print(CommandSpec spec, JsonNode job) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(Rows.row(job, "id", "packageId", "status") + "\t" + tasks(job.path("tasks")));
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
