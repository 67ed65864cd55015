package io.otaflux.samples.cli;

import io.otaflux.UpgradeEvent;
import java.io.PrintWriter;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Shows the events of upgrades: as JSON lines, or as text with a progress bar where there is a terminal for it. */
final class EventPrinter implements Consumer<UpgradeEvent> {

    private final PrintWriter out;
    private final boolean json;
    private final @Nullable ProgressBar bar;

    private EventPrinter(PrintWriter out, boolean json, @Nullable ProgressBar bar) {
        this.out = out;
        this.json = json;
        this.bar = bar;
    }

    static EventPrinter of(PrintWriter out, PrintWriter err, boolean json) {
        boolean progress = !json && ProgressBar.isTerminal();
        return new EventPrinter(out, json, progress ? new ProgressBar(err, System::nanoTime) : null);
    }

    @Override
    public void accept(UpgradeEvent event) {
        if (json) {
            out.println(Events.json(event));
        } else if (!(event instanceof UpgradeEvent.Received received)) {
            line(Events.text(event));
        } else if (bar != null) {
            bar.show(received);
        }
        out.flush();
    }

    /** Says something in between, to people only. */
    void line(String text) {
        if (!json) {
            if (bar != null) {
                bar.clear();
            }
            out.println(text);
            out.flush();
        }
    }
}
