package io.otaflux.samples.cli;

import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;

/**
 * The {@code otaflux} command. Scripts rely on its exit codes, and on errors being one line on the standard error.
 *
 * <p>What is not needed for a plain download, picocli above all, is kept out of this class and of {@link DownloadCommand}:
 * a virtual machine loads what it verifies.
 */
public final class Otaflux {

    private Otaflux() {}

    public static void main(String[] arguments) {
        Logging.configureHere();
        System.exit(run(arguments));
    }

    /** What {@code main} does, without its exit. */
    static int run(String... arguments) {
        DownloadCommand download = DownloadCommand.plain(arguments);
        if (download != null) {
            try {
                return download.call();
            } catch (DownloadCommand.UnclearException e) {
                // Nothing has happened yet, and picocli can say what is wrong.
            } catch (RuntimeException e) {
                return failed(e, lines(System.err), "otaflux download");
            }
        }
        return Commands.commandLine(arguments).execute(arguments);
    }

    /** What picocli makes of it, too. */
    static PrintWriter lines(PrintStream stream) {
        return new PrintWriter(new OutputStreamWriter(stream, Charset.defaultCharset()), true);
    }

    static int failed(Exception failure, PrintWriter err, String command) {
        if (failure instanceof CommandFailedException told) {
            complain(err, command, Line.of(told));
            return told.exitCode();
        }
        complain(err, command, failure.getClass().getSimpleName() + ": " + Line.of(failure));
        return ExitCode.FAILED;
    }

    static void complain(PrintWriter err, String command, String what) {
        err.println(command + ": " + what);
        err.flush();
    }
}
