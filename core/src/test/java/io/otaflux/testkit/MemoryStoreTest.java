package io.otaflux.testkit;

import io.otaflux.ArtifactStore;
import reactor.core.scheduler.Schedulers;

class MemoryStoreTest implements ArtifactStoreContract {

    private MemoryStore store = MemoryStore.on(Schedulers.single());

    @Override
    public ArtifactStore reopen() {
        store = store.reopen();
        return store;
    }
}
