package io.otaflux.transport.http;

import io.otaflux.ArtifactSource;
import io.otaflux.testkit.ArtifactSourceContract;
import io.otaflux.testkit.BufferLedger;
import io.otaflux.testkit.NginxServer;
import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class HttpArtifactSourceContractTest implements ArtifactSourceContract {

    @TempDir
    Path directory;

    @Override
    public Origin origin() {
        NginxServer nginx = NginxServer.start(directory);
        BufferLedger ledger = new BufferLedger();
        HttpArtifactSource source =
                Asking.local().allowHttp(true).allocator(ledger.allocator()).build();
        return new Origin() {
            @Override
            public ArtifactSource source() {
                return source;
            }

            @Override
            public BufferLedger ledger() {
                return ledger;
            }

            @Override
            public URI serve(byte[] content) {
                return nginx.put("artifact.bin", content);
            }

            @Override
            public void remove() {
                nginx.remove("artifact.bin");
            }

            @Override
            public void close() {
                source.close().block(PATIENCE);
                nginx.close();
            }
        };
    }
}
