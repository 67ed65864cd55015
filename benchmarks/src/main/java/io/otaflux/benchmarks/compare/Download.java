package io.otaflux.benchmarks.compare;

import java.util.List;

/** A large file, over HTTP and HTTPS, hashed, written and synchronised. */
final class Download implements Scenario {

    @Override
    public String name() {
        return "download";
    }

    @Override
    public List<Program> programs() {
        return List.of(Program.NGINX, Program.OPENSSL, Program.CURL, Program.WGET, Program.ARIA2);
    }

    @Override
    public void run(Bench bench) throws Exception {
        bench.report().race("Nothing", "", bench.race(List.of(Contestant.shell("true", "true")), 1), "true");
    }
}
