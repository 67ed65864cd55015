package io.otaflux;

import java.net.URI;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One payload to fetch: what it is called, where it is, and how to know that it arrived intact.
 *
 * @param name what the platform calls it; never used as a path
 * @param location where it can be fetched; its query often is a credential and appears in no message
 * @param size its exact length in bytes, or {@link #UNKNOWN_SIZE}
 * @param digests what its bytes hash to; may be empty where nobody knows
 * @param signature what proves who made it, in Base64: a signature over the bytes of {@link #digest()}; null where there
 *     is none. It is judged only where {@link OtaClient.Builder#publicKey} is configured, and is no part of an upgrade's
 *     identity
 */
public record Artifact(
        String name,
        URI location,
        long size,
        List<Digest> digests,
        @Nullable String signature) {

    /** The {@link #size} of an artifact whose length only its source knows. */
    public static final long UNKNOWN_SIZE = -1;

    /** @throws IllegalArgumentException when a value is out of its range, or one algorithm has two digests */
    public Artifact {
        Names.ARTIFACT.check("artifact", name);
        if (size < UNKNOWN_SIZE) {
            throw new IllegalArgumentException(
                    "size: " + size + " (expected: >= 0, or " + UNKNOWN_SIZE + " for unknown)");
        }
        digests = List.copyOf(digests);
        if (isAnyTwice(digests)) {
            throw new IllegalArgumentException("digests: " + digests + " (expected: one per algorithm)");
        }
    }

    /** An artifact without a signature. */
    public Artifact(String name, URI location, long size, List<Digest> digests) {
        this(name, location, size, digests, null);
    }

    /** The digest of the strongest algorithm, by which the artifact is known; empty where there is none. */
    public Optional<Digest> digest() {
        return strongest(digests);
    }

    /** The same artifact at another place. */
    public Artifact at(URI newLocation) {
        return new Artifact(name, newLocation, size, digests, signature);
    }

    private static boolean isAnyTwice(List<Digest> digests) {
        for (int i = 1; i < digests.size(); i++) {
            for (int j = 0; j < i; j++) {
                if (digests.get(i).algorithm() == digests.get(j).algorithm()) {
                    return true;
                }
            }
        }
        return false;
    }

    static Optional<Digest> strongest(Collection<Digest> digests) {
        return digests.isEmpty()
                ? Optional.empty()
                : Optional.of(Collections.max(digests, Comparator.comparing(Digest::algorithm)));
    }

    static Set<Digest.Algorithm> algorithms(Collection<Digest> digests) {
        Set<Digest.Algorithm> algorithms = EnumSet.noneOf(Digest.Algorithm.class);
        digests.forEach(digest -> algorithms.add(digest.algorithm()));
        return algorithms;
    }

    /** Leaves the location out: its query is a credential. */
    @Override
    public String toString() {
        return "Artifact[name=" + name + ", size=" + size + ", digests=" + digests + "]";
    }
}
