package io.otaflux;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.util.context.Context;

/** Turns the completion of a source into an error where there is one by then. */
final class Ending<T> extends FluxOperator<T, T> {

    private final Supplier<? extends @Nullable Throwable> failure;

    private Ending(Flux<T> source, Supplier<? extends @Nullable Throwable> failure) {
        super(source);
        this.failure = failure;
    }

    static <T> Flux<T> of(Flux<T> source, Supplier<? extends @Nullable Throwable> failure) {
        return onAssembly(new Ending<>(source, failure));
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        source.subscribe(new CoreSubscriber<T>() {
            @Override
            public void onSubscribe(Subscription subscription) {
                actual.onSubscribe(subscription);
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
                Throwable found = failure.get();
                if (found == null) {
                    actual.onComplete();
                } else {
                    actual.onError(found);
                }
            }

            @Override
            public Context currentContext() {
                return actual.currentContext();
            }
        });
    }
}
