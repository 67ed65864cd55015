package io.otaflux.storage;

import io.otaflux.ArtifactStore;
import io.otaflux.testkit.ArtifactStoreContract;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class FileArtifactStoreTest implements ArtifactStoreContract {

    @TempDir
    Path directory;

    private final List<ArtifactStore> opened = new ArrayList<>();

    @Override
    public ArtifactStore reopen() {
        ArtifactStore store = FileArtifactStore.in(directory.resolve("store"));
        opened.add(store);
        return store;
    }

    @AfterEach
    void closeAll() {
        opened.forEach(store -> store.close().block(SOON));
    }
}
