package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The groups of devices that jobs can be for. */
@Command(
        name = "group",
        subcommands = {GroupCommand.Set.class, GroupCommand.ListAll.class},
        synopsisSubcommandLabel = "COMMAND",
        description = "Says and lists which devices jobs can name together.")
final class GroupCommand {

    @Command(name = "set", description = "Makes a group of these devices, or creates it. Prints it.")
    static final class Set implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(index = "0", paramLabel = "NAME", description = "The group's name.")
        @SuppressWarnings("NullAway.Init")
        private String name;

        @Parameters(index = "1..*", paramLabel = "DEVICE", description = "The names of its devices; none empties it.")
        private List<String> devices = List.of();

        @Option(names = "--product-key", required = true, paramLabel = "K", description = "The devices' product.")
        @SuppressWarnings("NullAway.Init")
        private String productKey;

        @Override
        public Integer call() {
            ObjectNode request = api.object();
            ArrayNode names = request.putArray("devices");
            devices.forEach(names::add);
            print(spec, api.put(path(productKey) + "/" + PlatformApi.encoded(name), request));
            return ExitCode.OK;
        }
    }

    @Command(name = "list", description = "Lists the groups of a product: name, devices.")
    static final class ListAll implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Option(names = "--product-key", required = true, paramLabel = "K", description = "The product.")
        @SuppressWarnings("NullAway.Init")
        private String productKey;

        @Override
        public Integer call() {
            api.get(path(productKey)).forEach(group -> print(spec, group));
            return ExitCode.OK;
        }
    }

    private static String path(String productKey) {
        return "/products/" + PlatformApi.encoded(productKey) + "/groups";
    }

    private static void print(CommandSpec spec, JsonNode group) {
        StringBuilder line = new StringBuilder(Rows.row(group, "name"));
        group.path("devices").forEach(device -> line.append('\t').append(Line.of(device.asText())));
        spec.commandLine().getOut().println(line);
    }
}
