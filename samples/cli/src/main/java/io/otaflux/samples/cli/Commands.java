package io.otaflux.samples.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/** What picocli knows of the command line. */
@Command(
        name = "otaflux",
        synopsisSubcommandLabel = "COMMAND",
        versionProvider = Commands.Version.class,
        description =
                "Over-the-air upgrades: a demonstration, a device, a platform for it, and a download that survives.")
final class Commands {

    @CommandLine.Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Show this help and exit.")
    @SuppressWarnings("unused") // picocli acts on its presence.
    private boolean help;

    @CommandLine.Option(names = "--version", versionHelp = true, description = "Show the version and exit.")
    @SuppressWarnings("unused")
    private boolean version;

    private Commands() {}

    /** For {@code arguments}: of the commands only the one that they name is looked at, which is most of what a start costs. */
    static CommandLine commandLine(String... arguments) {
        CommandLine commandLine = new CommandLine(new Commands());
        Map<String, Class<?>> commands = commands();
        if (arguments.length > 0 && commands.containsKey(arguments[0])) {
            commands.keySet().retainAll(Set.of(arguments[0]));
        }
        commands.forEach(commandLine::addSubcommand);
        return commandLine
                .setUsageHelpAutoWidth(true)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler(Commands::misused)
                .setExecutionExceptionHandler((failure, command, parsed) -> Otaflux.failed(
                        failure, command.getErr(), command.getCommandSpec().qualifiedName()));
    }

    private static Map<String, Class<?>> commands() {
        Map<String, Class<?>> commands = new LinkedHashMap<>();
        commands.put("demo", DemoCommand.class);
        commands.put("download", DownloadCommand.class);
        commands.put("device", DeviceCommand.class);
        commands.put("platform", PlatformCommand.class);
        commands.put("package", PackageCommand.class);
        commands.put("job", JobCommand.class);
        commands.put("task", TaskCommand.class);
        commands.put("group", GroupCommand.class);
        return commands;
    }

    private static int misused(ParameterException misuse, String[] arguments) {
        CommandLine command = misuse.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        Otaflux.complain(command.getErr(), name, Line.of(misuse) + " (see: " + name + " --help)");
        return ExitCode.USAGE;
    }

    /** Says that the arguments of a command make no sense. */
    static RuntimeException misuse(CommandSpec command, String message) {
        return new ParameterException(command.commandLine(), message);
    }

    /** What the jar's manifest says. */
    static final class Version implements IVersionProvider {

        @Override
        public String[] getVersion() {
            String version = Commands.class.getPackage().getImplementationVersion();
            return new String[] {"otaflux " + (version == null ? "(not packaged)" : version)};
        }
    }
}
