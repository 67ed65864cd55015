package io.otaflux.storage;

import io.otaflux.UpgradeJournal;
import io.otaflux.testkit.UpgradeJournalContract;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class FileUpgradeJournalTest implements UpgradeJournalContract {

    @TempDir
    Path directory;

    private final ExecutorService executor = Executors.newSingleThreadExecutor();
    private @Nullable FileUpgradeJournal open;

    @Override
    public UpgradeJournal reopen() {
        close();
        open = FileUpgradeJournal.open(directory.resolve("journal"), Disk.REAL, executor);
        return open;
    }

    private void close() {
        if (open != null) {
            open.close();
        }
    }

    @AfterEach
    void tearDown() {
        close();
        executor.shutdownNow();
    }
}
