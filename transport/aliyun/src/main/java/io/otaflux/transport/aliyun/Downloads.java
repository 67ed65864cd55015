package io.otaflux.transport.aliyun;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The files that a device fetches from its platform block by block over its MQTT connection. Everything happens on the lane.
 *
 * <p>Invariants: of each file at most {@code inFlight} blocks are asked for or have arrived and wait for those before them or
 * for demand, so that memory is bounded whoever is slow. Blocks are emitted in order. A block is asked for again when its
 * reply is late or damaged, four times in all. A reply is known by its id, so that one which comes late, twice, or for a file
 * that nobody reads any more harms nobody. A file ends with the connection it was asked for on.
 */
final class Downloads {

    /** What the documents allow a file to have. */
    static final long LARGEST_FILE = 16L * 1024 * 1024;

    static final int SMALLEST_BLOCK = 256;
    static final int LARGEST_BLOCK = 128 * 1024;

    private static final Logger log = Loggers.getLogger(Downloads.class);

    private static final int ATTEMPTS = 4;

    private static final Pattern LOCATION = Pattern.compile("([0-9]{1,18})/([0-9]{1,18})");

    private final Scheduler lane;
    private final Exchange exchange;
    private final long timeoutMillis;
    private final Map<String, Block> asked = new HashMap<>();
    private final Set<Reading> readings = new LinkedHashSet<>();

    Downloads(Scheduler lane, Exchange exchange, long timeoutMillis) {
        this.lane = lane;
        this.exchange = exchange;
        this.timeoutMillis = timeoutMillis;
    }

    /** The connection, as far as downloads need one. */
    interface Exchange {

        /**
         * Waits for a connection on which replies come in.
         *
         * @return a {@code Mono} that completes on the lane, or errors with {@link OtaException}
         */
        Mono<Void> open();

        /** Sends a request on the connection that there is. One that is lost is no error. */
        void send(byte[] request);

        String nextId();
    }

    /** Where a file is, as a location. */
    static URI location(long streamId, long fileId) {
        return URI.create(AliyunDevice.STREAM_SCHEME + ":" + streamId + "/" + fileId);
    }

    /**
     * @param blockSize how many bytes are asked for at a time
     * @param inFlight how many blocks of a file are asked for before the first of them has come
     * @param ledger sees every buffer that goes out
     */
    ArtifactSource source(int blockSize, int inFlight, UnaryOperator<ByteBuf> ledger) {
        if (blockSize < SMALLEST_BLOCK || blockSize > LARGEST_BLOCK) {
            throw new IllegalArgumentException(
                    "block size: " + blockSize + " (expected: " + SMALLEST_BLOCK + " to " + LARGEST_BLOCK + " bytes)");
        }
        if (inFlight < 1 || inFlight > 64) {
            throw new IllegalArgumentException("blocks in flight: " + inFlight + " (expected: 1 to 64)");
        }
        return new Source(blockSize, inFlight, ledger);
    }

    /** Takes in a reply, on the lane. */
    void received(byte[] payload) {
        try {
            received(BlockFrame.read(payload));
        } catch (MalformedMessage e) {
            // Whose it was is not known; the time limit of that block sees to it.
            log.debug("A reply to a download was skipped: {}", e.why());
        }
    }

    void received(BlockFrame frame) {
        Block block = frame.id().isEmpty() ? byOffset(frame) : asked.get(frame.id());
        if (block == null) {
            log.debug("A reply to a download that nobody waits for: {}", frame);
        } else {
            block.reading.received(block, frame);
        }
    }

    /** Some do not say whose reply it is; while one file is read there is no doubt. */
    private @Nullable Block byOffset(BlockFrame frame) {
        return readings.size() != 1
                ? null
                : asked.values().stream()
                        .filter(block -> block.offset == frame.offset())
                        .findAny()
                        .orElse(null);
    }

    /** The connection is gone: what was asked for on it does not come any more. */
    void disconnected(OtaException cause) {
        List.copyOf(readings).forEach(reading -> reading.fail(reading.transfer(cause.reason(), cause.getMessage())));
    }

    private static final class Block {

        private final Reading reading;
        private final long offset;
        private final int length;
        private final List<String> ids = new ArrayList<>();
        private @Nullable Disposable limit;
        private @Nullable BlockFrame arrived;

        Block(Reading reading, long offset, int length) {
            this.reading = reading;
            this.offset = offset;
            this.length = length;
        }
    }

    private final class Source implements ArtifactSource {

        private final int blockSize;
        private final int inFlight;
        private final UnaryOperator<ByteBuf> ledger;

        Source(int blockSize, int inFlight, UnaryOperator<ByteBuf> ledger) {
            this.blockSize = blockSize;
            this.inFlight = inFlight;
            this.ledger = ledger;
        }

        @Override
        public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
            return Flux.usingWhen(
                    Mono.fromCallable(() -> new Reading(request, this)),
                    reading -> reading.begin().flatMapMany(consumer),
                    reading -> Mono.fromRunnable(() -> lane.schedule(reading::end)));
        }

        @Override
        public String toString() {
            return "Downloads over MQTT, " + inFlight + " blocks of " + blockSize + " bytes at a time";
        }
    }

    /** One file, from its first request to its end; what is private to it is touched on the lane only. */
    private final class Reading {

        private final ArtifactSource.Request request;
        private final Artifact artifact;
        private final Source source;
        private final long streamId;
        private final long fileId;
        /** Asked for and not emitted, in order. */
        private final Deque<Block> blocks = new ArrayDeque<>();

        private @Nullable MonoSink<ArtifactSource.Content> opening;
        private @Nullable FluxSink<ByteBuf> subscriber;
        private @Nullable OtaException failure;
        private boolean ended;
        private long length = Artifact.UNKNOWN_SIZE;
        private long next;

        Reading(ArtifactSource.Request request, Source source) {
            this.request = request;
            this.source = source;
            this.artifact = request.artifact();
            URI location = artifact.location();
            Matcher place = LOCATION.matcher(String.valueOf(location.getRawSchemeSpecificPart()));
            if (!AliyunDevice.STREAM_SCHEME.equalsIgnoreCase(location.getScheme()) || !place.matches()) {
                throw new SourceException(
                        Reason.LOCATION_REFUSED,
                        artifact.name() + ": no location of this source (expected: " + AliyunDevice.STREAM_SCHEME
                                + ":stream/file)",
                        null);
            }
            this.streamId = Long.parseLong(place.group(1));
            this.fileId = Long.parseLong(place.group(2));
            checkSize(artifact.size());
        }

        private void checkSize(long size) {
            if (size > LARGEST_FILE) {
                throw new SourceException(
                        Reason.UNSUPPORTED,
                        artifact.name() + ": " + size + " bytes (expected: at most " + LARGEST_FILE + " over MQTT)",
                        null);
            }
        }

        /** Asks for the first bytes: they say how long the file is, and whether it still is the same one. */
        Mono<ArtifactSource.Content> begin() {
            return exchange.open()
                    .onErrorMap(OtaException.class, e -> transfer(e.reason(), e.getMessage()))
                    .then(Mono.create(sink -> lane.schedule(() -> {
                        if (ended) {
                            return;
                        }
                        readings.add(this);
                        opening = sink;
                        ask(new Block(this, 0, SMALLEST_BLOCK));
                    })));
        }

        private void ask(Block block) {
            String id = exchange.nextId();
            block.ids.add(id);
            asked.put(id, block);
            block.limit =
                    lane.schedule(() -> again(block, Reason.TIMEOUT, "no reply"), timeoutMillis, TimeUnit.MILLISECONDS);
            exchange.send(Messages.download(id, streamId, fileId, block.offset, block.length));
        }

        private void again(Block block, Reason reason, String what) {
            stopWaiting(block);
            if (block.ids.size() == ATTEMPTS) {
                fail(transfer(reason, what + " for byte " + block.offset + ", the " + ATTEMPTS + "th time in a row"));
            } else {
                log.debug("{} byte {}: {}; asking again", artifact.name(), block.offset, what);
                ask(block);
            }
        }

        private void stopWaiting(Block block) {
            if (block.limit != null) {
                block.limit.dispose();
            }
        }

        private void forget(Block block) {
            stopWaiting(block);
            block.ids.forEach(asked::remove);
        }

        void received(Block block, BlockFrame frame) {
            if (!frame.code().equals(BlockFrame.OK)) {
                fail(refused(frame.code()));
            } else if (frame.offset() != block.offset) {
                log.debug("{} byte {}: a reply with byte {}", artifact.name(), block.offset, frame.offset());
            } else if (!frame.isIntact()) {
                again(block, Reason.BAD_RESPONSE, "a damaged reply");
            } else if (!fits(block, frame)) {
                again(block, Reason.BAD_RESPONSE, "a reply of the wrong length");
            } else if (length != Artifact.UNKNOWN_SIZE && length != frame.fileLength()) {
                fail(transfer(
                        Reason.BAD_RESPONSE,
                        "the length became " + frame.fileLength() + " (expected: " + length + ")"));
            } else {
                forget(block);
                block.arrived = frame;
                if (opening != null) {
                    open(opening, frame);
                } else {
                    supplement(block, frame);
                    move();
                }
            }
        }

        /** A block may be shorter than it was asked for, but not so short that its pieces take more memory than its bytes. */
        private boolean fits(Block block, BlockFrame frame) {
            long left = frame.fileLength() - frame.offset();
            return frame.size() <= Math.min(block.length, left)
                    && frame.size() >= Math.min(Math.min(block.length, left), SMALLEST_BLOCK);
        }

        private void open(MonoSink<ArtifactSource.Content> sink, BlockFrame frame) {
            opening = null;
            length = frame.fileLength();
            if (artifact.size() != Artifact.UNKNOWN_SIZE && artifact.size() != length) {
                sink.error(new LengthMismatchException(artifact.name(), artifact.size(), length));
                return;
            }
            try {
                checkSize(length);
            } catch (SourceException tooLarge) {
                sink.error(tooLarge);
                return;
            }
            String validator = validator(frame);
            boolean goesOn = request.offset() <= length
                    && (request.validator() == null || request.validator().equals(validator));
            next = goesOn ? request.offset() : 0;
            sink.success(new ArtifactSource.Content(next, length, validator, bytes()));
        }

        /**
         * The protocol has no name for a content. Two of the same length and the same beginning are still told apart, by their
         * digest, when the transfer is over.
         */
        private String validator(BlockFrame frame) {
            CRC32 beginning = new CRC32();
            beginning.update(frame.data().nioBuffer());
            return length + "-" + Long.toHexString(beginning.getValue());
        }

        private Flux<ByteBuf> bytes() {
            return Flux.create(
                    sink -> {
                        sink.onRequest(n -> lane.schedule(this::move));
                        sink.onDispose(() -> lane.schedule(this::end));
                        lane.schedule(() -> subscribe(sink));
                    },
                    // Nothing is emitted beyond the demand, so there is nothing to queue.
                    FluxSink.OverflowStrategy.IGNORE);
        }

        private void subscribe(FluxSink<ByteBuf> sink) {
            if (subscriber != null) {
                sink.error(new IllegalStateException("bytes: subscribed already (expected: at most once)"));
            } else if (failure != null) {
                sink.error(failure);
            } else {
                subscriber = sink;
                move();
            }
        }

        /** Emits what is due and asks for what there is room for. */
        private void move() {
            FluxSink<ByteBuf> sink = subscriber;
            if (sink == null || ended) {
                return;
            }
            while (isDue() && sink.requestedFromDownstream() > 0 && !sink.isCancelled()) {
                BlockFrame frame = blocks.remove().arrived;
                if (frame != null) {
                    sink.next(source.ledger.apply(frame.data()));
                }
            }
            while (blocks.size() < source.inFlight && next < length) {
                Block block = new Block(this, next, (int) Math.min(source.blockSize, length - next));
                next += block.length;
                blocks.add(block);
                ask(block);
            }
            if (blocks.isEmpty()) {
                end();
                sink.complete();
            }
        }

        private boolean isDue() {
            Block first = blocks.peek();
            return first != null && first.arrived != null;
        }

        /** A server may have a block size of its own, and gives less than it was asked for: the rest is asked for next. */
        private void supplement(Block block, BlockFrame frame) {
            int missing = block.length - frame.size();
            if (missing == 0) {
                return;
            }
            Block rest = new Block(this, block.offset + frame.size(), missing);
            Deque<Block> behind = new ArrayDeque<>();
            while (blocks.peekLast() != block) {
                behind.push(blocks.removeLast());
            }
            blocks.add(rest);
            blocks.addAll(behind);
            ask(rest);
        }

        void fail(OtaException cause) {
            failure = cause;
            end();
            if (opening != null) {
                opening.error(cause);
            } else if (subscriber != null) {
                subscriber.error(cause);
            }
        }

        /** Asks for nothing any more; what still comes is for nobody. */
        void end() {
            ended = true;
            readings.remove(this);
            blocks.forEach(this::forget);
            blocks.clear();
            asked.values().removeIf(block -> {
                boolean own = block.reading == this;
                if (own) {
                    stopWaiting(block);
                }
                return own;
            });
        }

        TransferException transfer(Reason reason, @Nullable String why) {
            return new TransferException(reason, artifact.name() + ": " + why, null);
        }

        private OtaException refused(String code) {
            String shown = code.matches("[0-9]{1,6}") ? code : "?";
            boolean busy = shown.equals("429") || shown.matches("5[0-9]{2}");
            // Any other: the platform may have put the file elsewhere, and is asked for its location.
            return busy
                    ? transfer(Reason.SERVER_BUSY, "the platform cannot send it now: code " + shown)
                    : new SourceException(
                            Reason.NOT_FOUND, artifact.name() + ": the platform does not send it: code " + shown, null);
        }
    }
}
