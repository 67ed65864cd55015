package io.otaflux;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;

/** Several sources as one: who is asked is decided by the scheme of a location. */
final class Sources implements ArtifactSource {

    private final Map<String, ArtifactSource> byScheme;
    private final @Nullable ArtifactSource fallback;

    private Sources(Map<String, ArtifactSource> byScheme, @Nullable ArtifactSource fallback) {
        this.byScheme = byScheme;
        this.fallback = fallback;
    }

    /** @param fallback who is asked for all other schemes, and where there is none; null for nobody */
    static ArtifactSource of(Map<String, ArtifactSource> byScheme, @Nullable ArtifactSource fallback) {
        return byScheme.isEmpty() && fallback != null ? fallback : new Sources(new TreeMap<>(byScheme), fallback);
    }

    /** The form in which a scheme is a key here. */
    static String key(String scheme) {
        return scheme.toLowerCase(Locale.ROOT);
    }

    @Override
    public <T> Flux<T> read(Request request, Function<Content, Publisher<T>> consumer) {
        return Flux.defer(() -> {
            Artifact artifact = request.artifact();
            String scheme = artifact.location().getScheme();
            ArtifactSource source = scheme == null ? fallback : byScheme.getOrDefault(key(scheme), fallback);
            return source != null
                    ? source.read(request, consumer)
                    : Flux.error(new SourceException(
                            OtaException.Reason.LOCATION_REFUSED,
                            artifact.name() + ": scheme " + scheme + " (expected one of: " + byScheme.keySet() + ")",
                            null));
        });
    }
}
