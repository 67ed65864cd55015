package io.otaflux.testkit;

import io.netty.buffer.ByteBuf;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;

/**
 * A source in memory. It resumes, tells contents apart, and goes wrong in the way and at the request that a test decides.
 */
public final class MemorySource implements ArtifactSource {

    private final Map<String, byte[]> contents = new ConcurrentHashMap<>();
    private final BufferLedger ledger = new BufferLedger();
    private final List<Request> requests = new CopyOnWriteArrayList<>();
    private final Queue<UnaryOperator<Flux<ByteBuf>>> faults = new ArrayDeque<>();
    private final Queue<Throwable> refusals = new ArrayDeque<>();

    private int chunk = 1_000;
    private boolean resumes = true;

    /** Sets the size of the buffers that it emits. Defaults to 1000 bytes. */
    public MemorySource chunk(int bytes) {
        chunk = bytes;
        return this;
    }

    /** Makes it a source that always starts over. */
    public MemorySource withoutResume() {
        resumes = false;
        return this;
    }

    /** Puts {@code content} at {@code location}, not counting its query. */
    public MemorySource serve(URI location, byte[] content) {
        contents.put(place(location), content.clone());
        return this;
    }

    /** Takes away what is at {@code location}. */
    public void remove(URI location) {
        contents.remove(place(location));
    }

    /** Lets the bytes of one request, after those that have such a fault already, go through {@code fault}. */
    public synchronized MemorySource fault(UnaryOperator<Flux<ByteBuf>> fault) {
        faults.add(fault);
        return this;
    }

    /** Breaks one request off with {@code error} after {@code buffers} buffers. */
    public MemorySource breakAfter(int buffers, Throwable error) {
        return fault(bytes -> bytes.take(buffers).concatWith(Flux.error(error)));
    }

    /** Lets one request hang after {@code buffers} buffers. */
    public MemorySource hangAfter(int buffers) {
        return fault(bytes -> bytes.take(buffers).concatWith(Flux.never()));
    }

    /** Answers one request with {@code error} and no content. */
    public synchronized MemorySource refuse(Throwable error) {
        refusals.add(error);
        return this;
    }

    /** Every request so far. */
    public List<Request> requests() {
        return requests;
    }

    /** The buffers it handed out. */
    public BufferLedger ledger() {
        return ledger;
    }

    @Override
    public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
        return Flux.defer(() -> {
            requests.add(request);
            Throwable refusal = nextRefusal();
            if (refusal != null) {
                return Flux.error(refusal);
            }
            Artifact artifact = request.artifact();
            byte[] content = contents.get(place(artifact.location()));
            if (content == null) {
                return Flux.error(new SourceException(Reason.NOT_FOUND, 404, artifact.name() + ": 404", null));
            }
            if (artifact.size() != Artifact.UNKNOWN_SIZE && artifact.size() != content.length) {
                return Flux.error(new LengthMismatchException(artifact.name(), artifact.size(), content.length));
            }
            String validator = "v" + Arrays.hashCode(content);
            boolean goesOn = resumes
                    && request.offset() <= content.length
                    && (request.validator() == null || request.validator().equals(validator));
            int start = goesOn ? Math.toIntExact(request.offset()) : 0;
            Flux<ByteBuf> bytes = nextFault().apply(bytes(content, start));
            return Flux.from(consumer.apply(new Content(start, content.length, validator, bytes)));
        });
    }

    private Flux<ByteBuf> bytes(byte[] content, int start) {
        int buffers = (content.length - start + chunk - 1) / chunk;
        return Flux.range(0, buffers).map(i -> {
            int from = start + i * chunk;
            return ledger.buffer(Arrays.copyOfRange(content, from, Math.min(content.length, from + chunk)));
        });
    }

    private synchronized UnaryOperator<Flux<ByteBuf>> nextFault() {
        UnaryOperator<Flux<ByteBuf>> fault = faults.poll();
        return fault == null ? UnaryOperator.identity() : fault;
    }

    private synchronized @Nullable Throwable nextRefusal() {
        return refusals.poll();
    }

    private static String place(URI location) {
        return location.getScheme() + "://" + location.getAuthority() + location.getPath();
    }
}
