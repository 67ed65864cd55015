package io.otaflux.samples.gateway;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import reactor.core.publisher.Hooks;

/** Fails a test in which an error reached nobody. */
final class NoDroppedErrors implements BeforeEachCallback, AfterEachCallback {

    private final List<Throwable> dropped = new CopyOnWriteArrayList<>();

    @Override
    public void beforeEach(ExtensionContext context) {
        dropped.clear();
        Hooks.onErrorDropped(dropped::add);
    }

    @Override
    public void afterEach(ExtensionContext context) {
        Hooks.resetOnErrorDropped();
        if (!dropped.isEmpty()) {
            AssertionError failure = new AssertionError(dropped.size() + " errors were dropped: " + dropped);
            dropped.forEach(failure::addSuppressed);
            throw failure;
        }
    }
}
