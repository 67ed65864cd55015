package io.otaflux.samples.platform;

import java.time.Instant;

/** A job as it is kept; what became of it is in its tasks. */
record StoredJob(String id, JobRequest request, boolean cancelled, Instant createdAt) {

    StoredJob asCancelled() {
        return new StoredJob(id, request, true, createdAt);
    }
}
