package io.otaflux.testkit;

import io.otaflux.ArtifactSource;
import java.net.URI;

class MemorySourceTest implements ArtifactSourceContract {

    private static final URI LOCATION = URI.create("https://files.example.com/artifact");

    @Override
    public Origin origin() {
        MemorySource source = new MemorySource();
        return new Origin() {
            @Override
            public ArtifactSource source() {
                return source;
            }

            @Override
            public BufferLedger ledger() {
                return source.ledger();
            }

            @Override
            public URI serve(byte[] content) {
                source.serve(LOCATION, content);
                return LOCATION;
            }

            @Override
            public void remove() {
                source.remove(LOCATION);
            }

            @Override
            public void close() {}
        };
    }
}
