package io.otaflux.transport.http;

import io.otaflux.ArtifactSource;

/**
 * Makes an {@link HttpArtifactSource} with default settings, which asks over https and on the public Internet only: plain
 * http needs a digest, and programs that configure nothing often have none; and which of the networks around it a device
 * may be sent to is not for a platform to say. Those who want more build a source with {@link
 * HttpArtifactSource.Builder#allowHttp} and {@link HttpArtifactSource.Builder#allowNetworks}.
 */
public final class HttpArtifactSourceProvider implements ArtifactSource.Provider {

    @Override
    public ArtifactSource create() {
        return HttpArtifactSource.create();
    }
}
