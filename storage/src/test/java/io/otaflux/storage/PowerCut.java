package io.otaflux.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.otaflux.ArtifactStore;
import io.otaflux.Hasher;
import io.otaflux.UpgradeJournal;
import io.otaflux.testkit.ArtifactStoreContract;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import reactor.core.publisher.Mono;

/** A device whose power is cut again and again while a {@link PowerCutProgram} works on its file system. */
final class PowerCut {

    private static final Duration SOON = Duration.ofSeconds(20);

    /** How many cuts there are for each one in which everything is calm. */
    private static final int CUTS_FOR_CALM = 5;

    /** How many cuts a file system sees before there is a new one: it is small. */
    private static final int CUTS_OF_ONE = 6;

    private final LoopFileSystem medium;
    private final PowerCutProgram.Without without;
    private final Random random;
    private Known known = new Known();

    /** What must be there, since the program was told so; and what may be there, since it has begun it. */
    private static final class Known {

        private final List<Long> transfers = new ArrayList<>();
        private final Map<Long, Long> journalDone = new HashMap<>();
        private final Map<Long, List<Long>> journalBegun = new HashMap<>();
        private final Map<String, Long> done = new HashMap<>(Map.of("file", 0L, "slots", 0L));
        private final Map<String, Long> begun = new HashMap<>(Map.of("file", 0L, "slots", 0L));
        private long transfer = 1;
        private long offset;

        void hear(String line) {
            String[] words = line.split(" ");
            long number = Long.parseLong(words[2]);
            switch (words[0] + " " + words[1]) {
                case "begun journal" ->
                    journalBegun
                            .computeIfAbsent(number % PowerCutProgram.KEYS, key -> new ArrayList<>())
                            .add(number);
                case "done journal" -> journalDone.put(number % PowerCutProgram.KEYS, number);
                case "begun transfer" -> {
                    offset = number == transfer ? offset : 0;
                    transfer = number;
                }
                case "at transfer" -> offset = number;
                case "done transfer" -> transfers.add(number);
                case "begun file", "begun slots" -> begun.put(words[1], number);
                case "done file", "done slots" -> done.put(words[1], number);
                default -> {
                    // "confirmed" and "failed" say nothing about what is on the medium.
                }
            }
        }
    }

    PowerCut(LoopFileSystem medium, PowerCutProgram.Without without, Random random) {
        this.medium = medium;
        this.without = without;
        this.random = random;
    }

    /** Cuts that often, and answers what was wrong afterwards, one line for each bad cut. */
    List<String> cut(int times) throws IOException, InterruptedException {
        List<String> bad = new ArrayList<>();
        for (int round = 1; round <= times; round++) {
            if (round % CUTS_OF_ONE == 0) {
                renew();
            }
            runAndCut(round);
            int checked = round;
            Throwable found = catchThrowable(() -> check(checked));
            if (found != null) {
                bad.add("cut " + round + ": " + found.toString().strip().replaceAll("\\s+", " "));
                renew();
            }
        }
        return bad;
    }

    private void renew() {
        medium.renew();
        known = new Known();
    }

    private void runAndCut(int round) throws IOException, InterruptedException {
        // Without a directory's synchronisation everything is well as soon as anybody synchronises anything.
        boolean calm = without == PowerCutProgram.Without.DIRECTORY_SYNC || round % CUTS_FOR_CALM == 0;
        medium.arm(!calm);
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        Process program = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "-Xmx128m",
                        "-cp",
                        classPath,
                        PowerCutProgram.class.getName(),
                        medium.root().toString(),
                        without.name(),
                        "boot-" + round,
                        Long.toString(round * 100_000L),
                        Long.toString(known.transfer),
                        Boolean.toString(calm)))
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (BufferedReader output =
                new BufferedReader(new InputStreamReader(program.getInputStream(), StandardCharsets.UTF_8))) {
            int lines = 1 + random.nextInt(calm ? 10 : 150);
            String line = "";
            for (int heard = 0; heard < lines; heard++) {
                line = hear(output);
            }
            if (calm || random.nextBoolean()) {
                // At once after something was said to be done.
                while (!line.startsWith("done")) {
                    line = hear(output);
                }
            } else {
                program.waitFor(random.nextInt(30_000), TimeUnit.MICROSECONDS);
                while (output.ready()) {
                    hear(output);
                }
            }
            medium.cut();
            // By its handle: the process itself would close its output, too.
            program.toHandle().destroyForcibly();
            // What it says from now on it would not have lived to say; the kernel lets some synchronisations that it
            // was caught in succeed. But what it had begun by then may be there.
            for (line = output.readLine(); line != null; line = output.readLine()) {
                if (isSaid(line) && line.startsWith("begun")) {
                    known.hear(line);
                }
            }
        } finally {
            program.destroyForcibly().onExit().join();
        }
        medium.restore();
    }

    /** The next thing that it says; what a library prints is none of it. */
    private String hear(BufferedReader output) throws IOException {
        String line = output.readLine();
        while (line != null && !isSaid(line)) {
            assertThat(line).doesNotStartWith("failed");
            line = output.readLine();
        }
        assertThat(line).as("what the program says").isNotNull();
        known.hear(line);
        return line;
    }

    /** The last line may be torn. */
    private static boolean isSaid(String line) {
        return line.matches("(begun|at|done|confirmed) (journal|transfer|file|slots) \\d+");
    }

    private void check(int round) throws IOException {
        checkFile();
        checkSlots();
        FileArtifactStore store = PowerCutProgram.store(
                medium.root(), new PowerCutProgram.Boot("check-" + round, PowerCutProgram.Without.NOTHING));
        try {
            checkJournal(store);
            checkArtifacts(store);
            checkTransfer(store);
        } finally {
            store.close().block(SOON);
        }
    }

    private void checkJournal(FileArtifactStore store) {
        Map<String, String> present = new HashMap<>();
        for (UpgradeJournal.Entry entry : entries(store)) {
            present.put(entry.trigger().module(), String.valueOf(entry.detail()));
        }
        for (long key = 0; key < PowerCutProgram.KEYS; key++) {
            long done = known.journalDone.getOrDefault(key, 0L);
            List<String> possible = new ArrayList<>();
            possible.add(state(done));
            known.journalBegun.getOrDefault(key, List.of()).stream()
                    .filter(number -> number > done)
                    .map(PowerCut::state)
                    .forEach(possible::add);
            String module = PowerCutProgram.trigger(key).module();
            String found = present.getOrDefault(module, "none");
            assertThat(found)
                    .as("journal entry of %s, %d was done", module, done)
                    .isIn(possible);
            // A later cut must not bring back less. Of removals the last one counts, whichever it was.
            known.journalBegun.remove(key);
            if (!found.equals(state(done))) {
                known.journalDone.put(key, found.equals("none") ? 0 : Long.parseLong(found));
            }
        }
    }

    private static String state(long number) {
        return number == 0 || PowerCutProgram.isRemoval(number) ? "none" : Long.toString(number);
    }

    private static List<UpgradeJournal.Entry> entries(FileArtifactStore store) {
        return store.journal().entries().collectList().blockOptional(SOON).orElseThrow();
    }

    private void checkArtifacts(FileArtifactStore store) throws IOException {
        try (Stream<Path> files = Files.list(store.directory())) {
            for (Path file : files.filter(path -> path.getFileName().toString().matches("sha256-[0-9a-f]{64}"))
                    .toList()) {
                String digest =
                        ArtifactStoreContract.sha256(Files.readAllBytes(file)).hex();
                assertThat(file.getFileName()).as("name of an artifact").hasToString("sha256-" + digest);
            }
        }
        for (long transfer : known.transfers) {
            assertThat(isCommitted(store, transfer))
                    .as("transfer %d is committed", transfer)
                    .isTrue();
        }
    }

    private static boolean isCommitted(FileArtifactStore store, long transfer) {
        return store.find(PowerCutProgram.artifact(transfer).digests())
                .doOnNext(ArtifactStore.Stored::release)
                .blockOptional(SOON)
                .isPresent();
    }

    private void checkTransfer(FileArtifactStore store) {
        if (isCommitted(store, known.transfer)) {
            if (!known.transfers.contains(known.transfer)) {
                known.transfers.add(known.transfer);
            }
            known.transfer++;
            known.offset = 0;
            return;
        }
        byte[] content = PowerCutProgram.content(known.transfer, PowerCutProgram.TRANSFER_SIZE);
        Hasher hasher = ArtifactStoreContract.hasher();
        long offset = Mono.usingWhen(
                        store.open(PowerCutProgram.artifact(known.transfer)),
                        writer -> writer.replay(hasher).then(Mono.fromSupplier(writer::offset)),
                        ArtifactStore.Writer::close)
                .blockOptional(SOON)
                .orElseThrow();
        assertThat(offset).as("offset of transfer %d", known.transfer).isBetween(known.offset, (long) content.length);
        assertThat(hasher.finish().get(0).hex())
                .as("the first %d bytes of transfer %d", offset, known.transfer)
                .isEqualTo(ArtifactStoreContract.sha256(Arrays.copyOf(content, (int) offset))
                        .hex());
        known.offset = offset;
    }

    private void checkFile() throws IOException {
        Path file = medium.root().resolve("app.bin");
        long installed = Files.exists(file) ? wholeNumber(file) : 0;
        settle("file", installed);
        Path previous = medium.root().resolve("app.bin.previous");
        if (Files.exists(previous)) {
            assertThat(wholeNumber(previous)).as("the file before").isLessThanOrEqualTo(installed);
        }
    }

    /** What the state says is what the link leads to, and it is whole. */
    private void checkSlots() throws IOException {
        SlotInstaller opened = PowerCutProgram.slots(medium.root(), Disk.REAL);
        assertThat(opened).isNotNull();
        Path firmware = medium.root().resolve("firmware");
        Path current = firmware.resolve("current");
        long installed = 0;
        if (Files.exists(current, LinkOption.NOFOLLOW_LINKS)) {
            String slot = Files.readSymbolicLink(current).toString();
            Map<String, String> state =
                    SmallFile.read(firmware.resolve("state"), "slots").orElseThrow();
            assertThat(state.getOrDefault("pending", state.get("confirmed")))
                    .as("the slot in use")
                    .isEqualTo(slot);
            try (Stream<Path> files = Files.list(current)) {
                List<Path> all = files.toList();
                assertThat(all).as("files of slot %s", slot).hasSize(1);
                installed = wholeNumber(all.get(0));
            }
            assertThat(state.get(slot)).as("the version of slot %s", slot).isEqualTo(Long.toString(installed));
        }
        settle("slots", installed);
    }

    private void settle(String kind, long found) {
        assertThat(found).as("installed %s", kind).isBetween(known.done.get(kind), known.begun.get(kind));
        known.done.put(kind, found);
        known.begun.put(kind, found);
    }

    /** The number of the bytes in {@code file}, which are all there and all right. */
    private static long wholeNumber(Path file) throws IOException {
        byte[] present = Files.readAllBytes(file);
        long number =
                present.length < Long.BYTES ? -1 : ByteBuffer.wrap(present).getLong();
        assertThat(Arrays.equals(present, PowerCutProgram.content(number, PowerCutProgram.INSTALLED_SIZE)))
                .as("%s is whole, has %d bytes", file, present.length)
                .isTrue();
        return number;
    }
}
