package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The tasks of a platform's jobs: one per device. */
@Command(
        name = "task",
        subcommands = {
            TaskCommand.ListAll.class,
            TaskCommand.History.class,
            TaskCommand.Confirm.class,
            TaskCommand.Retry.class,
            TaskCommand.Cancel.class
        },
        synopsisSubcommandLabel = "COMMAND",
        description = "Lists, confirms, retries and cancels what jobs do on single devices.")
final class TaskCommand {

    private static final String[] FIELDS = {
        "id", "jobId", "deviceName", "module", "sourceVersion", "targetVersion", "status", "step", "description"
    };

    @Command(
            name = "list",
            description =
                    "Lists the tasks of a job: task, job, device, module, from version, to version, status, step, text.")
    static final class ListAll implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "JOB", description = "The job's id.")
        @SuppressWarnings("NullAway.Init")
        private String job;

        @Option(
                names = "--status",
                paramLabel = "STATUS",
                description = "Only tasks with this status, like FAILED. Defaults to all.")
        private @Nullable String status;

        @Option(names = "--json", description = "Print them as one JSON array.")
        private boolean json;

        @Override
        public Integer call() {
            String filter = status == null ? "" : "?status=" + PlatformApi.encoded(status);
            JsonNode tasks = api.get("/jobs/" + PlatformApi.encoded(job) + "/tasks" + filter);
            Rows.print(spec.commandLine().getOut(), tasks, json, FIELDS);
            return ExitCode.OK;
        }
    }

    @Command(name = "history", description = "Lists every status that a task has had: status, time, reason.")
    static final class History implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "TASK", description = "The task's id.")
        @SuppressWarnings("NullAway.Init")
        private String task;

        @Option(names = "--json", description = "Print it as one JSON array.")
        private boolean json;

        @Override
        public Integer call() {
            JsonNode history = api.get("/tasks/" + PlatformApi.encoded(task)).path("history");
            Rows.print(spec.commandLine().getOut(), history, json, "status", "at", "description");
            return ExitCode.OK;
        }
    }

    @Command(name = "confirm", description = "Confirms tasks that wait for it, at most ten. Prints them.")
    static final class Confirm extends Change {

        @Override
        String name() {
            return "confirm";
        }
    }

    @Command(
            name = "retry",
            description = "Does tasks once more that failed or were cancelled, at most ten. Prints them.")
    static final class Retry extends Change {

        @Override
        String name() {
            return "retry";
        }
    }

    @Command(name = "cancel", description = "Cancels tasks, at most ten, without telling the devices. Prints them.")
    static final class Cancel extends Change {

        @Override
        String name() {
            return "cancel";
        }
    }

    /** What is done to tasks by their ids. */
    abstract static class Change implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "TASK", arity = "1..*", description = "Ids of tasks.")
        private List<String> tasks = List.of();

        @Option(names = "--json", description = "Print them as one JSON array.")
        private boolean json;

        abstract String name();

        @Override
        public Integer call() {
            ObjectNode request = api.object();
            ArrayNode ids = request.putArray("taskIds");
            tasks.forEach(ids::add);
            Rows.print(spec.commandLine().getOut(), api.post("/tasks/" + name(), request), json, FIELDS);
            return ExitCode.OK;
        }
    }
}
