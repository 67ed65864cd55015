package io.otaflux.samples.platform;

import java.time.Instant;

/**
 * A job as it is kept; what became of it is in its tasks.
 *
 * @param cancelled whether it was cancelled as a whole
 * @param planned whether its start is still to come
 * @param stopped whether a dynamic job takes no more devices
 */
record StoredJob(
        String id, JobRequest request, boolean cancelled, boolean planned, boolean stopped, Instant createdAt) {

    StoredJob asCancelled(boolean isCancelled) {
        return new StoredJob(id, request, isCancelled, planned, stopped, createdAt);
    }

    StoredJob asStarted() {
        return new StoredJob(id, request, cancelled, false, stopped, createdAt);
    }

    StoredJob asStopped() {
        return new StoredJob(id, request, cancelled, planned, true, createdAt);
    }
}
