package io.otaflux.samples.gateway;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactStore;
import io.otaflux.Backoff;
import io.otaflux.Digest;
import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaClient;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import io.otaflux.storage.FileArtifactStore;
import io.otaflux.storage.FileInstaller;
import io.otaflux.storage.SlotInstaller;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * An agent as it is in the field, in a process of its own: at its start it reports what is really installed, it takes on
 * one upgrade after the other until it is killed, and it ends with code {@value #RESTART} to be restarted with new firmware.
 */
final class AgentProgram {

    /** Options of a virtual machine that lives for seconds. */
    static final List<String> FAST_JVM =
            List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx96m");

    /** What it says when the virtual machine is up and its own work begins. */
    static final String UP = "up";

    /** What it says before the version that runs. */
    static final String RUNS = "runs ";

    /** What it says when an upgrade has succeeded, and that is in the journal. */
    static final String ENDED = "ended";

    static final int RESTART = 10;
    private static final int NOBODYS_PORT = 1;
    private static final Duration SLOW_WRITE = Duration.ofMillis(5);

    static final int CHECKPOINT = 128 * 1024;

    /** The name of the file with a line for each time that something was really replaced. */
    static final String LEDGER = "installations";

    /** The guard that is left out. */
    enum Without {
        NOTHING,
        /** The journal says that it has the trigger, and does not. */
        JOURNAL,
        /** The file is written where it is. */
        ATOMIC_REPLACEMENT
    }

    /** What is wrong with firmware whose version ends with this. */
    enum Flaw {
        /** It ends as soon as it starts. */
        EXITS,
        /** It starts, and that is all. */
        HANGS,
        /** It cannot reach its platform. */
        IS_CUT_OFF;

        String version(String good) {
            return good + "-" + name();
        }

        boolean isIn(String version) {
            return version.endsWith("-" + name());
        }
    }

    private AgentProgram() {}

    /**
     * Takes the broker's port, the directory for its files, its module, the guard that is left out, and how often new
     * firmware is started without being confirmed.
     */
    public static void main(String[] args) throws Exception {
        System.out.println(UP);
        Path home = Path.of(args[1]);
        String module = args[2];
        Without without = Without.valueOf(args[3]);
        Installer installer;
        Path installed;
        String running;
        if (module.equals(UpgradeTrigger.DEFAULT_MODULE)) {
            SlotInstaller slots = SlotInstaller.builder(home.resolve("firmware"))
                    .starts(Integer.parseInt(args[4]))
                    .build();
            installer = slots;
            installed = home.resolve("firmware/current");
            running = boot(slots);
        } else {
            installed = home.resolve("app.bin");
            installer = without == Without.ATOMIC_REPLACEMENT
                    ? verified -> writeInPlace(verified, installed)
                    : FileInstaller.to(installed);
            running = Payload.versionOf(installed);
        }
        System.out.println(RUNS + running);
        if (Flaw.EXITS.isIn(running)) {
            System.exit(1);
        }
        if (Flaw.HANGS.isIn(running)) {
            new CountDownLatch(1).await();
        }
        int port = Flaw.IS_CUT_OFF.isIn(running) ? NOBODYS_PORT : Integer.parseInt(args[0]);
        ArtifactStore store = FileArtifactStore.builder(home.resolve("store"))
                .checkpointBytes(CHECKPOINT)
                .build();
        Installer watched = counted(installer, installed, home.resolve(LEDGER));
        AliyunDevice device = Gateway.device(port).build();
        HttpArtifactSource source = HttpArtifactSource.builder()
                .allowHttp(true)
                .allowNetworks("127.0.0.0/8")
                .build();
        OtaClient ota = OtaClient.builder(device.upgrades())
                .source(source)
                .store(without == Without.JOURNAL ? new Forgetful(store) : store)
                .backoff(new Backoff(Duration.ofMillis(50), Duration.ofMillis(200), 50))
                .installer(module, watched)
                .build();
        CountDownLatch restart = new CountDownLatch(1);
        Disposable work = ota.report(module, running)
                .thenMany(ota.upgrades())
                .takeUntil(event -> event instanceof Installed now && now.effect() == Installer.Effect.AFTER_RESTART)
                .subscribe(AgentProgram::say, AgentProgram::giveUp, restart::countDown);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            work.dispose();
            ota.dispose();
            Mono.whenDelayError(device.close(), source.close(), store.close()).block(Gateway.PATIENCE);
        }));
        restart.await();
        System.exit(RESTART);
    }

    private static void giveUp(Throwable refusal) {
        System.out.println("gives up: " + refusal);
        System.exit(1);
    }

    private static void say(UpgradeEvent event) {
        if (event instanceof UpgradeEvent.Received received) {
            System.out.println("received " + received.bytes());
        } else {
            System.out.println(event);
        }
        if (event instanceof UpgradeEvent.Succeeded) {
            System.out.println(ENDED);
        }
    }

    /** Starts what is in the slot that is in use, and answers which version that is, by itself. */
    private static String boot(SlotInstaller slots) throws IOException {
        SlotInstaller.Boot boot = slots.boot().blockOptional().orElseThrow();
        try (Stream<Path> files = Files.list(boot.slot())) {
            String version = Payload.versionOf(files.findFirst().orElseThrow());
            if (!boot.version().equals(version) && !boot.version().equals(SlotInstaller.FACTORY)) {
                throw new IllegalStateException(boot + ": is version " + version);
            }
            return version;
        }
    }

    /** Writes down, durably, each time that an installation has replaced something. */
    private static Installer counted(Installer installer, Path installed, Path ledger) {
        return new Installer() {
            @Override
            public Mono<Effect> install(Verified verified) {
                return Mono.fromCallable(() -> stamp(installed))
                        .flatMap(before -> installer.install(verified).doOnNext(effect -> {
                            if (!stamp(installed).equals(before)) {
                                append(ledger, verified.trigger().version());
                            }
                        }));
            }

            @Override
            public Mono<Void> confirm(UpgradeTrigger trigger) {
                return installer.confirm(trigger);
            }

            @Override
            public boolean awaitsRestart(UpgradeTrigger trigger) {
                return installer.awaitsRestart(trigger);
            }
        };
    }

    private static String stamp(Path installed) {
        try {
            Path real = installed.toRealPath();
            return real + " " + Files.getAttribute(real, "unix:ino");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void append(Path ledger, String version) {
        try (FileChannel channel = FileChannel.open(ledger, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            channel.write(ByteBuffer.wrap((version + "\n").getBytes(StandardCharsets.US_ASCII)));
            channel.force(true);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** An installer as it must not be, on a disk slow enough that a kill at a random moment finds the file half written. */
    private static Mono<Installer.Effect> writeInPlace(Verified verified, Path file) {
        return Mono.using(
                () -> FileChannel.open(
                        file, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.DSYNC),
                channel -> verified.file()
                        .read()
                        .doOnNext(bytes -> {
                            try {
                                write(channel, bytes);
                            } finally {
                                bytes.release();
                            }
                        })
                        .then(Mono.just(Installer.Effect.IMMEDIATE)),
                channel -> {
                    try {
                        channel.close();
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    private static void write(FileChannel channel, ByteBuf bytes) {
        try {
            while (bytes.isReadable()) {
                bytes.readBytes(channel, Math.min(16 * 1024, bytes.readableBytes()));
                LockSupport.parkNanos(SLOW_WRITE.toNanos());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A store whose journal is not there. */
    private static final class Forgetful implements ArtifactStore, UpgradeJournal {

        private final ArtifactStore store;

        Forgetful(ArtifactStore store) {
            this.store = store;
        }

        @Override
        public Mono<Stored> find(Collection<Digest> digests) {
            return store.find(digests);
        }

        @Override
        public Mono<Writer> open(Artifact artifact) {
            return store.open(artifact);
        }

        @Override
        public UpgradeJournal journal() {
            return this;
        }

        @Override
        public Mono<Void> close() {
            return store.close();
        }

        @Override
        public Flux<Entry> entries() {
            return Flux.empty();
        }

        @Override
        public Mono<Void> put(Entry entry) {
            return Mono.empty();
        }

        @Override
        public Mono<Void> remove(UpgradeKey key) {
            return Mono.empty();
        }
    }
}
