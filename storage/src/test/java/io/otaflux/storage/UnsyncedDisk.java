package io.otaflux.storage;

import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** A disk for tests of what files say rather than of when they are durable: it does not wait for the medium. */
final class UnsyncedDisk extends Disk {

    @Override
    void sync(FileChannel channel) {}

    @Override
    void syncDirectory(Path directory) {}
}
