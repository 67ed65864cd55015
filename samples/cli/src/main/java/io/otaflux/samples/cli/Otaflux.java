package io.otaflux.samples.cli;

import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/**
 * The {@code otaflux} command. Scripts rely on its exit codes, and on errors being one line on the standard error.
 */
@Command(
        name = "otaflux",
        synopsisSubcommandLabel = "COMMAND",
        versionProvider = Otaflux.Version.class,
        description =
                "Over-the-air upgrades: a demonstration, a device, a platform for it, and a download that survives.",
        subcommands = {
            DemoCommand.class,
            DownloadCommand.class,
            DeviceCommand.class,
            PlatformCommand.class,
            PackageCommand.class,
            JobCommand.class,
            TaskCommand.class,
            GroupCommand.class
        })
public final class Otaflux {

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

    private Otaflux() {}

    public static void main(String[] arguments) {
        int exitCode = commandLine().execute(arguments);
        System.exit(exitCode);
    }

    static CommandLine commandLine() {
        return new CommandLine(new Otaflux())
                .setUsageHelpAutoWidth(true)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler(Otaflux::misused)
                .setExecutionExceptionHandler((failure, command, parsed) -> failed(failure, command));
    }

    private static int misused(ParameterException misuse, String[] arguments) {
        CommandLine command = misuse.getCommandLine();
        complain(command, Line.of(misuse) + " (see: " + command.getCommandSpec().qualifiedName() + " --help)");
        return ExitCode.USAGE;
    }

    private static int failed(Exception failure, CommandLine command) {
        if (failure instanceof CommandFailedException told) {
            complain(command, Line.of(told));
            return told.exitCode();
        }
        complain(command, failure.getClass().getSimpleName() + ": " + Line.of(failure));
        return ExitCode.FAILED;
    }

    private static void complain(CommandLine command, @Nullable String what) {
        PrintWriter err = command.getErr();
        err.println(command.getCommandSpec().qualifiedName() + ": " + what);
        err.flush();
    }

    /** What the jar's manifest says. */
    static final class Version implements IVersionProvider {

        @Override
        public String[] getVersion() {
            String version = Otaflux.class.getPackage().getImplementationVersion();
            return new String[] {"otaflux " + (version == null ? "(not packaged)" : version)};
        }
    }
}
