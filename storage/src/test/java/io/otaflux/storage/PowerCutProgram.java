package io.otaflux.storage;

import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.DeviceId;
import io.otaflux.Hasher;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import io.otaflux.testkit.ArtifactStoreContract;
import io.otaflux.testkit.Verification;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.time.Duration;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Uses everything here that promises to survive a power cut, all at once, until it is killed. It says what it begins, and
 * what is done as soon as it was told so.
 */
final class PowerCutProgram {

    static final int TRANSFER_SIZE = 400_000;
    static final int INSTALLED_SIZE = 60_000;
    static final int KEYS = 3;

    private static final int CHECKPOINT = 64 * 1024;
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final DeviceId DEVICE = new DeviceId("product", "device");

    /** What the program's disk leaves out. */
    enum Without {
        NOTHING,
        SYNC,
        DIRECTORY_SYNC
    }

    private final FileArtifactStore store;
    private final Disk disk;
    private final Path directory;
    private final long first;

    private PowerCutProgram(Path directory, Disk disk, long first) {
        this.directory = directory;
        this.disk = disk;
        this.first = first;
        this.store = store(directory, disk);
    }

    /**
     * Takes the directory on the medium, what its disk leaves out, the identity of this boot, the number it counts from,
     * the number of the transfer to go on with, and whether it does one thing only: then nobody else's synchronisation
     * makes durable what it forgot.
     */
    public static void main(String[] arguments) throws IOException {
        PowerCutProgram program = new PowerCutProgram(
                Path.of(arguments[0]),
                new Boot(arguments[2], Without.valueOf(arguments[1])),
                Long.parseLong(arguments[3]));
        start("file", program::file);
        if (!Boolean.parseBoolean(arguments[5])) {
            start("journal", program::journal);
            start("transfer", () -> program.transfer(Long.parseLong(arguments[4])));
            start("slots", program::slots);
        }
        System.exit(System.in.read());
    }

    static FileArtifactStore store(Path directory, Disk disk) {
        return FileArtifactStore.builder(directory.resolve("store"))
                .checkpointBytes(CHECKPOINT)
                .disk(disk)
                .build();
    }

    /** A disk after such a boot. The kernel goes on after a power cut that only one of its file systems sees. */
    static final class Boot extends Disk {

        private final String id;
        private final Without without;

        Boot(String id, Without without) {
            this.id = id;
            this.without = without;
        }

        @Override
        String boot() {
            return id;
        }

        @Override
        void sync(FileChannel channel) throws IOException {
            if (without != Without.SYNC) {
                super.sync(channel);
            }
        }

        @Override
        void syncDirectory(Path directory) throws IOException {
            if (without != Without.DIRECTORY_SYNC) {
                super.syncDirectory(directory);
            }
        }
    }

    private static void start(String kind, Runnable work) {
        Thread thread = new Thread(
                () -> {
                    try {
                        work.run();
                    } catch (RuntimeException e) {
                        say("failed", kind, 0);
                    }
                },
                kind);
        thread.setDaemon(true);
        thread.start();
    }

    private static void say(String what, String kind, long number) {
        System.out.println(what + " " + kind + " " + number);
    }

    /** Puts and removes entries of a few keys in turn; the number is in the detail. */
    private void journal() {
        for (long number = first; ; number++) {
            UpgradeTrigger trigger = trigger(number % KEYS);
            say("begun", "journal", number);
            Mono<Void> change = isRemoval(number)
                    ? store.journal().remove(trigger.key())
                    : store.journal()
                            .put(new UpgradeJournal.Entry(
                                    trigger, true, UpgradeJournal.State.FAILED, false, Long.toString(number)));
            change.block(SOON);
            say("done", "journal", number);
        }
    }

    static boolean isRemoval(long number) {
        return number % 7 == 6;
    }

    static UpgradeTrigger trigger(long key) {
        return new UpgradeTrigger(
                DEVICE, "module-" + key, "1.0", ArtifactStoreContract.artifact("key-" + key, new byte[] {1}));
    }

    private void transfer(long from) {
        for (long number = from; ; number++) {
            say("begun", "transfer", number);
            long transfer = number;
            byte[] content = content(transfer, TRANSFER_SIZE);
            Hasher hasher = ArtifactStoreContract.hasher();
            Flux.usingWhen(
                            store.open(artifact(transfer)),
                            writer -> writer.replay(hasher)
                                    .then(Mono.defer(
                                            () -> writer.begin(writer.offset(), TRANSFER_SIZE, "v" + transfer)))
                                    .thenMany(Flux.defer(() -> writer.append(
                                            ArtifactStoreContract.chunks(
                                                    content, (int) writer.offset(), TRANSFER_SIZE, 16_000),
                                            hasher)))
                                    .doOnNext(offset -> say("at", "transfer", offset))
                                    .then(Mono.defer(() -> writer.commit(hasher.finish())))
                                    .doOnNext(ArtifactStore.Stored::release),
                            ArtifactStore.Writer::close)
                    .blockLast(SOON);
            say("done", "transfer", number);
        }
    }

    static Artifact artifact(long transfer) {
        return ArtifactStoreContract.artifact("transfer-" + transfer, content(transfer, TRANSFER_SIZE));
    }

    private void file() {
        FileInstaller installer = FileInstaller.to(directory.resolve("app.bin")).disk(disk);
        Verification verification = new Verification(store);
        for (long number = first; ; number++) {
            Verified verified = verification.upgrade("app", Long.toString(number), content(number, INSTALLED_SIZE));
            say("begun", "file", number);
            installer.install(verified).block(SOON);
            say("done", "file", number);
        }
    }

    /** Installs, restarts as it were, and confirms, again and again. */
    private void slots() {
        SlotInstaller slots = slots(directory, disk);
        slots.boot().flatMap(boot -> slots.confirm(slotTrigger(boot.version()))).block(SOON);
        Verification verification = new Verification(store);
        SlotInstaller running = slots;
        for (long number = first; ; number++) {
            Verified verified = verification.upgrade("default", Long.toString(number), content(number, INSTALLED_SIZE));
            say("begun", "slots", number);
            running.install(verified).block(SOON);
            say("done", "slots", number);
            running = slots(directory, disk);
            running.boot().block(SOON);
            running.confirm(verified.trigger()).block(SOON);
            say("confirmed", "slots", number);
        }
    }

    private static UpgradeTrigger slotTrigger(String version) {
        return new UpgradeTrigger(
                DEVICE, UpgradeTrigger.DEFAULT_MODULE, version, ArtifactStoreContract.artifact("app.bin", new byte[1]));
    }

    static SlotInstaller slots(Path directory, Disk disk) {
        return SlotInstaller.builder(directory.resolve("firmware")).disk(disk).build();
    }

    /** Bytes that say in the beginning which ones they are. */
    static byte[] content(long number, int size) {
        byte[] content = ArtifactStoreContract.bytes(size, number);
        ByteBuffer.wrap(content).putLong(number);
        return content;
    }
}
