package io.otaflux.transport.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.EventLoop;
import io.otaflux.Artifact;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.TransferException;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Operators;
import reactor.netty.Connection;
import reactor.util.context.Context;

/**
 * The bytes of one answer, on their way from the socket to one subscriber, and the end of the connection's part in it.
 *
 * <p>Reactor Netty releases a buffer when {@code onNext} returns, so each is retained before it is passed on. There is no
 * queue here: what is in flight is in Reactor Netty's queue, which it empties itself, or belongs to the subscriber.
 *
 * <p>Everything but {@link Receiver#request} and its two fields, and a look at whether it is over, happens on the connection's
 * event loop.
 */
final class Body extends Flux<ByteBuf> {

    private final Connection connection;
    private final EventLoop loop;
    private final Artifact artifact;
    private final String where;
    private final long offset;
    private final long size;
    private final Duration stallTimeout;
    private boolean over;
    private volatile @Nullable Receiver receiver;

    /**
     * @param offset where the bytes start
     * @param size how many bytes the whole has, or {@link Artifact#UNKNOWN_SIZE}
     */
    Body(Connection connection, Artifact artifact, String where, long offset, long size, Duration stallTimeout) {
        this.connection = connection;
        this.loop = connection.channel().eventLoop();
        this.artifact = artifact;
        this.where = where;
        this.offset = offset;
        this.size = size;
        this.stallTimeout = stallTimeout;
    }

    @Override
    public void subscribe(CoreSubscriber<? super ByteBuf> subscriber) {
        onLoop(() -> {
            if (receiver != null) {
                Operators.error(subscriber, new IllegalStateException("bytes: subscribed to twice (expected: once)"));
            } else if (over) {
                Operators.error(subscriber, tooLate());
            } else {
                Receiver first = new Receiver(subscriber);
                receiver = first;
                connection.inbound().receive().subscribe(first);
            }
        });
    }

    /** Ends the request, unless it has ended by itself. May be called from any thread, and more than once. */
    void abandon() {
        Receiver ended = receiver;
        if (ended != null && ended.done) {
            // By itself, as nearly always.
            return;
        }
        onLoop(() -> {
            if (over) {
                return;
            }
            over = true;
            Receiver now = receiver;
            if (now == null) {
                connection.dispose();
            } else if (!now.done) {
                now.fail(tooLate());
            }
        });
    }

    private TransferException tooLate() {
        return new TransferException(
                Reason.CONNECTION_LOST, where + ": the request ended before its bytes were taken", null);
    }

    private void onLoop(Runnable task) {
        if (loop.inEventLoop()) {
            task.run();
            return;
        }
        try {
            loop.execute(task);
        } catch (RejectedExecutionException e) {
            // The source was closed, and the loop has closed its connections with it.
            if (!loop.isShuttingDown()) {
                throw e;
            }
        }
    }

    private final class Receiver implements CoreSubscriber<ByteBuf>, Subscription {

        private final CoreSubscriber<? super ByteBuf> actual;
        private final AtomicLong demand = new AtomicLong();
        private final LowWaterMark mark = new LowWaterMark(connection.channel());
        private volatile long waitingSince;
        private Subscription upstream = Operators.emptySubscription();
        private @Nullable Future<?> timer;
        private long received;
        private volatile boolean done;

        Receiver(CoreSubscriber<? super ByteBuf> actual) {
            this.actual = actual;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            upstream = subscription;
            actual.onSubscribe(this);
        }

        @Override
        public void request(long n) {
            if (Operators.validate(n)) {
                long before = demand.getAndAccumulate(n, Operators::addCap);
                if (before == 0) {
                    waitingSince = System.nanoTime();
                    onLoop(this::startTimer);
                }
                upstream.request(n);
            }
        }

        @Override
        public void cancel() {
            onLoop(() -> {
                if (!done) {
                    finish();
                    upstream.cancel();
                }
            });
        }

        @Override
        public void onNext(ByteBuf buffer) {
            if (done) {
                return;
            }
            if (!buffer.isReadable()) {
                upstream.request(1);
                return;
            }
            received += buffer.readableBytes();
            if (size != Artifact.UNKNOWN_SIZE && offset + received > size) {
                fail(new LengthMismatchException(artifact.name(), size, offset + received));
                return;
            }
            mark.arrived(buffer.readableBytes(), size == Artifact.UNKNOWN_SIZE ? 0 : size - offset - received);
            waitingSince = System.nanoTime();
            demand.updateAndGet(n -> n == Long.MAX_VALUE ? n : n - 1);
            actual.onNext(buffer.retain());
        }

        @Override
        public void onError(Throwable failure) {
            if (!done) {
                finish();
                actual.onError(Failures.ofBody(failure, where, received));
            }
        }

        @Override
        public void onComplete() {
            if (done) {
                return;
            }
            finish();
            if (size != Artifact.UNKNOWN_SIZE && offset + received < size) {
                actual.onError(new TransferException(
                        Reason.CONNECTION_LOST,
                        where + ": ended after " + (offset + received) + " of " + size + " bytes",
                        null));
            } else {
                actual.onComplete();
            }
        }

        void fail(OtaException failure) {
            if (!done) {
                finish();
                upstream.cancel();
                actual.onError(failure);
            }
        }

        private void finish() {
            done = true;
            mark.reset();
            if (timer != null) {
                timer.cancel(false);
                timer = null;
            }
        }

        private void startTimer() {
            if (!done && timer == null) {
                schedule(stallTimeout.toNanos());
            }
        }

        private void schedule(long nanos) {
            timer = loop.schedule(this::checkForStall, nanos, TimeUnit.NANOSECONDS);
        }

        /** Runs only while somebody waits for bytes: with no demand it ends, and the next request starts it again. */
        private void checkForStall() {
            timer = null;
            if (done || demand.get() == 0) {
                return;
            }
            long left = stallTimeout.toNanos() - (System.nanoTime() - waitingSince);
            if (left > 0) {
                schedule(left);
            } else {
                fail(new TransferException(
                        Reason.TIMEOUT,
                        where + ": no byte for " + stallTimeout.toMillis() + " ms after " + received + " bytes",
                        null));
            }
        }
    }
}
