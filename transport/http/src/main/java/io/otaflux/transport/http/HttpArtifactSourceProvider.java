package io.otaflux.transport.http;

import io.otaflux.ArtifactSource;

/**
 * Makes an {@link HttpArtifactSource} with default settings, which asks over https only: plain http needs a digest, and
 * programs that configure nothing often have none. Those who want it build a source with {@link
 * HttpArtifactSource.Builder#allowHttp}.
 */
public final class HttpArtifactSourceProvider implements ArtifactSource.Provider {

    @Override
    public ArtifactSource create() {
        return HttpArtifactSource.create();
    }
}
