package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.storage.FileArtifactStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.awaitility.core.ConditionTimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * An agent that is killed again and again, at a random moment of what an upgrade takes, while upgrade follows upgrade. After
 * each kill its files are looked at as they lie there; at the end everything that it was told and owed must be settled.
 * Every fifth upgrade is wrong and has to be refused and reported.
 */
final class KillLoop implements AutoCloseable {

    private static final int SIZE = 1_500_000;
    private static final int WRONG = 5;

    /** After so many upgrades it is measured once more how long one takes: the machine may have other things to do by now. */
    private static final int MEASURED = 10;

    /** After so many kills in one upgrade the agent is left alone: if it does not get to the end now, it never will. */
    private static final int KILLS_OF_ONE_UPGRADE = 8;

    /** How long a failure takes on a machine that has other things to do. */
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** How long an upgrade is given at least that nobody disturbs. */
    private static final Duration LEAST_PATIENCE = Duration.ofSeconds(10);

    private final Site site;
    private final String module;
    private final AgentProgram.Without without;
    private final Random random;
    private final Map<Integer, byte[]> images = new HashMap<>();
    private @Nullable DeviceProcess agent;
    private Duration whole = Duration.ZERO;

    /** What is installed for certain, and what was before it. */
    private int reached = 1;

    private int before = 1;
    private int latest = 1;
    private int wrong;
    private int listened;
    private int refused;
    private final Set<String> reported = new HashSet<>();
    private int kills;

    /** How many times an upgrade was killed, by its version. */
    private final Map<Integer, Integer> killsOf = new HashMap<>();

    /**
     * @param again bytes that were fetched more than once, of each good upgrade that was killed
     */
    record Figures(int kills, int upgrades, List<Long> again) {}

    KillLoop(Path home, String module, AgentProgram.Without without, Random random) throws IOException {
        this.module = module;
        this.without = without;
        this.random = random;
        this.site = Site.open(home, "limit_rate 3m;");
        if (isFirmware()) {
            Path slot = Files.createDirectories(home.resolve("firmware/a"));
            Files.write(slot.resolve("default"), image(1));
            Files.createSymbolicLink(home.resolve("firmware/current"), Path.of("a"));
        } else {
            Files.write(home.resolve("app.bin"), image(1));
        }
    }

    /** Kills that often, and then lets everything come to its end. */
    Figures run(int wanted) throws IOException {
        while (kills < wanted) {
            if (latest % MEASURED == 1) {
                measure();
            } else {
                upgrade();
            }
        }
        // What is left over is for the next upgrade to clear, so the last one is a good one that nobody disturbs.
        do {
            push();
            settle();
        } while (latest % WRONG == 0);
        return end();
    }

    /** How long it takes from the start to the report when nobody disturbs; with firmware that is two starts. */
    private void measure() throws IOException {
        if (agent != null && !agent.endsWithin(Duration.ZERO)) {
            kill();
        }
        long began = System.nanoTime();
        start();
        await("the agent's first word")
                .atMost(PATIENCE)
                .until(() -> !site.cloud().heard().isEmpty());
        push();
        settle();
        whole = Duration.ofNanos((System.nanoTime() - began) / (isFirmware() ? 2 : 1));
    }

    private void upgrade() throws IOException {
        boolean alive = random.nextBoolean();
        if (!alive) {
            push();
        }
        for (int round = 0; round < KILLS_OF_ONE_UPGRADE; round++) {
            start();
            if (alive && round == 0) {
                if (endsWithin(random.nextDouble() / 2)) {
                    continue;
                }
                push();
            }
            if (!endsWithin(random.nextDouble() * 1.1)) {
                kill();
            }
            if (isSettled()) {
                break;
            }
        }
        settle();
    }

    /** Lets the agent live until the platform has heard how the latest upgrade ended. */
    private void settle() throws IOException {
        while (!isSettled()) {
            start();
            try {
                await().atMost(whole.isZero() ? PATIENCE : LEAST_PATIENCE.plus(whole.multipliedBy(8)))
                        .pollInterval(Duration.ofMillis(10))
                        .until(() -> isSettled() || running().endsWithin(Duration.ZERO));
            } catch (ConditionTimeoutException e) {
                throw new AssertionError(
                        "trigger lost: nobody hears of " + version(latest) + " after " + killsOf + " kills; it said: "
                                + running().output(),
                        e);
            }
            if (!isSettled()) {
                assertThat(running().awaitExit(Duration.ZERO))
                        .as(running()::output)
                        .isEqualTo(AgentProgram.RESTART);
            }
        }
        if (latest % WRONG != 0 && reached != latest) {
            before = reached;
            reached = latest;
        }
    }

    private boolean isSettled() {
        List<Cloud.Heard> heard = site.cloud().heard();
        for (; listened < heard.size(); listened++) {
            Cloud.Heard message = heard.get(listened);
            String version = message.params().path("version").asText();
            if (!version.isEmpty()) {
                reported.add(version);
            } else if (message.params().path("step").asText().equals("-3")) {
                refused++;
            }
        }
        return latest % WRONG == 0 ? refused >= wrong : reported.contains(version(latest));
    }

    private void push() {
        images.keySet().removeIf(version -> version != reached && version != before);
        latest++;
        ObjectNode data = Cloud.data(
                module, version(latest), site.nginx().put(version(latest), image(latest)), new Payload(image(latest)));
        if (latest % WRONG == 0) {
            wrong++;
            data.put("sign", new Payload(image(-latest)).sha256());
        }
        // A platform that sends it this once. Whoever has acknowledged it is the only one who knows.
        site.cloud().push(data, new ObjectMapper().createObjectNode());
    }

    private void start() {
        if (agent == null || agent.endsWithin(Duration.ZERO)) {
            agent = DeviceProcess.start(
                    site, AgentProgram.class, AgentProgram.FAST_JVM, module, without.name(), "1000");
            agent.awaitLine(AgentProgram.UP, PATIENCE);
        }
    }

    private DeviceProcess running() {
        if (agent == null) {
            throw new IllegalStateException("nothing runs");
        }
        return agent;
    }

    /** Waits for that part of what an upgrade takes, and tells whether the agent wanted to be restarted meanwhile. */
    private boolean endsWithin(double part) {
        Duration time = Duration.ofNanos((long) (whole.toNanos() * part));
        if (!running().endsWithin(time)) {
            return false;
        }
        assertThat(running().awaitExit(Duration.ZERO)).as(running()::output).isEqualTo(AgentProgram.RESTART);
        return true;
    }

    private void kill() throws IOException {
        running().kill();
        agent = null;
        kills++;
        killsOf.merge(latest, 1, Integer::sum);
        assertNothingHalf();
    }

    /** What was installed before, or what has been pushed since; and that only if it is right. */
    private void assertNothingHalf() throws IOException {
        boolean good = latest % WRONG != 0;
        int next = good ? latest : reached;
        Path file = installed();
        byte[] present = Files.readAllBytes(file);
        boolean isOld = Arrays.equals(present, image(reached));
        boolean isNew = Arrays.equals(present, image(next));
        assertThat(isOld || isNew)
                .as("%s is %s or %s as a whole, %d bytes", file, version(reached), version(next), present.length)
                .isTrue();
        assertThat(isNew || !(good && isSettled()))
                .as("%s is installed when the platform has heard of it", version(next))
                .isTrue();
        Path previous = site.home().resolve("app.bin.previous");
        if (!isFirmware() && Files.exists(previous)) {
            String kept = Payload.versionOf(previous);
            if (isNew && next != reached) {
                assertThat(kept).as("the file before").isEqualTo(version(reached));
            } else {
                assertThat(kept).as("the file before").isIn(version(before), version(reached));
            }
        }
    }

    private Figures end() throws IOException {
        DeviceProcess last = running();
        last.awaitLine(AgentProgram.ENDED, PATIENCE);
        last.terminate();
        assertThat(last.awaitExit(PATIENCE)).isIn(143, AgentProgram.RESTART);
        agent = null;
        assertNothingHalf();
        List<Integer> good = Stream.iterate(2, version -> version + 1)
                .limit(latest - 1)
                .filter(version -> version % WRONG != 0)
                .toList();
        assertThat(ledger()).as("installed twice").doesNotHaveDuplicates();
        assertThat(ledger()).isSubsetOf(good.stream().map(KillLoop::version).toList());
        assertThat(leftovers()).as("what kills left behind").isEmpty();
        assertThat(open()).as("what the journal still owes").isEmpty();
        Map<String, Long> fetched = new HashMap<>();
        site.accesses().forEach(access -> fetched.merge(access.path(), access.bytes(), Long::sum));
        List<Long> again = good.stream()
                .filter(killsOf::containsKey)
                .map(version -> fetched.getOrDefault("/" + version(version), 0L) - SIZE)
                .toList();
        assertThat(again).as("bytes fetched again").allMatch(bytes -> bytes >= 0);
        return new Figures(kills, latest - 1, again);
    }

    private List<String> ledger() throws IOException {
        Path ledger = site.home().resolve(AgentProgram.LEDGER);
        return Files.exists(ledger) ? Files.readAllLines(ledger) : List.of();
    }

    private List<String> leftovers() throws IOException {
        List<String> names = new ArrayList<>();
        for (Path directory : List.of(site.home(), site.home().resolve(isFirmware() ? "firmware" : "store"))) {
            try (Stream<Path> files = Files.list(directory)) {
                files.map(file -> file.getFileName().toString())
                        .filter(name -> name.endsWith(".otaflux") || name.startsWith(".new-") || name.endsWith(".part"))
                        .forEach(names::add);
            }
        }
        return names;
    }

    private List<UpgradeJournal.Entry> open() {
        FileArtifactStore store = FileArtifactStore.in(site.home().resolve("store"));
        try {
            return store.journal()
                    .entries()
                    .filter(entry -> entry.state() != UpgradeJournal.State.SUCCEEDED)
                    .collectList()
                    .block(PATIENCE);
        } finally {
            store.close().block(PATIENCE);
        }
    }

    /** The file that would run, as a boot loader finds it. */
    private Path installed() {
        if (!isFirmware()) {
            return site.home().resolve("app.bin");
        }
        Path slot = site.home().resolve("firmware/current");
        try (Stream<Path> files = Files.list(slot)) {
            List<Path> all = files.toList();
            assertThat(all).as("files of the slot in use").hasSize(1);
            return all.get(0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean isFirmware() {
        return module.equals(UpgradeTrigger.DEFAULT_MODULE);
    }

    private static String version(int number) {
        return number + ".0.0";
    }

    private byte[] image(int number) {
        return images.computeIfAbsent(
                number, any -> Payload.image(version(number), SIZE).bytes());
    }

    @Override
    public void close() {
        if (agent != null) {
            agent.close();
        }
        site.close();
    }
}
