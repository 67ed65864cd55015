package io.otaflux.samples.cli;

import io.otaflux.Artifact;
import io.otaflux.UpgradeEvent;
import java.io.PrintWriter;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** One line of a terminal that is written over and over. What else is to be shown goes through {@link #clear} first. */
final class ProgressBar {

    /** What the launcher sets when the error output is a terminal. */
    static final String TERMINAL = "otaflux.terminal";

    private static final long REDRAW_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
    private static final int WIDTH = 30;
    private static final String BACK_AND_ERASE = "\r\u001b[K";

    private final PrintWriter terminal;
    private final LongSupplier nanos;
    private boolean shown;
    private long began;
    private long firstBytes = -1;
    private long drawn;

    ProgressBar(PrintWriter terminal, LongSupplier nanos) {
        this.terminal = terminal;
        this.nanos = nanos;
    }

    static boolean isTerminal() {
        return Boolean.getBoolean(TERMINAL);
    }

    void show(UpgradeEvent.Received received) {
        long now = nanos.getAsLong();
        if (firstBytes < 0 || received.bytes() < firstBytes) {
            began = now;
            firstBytes = received.bytes();
        }
        boolean complete = received.bytes() == received.size();
        if (shown && !complete && now - drawn < REDRAW_NANOS) {
            return;
        }
        drawn = now;
        shown = true;
        terminal.print(BACK_AND_ERASE + bar(received) + rate(received.bytes() - firstBytes, now - began));
        terminal.flush();
    }

    /** Takes the bar away, so that a line can stand in its place. */
    void clear() {
        if (shown) {
            shown = false;
            terminal.print(BACK_AND_ERASE);
            terminal.flush();
        }
    }

    private static String bar(UpgradeEvent.Received received) {
        String done = new Size(received.bytes()).toString();
        if (received.size() == Artifact.UNKNOWN_SIZE) {
            return done;
        }
        int filled = received.percent() * WIDTH / 100;
        return "[" + "=".repeat(filled) + " ".repeat(WIDTH - filled) + "] " + received.percent() + " %  " + done
                + " of " + new Size(received.size());
    }

    private static String rate(long bytes, long elapsed) {
        return elapsed < REDRAW_NANOS
                ? ""
                : "  " + new Size((long) (bytes / (elapsed / (double) TimeUnit.SECONDS.toNanos(1)))) + "/s";
    }
}
