package io.otaflux.benchmarks.compare;

import java.util.List;

/** One question, for example how dear the download of a large file is, asked of several contestants. */
interface Scenario {

    /** What it is called on the command line and in the names of files. */
    String name();

    /** What must be installed. Where something is missing, the scenario is left out, loudly. */
    default List<Program> programs() {
        return List.of();
    }

    /** Asks it: races, tables, targets and bars go to {@link Bench#report()}. */
    void run(Bench bench) throws Exception;
}
