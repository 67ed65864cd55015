package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.netty.util.concurrent.FastThreadLocalThread;
import io.otaflux.Installed;
import io.otaflux.UpgradeEvent;
import io.otaflux.storage.CommandInstaller;
import io.otaflux.storage.SlotInstaller;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.blockhound.BlockHound;
import reactor.blockhound.BlockingOperationError;
import reactor.core.scheduler.Schedulers;
import reactor.netty.resources.LoopResources;

/**
 * Nobody blocks on a thread that serves others. BlockHound by itself knows nothing of NIO's files and of name lookups, so
 * that they are added here, and a green run would prove nothing without the tests that show them being caught.
 *
 * <p>It runs in a process of its own, because what BlockHound does to a Java machine cannot be taken back.
 */
@RequiresServers
class NonBlockingTest {

    private static final Queue<Throwable> VIOLATIONS = new ConcurrentLinkedQueue<>();

    @TempDir
    Path directory;

    @BeforeAll
    static void install() {
        BlockHound.install(builder -> builder.markAsBlocking(
                        "sun/nio/ch/FileChannelImpl", "write", "(Ljava/nio/ByteBuffer;)I")
                .markAsBlocking("sun/nio/ch/FileChannelImpl", "write", "(Ljava/nio/ByteBuffer;J)I")
                .markAsBlocking("sun/nio/ch/FileChannelImpl", "read", "(Ljava/nio/ByteBuffer;)I")
                .markAsBlocking("sun/nio/ch/FileChannelImpl", "read", "(Ljava/nio/ByteBuffer;J)I")
                .markAsBlocking("sun/nio/ch/FileChannelImpl", "force", "(Z)V")
                .markAsBlocking("sun/nio/ch/FileChannelImpl", "truncate", "(J)Ljava/nio/channels/FileChannel;")
                .markAsBlocking(
                        "java/nio/file/Files",
                        "move",
                        "(Ljava/nio/file/Path;Ljava/nio/file/Path;[Ljava/nio/file/CopyOption;)Ljava/nio/file/Path;")
                .markAsBlocking("java/nio/file/Files", "delete", "(Ljava/nio/file/Path;)V")
                .markAsBlocking("java/nio/file/Files", "deleteIfExists", "(Ljava/nio/file/Path;)Z")
                .markAsBlocking("java/nio/file/Files", "size", "(Ljava/nio/file/Path;)J")
                .markAsBlocking("java/nio/file/Files", "readAllBytes", "(Ljava/nio/file/Path;)[B")
                .markAsBlocking(
                        "java/nio/file/Files",
                        "newDirectoryStream",
                        "(Ljava/nio/file/Path;)Ljava/nio/file/DirectoryStream;")
                .markAsBlocking("java/net/InetAddress", "getAllByName", "(Ljava/lang/String;)[Ljava/net/InetAddress;")
                // Where the log goes is the test run's affair: with -Pcanaries to a file.
                .allowBlockingCallsInside("ch.qos.logback.classic.Logger", "callAppenders")
                .nonBlockingThreadPredicate(known -> known.or(NonBlockingTest::servesOthers))
                .blockingMethodCallback(method -> {
                    BlockingOperationError violation = new BlockingOperationError(method);
                    VIOLATIONS.add(violation);
                    throw violation;
                }));
    }

    @BeforeEach
    void forget() {
        VIOLATIONS.clear();
    }

    /** Reactor's parallel threads are known as such; these are the event loops, and where the MQTT client calls back. */
    private static boolean servesOthers(Thread thread) {
        return thread instanceof FastThreadLocalThread || thread.getName().startsWith("RxComputation");
    }

    /** What must not be done there. */
    enum Deed {
        WRITE {
            @Override
            void commit(Path file) throws IOException {
                try (FileChannel channel =
                        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                    channel.write(ByteBuffer.allocate(1));
                }
            }
        },
        FORCE {
            @Override
            void commit(Path file) throws IOException {
                try (FileChannel channel =
                        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                    channel.force(true);
                }
            }
        },
        READ {
            @Override
            void commit(Path file) throws IOException {
                try (FileChannel channel = FileChannel.open(
                        file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                    channel.read(ByteBuffer.allocate(1));
                }
            }
        },
        MOVE {
            @Override
            void commit(Path file) throws IOException {
                Files.move(file, file.resolveSibling("moved"));
            }
        },
        LOOK_UP {
            @Override
            void commit(Path file) throws UnknownHostException {
                InetAddress.getAllByName("localhost");
            }
        },
        SLEEP {
            @Override
            void commit(Path file) throws InterruptedException {
                TimeUnit.MILLISECONDS.sleep(1);
            }
        };

        abstract void commit(Path file) throws IOException, InterruptedException;
    }

    @ParameterizedTest
    @EnumSource
    void blockingOnAParallelThreadIsCaught(Deed deed) throws Exception {
        assertCaught(deed, task -> Schedulers.parallel().schedule(task));
    }

    @ParameterizedTest
    @EnumSource
    void blockingOnAnEventLoopIsCaught(Deed deed) throws Exception {
        LoopResources loops = LoopResources.create("caught", 1, true);
        try {
            assertCaught(deed, loops.onClient(true).next());
        } finally {
            loops.disposeLater(Duration.ZERO, Gateway.PATIENCE).block(Gateway.PATIENCE);
        }
    }

    @ParameterizedTest
    @EnumSource
    void blockingWhereTheMqttClientCallsBackIsCaught(Deed deed) throws Exception {
        assertCaught(
                deed, task -> io.reactivex.schedulers.Schedulers.computation().scheduleDirect(task));
    }

    private void assertCaught(Deed deed, Executor thread) throws Exception {
        Path file = Files.createFile(directory.resolve("file"));
        CompletableFuture<Throwable> outcome = new CompletableFuture<>();
        thread.execute(() -> {
            try {
                deed.commit(file);
                outcome.complete(null);
            } catch (Throwable e) {
                outcome.complete(e);
            }
        });
        assertThat(outcome.get(20, TimeUnit.SECONDS)).isInstanceOf(BlockingOperationError.class);
        assertThat(VIOLATIONS).hasSize(1);
    }

    @Test
    void upgradesBlockNobody() throws Exception {
        Payload app = Payload.of(3_000_000, 71);
        Payload firmware = Payload.of(1_000_000, 72);
        SlotInstaller slots = SlotInstaller.in(directory.resolve("firmware"));
        CommandInstaller endless = CommandInstaller.builder("/bin/sleep", "100")
                .timeLimit(Duration.ofMillis(200))
                .build();
        try (Site site = Site.open(directory, "limit_rate 2m;");
                Gateway gateway = Gateway.start(
                        site,
                        "1.0.0",
                        builder -> builder.installer("default", slots).installer("tool", endless))) {
            // By name, so that names are looked up: of the file server, and by every gateway of its broker.
            ObjectNode push = site.publish("app", "2.0.0", app);
            push.put("url", push.get("url").textValue().replace("127.0.0.1", "localhost"));
            site.cloud().push(push);
            gateway.awaitBytes(app.size() / 4);
            site.nginx().kill();
            gateway.awaitEvent(UpgradeEvent.Interrupted.class, "2.0.0");
            site.broker().restart();
            site.nginx().start();
            gateway.awaitSuccess("2.0.0");
            site.cloud().push(site.publish("default", "3.0.0", firmware));
            gateway.awaitEvent(Installed.class, "3.0.0");
            site.cloud()
                    .push(site.publish("app", "4.0.0", firmware)
                            .put("sign", app.sha256().replace('a', 'b')));
            gateway.awaitEvent(UpgradeEvent.Failed.class, "4.0.0");
            site.cloud().push(site.publish("tool", "5.0.0", firmware));
            gateway.awaitEvent(UpgradeEvent.Failed.class, "5.0.0");

            assertThat(threadsThatServe())
                    .as("the threads in question are really watched")
                    .hasSizeGreaterThan(1);
            assertThat(gateway.appFile()).hasBinaryContent(app.bytes());
        }
        assertThat(VIOLATIONS).isEmpty();
    }

    private static List<String> threadsThatServe() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(NonBlockingTest::servesOthers)
                .map(Thread::getName)
                .filter(name -> name.startsWith("com.hivemq") || name.startsWith("otaflux-http"))
                .map(name -> name.substring(0, 6))
                .distinct()
                .toList();
    }
}
