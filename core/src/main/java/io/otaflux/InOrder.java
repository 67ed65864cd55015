package io.otaflux;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * One source after the other, of which a cancellation always reaches the one that is subscribed to.
 *
 * <p>Reactor's own operators do not promise that: whichever of them goes from one source to the next looks whether it is
 * cancelled, and then takes the new subscription. A cancellation that comes in between finds the source before, and the next
 * one goes on for nobody and for ever. So each source here looks once more, when its subscription has been taken.
 */
final class InOrder {

    /** Made once: Reactor gives each one a name that is put together from the lambda's. */
    private static final Function<? super Publisher<Object>, ? extends Publisher<Object>> FIRM =
            Operators.<Object, Object>lift((source, actual) -> new Firm<>(actual));

    private InOrder() {}

    /** What the sources emit; each is subscribed to when the one before it has completed. */
    @SafeVarargs
    @SuppressWarnings("varargs")
    static <T> Flux<T> of(Publisher<? extends T>... sources) {
        return Flux.concat(Arrays.stream(sources).map(InOrder::<T>firm).toList());
    }

    /** What {@code next} emits, which is subscribed to when {@code first} has completed. */
    static <T> Flux<T> after(Mono<?> first, Publisher<? extends T> next) {
        return of(first.then(Mono.<T>empty()), next);
    }

    /** What {@code mapper} makes of each element, one after the other; as {@link Flux#concatMap(Function)}. */
    static <T, R> Flux<R> each(Flux<T> elements, Function<? super T, ? extends Publisher<? extends R>> mapper) {
        return elements.concatMap(element -> firm(mapper.apply(element)));
    }

    /** As {@link Flux#switchIfEmpty(Publisher)}. */
    static <T> Flux<T> orElse(Flux<T> source, Publisher<? extends T> ifEmpty) {
        return InOrder.<T>firm(source).switchIfEmpty(firm(ifEmpty));
    }

    /** As {@link Mono#switchIfEmpty(Mono)}. */
    static <T> Mono<T> orElse(Mono<T> source, Mono<? extends T> ifEmpty) {
        return firm(source).switchIfEmpty(firm(ifEmpty));
    }

    /** As {@link Flux#onErrorResume(Predicate, Function)}. */
    static <T> Flux<T> resumed(
            Flux<T> source,
            Predicate<? super Throwable> expected,
            Function<? super Throwable, ? extends Publisher<? extends T>> fallback) {
        return InOrder.<T>firm(source).onErrorResume(expected, e -> firm(fallback.apply(e)));
    }

    /** As {@link Flux#onErrorResume(Class, Function)}. */
    static <T, E extends Throwable> Flux<T> resumed(
            Flux<T> source, Class<E> type, Function<? super E, ? extends Publisher<? extends T>> fallback) {
        return resumed(source, type::isInstance, e -> fallback.apply(type.cast(e)));
    }

    /** As {@link Mono#onErrorResume(Class, Function)}. */
    static <T, E extends Throwable> Mono<T> resumed(
            Mono<T> source, Class<E> type, Function<? super E, ? extends Mono<? extends T>> fallback) {
        return InOrder.<T>firm(source).onErrorResume(type, e -> firm(fallback.apply(e)));
    }

    /** As {@link Flux#onErrorMap(Predicate, Function)}, which goes from the source to its error as to another source. */
    static <T> Flux<T> mapped(
            Flux<T> source,
            Predicate<? super Throwable> expected,
            Function<? super Throwable, ? extends Throwable> mapper) {
        return InOrder.<T>firm(source).onErrorMap(expected, mapper);
    }

    /** As {@link Mono#onErrorMap(Predicate, Function)}. */
    static <T> Mono<T> mapped(
            Mono<T> source,
            Predicate<? super Throwable> expected,
            Function<? super Throwable, ? extends Throwable> mapper) {
        return InOrder.<T>firm(source).onErrorMap(expected, mapper);
    }

    /** As {@link Flux#repeatWhen(Function)}. */
    static <T> Flux<T> repeated(Flux<T> source, Function<Flux<Long>, ? extends Publisher<?>> again) {
        return InOrder.<T>firm(source).repeatWhen(again);
    }

    /** Directly above the operator that goes from source to source, which is the one that it asks. */
    @SuppressWarnings("unchecked")
    static <T> Flux<T> firm(Publisher<? extends T> source) {
        Flux<T> flux = Flux.from(source);
        return flux instanceof Callable ? flux : (Flux<T>) FIRM.apply((Publisher<Object>) (Publisher<?>) flux);
    }

    @SuppressWarnings("unchecked")
    private static <T> Mono<T> firm(Mono<? extends T> source) {
        Mono<T> mono = Mono.from(source);
        return mono instanceof Callable ? mono : (Mono<T>) FIRM.apply((Publisher<Object>) (Publisher<?>) mono);
    }

    private static final class Firm<T> implements CoreSubscriber<T>, Subscription, Scannable {

        private final CoreSubscriber<? super T> actual;
        private @Nullable Subscription source;

        Firm(CoreSubscriber<? super T> actual) {
            this.actual = actual;
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            source = subscription;
            actual.onSubscribe(this);
            // The operator may have kept the subscription with a plain write, which must not happen after this look.
            VarHandle.fullFence();
            if (Scannable.from(actual).scanOrDefault(Attr.CANCELLED, false)) {
                subscription.cancel();
            }
        }

        @Override
        public void onNext(T element) {
            actual.onNext(element);
        }

        @Override
        public void onError(Throwable error) {
            actual.onError(error);
        }

        @Override
        public void onComplete() {
            actual.onComplete();
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void request(long n) {
            Objects.requireNonNull(source).request(n);
        }

        @Override
        public void cancel() {
            Objects.requireNonNull(source).cancel();
        }

        @Override
        @SuppressWarnings("rawtypes")
        public @Nullable Object scanUnsafe(Attr key) {
            return key == Attr.ACTUAL ? actual : key == Attr.PARENT ? source : null;
        }
    }
}
