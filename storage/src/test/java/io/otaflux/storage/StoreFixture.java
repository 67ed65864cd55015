package io.otaflux.storage;

import io.otaflux.ArtifactStore;
import io.otaflux.testkit.Verification;
import java.nio.file.Path;
import java.time.Duration;

/** A store that upgrades for installer tests come from. */
final class StoreFixture implements AutoCloseable {

    private final ArtifactStore store;
    private final Verification verification;

    StoreFixture(Path directory) {
        this(FileArtifactStore.in(directory));
    }

    StoreFixture(ArtifactStore store) {
        this.store = store;
        this.verification = new Verification(store);
    }

    Verification verification() {
        return verification;
    }

    @Override
    public void close() {
        store.close().block(Duration.ofSeconds(20));
    }
}
