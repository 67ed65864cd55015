package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.ArtifactSource.Content;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.ChannelException;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.Mutant;
import io.otaflux.transport.aliyun.StreamPlatform.Asked;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

/** Downloads in virtual time, from a platform that gets one thing wrong at a time. */
class DownloadsTest {

    private static final int BLOCK = 1_000;
    private static final long STREAM = 12332;
    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    private final StreamPlatform platform = new StreamPlatform();
    private final BufferLedger ledger = new BufferLedger();
    private final byte[] content = bytes(10_300);
    private final Wire wire = new Wire(platform, Wire::receive);

    @AfterEach
    void countBuffers() {
        ledger.assertNoLeaks();
    }

    @Test
    void asksAsTheDocumentsPrintIt() {
        assertThat(new String(Messages.download("123456", 1234565, 1, 2, 256), UTF_8))
                .isEqualTo("{\"id\":\"123456\",\"version\":\"1.0\",\"params\":{\"fileInfo\":{\"streamId\":1234565,"
                        + "\"fileId\":1},\"fileBlock\":{\"size\":256,\"offset\":2}}}");
    }

    @Test
    void asksForAWindowOfBlocksInOrder() {
        assertThat(download(4)).isEqualTo(content);

        assertThat(platform.asked())
                .extracting(Asked::offset)
                .containsExactly(0L, 0L, 1000L, 2000L, 3000L, 4000L, 5000L, 6000L, 7000L, 8000L, 9000L, 10000L);
        assertThat(platform.asked())
                .allSatisfy(asked -> assertThat(asked.fileId()).isEqualTo(1));
        assertThat(platform.asked().get(11).size()).isEqualTo(300);
        assertThat(platform.asked()).extracting(Asked::id).doesNotHaveDuplicates();
    }

    @Test
    void aFileArrivesWholeWhateverHappensToItsReplies() {
        survivesFaults(Wire::receive);
    }

    @Test
    void aReaderThatLeavesOneGuardOutIsCaught() {
        Mutant.assertCaught(
                "the check of the data", () -> survivesFaults((wire, reply) -> wire.receive(withTheRightCheck(reply))));
        Mutant.assertCaught(
                "the comparison of the offset", () -> survivesFaults(DownloadsTest::receiveWhateverItsOffset));
    }

    /** Every reply is lost, damaged, sent twice, held back or mixed up with a chance of one in three. */
    private void survivesFaults(BiConsumer<Wire, byte[]> reader) {
        for (int seed = 0; seed < 12; seed++) {
            Random random = new Random(seed);
            StreamPlatform unreliable = new StreamPlatform();
            unreliable.serve(STREAM, content);
            List<byte[]> held = new ArrayList<>();
            Set<Asked> hurt = new HashSet<>();
            unreliable.fault((number, asked, reply) -> {
                List<byte[]> replies = new ArrayList<>();
                // Not twice in a row: the limit is another test's.
                Asked block = new Asked("", asked.streamId(), asked.fileId(), asked.offset(), asked.size());
                boolean first = hurt.add(block);
                switch (first ? random.nextInt(9) : 8) {
                    case 0 -> {
                        // Lost.
                    }
                    case 1 -> replies.add(flipped(reply, random));
                    case 2 -> replies.add(Arrays.copyOf(reply, reply.length - 1 - random.nextInt(20)));
                    case 3 -> replies.addAll(List.of(reply, reply));
                    case 4 -> held.add(reply);
                    case 5 -> replies.add(StreamPlatform.block(asked.id(), 17, bytes(lengthOf(asked)), 10_300));
                    default -> replies.add(reply);
                }
                if (random.nextBoolean()) {
                    replies.addAll(held);
                    held.clear();
                }
                return replies;
            });
            byte[] arrived = new Wire(unreliable, reader).download(artifact(content.length), 4);
            assertThat(arrived).as("seed %d", seed).isEqualTo(content);
        }
    }

    @Test
    void aBlockWhoseReplyIsLostIsAskedForAgainAfterTheTimeout() {
        lose(3);
        Reading reading = wire.read(artifact(content.length), 1);

        assertThat(platform.asked()).hasSize(3);
        wire.time.advanceTimeBy(TIMEOUT.minusMillis(1));
        assertThat(platform.asked()).hasSize(3);
        wire.time.advanceTimeBy(Duration.ofMillis(1));

        assertThat(platform.asked().get(3).offset())
                .isEqualTo(platform.asked().get(2).offset());
        assertThat(reading.bytes()).isEqualTo(content);
    }

    @Test
    void aBlockThatIsLostFourTimesInARowInterruptsTheTransfer() {
        lose(5, 6, 7, 8);
        Reading reading = wire.read(artifact(content.length), 1);

        wire.time.advanceTimeBy(TIMEOUT.multipliedBy(4).minusMillis(1));
        assertThat(reading.error).isNull();
        wire.time.advanceTimeBy(Duration.ofMillis(1));

        assertThat(reading.error).isInstanceOf(TransferException.class);
        assertThat(reason(reading)).isEqualTo(Reason.TIMEOUT);
        assertThat(reading.error).hasMessage("default: no reply for byte 3000, the 4th time in a row");
        assertThat(reading.bytes()).isEqualTo(Arrays.copyOf(content, 3000));
        assertThat(platform.asked()).hasSize(8);
    }

    @Test
    void aBlockThatIsDamagedFourTimesInARowInterruptsTheTransfer() {
        platform.fault(
                (number, asked, reply) -> List.of(asked.offset() == 2000 ? flipped(reply, new Random(number)) : reply));
        Reading reading = wire.read(artifact(content.length), 2);

        assertThat(reading.error).isInstanceOf(TransferException.class);
        assertThat(reason(reading)).isEqualTo(Reason.BAD_RESPONSE);
        assertThat(reading.bytes()).isEqualTo(Arrays.copyOf(content, 2000));
        assertThat(platform.asked()).filteredOn(asked -> asked.offset() == 2000).hasSize(4);
    }

    @Test
    void aReplyThatComesAfterItWasGivenUpIsStillOfUse() {
        List<byte[]> late = new ArrayList<>();
        platform.fault((number, asked, reply) -> {
            if (number == 3) {
                late.add(reply);
                return List.of();
            }
            return number == 4 ? List.of() : List.of(reply);
        });
        Reading reading = wire.read(artifact(content.length), 1);

        wire.time.advanceTimeBy(TIMEOUT);
        assertThat(platform.asked()).hasSize(4);
        wire.downloads.received(late.get(0));

        assertThat(reading.bytes()).isEqualTo(content);
    }

    @Test
    void aReplyWithAnotherOffsetIsIgnored() {
        platform.fault((number, asked, reply) -> number == 4
                ? List.of(StreamPlatform.block(asked.id(), 17, bytes(BLOCK), content.length), reply)
                : List.of(reply));

        assertThat(download(1)).isEqualTo(content);
    }

    @Test
    void aReplyWithoutAnIdIsKnownByItsOffset() {
        platform.fault((number, asked, reply) -> List.of(StreamPlatform.block(
                "",
                asked.offset(),
                Arrays.copyOfRange(
                        content, (int) asked.offset(), (int) Math.min(content.length, asked.offset() + asked.size())),
                content.length)));

        assertThat(download(4)).isEqualTo(content);
    }

    @Test
    void aServerThatGivesLessThanItIsAskedForIsAskedForTheRest() {
        platform.fault((number, asked, reply) -> List.of(StreamPlatform.block(
                asked.id(),
                asked.offset(),
                Arrays.copyOfRange(content, (int) asked.offset(), (int)
                        Math.min(content.length, asked.offset() + Math.min(300, asked.size()))),
                content.length)));

        assertThat(download(4)).isEqualTo(content);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 255, 1001})
    void aReplyOfAnImpossibleLengthIsAskedForAgain(int length) {
        platform.fault((number, asked, reply) -> number == 4
                ? List.of(StreamPlatform.block(asked.id(), asked.offset(), bytes(length), content.length))
                : List.of(reply));

        assertThat(download(1)).isEqualTo(content);
        assertThat(platform.asked()).hasSize(13);
    }

    @Test
    void noMoreThanTheWindowIsAskedForWhenTheFirstBlockIsMissing() {
        lose(2);
        Reading reading = wire.read(artifact(content.length), 4);

        // The one for the beginning, the lost one, and three that wait for it.
        assertThat(platform.asked()).hasSize(5);
        assertThat(reading.bytes()).isEmpty();
        wire.time.advanceTimeBy(TIMEOUT);
        assertThat(reading.bytes()).isEqualTo(content);
    }

    @Test
    void aSubscriberThatAsksForNothingGetsNothingAndHoldsNoMoreThanTheWindow() {
        platform.serve(STREAM, content);
        Reading reading = wire.read(artifact(content.length), 4, 0);

        assertThat(reading.buffers).isZero();
        assertThat(platform.asked()).hasSize(5);
        reading.request(3);
        assertThat(reading.buffers).isEqualTo(3);
        assertThat(platform.asked()).hasSize(8);
        reading.cancel();
        wire.time.advanceTimeBy(TIMEOUT.multipliedBy(10));
        assertThat(platform.asked()).hasSize(8);
    }

    @Test
    void whatStillComesAfterCancellationIsForNobody() {
        List<byte[]> held = new ArrayList<>();
        platform.fault((number, asked, reply) -> {
            if (number < 4) {
                return List.of(reply);
            }
            held.add(reply);
            return List.of();
        });
        Reading reading = wire.read(artifact(content.length), 4);
        reading.cancel();

        held.forEach(wire.downloads::received);
        wire.time.advanceTimeBy(TIMEOUT.multipliedBy(10));

        assertThat(reading.bytes()).hasSize(2 * BLOCK);
        assertThat(platform.asked()).hasSize(7);
    }

    @Test
    void aLostConnectionInterruptsTheTransferWhichGoesOnAtItsOffset() {
        lose(6, 7, 8, 9);
        Reading reading = wire.read(artifact(content.length), 4);

        wire.downloads.disconnected(new ChannelException(Reason.CONNECTION_LOST, "gone", null));

        assertThat(reading.error).isInstanceOf(TransferException.class);
        assertThat(reason(reading)).isEqualTo(Reason.CONNECTION_LOST);
        int here = reading.bytes().length;
        assertThat(here).isEqualTo(4 * BLOCK);
        Reading rest = wire.read(
                new Request(
                        artifact(content.length), here - 7, reading.content().validator()),
                4);
        assertThat(rest.content().offset()).isEqualTo(here - 7);
        assertThat(rest.bytes()).isEqualTo(Arrays.copyOfRange(content, here - 7, content.length));
    }

    @Test
    void aDeviceThatIsRefusedInterruptsTheTransfer() {
        wire.refusal = new ChannelException(Reason.CONNECTION_REFUSED, "CONNACK 5", null);

        Reading reading = wire.read(artifact(content.length), 4);

        assertThat(reading.error).isInstanceOf(TransferException.class);
        assertThat(reason(reading)).isEqualTo(Reason.CONNECTION_REFUSED);
    }

    @Test
    void aStreamThatChangedSinceThenStartsOver() {
        Artifact artifact = artifact(content.length);
        String validator = wire.read(artifact, 4).content().validator();
        byte[] other = bytes(content.length);
        platform.serve(STREAM, other);

        Reading again = wire.read(new Request(artifact, 5000, validator), 4);

        assertThat(again.content().offset()).isZero();
        assertThat(again.bytes()).isEqualTo(other);
    }

    @Test
    void anotherStreamWithTheSameContentIsTheSameContent() {
        platform.serve(STREAM, content);
        platform.serve(77, content);
        String validator = wire.read(artifact(content.length), 4).content().validator();

        Artifact moved = artifact(content.length).at(Downloads.location(77, 1));
        Reading again = wire.read(new Request(moved, 5000, validator), 4);

        assertThat(again.content().offset()).isEqualTo(5000);
        assertThat(again.bytes()).isEqualTo(Arrays.copyOfRange(content, 5000, content.length));
    }

    @Test
    void aStreamWhoseLengthChangesInTheMiddleInterruptsTheTransfer() {
        platform.fault((number, asked, reply) -> {
            if (number == 5) {
                platform.serve(STREAM, bytes(20_000));
            }
            return List.of(reply);
        });
        Reading reading = wire.read(artifact(content.length), 1);

        assertThat(reading.error).isInstanceOf(TransferException.class);
        assertThat(reading.error).hasMessage("default: the length became 20000 (expected: 10300)");
    }

    @ParameterizedTest
    @ValueSource(ints = {10_299, 10_301})
    void anotherLengthThanTheDeclaredOneIsAMismatch(int declared) {
        Reading reading = wire.read(artifact(declared), 4);

        assertThat(reading.error).isInstanceOf(LengthMismatchException.class);
        assertThat(((LengthMismatchException) reading.error).actual()).isEqualTo(10_300);
        assertThat(platform.asked()).hasSize(1);
    }

    @Test
    void whatIsLargerThanTheProtocolAllowsIsRefused() {
        Reading declared = wire.read(artifact(16 * 1024 * 1024 + 1), 4);

        assertThat(declared.error).isInstanceOf(SourceException.class);
        assertThat(reason(declared)).isEqualTo(Reason.UNSUPPORTED);
        assertThat(platform.asked()).isEmpty();

        platform.fault((number, asked, reply) ->
                List.of(StreamPlatform.block(asked.id(), 0, bytes(256), 16 * 1024 * 1024 + 1)));
        Reading found = wire.read(artifact(Artifact.UNKNOWN_SIZE), 4);
        assertThat(reason(found)).isEqualTo(Reason.UNSUPPORTED);
    }

    @ParameterizedTest
    @CsvSource({"429, SERVER_BUSY, true", "500, SERVER_BUSY, true", "404, NOT_FOUND, false", "6205, NOT_FOUND, false"})
    void anErrorOfThePlatformHasAReason(int code, Reason reason, boolean passes) {
        platform.fault((number, asked, reply) -> List.of(number == 4 ? StreamPlatform.error(asked.id(), code) : reply));
        Reading reading = wire.read(artifact(content.length), 1);

        assertThat(reason(reading)).isEqualTo(reason);
        assertThat(((OtaException) reading.error).isTransient()).isEqualTo(passes);
        assertThat(reading.error).hasMessageContaining("code " + code).hasMessageNotContaining("CANARY");
        assertThat(platform.asked()).hasSize(4);
    }

    @Test
    void nonsenseIsSkipped() {
        platform.fault((number, asked, reply) -> List.of(new byte[0], new byte[] {0, 9, 1}, reply));

        assertThat(download(2)).isEqualTo(content);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://example.com/1/1",
                "aliyun-stream:1",
                "aliyun-stream:1/x",
                "aliyun-stream:1/2/3",
                "aliyun-stream://1/2",
                "aliyun-stream:-1/2"
            })
    void whatIsNoStreamIsRefused(String location) {
        Reading reading = wire.read(artifact(content.length).at(URI.create(location)), 4);

        assertThat(reading.error).isInstanceOf(SourceException.class);
        assertThat(reason(reading)).isEqualTo(Reason.LOCATION_REFUSED);
        assertThat(platform.asked()).isEmpty();
    }

    @Test
    void sizesThatNoClientUsesAreRefused() {
        assertThatThrownBy(() -> wire.downloads.source(255, 4, ledger::track))
                .hasMessageStartingWith("block size: 255");
        assertThatThrownBy(() -> wire.downloads.source(131_073, 4, ledger::track))
                .hasMessageStartingWith("block size: 131073");
        assertThatThrownBy(() -> wire.downloads.source(256, 0, ledger::track))
                .hasMessageStartingWith("blocks in flight: 0");
        assertThatThrownBy(() -> wire.downloads.source(256, 65, ledger::track))
                .hasMessageStartingWith("blocks in flight: 65");
    }

    // ---- Helpers of the tests ----

    private byte[] download(int window) {
        return wire.download(artifact(content.length), window);
    }

    private void lose(int... numbers) {
        platform.fault((number, asked, reply) ->
                Arrays.stream(numbers).anyMatch(lost -> lost == number) ? List.of() : List.of(reply));
    }

    private static Reason reason(Reading reading) {
        return ((OtaException) reading.error).reason();
    }

    private Artifact artifact(long size) {
        platform.serve(STREAM, content);
        return new Artifact("default", Downloads.location(STREAM, 1), size, List.of());
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random().nextBytes(bytes);
        return bytes;
    }

    /** One bit of the data is another. */
    private static byte[] flipped(byte[] reply, Random random) {
        byte[] damaged = reply.clone();
        int header = 2 + (reply[0] << 8 | reply[1] & 0xFF);
        damaged[header + random.nextInt(reply.length - header - 2)] ^= 0x10;
        return damaged;
    }

    /** What a reader sees that does not look at the check. */
    private static byte[] withTheRightCheck(byte[] reply) {
        int header = 2 + (reply[0] << 8 | reply[1] & 0xFF);
        if (reply.length < header + 2) {
            return reply;
        }
        int crc = StreamPlatform.crc(Arrays.copyOfRange(reply, header, reply.length - 2));
        byte[] accepted = reply.clone();
        accepted[reply.length - 2] = (byte) crc;
        accepted[reply.length - 1] = (byte) (crc >> 8);
        return accepted;
    }

    /** What a reader does that does not look at the offset: it takes each reply for the one that it asked for. */
    private static void receiveWhateverItsOffset(Wire wire, byte[] reply) {
        try {
            BlockFrame frame = BlockFrame.read(reply);
            long offset = wire.peer.asked().stream()
                    .filter(asked -> asked.id().equals(frame.id()))
                    .findFirst()
                    .orElseThrow()
                    .offset();
            wire.downloads.received(new BlockFrame(
                    frame.id(), frame.code(), offset, frame.fileLength(), frame.isIntact(), frame.data()));
        } catch (MalformedMessage e) {
            throw new AssertionError(e);
        }
    }

    private int lengthOf(Asked asked) {
        return (int) Math.min(asked.size(), content.length - asked.offset());
    }

    /** The connection: what is asked is answered at once. */
    private final class Wire implements Downloads.Exchange {

        private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
        private final Downloads downloads = new Downloads(time, this, TIMEOUT.toMillis());
        private final StreamPlatform peer;
        private final BiConsumer<Wire, byte[]> reader;
        private int lastId;
        private @Nullable OtaException refusal;

        Wire(StreamPlatform peer, BiConsumer<Wire, byte[]> reader) {
            this.peer = peer;
            this.reader = reader;
        }

        @Override
        public Mono<Void> open() {
            return refusal == null ? Mono.empty() : Mono.error(refusal);
        }

        @Override
        public void send(byte[] request) {
            List<byte[]> replies = peer.answer(request);
            // As on a real connection, not before the one who asks has done asking.
            replies.forEach(reply -> time.schedule(() -> reader.accept(this, reply)));
        }

        void receive(byte[] reply) {
            downloads.received(reply);
        }

        @Override
        public String nextId() {
            return Integer.toString(++lastId);
        }

        byte[] download(Artifact artifact, int window) {
            Reading reading = read(artifact, window);
            time.advanceTimeBy(Duration.ofMinutes(5));
            if (reading.error != null) {
                throw new AssertionError(reading.error);
            }
            assertThat(reading.completed).as("completed").isTrue();
            return reading.bytes();
        }

        Reading read(Artifact artifact, int window) {
            return read(artifact, window, Long.MAX_VALUE);
        }

        Reading read(Artifact artifact, int window, long demand) {
            return read(new Request(artifact, 0, null), window, demand);
        }

        Reading read(Request request, int window) {
            return read(request, window, Long.MAX_VALUE);
        }

        private Reading read(Request request, int window, long demand) {
            Reading reading = new Reading(demand);
            ArtifactSource source = downloads.source(BLOCK, window, ledger::track);
            source.read(request, answer -> {
                        reading.content.set(answer);
                        return answer.bytes();
                    })
                    .subscribe(reading);
            return reading;
        }
    }

    /** One who takes a file. */
    private static final class Reading extends BaseSubscriber<ByteBuf> {

        private final AtomicReference<Content> content = new AtomicReference<>();
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final long demand;
        private int buffers;
        private boolean completed;
        private @Nullable Throwable error;

        Reading(long demand) {
            this.demand = demand;
        }

        Content content() {
            return content.get();
        }

        byte[] bytes() {
            return bytes.toByteArray();
        }

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            if (demand > 0) {
                request(demand);
            }
        }

        @Override
        protected void hookOnNext(ByteBuf buffer) {
            buffers++;
            bytes.writeBytes(ByteBufUtil.getBytes(buffer));
            buffer.release();
        }

        @Override
        protected void hookOnComplete() {
            completed = true;
        }

        @Override
        protected void hookOnError(Throwable failure) {
            error = failure;
        }
    }
}
